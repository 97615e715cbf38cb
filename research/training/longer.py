"""Whether more steps of an experiment go on with the steps that were made."""

from __future__ import annotations

import re
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from research.core.errors import UserError
from research.core.experiment import Experiment
from research.training.loop import check


def check_longer(shorter: Experiment, longer: Experiment, config: ConfigDict) -> None:
    """Checks that a longer run begins with the very steps of a shorter one.

    It does where the first state, the step, and the start of the data are the same: then nothing
    that they are made of depends on the length, as a schedule of the learning rate may.

    Raises:
      UserError: it does not.
    """
    before, after = (_description(experiment, config) for experiment in (shorter, longer))
    if longer.num_steps < shorter.num_steps or before != after:
        raise UserError(
            "a run of more steps does not go on from a shorter one here: what a step does depends "
            "on how many there will be, as by the schedule of a rate; choose another --workdir"
        )


def _description(experiment: Experiment, config: ConfigDict) -> tuple[Any, ...]:
    """The compiled programs of an experiment, as text with the constants in it, and its data."""
    program = check(experiment, config)
    init = jax.make_jaxpr(program._init)(jax.ShapeDtypeStruct((), np.uint32))
    step = program.trace().jaxpr
    source = experiment.source
    start = None if source is None else (str(source.spec), source.get_state(), source.origin)
    return _text(init), _text(step), start


def _text(program: Any) -> tuple[str, list[bytes]]:
    text = re.sub(r"0x[0-9a-f]+", "", str(program.jaxpr))  # where functions lie in memory
    return text, [np.asarray(constant).tobytes() for constant in program.consts]
