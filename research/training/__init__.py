"""The one loop and what it is made of. Knows nothing of any paper."""

from research.core.map_batches import map_batches
from research.training.loop import run
from research.training.run_config import run_config

__all__ = ["map_batches", "run", "run_config"]
