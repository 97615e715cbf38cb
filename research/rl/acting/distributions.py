"""Distributions over actions, as pytrees: rollouts hold those that they were sampled from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import flax.struct
import jax
import jax.numpy as jnp


@flax.struct.dataclass
class Categorical:
    """One of A actions.

    Attributes:
      logits: `[..., A]`, up to a constant.
    """

    logits: jax.Array

    def sample(self, key: jax.Array) -> jax.Array:
        """Actions `[...]` int32."""
        return jax.random.categorical(key, self.logits)

    def mode(self) -> jax.Array:
        return self.logits.argmax(axis=-1)

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log probabilities `[...]` of actions `[...]`."""
        log_p = jax.nn.log_softmax(self.logits)
        return jnp.take_along_axis(log_p, action[..., None], axis=-1)[..., 0]

    def entropy(self) -> jax.Array:
        """Entropies `[...]` in nats."""
        log_p = jax.nn.log_softmax(self.logits)
        return -(jnp.exp(log_p) * log_p).sum(axis=-1)

    def kl(self, other: Categorical) -> jax.Array:
        """Divergences KL(self, other) `[...]` in nats."""
        log_p, log_q = jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits)
        return (jnp.exp(log_p) * (log_p - log_q)).sum(axis=-1)


@flax.struct.dataclass
class DiagonalNormal:
    """Independent normal components.

    Samples are not bounded. Environments clip what they are given, and the density stays that of
    the sample before clipping, as in Baselines.

    Attributes:
      mean: `[..., D]`.
      log_std: `[..., D]`, logarithm of the standard deviation.
    """

    mean: jax.Array
    log_std: jax.Array

    def sample(self, key: jax.Array) -> jax.Array:
        """Actions `[..., D]`."""
        noise = jax.random.normal(key, self.mean.shape)
        return self.mean + jnp.exp(self.log_std) * noise

    def mode(self) -> jax.Array:
        return self.mean

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log density `[...]` of actions `[..., D]`."""
        scaled = (action - self.mean) * jnp.exp(-self.log_std)
        return -(scaled**2 / 2 + self.log_std + jnp.log(2 * jnp.pi) / 2).sum(axis=-1)

    def entropy(self) -> jax.Array:
        """Entropies `[...]` in nats."""
        return (self.log_std + jnp.log(2 * jnp.pi * jnp.e) / 2).sum(axis=-1)

    def kl(self, other: DiagonalNormal) -> jax.Array:
        """Divergences KL(self, other) `[...]` in nats."""
        variances = jnp.exp(2 * (self.log_std - other.log_std))
        shift = ((self.mean - other.mean) * jnp.exp(-other.log_std)) ** 2
        return ((variances + shift - 1) / 2 + other.log_std - self.log_std).sum(axis=-1)


class Distribution(Protocol):
    """What agents ask of either; one is compared with another of its own kind alone."""

    def sample(self, key: jax.Array) -> jax.Array: ...

    def mode(self) -> jax.Array: ...

    def log_prob(self, action: jax.Array) -> jax.Array: ...

    def entropy(self) -> jax.Array: ...

    def kl(self, other: Any) -> jax.Array: ...


def distribution(policy: Mapping[str, Any]) -> Distribution:
    """The distribution of a network's policy, `{"logits"}` or `{"mean", "log_std"}`."""
    return Categorical(**policy) if "logits" in policy else DiagonalNormal(**policy)


def random_policy(num_actions: int, action_size: int, count: int) -> Distribution:
    """`count` actions of no skill: all equally likely, or standard normal where continuous."""
    if num_actions:
        return Categorical(jnp.zeros((count, num_actions)))
    return DiagonalNormal(jnp.zeros((count, action_size)), jnp.zeros((count, action_size)))
