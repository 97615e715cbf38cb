"""Attacks: inputs near a given one, by the largest change of a pixel, that a classifier gets wrong.

Sources:
  fgsm: Goodfellow, Shlens, Szegedy 2014, arXiv:1412.6572, section 4.
  least_likely: Kurakin, Goodfellow, Bengio 2016, arXiv:1611.01236, section 3.
  pgd: Madry et al. 2017, arXiv:1706.06083, section 2.1 and its released code.
  margins: Carlini, Wagner 2017, arXiv:1608.04644, function f_6, as Madry et al. use it.

`logits_of` is the classifier in evaluation mode, `x [B, ...] -> logits [B, K]`, each of its own
input alone. `labels [B]` are the true ones: with the classifier's own predictions in their place
training would leak them, and an input that is wrong already would be attacked towards being right.
`epsilon` is in units of x. `box` is what pixels can be, such as (0, 1); None for any number, as in
Goodfellow et al. No attack returns an input farther than `epsilon` in any pixel, and none has a
gradient of its own: a loss on it treats it as data.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

Logits = Callable[[jax.Array], jax.Array]
Losses = Callable[[jax.Array, jax.Array], jax.Array]
Box = tuple[float, float] | None


def cross_entropies(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross-entropy of each row in nats: logits `[B, K]`, labels `[B]`, result `[B]`."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def margins(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The highest logit of another class less that of the label, `[B]`; above 0 where it is wrong.

    Unlike the cross-entropy its gradient does not vanish where the classifier is sure.
    """
    is_label = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    own = jnp.where(is_label, logits, 0.0).sum(-1)
    return jnp.where(is_label, -jnp.inf, logits).max(-1) - own


def project(x: jax.Array, centre: jax.Array, epsilon: float | jax.Array, box: Box) -> jax.Array:
    """The closest point to x within `epsilon` of `centre` in every pixel, and within the box."""
    x = jnp.clip(x, centre - epsilon, centre + epsilon)
    return x if box is None else jnp.clip(x, *box)


def input_gradient(
    logits_of: Logits, x: jax.Array, labels: jax.Array, losses: Losses = cross_entropies
) -> jax.Array:
    """The gradient of each row's own loss by its input: `[B, ...]`, as x."""
    return jax.grad(lambda x: losses(logits_of(x), labels).sum())(x)


def fgsm(
    logits_of: Logits,
    x: jax.Array,
    labels: jax.Array,
    epsilon: float | jax.Array,
    *,
    box: Box = None,
    losses: Losses = cross_entropies,
    towards: bool = False,
) -> jax.Array:
    """The fast gradient sign method: x + epsilon sign(grad_x J(x, labels)).

    Args:
      logits_of, x, labels, epsilon, box: see the module.
      losses: J of each row.
      towards: `labels` are what the classifier should say, and J is lowered.
    """
    gradient = input_gradient(logits_of, x, labels, losses)
    direction = -jnp.sign(gradient) if towards else jnp.sign(gradient)
    return jax.lax.stop_gradient(project(x + epsilon * direction, x, epsilon, box))


def least_likely(
    logits_of: Logits,
    x: jax.Array,
    epsilon: float | jax.Array,
    *,
    box: Box = None,
    losses: Losses = cross_entropies,
) -> jax.Array:
    """One step towards the class that the classifier holds to be the least likely.

    It needs no labels, and so leaks none into training.
    """
    target = logits_of(x).argmin(-1)
    return fgsm(logits_of, x, target, epsilon, box=box, losses=losses, towards=True)


def random_signs(
    key: jax.Array, x: jax.Array, epsilon: float | jax.Array, box: Box = None
) -> jax.Array:
    """The control of every attack: each pixel moved by +epsilon or -epsilon at random."""
    return project(x + epsilon * jax.random.rademacher(key, x.shape, x.dtype), x, epsilon, box)


def uniform_noise(
    key: jax.Array, x: jax.Array, epsilon: float | jax.Array, box: Box = None
) -> jax.Array:
    """Each pixel moved by a number uniform in [-epsilon, epsilon]."""
    noise = jax.random.uniform(key, x.shape, x.dtype, -1.0, 1.0)
    return project(x + epsilon * noise, x, epsilon, box)


def pgd(
    logits_of: Logits,
    x: jax.Array,
    labels: jax.Array,
    epsilon: float | jax.Array,
    *,
    step_size: float | jax.Array,
    num_steps: int,
    starts: jax.Array | None = None,
    box: Box = (0.0, 1.0),
    losses: Losses = cross_entropies,
) -> jax.Array:
    """Projected gradient descent on the negative loss: steps of `step_size` sign(grad_x J).

    Args:
      logits_of, x, labels, epsilon, box: see the module.
      step_size: of each step, in units of x.
      num_steps: of each start.
      starts: `[R, B, ...]`, inputs from which to start, such as `random_starts`; None for x itself.
        Of the R results each row keeps its worst: one that the classifier gets wrong before one
        that it gets right, and then the one with the highest loss.
      losses: J of each row.
    """

    def step(_: int, z: jax.Array) -> jax.Array:
        gradient = input_gradient(logits_of, z, labels, losses)
        return project(z + step_size * jnp.sign(gradient), x, epsilon, box)

    def attack(start: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        z = jax.lax.fori_loop(0, num_steps, step, project(start, x, epsilon, box))
        logits = logits_of(z)
        return z, logits.argmax(-1) != labels, losses(logits, labels)

    def keep_worst(best: tuple, start: jax.Array) -> tuple[tuple, None]:
        new = attack(start)
        is_worse = (new[1] & ~best[1]) | ((new[1] == best[1]) & (new[2] > best[2]))
        chosen = [jnp.where(_along(is_worse, b), n, b) for n, b in zip(new, best, strict=True)]
        return tuple(chosen), None

    starts = x[None] if starts is None else starts
    rows = labels.shape
    none = x, jnp.zeros(rows, bool), jnp.full(rows, -jnp.inf)  # anything is worse
    (worst, _, _), _ = jax.lax.scan(keep_worst, none, starts)
    return jax.lax.stop_gradient(worst)


def random_starts(
    key: jax.Array, x: jax.Array, epsilon: float | jax.Array, restarts: int, box: Box = (0.0, 1.0)
) -> jax.Array:
    """Points drawn uniformly within `epsilon` of x in every pixel: `[restarts, *x.shape]`."""
    keys = jax.random.split(key, restarts)
    return jax.vmap(lambda key: uniform_noise(key, x, epsilon, box))(keys)


def _along(rows: jax.Array, like: jax.Array) -> jax.Array:
    """`[B]` with axes of length one to match `like` `[B, ...]`."""
    return rows.reshape(-1, *[1] * (like.ndim - 1))
