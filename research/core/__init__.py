"""The ground: what a paper is to the loop, parameters with their optimizer, errors, paths."""

import importlib
from typing import TYPE_CHECKING, Any

from research.core.errors import UserError

if TYPE_CHECKING:
    from research.core.experiment import Experiment, Source
    from research.core.learner import Aux, Learner, LearnerState, variable_paths

__all__ = ["Aux", "Experiment", "Learner", "LearnerState", "Source", "UserError", "variable_paths"]

_MODULES = {
    "Experiment": "experiment",
    "Source": "experiment",
    "Aux": "learner",
    "Learner": "learner",
    "LearnerState": "learner",
    "variable_paths": "learner",
}


def __getattr__(name: str) -> Any:
    """Finds what needs JAX when it is first asked for: errors and files need none."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
