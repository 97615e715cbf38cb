"""Soft attention with an additive score, and neighbourhood attention over a set of things (Duan et
al., 2017, arXiv:1703.07326, section 4.1)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.attention import MASKED
from research.nn.scenes import Scene


class AdditiveScore(nn.Module):
    """v' tanh(W q + U c) for each of H heads.

    Attributes:
      heads: H.
      size: of each head's vectors.
    """

    heads: int
    size: int
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, query: jax.Array, context: jax.Array) -> jax.Array:
        """Scores `[..., H]` float32 of `query [..., F]` and `context [..., G]`, whose leading axes
        broadcast."""

        def project(x: jax.Array, name: str) -> jax.Array:
            bias = name == "query"  # the sum of two biases would be one
            x = nn.Dense(self.heads * self.size, use_bias=bias, dtype=self.dtype, name=name)(x)
            return x.reshape(*x.shape[:-1], self.heads, self.size)

        v = self.param("v", nn.initializers.lecun_normal(), (self.size, self.heads))
        mixed = jnp.tanh(project(query, "query") + project(context, "context"))
        return jnp.einsum("...ha,ah->...h", mixed, v.astype(mixed.dtype)).astype(jnp.float32)


def masked_softmax(scores: jax.Array, mask: jax.Array, axis: int | tuple[int, ...]) -> jax.Array:
    """Weights that sum to 1 over `axis`, and are 0 where the mask, which broadcasts, is False."""
    return jax.nn.softmax(jnp.where(mask, scores, MASKED), axis=axis)


class NeighborhoodAttention(nn.Module):
    """As many outputs as there are things: each queries all of them and takes up what they know.

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
