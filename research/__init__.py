"""Landmarks: the papers that made deep learning, in JAX."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("landmarks")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"
