"""The receptive field, measured: which samples the gradient of one sample's logits reaches."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.models.wavenet import WaveNet


class Field(NamedTuple):
    """What the logits of sample t depend on.

    Attributes:
      reach: how far back the first sample that counts lies; the receptive field.
      nearest: how far back the last one lies, 1 for the sample before; 0 or less is a leak.
    """

    reach: int
    nearest: int


def receptive_field(model: WaveNet, variables: Any, key: jax.Array, length: int) -> Field:
    """Looks at the gradient of logits of a sample in the middle of noise.

    Args:
      model, variables: of a network without conditions.
      key: of the noise.
      length: of it; more than twice the receptive field, for all of it to be seen.
    """
    samples = jax.nn.one_hot(jax.random.randint(key, (1, length), 0, model.bins), model.bins)
    t = length // 2
    weights = jax.random.normal(jax.random.fold_in(key, 1), (model.bins,))

    def seen(samples: jax.Array) -> jax.Array:
        logits, _ = model.apply(variables, samples)
        return logits[0, t] @ weights

    gradient = np.asarray(jnp.abs(jax.jit(jax.grad(seen))(samples)).sum((0, 2)))
    (places,) = np.nonzero(gradient)
    return Field(int(t - places[0]), int(t - places[-1]))
