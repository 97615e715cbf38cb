"""Which values a configuration key takes, told by its name; checked before anything is written.

Names mean the same in every configuration: `dropout` is a share, `*_every_steps` counts steps. The
key of a new paper that is named as others are is checked as they are; what is special to a paper
stands in its configuration file:

    ALLOWED = {"model.norm": one_of("batch", "layer"), "classifier.num_steps": non_negative}

A pattern with a dot is for whole keys, one without for their last part. The first that fits
decides, those of the file before those of `BY_NAME`; numbers that none fits are 0 or more. Where a
key holds several numbers, each of them is checked.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections.abc import Callable, Mapping
from typing import Any

from research.core.errors import UserError, quoted

MAX_SEED = 2**32 - 1
_MAX_INTEGER = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Allowed:
    """What a key takes.

    Attributes:
      words: go on with «takes ...».
      holds: whether a value is allowed.
      whole: it is asked about a tuple as such, not about each entry.
    """

    words: str
    holds: Callable[[Any], bool]
    whole: bool = False


def at_least(least: float) -> Allowed:
    """Numbers from `least` on."""
    return Allowed(f"a number from {least:g} on", lambda x: _is_number(x) and x >= least)


def between(low: float, high: float) -> Allowed:
    """Numbers from `low` to `high`, both included."""
    return Allowed(
        f"a number from {low:g} to {high:g}", lambda x: _is_number(x) and low <= x <= high
    )


def one_of(*choices: str) -> Allowed:
    """One of several words; "" is «none» where it is one of them."""
    shown = ", ".join(choice or "'' (none)" for choice in choices)
    return Allowed(f"one of {shown}", lambda x: x in choices)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_seeds(value: Any) -> bool:
    seeds = list(value) if isinstance(value, tuple | list) else [value]
    whole = all(type(seed) is int and 0 <= seed <= MAX_SEED for seed in seeds)
    return whole and bool(seeds) and len(set(seeds)) == len(seeds)


positive = Allowed("a number above 0", lambda x: _is_number(x) and x > 0)
non_negative = Allowed("a number from 0 on", lambda x: _is_number(x) and x >= 0)
any_number = Allowed("a number", _is_number)
above_one = Allowed("a number above 1", lambda x: _is_number(x) and x > 1)
share = between(0, 1)
share_below_one = Allowed("a number from 0 to below 1", lambda x: _is_number(x) and 0 <= x < 1)
share_above_zero = Allowed("a number above 0, 1 at most", lambda x: _is_number(x) and 0 < x <= 1)
not_empty = Allowed("one value or more", lambda x: len(x) > 0, whole=True)
weights = Allowed(
    "one number or more, from 0 on",
    lambda x: len(x) > 0 and all(_is_number(weight) and weight >= 0 for weight in x),
    whole=True,
)
seeds = Allowed("different whole numbers from 0 to 4294967295, one or more", _is_seeds, whole=True)
anything = Allowed("anything", lambda x: True, whole=True)

# Patterns of one line belong together. What is not here counts from 0 on, where 0 mostly means
# «none»: penalties, weights, warm-ups, intervals of what need not be done at all.
_NAMES: tuple[tuple[Allowed, str], ...] = (
    # Every run.
    (seeds, "seed seeds *.seed"),
    (any_number, "mesh.*"),  # looked at together, by `sharding.make_mesh`
    (one_of("float32", "bfloat16", "float16"), "compute_dtype"),
    (one_of("min", "max"), "best_mode"),
    (positive, "steps_per_call log_every_steps keep_checkpoints accumulate_steps"),
    # Optimizers.
    (non_negative, "weight_decay *_weight_decay"),
    (share_below_one, "momentum *_momentum b1 b2 *_b1 *_b2 dropout *_dropout label_smoothing"),
    (share, "*_decay tau gamma *_gamma *_lambda end_factor rate_end"),
    (positive, "eps *_eps *_epsilon min_squared_gradient loss_scale"),
    (positive, "clip kl_limit kl_target trust_region *_trust_region max_squared_norm"),
    # Lengths of a run, in frames; others of them are intervals that may be 0.
    (positive, "total_frames capacity_frames max_episode_frames"),
    (non_negative, "*_frames"),
    # Chances, and parts of a whole.
    (share, "epsilon epsilon_* sticky_* *_share *_fraction *_exponent *_exponent_* error_rate"),
    # Sampling.
    (non_negative, "temperature top_k"),  # temperature 0: greedy
    (share_above_zero, "top_p"),
    # How much there is of what a run does and reports.
    (positive, "total_* num_* episodes documents queries draws images tokens shown *_questions"),
    (positive, "epochs *_epochs minibatches *_minibatches updates *_updates *_batches *_pairs"),
    (positive, "new_tokens *_per_batch *_per_step *_per_update *_per_cycle *_per_task *_per_actor"),
    (positive, "rollout_steps return_steps segment_steps clip_steps n_steps cg_iterations"),
    (positive, "fisher_every horizon capacity capacity_* *_characters *_samples"),
    # Sizes.
    (positive, "size *_size width dim *_dim hidden layers heads features *_features latents"),
    (positive, "kernel kernels channels depth length *_length rows *_rows *_bucket max_length"),
    (positive, "levels multiple *_multiple reduce stack action_repeat *_chunks"),
    (positive, "dilations members workers tracks tasks tasks_* trunk hops speed side"),
    (above_one, "*_growth"),
    # Lists that something is made for each entry of.
    (weights, "weights"),
    (not_empty, "names prompts shots phases rate_phases"),
    # Words that mean the same wherever they are a choice.
    (one_of("", "dots", "block"), "remat"),
    (one_of("project_cnn", "inception_2015", "vgg16"), "eval.network"),
    (one_of("one", "ten"), "crops"),
)
BY_NAME: dict[str, Allowed] = {
    pattern: allowed for allowed, patterns in _NAMES for pattern in patterns.split()
}


def check(
    values: Mapping[str, Any], own: Mapping[str, Allowed], setting: Mapping[str, Any], arm: str
) -> None:
    """Refuses the first value that its key does not take.

    Args:
      values: key -> value, of one arm.
      own: the `ALLOWED` of the configuration file.
      setting: the keys that the arm sets.
      arm: its name.

    Raises:
      UserError: names key, value and what is allowed.
    """
    for key, value in values.items():
        allowed = find(key, value, own)
        if _is_sound(value) and _holds(allowed, value):
            continue
        words = allowed.words if _is_sound(value) else "numbers that are finite, of 64 bits"
        whose = f" (arm {arm} sets it)" if key in setting else ""
        raise UserError(f"--config.{key}={_as_flag(value)}: takes {words}{whose}")


def find(key: str, value: Any, own: Mapping[str, Allowed]) -> Allowed:
    """What a key takes, by the first pattern that its name fits."""
    if isinstance(value, bool):  # a switch, whatever numbers of a like name may be
        return anything
    for patterns in (own, BY_NAME):
        for pattern, allowed in patterns.items():
            name = key if "." in pattern else key.rpartition(".")[2]
            if fnmatch.fnmatchcase(name, pattern):
                return allowed
    numbers = value if isinstance(value, tuple | list) else (value,)
    return non_negative if all(map(_is_number, numbers)) else anything


def _holds(allowed: Allowed, value: Any) -> bool:
    if allowed.whole or not isinstance(value, tuple | list):
        return allowed.holds(value)
    return all(_holds(allowed, entry) for entry in value)


def _is_sound(value: Any) -> bool:
    """Whether all numbers in a value are finite and fit 64 bits."""
    if isinstance(value, tuple | list):
        return all(map(_is_sound, value))
    if isinstance(value, int):
        return abs(value) <= _MAX_INTEGER
    return not isinstance(value, float) or math.isfinite(value)


def _as_flag(value: Any) -> str:
    return quoted(value) if not isinstance(value, str) else quoted(value)[1:-1]
