"""Formulas of reinforcement learning in NumPy, as papers write them, for tests of single updates.

An agent under test gets a network that is linear in few parameters (`Linear`); its loss is written
out once more from the paper, in float64, and differentiated by differences (`gradient`). Of the
library nothing is used but the form in which networks give their outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

Params = Mapping[str, np.ndarray]


class Linear(nn.Module):
    """In place of the networks of `models.actor_critic` and `models.dqn`: no bias, no layer.

    Attributes:
      form: "policy", "value", "both", "policy_and_q" or "q", what is given.
      actions: numbers of the policy, or of action values.
      continuous: the policy is normal, with a deviation that does not depend on the input.
    """

    form: str
    actions: int = 0
    continuous: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> Any:
        x = x.reshape(len(x), -1) / (255 if x.dtype == jnp.uint8 else 1)

        def product(name: str, units: int) -> jax.Array:
            init = nn.initializers.normal(0.7)  # large: clips, cuts and maxima are to matter
            return x @ self.param(name, init, (x.shape[1], units))

        def policy() -> dict[str, jax.Array]:
            out = product("policy", self.actions)
            if not self.continuous:
                return {"logits": out}
            log_std = self.param("log_std", nn.initializers.constant(-0.3), (self.actions,))
            return {"mean": out, "log_std": jnp.broadcast_to(log_std, out.shape)}

        match self.form:
            case "policy":
                return policy(), {}
            case "value":
                return product("value", 1)[:, 0], {}
            case "both":
                return (policy(), product("value", 1)[:, 0]), {}
            case "policy_and_q":
                return (policy(), product("value", self.actions)), {}
        return product("value", self.actions), {}


def as_float64(params: Any) -> dict[str, np.ndarray]:
    """A learner's parameters for the formulas below."""
    return {name: np.asarray(x, np.float64) for name, x in params.items()}


def gradient(loss: Callable[[dict[str, np.ndarray]], float], params: Params) -> Params:
    """Central differences of a loss by every parameter, exact to about 1e-8."""
    assert isinstance(loss(dict(params)), float)  # and no array of JAX, which is of float32
    found = {}
    for name, value in params.items():
        found[name] = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            sides = []
            for step in (1e-5, -1e-5):
                moved = value.copy()
                moved[index] += step
                sides.append(loss({**params, name: moved}))
            found[name][index] = (sides[0] - sides[1]) / 2e-5
    return found


def same(actual: Any, expected: Params, rtol: float = 2e-4, atol: float = 2e-5) -> None:
    """Asserts that parameters are the expected ones."""
    assert set(actual) == set(expected)
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol, atol, err_msg=name)


# Optimizers


def clipped(grads: Params, limit: float) -> Params:
    """A gradient no longer than `limit`, as a whole."""
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    return {name: g * min(1.0, limit / norm) for name, g in grads.items()}


class RMSProp:
    """RMSProp, whose second moment begins at `start`; call it once for each step.

    `centered` has the mean gradient's square taken off (Mnih et al., 2015, Extended Data Table 1).
    """

    def __init__(self, rate: float, decay: float, eps: float, start: float = 0.0, centered=False):
        self.rate, self.decay, self.eps, self.start = rate, decay, eps, start
        self.centered = centered
        self.mean: dict[str, Any] = {}
        self.square: dict[str, Any] = {}

    def __call__(self, params: Params, grads: Params) -> Params:
        new, a = {}, self.decay
        for name, g in grads.items():
            self.square[name] = a * self.square.get(name, self.start) + (1 - a) * g**2
            self.mean[name] = a * self.mean.get(name, 0.0) + (1 - a) * g
            spread = self.square[name] - self.centered * self.mean[name] ** 2
            new[name] = params[name] - self.rate * g / np.sqrt(spread + self.eps)
        return new


class Adam:
    """Adam (Kingma and Ba, 2015, algorithm 1); call it once for each step."""

    def __init__(self, rate: float, eps: float, b1: float = 0.9, b2: float = 0.999):
        self.rate, self.eps, self.b1, self.b2, self.t = rate, eps, b1, b2, 0
        self.m: dict[str, Any] = {}
        self.v: dict[str, Any] = {}

    def __call__(self, params: Params, grads: Params) -> Params:
        self.t += 1
        new, b1, b2 = {}, self.b1, self.b2
        for name, g in grads.items():
            self.m[name] = b1 * self.m.get(name, 0.0) + (1 - b1) * g
            self.v[name] = b2 * self.v.get(name, 0.0) + (1 - b2) * g**2
            m, v = self.m[name] / (1 - b1**self.t), self.v[name] / (1 - b2**self.t)
            new[name] = params[name] - self.rate * m / (np.sqrt(v) + self.eps)
        return new


