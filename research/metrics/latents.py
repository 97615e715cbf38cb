"""Vectors in the latent space of a generator: arithmetic on concepts, turning, walks.

Source: Radford, Metz, Chintala 2015, arXiv:1511.06434, sections 6.1 and 6.3. Arcs between latents:
Karras, Laine, Aila 2018, arXiv:1812.04948, section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def arithmetic(terms: Sequence[tuple[float, jax.Array]]) -> jax.Array:
    """Sum of `factor * mean over exemplars`: "smiling woman - neutral woman + neutral man".

    A single z per concept is unstable; the paper averages three. With three uniform exemplars in
    each of three terms the result has the variance of one uniform z.

    Args:
      terms: (factor, `[..., T, Z]` latents of T exemplars of one concept), leading axes equal.

    Returns:
      `[..., Z]`.
    """
    parts = [factor * exemplars.mean(-2) for factor, exemplars in terms]
    return jnp.sum(jnp.stack(parts), axis=0)


def exemplars(
    key: jax.Array, z: jax.Array, scores: jax.Array, shape: tuple[int, ...], among: int
) -> jax.Array:
    """Draws latents that show a concept.

    Args:
      key: of the draw.
      z: latents `[N, Z]`.
      scores: `[N]`, how much each shows the concept.
      shape: how many are drawn.
      among: the draw is from so many of the highest scores.

    Returns:
      `[*shape, Z]`.
    """
    best = jnp.argsort(-scores)[:among]
    return z[jax.random.choice(key, best, shape)]


def around(key: jax.Array, z: jax.Array, num: int, radius: float = 0.25) -> jax.Array:
    """`num` copies of z `[..., Z]` with uniform noise of +-radius: `[..., num, Z]`."""
    shape = (*z.shape[:-1], num, z.shape[-1])
    return z[..., None, :] + jax.random.uniform(key, shape, minval=-radius, maxval=radius)


def turn_vector(left: jax.Array, right: jax.Array) -> jax.Array:
    """Mean of the latents `[T, Z]` that look left less mean of those that look right: `[Z]`."""
    return left.mean(0) - right.mean(0)


def along(z: jax.Array, direction: jax.Array, num: int) -> jax.Array:
    """Moves z along a direction, from half of it against to half of it with it.

    Args:
      z: `[N, Z]`.
      direction: `[Z]`.
      num: points on each line.

    Returns:
      `[N, num, Z]`.
    """
    steps = jnp.linspace(-0.5, 0.5, num)
    return z[:, None] + steps[None, :, None] * direction


def lerp(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """The straight line from a to b `[..., Z]`: at t = 0 it is a, at t = 1 it is b."""
    return a + t * (b - a)


def slerp(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """The arc from a to b `[..., Z]`, with even speed: for normal latents, whose lengths are alike.

    The middle of a straight line between two of them would be shorter than any latent is.
    """
    norms = [jnp.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b)]
    cosine = jnp.sum(a * b, axis=-1, keepdims=True) / (norms[0] * norms[1])
    angle = jnp.arccos(jnp.clip(cosine, -1, 1))
    sine = jnp.where(angle > 1e-6, jnp.sin(angle), 1)
    arc = (jnp.sin((1 - t) * angle) * a + jnp.sin(t * angle) * b) / sine
    return jnp.where(angle > 1e-6, arc, lerp(a, b, t))


def walk(start: jax.Array, end: jax.Array, num: int = 10) -> jax.Array:
    """Straight lines from start `[N, Z]` to end `[N, Z]`, both included: `[N, num, Z]`."""
    t = jnp.linspace(0, 1, num)[None, :, None]
    return start[:, None] * (1 - t) + end[:, None] * t
