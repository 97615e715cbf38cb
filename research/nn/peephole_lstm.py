"""LSTM cells whose gates see the cell (Gers et al., 2002), as Graves has them."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer

from research.nn.clipped_gradient import clip_gradient
from research.nn.recurrent import Carry


class PeepholeLSTMCell(nn.Module):
    """An LSTM with peepholes (Graves, 2013, arXiv:1308.0850, equations 7 to 11).

        i = sigmoid(W x + U h + p_i c + b)
        f = sigmoid(W x + U h + p_f c + b + forget_bias)
        c' = f c + i tanh(W x + U h + b)
        o = sigmoid(W x + U h + p_o c' + b)
        h' = o tanh(c')

    The peepholes p are vectors: each gate sees its own cell. It is a cell of `nn.recurrent`, with
    gates in the order i, f, g, o.

    Attributes:
      units: size of c and h.
      forget_bias: the forget gate begins open.
      gradient_clip: derivatives with respect to what goes into the sigmoids and the tanh are
        clipped to [-gradient_clip, gradient_clip] (section 2.1); 0 for never.
      kernel_init, recurrent_init, peephole_init: how W, U `[units, 4 units]` and p `[3, units]`
        start, in the order i, f, o.
    """

    units: int
    forget_bias: float = 1.0
    gradient_clip: float = 0.0
    kernel_init: Initializer = nn.initializers.lecun_normal()
    recurrent_init: Initializer = nn.initializers.orthogonal()
    peephole_init: Initializer = nn.initializers.normal(0.1)

    def setup(self) -> None:
        self.input = nn.Dense(4 * self.units, kernel_init=self.kernel_init)
        shape = self.units, 4 * self.units
        self.recurrent = self.param("recurrent", self.recurrent_init, shape)
        self.peepholes = self.param("peepholes", self.peephole_init, (3, self.units))

    @property
    def features(self) -> int:
        """Size of h."""
        return self.units

    def initial_carry(self, batch: int) -> Carry:
        return jnp.zeros((batch, self.units)), jnp.zeros((batch, self.units))

    def prepare(self, x: jax.Array, train: bool = False) -> tuple[Any, jax.Array]:
        return (self.recurrent, self.peepholes), self.input(x.astype(jnp.float32))

    def step(self, weights: Any, carry: Carry, given: jax.Array) -> tuple[Carry, jax.Array]:
        recurrent, (write_peep, forget_peep, read_peep) = weights
        cell, out = carry
        write, forget, new, read = jnp.split(given + out @ recurrent, 4, axis=-1)
        write = clip_gradient(write + write_peep * cell, self.gradient_clip)
        forget = clip_gradient(forget + forget_peep * cell, self.gradient_clip)
        new = clip_gradient(new, self.gradient_clip)
        kept = jax.nn.sigmoid(forget + self.forget_bias) * cell
        cell = kept + jax.nn.sigmoid(write) * jnp.tanh(new)
        read = clip_gradient(read + read_peep * cell, self.gradient_clip)
        out = jax.nn.sigmoid(read) * jnp.tanh(cell)
        return (cell, out), out

    def __call__(self, carry: Carry, x: jax.Array, train: bool = False) -> tuple[Carry, jax.Array]:
        weights, given = self.prepare(x, train)
        return self.step(weights, carry, given)