# Policies over A actions, from logits [B, A]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def taken(x: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Of `[B, A]` the numbers `[B]` of the actions taken."""
    return x[np.arange(len(action)), action]


def entropy(logits: np.ndarray) -> np.ndarray:
    log_p = log_softmax(logits)
    return -(np.exp(log_p) * log_p).sum(axis=-1)


def kl(logits: np.ndarray, other: np.ndarray) -> np.ndarray:
    """KL(first, second), in nats."""
    log_p, log_q = log_softmax(logits), log_softmax(other)
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=-1)


# Normal policies over D numbers, from means [B, D] and logarithmic deviations [D] or [B, D]


def normal_log_density(mean: np.ndarray, log_std: np.ndarray, action: np.ndarray) -> np.ndarray:
    scaled = (action - mean) / np.exp(log_std)
    return -(scaled**2 / 2 + log_std + np.log(2 * np.pi) / 2).sum(axis=-1)


def normal_kl(
    mean: np.ndarray, log_std: np.ndarray, other: np.ndarray, other_log_std: np.ndarray
) -> np.ndarray:
    """KL(first, second), in nats."""
    squares = np.exp(2 * log_std) + (mean - other) ** 2
    return (other_log_std - log_std + squares / (2 * np.exp(2 * other_log_std)) - 0.5).sum(axis=-1)


# Returns of T steps of N environments


def lambda_returns(
    reward: np.ndarray,
    next_value: np.ndarray,
    terminated: np.ndarray,
    done: np.ndarray,
    gamma: float,
    lambda_: float,
) -> np.ndarray:
    """V + GAE (Schulman et al., 2015, arXiv:1506.02438, equation 16), summed forward, term by term.

    The n-step returns of every length, weighed by powers of lambda; the longest has all that is
    left. Nothing follows a termination; a truncated step counts the value of what it led to.
    """
    steps, envs = reward.shape
    out = np.zeros((steps, envs))
    for t in range(steps):
        for n in range(envs):
            total, discount, weight = 0.0, 1.0, 1.0
            for s in range(t, steps):
                total += discount * reward[s, n]
                discount *= gamma
                follows = 0.0 if terminated[s, n] else discount * next_value[s, n]
                if done[s, n] or s == steps - 1:
                    out[t, n] += weight * (total + follows)
                    break
                out[t, n] += weight * (1 - lambda_) * (total + follows)
                weight *= lambda_
    return out


# Natural gradients


def fisher(x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Fisher matrix `[P, P]` of a policy of logits `x w`, by w as it lies in memory.

    The mean over states of x x^T (x) (diag(p) - p p^T): expectations over the policy's actions.
    """
    p = np.exp(log_softmax(logits))
    of_logits = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]
    matrix = np.einsum("sd,se,sab->daeb", x, x, of_logits) / len(x)
    return matrix.reshape(x.shape[1] * p.shape[1], -1)


def trust_region_step(
    w: np.ndarray,
    surrogate: Callable[[np.ndarray], float],
    divergence: Callable[[np.ndarray], float],
    matrix: np.ndarray,
    *,
    limit: float,
    backtracks: int,
) -> tuple[np.ndarray, float]:
    """TRPO's step (Schulman et al., 2015, appendix C): parameters, and the fraction taken.

    s = A^-1 g by a dense solve, as long as s^T A s / 2 = limit, then halved until the surrogate has
    not fallen and the divergence is within the limit.
    """
    g = gradient(lambda params: surrogate(params["w"]), {"w": w})["w"].ravel()
    s = np.linalg.solve(matrix, g)
    s = s * np.sqrt(2 * limit / (s @ matrix @ s))
    for i in range(backtracks):
        new = w + 0.5**i * s.reshape(w.shape)
        if surrogate(new) >= surrogate(w) and divergence(new) <= limit:
            return new, 0.5**i
    return w, 0.0
