"""The prediction and the synthesis network (Graves, 2013, figures 1 and 12).

Exact counts, with 20 mixture components: 3,368,121 parameters for prediction with three layers of
400 cells, 3,366,121 with one layer of 900, 3,653,751 for synthesis with three layers of 400, 57
symbols and 10 bumps.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from research.losses.mixture_density import PlanarMixture
from research.nn.clipped_gradient import clip_gradient
from research.nn.peephole_lstm import PeepholeLSTMCell
from research.nn.recurrent import Carry, unroll
from research.nn.soft_window import SoftWindow


class WritingState(NamedTuple):
    """What a network keeps between two points.

    Attributes:
      cells: of each layer.
      kappa: places of the window's bumps `[B, K]`.
      seen: w, what was seen through it `[B, V]`.
    """

    cells: tuple[Carry, ...]
    kappa: jax.Array
    seen: jax.Array


class Reading(NamedTuple):
    """What a network makes of a line.

    Attributes:
      outputs: y^ after each point `[B, T, 1 + 6 M]`: first e^ of the pen, then the mixture's.
      weights: phi after each point `[B, T, U + 1]`; zeros without a window.
      state: after the last point.
    """

    outputs: jax.Array
    weights: jax.Array
    state: WritingState


class HandwritingNetwork(nn.Module):
    """N layers of LSTM with skip connections, and perhaps a window over the text between them.

    Every layer reads the point, the layer below and what is seen through the window; every layer is
    read by the output layer. The first layer moves the window, and itself reads what was seen
    through it one point before (equations 1 to 6 and 52 to 54).

    Attributes:
      symbols: V.
      layers, units: N, and cells of each.
      components: M of the mixture.
      bumps: K of the window; 0 for none: a prediction network, which does not read its text.
      forget_bias: see `PeepholeLSTMCell`.
      kappa_bias: see `SoftWindow`.
      lstm_clip, output_clip: derivatives with respect to what goes into the LSTM's nonlinearities,
        and with respect to y^, are clipped to plus and minus this; 0 for never.
    """

    symbols: int
    layers: int = 3
    units: int = 400
    components: int = 20
    bumps: int = 10
    forget_bias: float = 1.0
    kappa_bias: float = 0.0
    lstm_clip: float = 0.0
    output_clip: float = 0.0

    def setup(self) -> None:
        self.cells = [
            PeepholeLSTMCell(self.units, self.forget_bias, self.lstm_clip)
            for _ in range(self.layers)
        ]
        if self.bumps:
            self.window = SoftWindow(self.bumps, self.kappa_bias)
            init = nn.initializers.normal(self.units**-0.5)
            self.from_window = self.param("from_window", init, (self.symbols, 4 * self.units))
        self.output = nn.Dense(1 + PlanarMixture.width(self.components))

    def initial_state(self, batch: int) -> WritingState:
        """Zeros."""
        return WritingState(
            tuple(cell.initial_carry(batch) for cell in self.cells),
            jnp.zeros((batch, self.bumps)),
            jnp.zeros((batch, self.symbols)),
        )

    def __call__(
        self,
        points: jax.Array,
        text: jax.Array,
        state: WritingState | None = None,
        lengths: jax.Array | None = None,
    ) -> Reading:
        """Reads points, and says after each what the next one may be.

        Args:
          points: `[B, T, 3]`: offset x, offset y, 1 where a stroke ends.
          text: symbols `[B, U]`; -1 where it has ended.
          state: before the first point; None for zeros.
          lengths: `[B]`, points of each row, the rest being padding that changes no state; None
            where there is none.
        """
        batch, steps = points.shape[:2]
        state = self.initial_state(batch) if state is None else state
        x = jnp.swapaxes(points, 0, 1)
        valid = jnp.full((steps, batch), True)
        if lengths is not None:
            valid = jnp.arange(steps)[:, None] < lengths
        if self.bumps:
            (h, seen, phi), first, kappa, last_seen = self._first_layer(x, text, state, valid)
        else:
            h, first = unroll(self.cells[0], state.cells[0], x, valid=valid)
            kappa, last_seen = state.kappa, state.seen
            phi = jnp.zeros((steps, batch, text.shape[1] + 1))
        hidden, carries = [h], [first]
        for cell, before in zip(self.cells[1:], state.cells[1:], strict=True):
            read = [x, hidden[-1]] + ([seen] if self.bumps else [])
            h, carry = unroll(cell, before, jnp.concatenate(read, axis=-1), valid=valid)
            hidden.append(h)
            carries.append(carry)
        outputs = clip_gradient(self.output(jnp.concatenate(hidden, axis=-1)), self.output_clip)
        return Reading(
            jnp.swapaxes(outputs, 0, 1),
            jnp.swapaxes(phi, 0, 1),
            WritingState(tuple(carries), kappa, last_seen),
        )

    def _first_layer(
        self, x: jax.Array, text: jax.Array, state: WritingState, valid: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array, jax.Array], Carry, jax.Array, jax.Array]:
        """The layer that moves the window: h, w and phi of every point, and what is kept."""
        symbols = jax.nn.one_hot(text, self.symbols)  # zeros for -1
        window = self.window.prepare(self.units)
        weights, given = self.cells[0].prepare(x)

        def body(carry, step):
            given, valid = step
            cell, kappa, seen = carry
            cell, h = self.cells[0].step(weights, cell, given + seen @ self.from_window)
            moved = SoftWindow.move(window, kappa, h, symbols)
            after = cell, moved.kappa, moved.seen
            after = jax.tree.map(lambda a, b: jnp.where(valid[:, None], a, b), after, carry)
            return after, (h, moved.seen, moved.weights)

        before = state.cells[0], state.kappa, state.seen
        (cell, kappa, seen), found = jax.lax.scan(body, before, (given, valid))
        return found, cell, kappa, seen
