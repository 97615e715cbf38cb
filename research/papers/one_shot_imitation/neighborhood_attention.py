"""Neighbourhood attention over a set of things (Duan et al., 2017, arXiv:1703.07326, 4.1)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.additive_attention import AdditiveScore, masked_softmax
from research.papers.one_shot_imitation.scenes import Scene


class NeighborhoodAttention(nn.Module):
    """Each thing queries all of them and takes up what they know: as many outputs as things.

    A thing's memory is its place and its features; the output is a linear map of a thing's own
    features, what its heads found, its place and the robot.

    Attributes:
      features: of an output.
      heads: H.
      size: of queries and contexts.
    """

    features: int
    heads: int
    size: int
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, hidden: jax.Array, scene: Scene) -> jax.Array:
        """`hidden [..., B, D]` of the things of a scene to `[..., B, features]`."""
        scores = AdditiveScore(self.heads, self.size, self.dtype, name="score")(
            hidden[..., :, None, :], hidden[..., None, :, :]
        )
        weights = masked_softmax(scores, scene.present[..., None, :, None], axis=-2)
        memory = jnp.concatenate([scene.things.astype(hidden.dtype), hidden], axis=-1)
        found = jnp.einsum("...ijh,...jm->...ihm", weights.astype(hidden.dtype), memory)
        found = found.reshape(*hidden.shape[:-1], -1)
        return nn.Dense(self.features, dtype=self.dtype, name="out")(
            jnp.concatenate([hidden, found, with_robot(scene)], axis=-1)
        )


def with_robot(scene: Scene) -> jax.Array:
    """`[..., B, P + R]`: every thing's place, and the robot's state beside it."""
    robot = jnp.broadcast_to(
        scene.robot[..., None, :], (*scene.things.shape[:-1], scene.robot.shape[-1])
    )
    return jnp.concatenate([scene.things, robot], axis=-1)
