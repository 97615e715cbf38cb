"""Derivatives that are kept in a range on their way back, element by element.

Graves, 2013, arXiv:1308.0850, section 2.1: derivatives of the loss with respect to what goes into
the LSTM's sigmoids and tanhs are clipped where they arise, so that none grows on its way through
time. It is no clipping of the parameters' gradient, neither by element nor by norm.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _clipped(x: jax.Array, bound: float) -> jax.Array:
    return x


def _forward(x: jax.Array, bound: float) -> tuple[jax.Array, None]:
    return x, None


def _backward(bound: float, _: None, derivative: jax.Array) -> tuple[jax.Array]:
    return (jnp.clip(derivative, -bound, bound),)


_clipped.defvjp(_forward, _backward)


def clip_gradient(x: jax.Array, bound: float) -> jax.Array:
    """`x` itself, whose derivative is clipped to [-bound, bound] on the way back.

    Args:
      x: of any shape.
      bound: a number that is known when the program is traced; 0 clips nothing.
    """
    return _clipped(x, bound) if bound else x
