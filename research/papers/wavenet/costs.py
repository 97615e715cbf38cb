"""Multiply-adds of matrix products for one more sample, by queues and naively.

One-hot inputs are looked up, and cost nothing. Offsets by the speaker, and the upsampling of
frames, are the same for both and made once for a sound: they are not counted.
"""

from __future__ import annotations

from typing import NamedTuple

from research.models.wavenet import WaveNet


class Costs(NamedTuple):
    """Multiply-adds of one sample.

    Attributes:
      queues: every layer once.
      needed: without queues, each layer at those times alone that the sample depends on.
      window: without queues, every layer at all times of the receptive field.
    """

    queues: int
    needed: int
    window: int


def costs(model: WaveNet) -> Costs:
    """Counts them.

    Raises:
      ValueError: the model has a context stack, which is not counted.
    """
    if model.context_factor:
        raise ValueError("a context stack is not counted")
    both = 2 * model.gate
    gates = model.taps * model.residual * both + model.local_features * both
    to_skip, to_residual = model.gate * model.skip, model.gate * model.residual
    output = model.skip * model.head + model.head * model.bins
    first = model.input_taps * model.residual if model.scalar_input else 0

    layers = len(model.dilations)
    once = first + layers * (gates + to_skip) + (layers - 1) * to_residual + output

    # From the top: at which times, back from the sample, a layer has to be known.
    times, needed = {0}, output
    for index, dilation in reversed(list(enumerate(model.dilations))):
        last = index == layers - 1
        # What goes to the output is wanted at the sample's own time alone.
        needed += to_skip + len(times) * (gates + (0 if last else to_residual))
        times = {t + tap * dilation for t in times for tap in range(model.taps)}
    needed += len(times) * first
    return Costs(once, needed, once * model.receptive_field)
