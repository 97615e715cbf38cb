"""Policy and value of a body that feels itself and sees the terrain.

Heess et al., 2017, arXiv:1707.02286, section 4: an encoder for proprioception, another for
exteroception.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.models.actor_critic import Policy, PolicyHead, ValueHead


class Encoders(nn.Module):
    """Turns observations `[B, P + E]` into features `[B, F]`; their parts meet in the trunk alone.

    Attributes:
      exteroception: E, the last numbers of an observation; without them there is one encoder.
      hidden: units of an encoder's layers.
      trunk: units of the layers after both.
      dtype: type of the computation; parameters are float32.
    """

    exteroception: int
    hidden: Sequence[int]
    trunk: Sequence[int]
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        split = x.shape[-1] - self.exteroception
        parts = [self._layers(x[:, :split], self.hidden, "proprioception")]
        if self.exteroception:
            parts.append(self._layers(x[:, split:], self.hidden, "exteroception"))
        return self._layers(jnp.concatenate(parts, axis=-1), self.trunk, "trunk")

    def _layers(self, x: jax.Array, sizes: Sequence[int], name: str) -> jax.Array:
        init = nn.initializers.orthogonal(2**0.5)
        for i, size in enumerate(sizes):
            x = nn.tanh(nn.Dense(size, dtype=self.dtype, kernel_init=init, name=f"{name}_{i}")(x))
        return x


class LocomotionActorCritic(nn.Module):
    """Policy and value with encoders of their own.

    Attributes:
      action_size: D.
      log_std: of the policy at the start.
      exteroception, hidden, trunk, dtype: as in `Encoders`.
    """

    action_size: int
    exteroception: int
    hidden: Sequence[int]
    trunk: Sequence[int]
    log_std: float = 0.0
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[tuple[Policy, jax.Array], dict[str, jax.Array]]:
        """Acts on observations and judges them.

        Args:
          x: `[B, P + E]` float32.

        Returns:
          (Policy `{"mean", "log_std"}` `[B, action_size]`, value `[B]`), and `{"features":
          [B, F]}`, the policy's.
        """
        sizes = self.exteroception, self.hidden, self.trunk, self.dtype
        features = Encoders(*sizes, name="policy_encoders")(x)
        policy = PolicyHead(0, self.action_size, self.log_std, name="policy")(features)
        value = ValueHead(name="value")(Encoders(*sizes, name="value_encoders")(x))
        return (policy, value), {"features": features}
