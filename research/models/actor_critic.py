"""Policies and values of policy-gradient methods: multi-layer perceptrons for vectors, convolutions
for images.

Weights are orthogonal with gain sqrt(2), 0.01 in the policy's last layer and 1 in the value's;
biases are zero (OpenAI Baselines' initialisation for A2C and PPO; not in the papers).
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.core.errors import UserError
from research.nn.conv import Conv

# Convolutions (features, kernel, stride), then units of the dense layers.
_VARIANTS: dict[str, tuple[Sequence[tuple[int, int, int]], Sequence[int]]] = {
    "mlp": ((), (64, 64)),  # Schulman et al. 2017, section 6.1; tanh
    "mlp100": ((), (100, 100)),  # Ho and Ermon 2016, section 6; tanh
    "minatar": (((16, 3, 1),), (128,)),  # Young and Tian 2019; this and the following ReLU
    "2015": (((32, 8, 4), (64, 4, 2), (64, 3, 1)), (512,)),  # Mnih et al. 2015, in Baselines
    "2016": (((16, 8, 4), (32, 4, 2)), (256,)),  # Mnih et al. 2016, the paper's Atari network
}

Policy = dict[str, jax.Array]


class Trunk(nn.Module):
    """Makes features `[B, F]` of an observation; images are scaled to [0, 1].

    Attributes:
      variant: "mlp" and "mlp100" for vectors; "minatar", "2015" or "2016" for images.
      dtype: type of the computation; parameters are float32.
    """

    variant: str
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        if self.variant not in _VARIANTS:
            raise UserError(f"model.variant is one of {', '.join(_VARIANTS)}, not {self.variant!r}")
        convolutions, units = _VARIANTS[self.variant]
        if convolutions and x.ndim != 4:
            raise UserError(f"model.variant={self.variant} is for images; set it to mlp")
        init = nn.initializers.orthogonal(2**0.5)
        if x.dtype == jnp.uint8:
            x = x.astype(self.dtype or jnp.float32) / 255
        for features, kernel, stride in convolutions:
            conv = Conv(features, kernel, stride, "VALID", dtype=self.dtype, kernel_init=init)
            x = nn.relu(conv(x))
        x = x.reshape(x.shape[0], -1)
        for size in units:
            x = nn.Dense(size, dtype=self.dtype, kernel_init=init)(x)
            x = nn.relu(x) if convolutions else nn.tanh(x)
        return x


class PolicyHead(nn.Module):
    """Makes of features `[B, F]` logits `[B, num_actions]`, or a mean `[B, action_size]` and a
    `log_std` of the same shape that does not depend on them.

    Attributes:
      num_actions: for discrete actions, else 0.
      action_size: for continuous actions, else 0.
      log_std: what it is at the start.
    """

    num_actions: int
    action_size: int
    log_std: float = 0.0

    @nn.compact
    def __call__(self, features: jax.Array) -> Policy:
        init = nn.initializers.orthogonal(0.01)
        out = nn.Dense(self.num_actions or self.action_size, kernel_init=init)(features)
        out = out.astype(jnp.float32)
        if self.num_actions:
            return {"logits": out}
        log_std = self.param("log_std", nn.initializers.constant(self.log_std), (self.action_size,))
        return {"mean": out, "log_std": jnp.broadcast_to(log_std, out.shape)}


class ValueHead(nn.Module):
    """Makes values `[B]` of features `[B, F]`."""

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        out = nn.Dense(1, kernel_init=nn.initializers.orthogonal(1.0))(features)
        return out[:, 0].astype(jnp.float32)


class Actor(nn.Module):
    """A policy alone; attributes as in `ActorCritic`."""

    num_actions: int
    action_size: int
    variant: str
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[Policy, dict[str, jax.Array]]:
        features = Trunk(self.variant, self.dtype, name="trunk")(x)
        policy = PolicyHead(self.num_actions, self.action_size, name="policy")(features)
        return policy, {"features": features}


class Critic(nn.Module):
    """A value alone; attributes as in `ActorCritic`."""

    variant: str
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        features = Trunk(self.variant, self.dtype, name="trunk")(x)
        return ValueHead(name="value")(features), {"features": features}


class ActorCritic(nn.Module):
    """Policy and value, of one trunk or of two.

    Attributes:
      num_actions: A for discrete actions, else 0.
      action_size: D for continuous actions, else 0.
      variant: of the trunk.
      shared: one trunk for both, as the papers have it for images.
      dtype: type of the computation; parameters are float32.
    """

    num_actions: int
    action_size: int
    variant: str
    shared: bool
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[tuple[Policy, jax.Array], dict[str, jax.Array]]:
        """Computes policy and value.

        Args:
          x: `[B, H, W, C]` uint8 or `[B, D]` float32.

        Returns:
          `(policy, value [B])`, the policy being `{"logits": [B, A]}` or
          `{"mean": [B, D], "log_std": [B, D]}`; and `{"features": [B, F]}`, the policy's.
        """
        features = Trunk(self.variant, self.dtype, name="trunk")(x)
        policy = PolicyHead(self.num_actions, self.action_size, name="policy")(features)
        value_features = features
        if not self.shared:
            value_features = Trunk(self.variant, self.dtype, name="value_trunk")(x)
        return (policy, ValueHead(name="value")(value_features)), {"features": features}


class ActorQ(nn.Module):
    """Policy over discrete actions, and values of all of them; attributes as in `ActorCritic`."""

    num_actions: int
    variant: str
    shared: bool
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[tuple[Policy, jax.Array], dict[str, jax.Array]]:
        """Computes policy and action values.

        Returns:
          `(policy {"logits": [B, A]}, action values [B, A])`; and `{"features": [B, F]}`, the
          policy's.
        """
        features = Trunk(self.variant, self.dtype, name="trunk")(x)
        policy = PolicyHead(self.num_actions, 0, name="policy")(features)
        value_features = features
        if not self.shared:
            value_features = Trunk(self.variant, self.dtype, name="value_trunk")(x)
        head = nn.Dense(self.num_actions, kernel_init=nn.initializers.orthogonal(1.0), name="value")
        return (policy, head(value_features).astype(jnp.float32)), {"features": features}
