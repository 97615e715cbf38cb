"""Which arrays of a state are weights: what a finished model is used with."""

from __future__ import annotations

import re
from typing import Any

from research.core.experiment import PyTree
from research.core.tree import named_leaves

# Parameters, other collections of a network and averages of both, wherever they are in the state;
# moments that observations are normalized by. Never what an optimizer has summed up.
_WEIGHTS = re.compile(r"(^|/)(\w*params|variables|ema|average|moments|best)/")
_OPTIMIZER = re.compile(r"(^|/)opt_state(/|$)")


def is_weight(name: str) -> bool:
    """Whether the array of this path in a state is a weight."""
    return bool(_WEIGHTS.search(name)) and not _OPTIMIZER.search(name)


def weights_of(state: PyTree) -> dict[str, Any]:
    """The weights in a state by path, such as "learner/params/Dense_0/kernel"."""
    return {name: leaf for name, leaf in named_leaves(state).items() if is_weight(name)}
