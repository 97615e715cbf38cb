"""Adam and AdaMax as their paper writes them, with temporal averaging and the rate of its theory.

Source: Kingma and Ba 2014, arXiv:1412.6980. `optax.adam` and `optax.adamax` take the same steps, up
to rounding. Here every hyperparameter may be an array, that of bias correction among them, so that
`vmap` trains many settings in one program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

Scalar = float | jax.Array
Rate = float | jax.Array | Callable[[Any], Any]


class AdamState(NamedTuple):
    """Moving averages in the form of the parameters.

    Attributes:
      t: steps done, int32.
      m: of the gradient.
      v: of its square.
    """

    t: jax.Array
    m: Any
    v: Any


def adam(
    learning_rate: Rate,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    *,
    eps_root: Scalar = 0.0,
    bias_correction: bool | Scalar = True,
    b1_decay: Scalar = 1.0,
) -> optax.GradientTransformation:
    """Algorithm 1: theta <- theta - alpha m_hat / (sqrt(v_hat) + eps).

    This is the order in which the paper prints it first. Its faster order (end of section 2) adds
    an epsilon to sqrt(v) where v is not corrected, which is another number: the steps are the same
    where that one is eps sqrt(1 - b2^t).

    Args:
      learning_rate: alpha, or a schedule of the number of the step, from 0 as optax counts.
      b1, b2: decays of the averages of g and of g^2; float32, whatever they are given as.
      eps: added to the root.
      eps_root: added under it; not in the paper.
      bias_correction: whether averages that began at 0 are divided by 1 - b^t. Without, this is
        RMSProp with a momentum of its own (section 5).
      b1_decay: lambda of section 4, with which b1 falls: b1_t = b1 lambda^(t - 1). The correction
        of m stays 1 - b1^t, as in appendix 10.1.
    """
    b1, b2 = jnp.asarray(b1, jnp.float32), jnp.asarray(b2, jnp.float32)

    def init(params: Any) -> AdamState:
        return AdamState(jnp.zeros((), jnp.int32), _zeros(params), _zeros(params))

    def update(grads: Any, state: AdamState, params: Any = None) -> tuple[Any, AdamState]:
        t = state.t + 1
        b1_t = b1 * jnp.asarray(b1_decay, jnp.float32) ** (t - 1)
        m = jax.tree.map(lambda m, g: b1_t * m + (1 - b1_t) * g, state.m, grads)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.v, grads)
        m_correction = jnp.where(bias_correction, one_minus_power(b1, t), 1.0)
        v_correction = jnp.where(bias_correction, one_minus_power(b2, t), 1.0)
        alpha = _rate(learning_rate, state.t)

        def step(m: jax.Array, v: jax.Array) -> jax.Array:
            m_hat, v_hat = m / m_correction, v / v_correction
            return -alpha * m_hat / (jnp.sqrt(v_hat + eps_root) + eps)

        return jax.tree.map(step, m, v), AdamState(t, m, v)

    return optax.GradientTransformation(init, update)


class AdaMaxState(NamedTuple):
    """Moving averages in the form of the parameters.

    Attributes:
      t: steps done, int32.
      m: of the gradient.
      u: of its size, by the infinity norm.
    """

    t: jax.Array
    m: Any
    u: Any


def adamax(
    learning_rate: Rate = 0.002, b1: Scalar = 0.9, b2: Scalar = 0.999
) -> optax.GradientTransformation:
    """Algorithm 2: u <- max(b2 u, |g|); theta <- theta - alpha / (1 - b1^t) m / u.

    The maximum has no bias towards 0, so u is not corrected, and nothing is added to it: a
    parameter that has never had a gradient does not move. `optax.adamax` adds epsilon to |g|.

    Args:
      learning_rate, b1, b2: as of `adam`.
    """
    b1, b2 = jnp.asarray(b1, jnp.float32), jnp.asarray(b2, jnp.float32)

    def init(params: Any) -> AdaMaxState:
        return AdaMaxState(jnp.zeros((), jnp.int32), _zeros(params), _zeros(params))

    def update(grads: Any, state: AdaMaxState, params: Any = None) -> tuple[Any, AdaMaxState]:
        t = state.t + 1
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.m, grads)
        u = jax.tree.map(lambda u, g: jnp.maximum(b2 * u, jnp.abs(g)), state.u, grads)
        alpha = _rate(learning_rate, state.t) / one_minus_power(b1, t)

        def step(m: jax.Array, u: jax.Array) -> jax.Array:
            return -alpha * m / jnp.where(u > 0, u, 1.0)  # where u is 0, so is m

        return jax.tree.map(step, m, u), AdaMaxState(t, m, u)

    return optax.GradientTransformation(init, update)


def falling(learning_rate: Scalar, power: Scalar = 0.5) -> optax.Schedule:
    """alpha_t = alpha / t^power, t from 1: with 0.5 the rate of section 4 and of experiment 1."""

    def schedule(count: Any) -> jax.Array:
        return learning_rate * jnp.asarray(count + 1, jnp.float32) ** -jnp.asarray(power)

    return schedule


class TemporalAverage(NamedTuple):
    """A moving average of the parameters (section 7.2): bar <- decay bar + (1 - decay) theta.

    Attributes:
      t: parameters that are in it, int32.
      bar: in their form; it begins at 0.
    """

    t: jax.Array
    bar: Any

    @classmethod
    def start(cls, params: Any) -> TemporalAverage:
        """The average before any step."""
        return cls(jnp.zeros((), jnp.int32), _zeros(params))

    def add(self, params: Any, decay: Scalar) -> TemporalAverage:
        """The average with the parameters after a step in it; the paper's decay is Adam's b2."""
        decay = jnp.asarray(decay, jnp.float32)
        bar = jax.tree.map(lambda bar, p: decay * bar + (1 - decay) * p, self.bar, params)
        return TemporalAverage(self.t + 1, bar)

    def params(self, decay: Scalar) -> Any:
        """The parameters to use: bar / (1 - decay^t), corrected as Adam's averages are."""
        correction = one_minus_power(jnp.asarray(decay, jnp.float32), self.t)
        return jax.tree.map(lambda bar: bar / correction, self.bar)


def one_minus_power(b: jax.Array, t: jax.Array) -> jax.Array:
    """1 - b^t, which for b near 1 the difference itself knows to four digits alone."""
    return -jnp.expm1(t * jnp.log(b))


def _rate(learning_rate: Rate, count: jax.Array) -> Scalar:
    return learning_rate(count) if callable(learning_rate) else learning_rate


def _zeros(params: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, params)
