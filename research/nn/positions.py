"""Where a token stands: position signals added to embeddings (Vaswani et al. 2017, section 3.5)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError

MAX_WAVELENGTH = 10_000.0


def sinusoids(length: int, dim: int) -> np.ndarray:
    """Table `[length, dim]` in float32: sin(pos / 10000^(2i/dim)) in channel 2i, cos in 2i + 1.

    Interleaved as in the paper; implementations that put all sines first differ by a permutation
    of channels. Constant, so NumPy: computed once, in float64, when a program is traced.
    """
    channel = np.arange(dim)
    angle = np.arange(length)[:, None] / MAX_WAVELENGTH ** ((channel - channel % 2) / dim)
    return np.where(channel % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)


class Positions(nn.Module):
    """Adds a position signal to `x [B, T, D]`.

    Attributes:
      kind: "sinusoid", "learned" (a table of `max_length` rows, as in table 3 row E), or "none".
      max_length: length of the learned table.
    """

    kind: str = "sinusoid"
    max_length: int = 512

    @nn.compact
    def __call__(self, x: jax.Array, start: int | jax.Array = 0, length: int = 0) -> jax.Array:
        """Signal of positions `start ... start + T - 1`.

        Args:
          x: `[B, T, D]`.
          start: position of `x[:, 0]`; may be traced (incremental decoding), and then `length`
            must say how many positions there can be.
          length: number of positions of the whole sequence; 0 for T.

        Raises:
          UserError: unknown kind, or more positions than a learned table has rows.
        """
        steps, dim = x.shape[1:]
        if self.kind == "none":
            return x
        if self.kind == "sinusoid":
            table = jnp.asarray(sinusoids(length or steps, dim))
        elif self.kind == "learned":
            if max(length, steps) > self.max_length:
                raise UserError(
                    f"a sequence of {max(length, steps)} has more positions than model.max_length, "
                    f"{self.max_length}"
                )
            init = nn.initializers.normal(dim**-0.5)
            table = self.param("table", init, (self.max_length, dim), jnp.float32)
        else:
            raise UserError(f'positions: {self.kind!r} is none of "sinusoid", "learned", "none"')
        return x + jax.lax.dynamic_slice_in_dim(table, start, steps).astype(x.dtype)
