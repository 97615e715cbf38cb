"""A soft window that slides over a text (Graves, 2013, arXiv:1308.0850, section 5.1).

It was the first attention in a network that writes: where it looks is a sum of K bumps over the
places of the text, and the bumps move forward alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp


class Window(NamedTuple):
    """Where a window is, and what is seen through it.

    Attributes:
      kappa: places of the bumps `[B, K]`, counted from 0: at the first symbol is 1.
      weights: phi of every place of the text and of the one after its longest row `[B, U + 1]`.
      seen: w, the weighted sum of the symbols `[B, V]`.
    """

    kappa: jax.Array
    weights: jax.Array
    seen: jax.Array


class SoftWindow(nn.Module):
    """phi(u) = sum_k alpha_k exp(-beta_k (kappa_k - u)^2), u = 1 ... U + 1, w = sum_u phi(u) c_u.

    alpha = exp(alpha^), beta = exp(beta^) and kappa = (kappa before) + exp(kappa^), where
    (alpha^, beta^, kappa^) = W h + b (equations 46 to 51). Weights are not normalised: a window
    that has left the text sees nothing.

    Attributes:
      bumps: K.
      kappa_bias: where b of kappa^ starts; exp of it is a first step in symbols.
    """

    bumps: int
    kappa_bias: float = 0.0

    @nn.compact
    def prepare(self, features: int) -> tuple[jax.Array, jax.Array]:
        """The parameters, W `[features, 3 K]` and b, which `move` takes."""
        width = 3 * self.bumps
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (features, width))

        def start(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
            return jnp.zeros(shape, dtype).at[2 * self.bumps :].set(self.kappa_bias)

        return kernel, self.param("bias", start, (width,))

    @staticmethod
    def move(
        weights: tuple[jax.Array, jax.Array], kappa: jax.Array, h: jax.Array, symbols: jax.Array
    ) -> Window:
        """One step of the window; a function of arrays alone.

        Args:
          weights: of `prepare`.
          kappa: places before `[B, K]`, zeros at first.
          h: `[B, features]` of the layer that moves the window.
          symbols: c, one row for each symbol `[B, U, V]`, zeros where the text has ended.
        """
        kernel, bias = weights
        alpha, beta, forward = jnp.split(jnp.exp(h @ kernel + bias), 3, axis=-1)
        kappa = kappa + forward
        places = jnp.arange(1, symbols.shape[1] + 2)
        bumps = jnp.exp(-beta[..., None] * (kappa[..., None] - places) ** 2)
        phi = jnp.sum(alpha[..., None] * bumps, axis=1)
        return Window(kappa, phi, jnp.einsum("bu,buv->bv", phi[:, :-1], symbols))


def has_left(weights: jax.Array, lengths: jax.Array) -> jax.Array:
    """Whether a window has left its text: phi(U + 1) > phi(u) for every u up to U (section 5.3).

    Args:
      weights: phi `[B, U + 1]` of the longest text.
      lengths: U of each row's own text `[B]`.

    Returns:
      `[B]` bool.
    """
    places = jnp.arange(1, weights.shape[1] + 1)
    after = jnp.take_along_axis(weights, lengths[:, None], axis=1)[:, 0]
    inside = jnp.where(places <= lengths[:, None], weights, -jnp.inf)
    return after > jnp.max(inside, axis=1)
