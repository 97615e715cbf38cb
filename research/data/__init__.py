"""Data: `load(name, split)`, pipelines, and generators that need no download."""

from research.data import pipeline
from research.data.dataset import Dataset
from research.data.load import load

__all__ = ["Dataset", "load", "pipeline"]
