"""Draws sound sample by sample: from queues (Paine et al., 2016), or naively, all anew each time.

Both draw sample t with the key `fold_in(key, t)`, so that equal logits give equal samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

DRAWN = -1  # in place of a sample that is to be drawn


class Drawn(NamedTuple):
    """Sounds.

    Attributes:
      samples: `[B, T]` int32.
      logits: `[B, T, Q]` that they were drawn from.
    """

    samples: jax.Array
    logits: jax.Array


def draw(
    model: Any,
    variables: Any,
    key: jax.Array,
    given: jax.Array,
    speaker: jax.Array | None = None,
    local: jax.Array | None = None,
    temperature: float = 1.0,
) -> Drawn:
    """Draws samples one after another; each costs one step of every layer.

    Args:
      model: a `WaveNet`.
      variables: its parameters, with their collection's name.
      key: of all draws.
      given: `[B, T]` int32: what the sound is, or begins with; `DRAWN` where it is to be drawn.
      speaker: `[B]` int32.
      local: frames `[B, F, L]` of the T samples.
      temperature: 0 takes the likeliest.
    """
    offsets, upsampled = model.apply(variables, speaker, local, method="conditions")

    def step(carry: Any, inputs: Any) -> tuple[Any, Any]:
        queues, previous = carry
        t, forced, condition = inputs
        queues, logits = model.apply(
            variables, queues, previous, t, offsets, condition, method="step"
        )
        now = _next(jax.random.fold_in(key, t), logits, forced, temperature)
        return (queues, now), (now, logits)

    batch, length = given.shape
    queues = model.apply(variables, batch, method="initial_queues")
    by_time = None if upsampled is None else jnp.swapaxes(upsampled, 0, 1)
    inputs = (jnp.arange(length), given.T, by_time)
    _, (samples, logits) = jax.lax.scan(step, (queues, jnp.full(batch, DRAWN)), inputs)
    return Drawn(samples.T, jnp.swapaxes(logits, 0, 1))


def draw_naively(
    model: Any,
    variables: Any,
    key: jax.Array,
    given: jax.Array,
    speaker: jax.Array | None = None,
    local: jax.Array | None = None,
    temperature: float = 1.0,
) -> Drawn:
    """What `draw` does, by the network over its whole receptive field for every sample.

    Its products are made time by time (`WaveNet.step_by_step`), so that they round as those of
    `draw`. The arguments are those of `draw`.
    """
    model = model.clone(step_by_step=True, classes=0)
    batch, length = given.shape
    offsets, upsampled = model.apply(variables, speaker, local, method="conditions")
    # A context stack looks back further, and in blocks from the beginning.
    window = length if model.context_factor else min(model.receptive_field + 1, length)

    def step(samples: jax.Array, inputs: Any) -> tuple[jax.Array, Any]:
        t, forced = inputs
        start = jnp.maximum(t - (window - 1), 0)
        heard = jax.lax.dynamic_slice_in_dim(samples, start, window, 1)
        condition = None
        if upsampled is not None:
            condition = jax.lax.dynamic_slice_in_dim(upsampled, start, window, 1)
        logits, _ = model.apply(variables, heard, offsets, condition, method="given")
        logits = jax.lax.dynamic_index_in_dim(logits, t - start, 1, keepdims=False)
        now = _next(jax.random.fold_in(key, t), logits, forced, temperature)
        return jax.lax.dynamic_update_index_in_dim(samples, now, t, 1), logits

    samples, logits = jax.lax.scan(
        step, jnp.full((batch, length), DRAWN), (jnp.arange(length), given.T)
    )
    return Drawn(samples, jnp.swapaxes(logits, 0, 1))


def _next(key: jax.Array, logits: jax.Array, forced: jax.Array, temperature: float) -> jax.Array:
    if temperature:
        drawn = jax.random.categorical(key, logits / temperature)
    else:
        drawn = jnp.argmax(logits, -1)
    return jnp.where(forced == DRAWN, drawn, forced).astype(jnp.int32)
