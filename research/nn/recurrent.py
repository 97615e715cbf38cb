"""Long short-term memory (Hochreiter and Schmidhuber, 1997) over sequences that may hold an
episode's end."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

Carry = tuple[jax.Array, jax.Array]  # cell and output, [N, units] each


class LSTM(nn.Module):
    """`[T, N, D] -> [T, N, units]`, in float32.

    What the inputs contribute is one matmul outside of the loop over time. The forget gate begins
    open (a bias of 1, Jozefowicz et al., 2015).

    Attributes:
      units: size of the cell and of the output.
    """

    units: int

    @nn.compact
    def __call__(self, carry: Carry, x: jax.Array, first: jax.Array) -> tuple[jax.Array, Carry]:
        """Args: carry, what was before the first step; x `[T, N, D]`; first `[T, N]` bool, the step
        begins from zeros, whatever was before. Returns: outputs, and the last carry."""
        given = nn.Dense(4 * self.units, name="input")(x.astype(jnp.float32))
        kernel = self.param("recurrent", nn.initializers.orthogonal(), (self.units, 4 * self.units))

        def body(carry: Carry, step: tuple[jax.Array, jax.Array]) -> tuple[Carry, jax.Array]:
            given, first = step
            cell, out = (jnp.where(first[:, None], 0.0, part) for part in carry)
            write, forget, new, read = jnp.split(given + out @ kernel, 4, axis=-1)
            cell = jax.nn.sigmoid(forget + 1) * cell + jax.nn.sigmoid(write) * jnp.tanh(new)
            out = jax.nn.sigmoid(read) * jnp.tanh(cell)
            return (cell, out), out

        carry, outputs = jax.lax.scan(body, carry, (given, first))
        return outputs, carry
