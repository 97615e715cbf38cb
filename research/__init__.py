"""Landmarks: the papers that made deep learning, in JAX."""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from research.report.finished import load_run

__all__ = ["load_run"]

try:
    __version__ = version("landmarks")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Finds `load_run` when it is first asked for: `import research` alone loads nothing."""
    if name == "load_run":
        return importlib.import_module("research.report.finished").load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
