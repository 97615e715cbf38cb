"""The one loop and what it is made of. Knows nothing of any paper."""

import importlib
from typing import TYPE_CHECKING, Any

from research.training.run_config import run_config

if TYPE_CHECKING:
    from research.core.map_batches import map_batches
    from research.training.loop import run

__all__ = ["map_batches", "run", "run_config"]

_MODULES = {"map_batches": "research.core.map_batches", "run": "research.training.loop"}


def __getattr__(name: str) -> Any:
    """Finds what needs JAX when it is first asked for: the keys of a run need none."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
