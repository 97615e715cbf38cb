"""Recurrent networks: LSTM, GRU and plain cells, and stacks of them over sequences.

A cell is a module with

  initial_carry(batch) -> carry                      zeros, `[batch, ...]`
  prepare(x, train) -> weights, given                all that is done outside of the loop over time
  step(weights, carry, given) -> carry, output       one step: a function of arrays alone
  __call__(carry, x, train) -> carry, output         one step from its input, as decoders need it

where `x` is `[..., D]`, and `given` what its steps need of it, which is one matmul for all of them.
Everything is in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer

Carry = tuple[jax.Array, jax.Array]  # of an LSTM: cell [N, units] and output [N, features]


def side_by_side(init: Initializer, count: int) -> Initializer:
    """`count` matrices as one, the columns of each initialised by themselves.

    An orthogonal matrix for each gate is not the same as one for all of them together.
    """

    def together(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
        part = (*shape[:-1], shape[-1] // count)
        keys = jax.random.split(key, count)
        return jnp.concatenate([init(key, part, dtype) for key in keys], axis=-1)

    return together


class LSTMGates(NamedTuple):
    """Gates of an LSTM's step after their nonlinearities, each `[N, units]`.

    Attributes:
      write, forget, read: the input, forget and output gate, 0 to 1.
      new: what is written, -1 to 1.
    """

    write: jax.Array
    forget: jax.Array
    new: jax.Array
    read: jax.Array


class LSTMCell(nn.Module):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate: Gers et al., 2000).

        i, f, g, o = W x + b + U h, or W x + b + U h + b' with `two_biases`
        c' = sigmoid(f + forget_bias) c + sigmoid(i) tanh(g)
        h' = P sigmoid(o) tanh(c'), P being the identity without a projection

    Attributes:
      units: size of c.
      forget_bias: the forget gate begins open (a bias of 1, Jozefowicz et al., 2015).
      kernel_init, recurrent_init, bias_init: how W (and P), U and b start. U is stored as
        `[features, 4 units]`.
      projection: size of h where it is projected (Sak et al., 2014); 0 for none.
      cell_clip, projection_clip: largest magnitudes of c and of a projected h, as in ELMo; 0: any.
      weight_dropout: share of U that is left out in training, the same for all steps of a call and
        all rows (Merity et al., 2017); needs a "dropout" key.
      two_biases: U h has a bias b' of its own, as in cuDNN, Torch and PyTorch.
      input_bias_init: how b starts where it is not as `bias_init` says.
    """

    units: int
    forget_bias: float = 1.0
    kernel_init: Initializer = nn.initializers.lecun_normal()
    recurrent_init: Initializer = nn.initializers.orthogonal()
    bias_init: Initializer = nn.initializers.zeros_init()
    projection: int = 0
    cell_clip: float = 0.0
    projection_clip: float = 0.0
    weight_dropout: float = 0.0
    two_biases: bool = False
    input_bias_init: Initializer | None = None

    def setup(self) -> None:
        width = 4 * self.units
        bias_init = self.input_bias_init or self.bias_init
        self.input = nn.Dense(width, kernel_init=self.kernel_init, bias_init=bias_init)
        self.recurrent = self.param("recurrent", self.recurrent_init, (self.features, width))
        if self.two_biases:
            self.recurrent_bias = self.param("recurrent_bias", self.bias_init, (width,))
        if self.projection:
            shape = self.units, self.projection
            self.project = self.param("projection", self.kernel_init, shape)
        self.drop_weights = nn.Dropout(self.weight_dropout)

    @property
    def features(self) -> int:
        """Size of h."""
        return self.projection or self.units

    def initial_carry(self, batch: int) -> Carry:
        return jnp.zeros((batch, self.units)), jnp.zeros((batch, self.features))

    def prepare(self, x: jax.Array, train: bool = False) -> tuple[Any, jax.Array]:
        given = self.input(x.astype(jnp.float32))
        if self.two_biases:
            given = given + self.recurrent_bias
        recurrent = self.drop_weights(self.recurrent, deterministic=not train)
        return (recurrent, self.project if self.projection else None), given

    def gates(self, weights: Any, carry: Carry, given: jax.Array) -> LSTMGates:
        """The gates of the step that `step` makes with the same arguments."""
        write, forget, new, read = jnp.split(given + carry[1] @ weights[0], 4, axis=-1)
        return LSTMGates(
            jax.nn.sigmoid(write),
            jax.nn.sigmoid(forget + self.forget_bias),
            jnp.tanh(new),
            jax.nn.sigmoid(read),
        )

    def step(self, weights: Any, carry: Carry, given: jax.Array) -> tuple[Carry, jax.Array]:
        _, projection = weights
        gates = self.gates(weights, carry, given)
        cell = gates.forget * carry[0] + gates.write * gates.new
        if self.cell_clip:
            cell = jnp.clip(cell, -self.cell_clip, self.cell_clip)
        out = gates.read * jnp.tanh(cell)
        if projection is not None:
            out = out @ projection
            if self.projection_clip:
                out = jnp.clip(out, -self.projection_clip, self.projection_clip)
        return (cell, out), out

    def __call__(self, carry: Carry, x: jax.Array, train: bool = False) -> tuple[Carry, jax.Array]:
        weights, given = self.prepare(x, train)
        return self.step(weights, carry, given)


class GRUCell(nn.Module):
    """Gated recurrent unit (Cho et al., 2014; as in Bahdanau et al., 2014, A.1.1).

        z, r = sigmoid(W x + b + U h)
        g = tanh(W x + b + U (r h)), or tanh(W x + b + r (U h + b')) with `reset_after`
        h' = (1 - z) h + z g

    With `two_biases` every product with U has a bias b', those of z and r too.

    cuDNN and PyTorch reset after the product, and call 1 - z what is z here.

    Attributes:
      units: size of h.
      reset_after: where the reset gate stands; with it one product makes all of U h.
      kernel_init, recurrent_init, bias_init: how W, U, and b and b' start. U is stored as
        `[units, 3 units]`, in the order z, r, g.
      weight_dropout, two_biases: as for `LSTMCell`.
    """

    units: int
    reset_after: bool = False
    kernel_init: Initializer = nn.initializers.lecun_normal()
    recurrent_init: Initializer = nn.initializers.orthogonal()
    bias_init: Initializer = nn.initializers.zeros_init()
    weight_dropout: float = 0.0
    two_biases: bool = False

    def setup(self) -> None:
        width = 3 * self.units
        self.input = nn.Dense(width, kernel_init=self.kernel_init, bias_init=self.bias_init)
        self.recurrent = self.param("recurrent", self.recurrent_init, (self.units, width))
        if self.two_biases or self.reset_after:
            size = width if self.two_biases else self.units
            self.recurrent_bias = self.param("recurrent_bias", self.bias_init, (size,))
        self.drop_weights = nn.Dropout(self.weight_dropout)

    @property
    def features(self) -> int:
        """Size of h."""
        return self.units

    def initial_carry(self, batch: int) -> jax.Array:
        return jnp.zeros((batch, self.units))

    def prepare(self, x: jax.Array, train: bool = False) -> tuple[Any, jax.Array]:
        given = self.input(x.astype(jnp.float32))
        bias = self.recurrent_bias if self.two_biases or self.reset_after else None
        if self.two_biases:
            # The reset gate comes between the candidate's two biases where it is after the product.
            common = 2 * self.units if self.reset_after else 3 * self.units
            given = given.at[..., :common].add(self.recurrent_bias[:common])
            bias = self.recurrent_bias[common:]
        recurrent = self.drop_weights(self.recurrent, deterministic=not train)
        return (recurrent, bias), given

    def step(self, weights: Any, carry: jax.Array, given: jax.Array) -> tuple[jax.Array, jax.Array]:
        recurrent, bias = weights
        gates = 2 * self.units
        if self.reset_after:
            product = carry @ recurrent
            update, reset = jnp.split(
                jax.nn.sigmoid(given[..., :gates] + product[..., :gates]), 2, axis=-1
            )
            new = jnp.tanh(given[..., gates:] + reset * (product[..., gates:] + bias))
        else:
            product = carry @ recurrent[:, :gates]
            update, reset = jnp.split(jax.nn.sigmoid(given[..., :gates] + product), 2, axis=-1)
            new = jnp.tanh(given[..., gates:] + (reset * carry) @ recurrent[:, gates:])
        out = (1.0 - update) * carry + update * new
        return out, out

    def __call__(
        self, carry: jax.Array, x: jax.Array, train: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        weights, given = self.prepare(x, train)
        return self.step(weights, carry, given)


class RNNCell(nn.Module):
    """A plain recurrent layer (Elman, 1990): h' = tanh(W x + b + U h).

    Attributes:
      units: size of h.
      kernel_init, recurrent_init, bias_init: how W, U `[units, units]` and b start.
      weight_dropout, two_biases: as for `LSTMCell`.
    """

    units: int
    kernel_init: Initializer = nn.initializers.lecun_normal()
    recurrent_init: Initializer = nn.initializers.orthogonal()
    bias_init: Initializer = nn.initializers.zeros_init()
    weight_dropout: float = 0.0
    two_biases: bool = False

    def setup(self) -> None:
        self.input = nn.Dense(self.units, kernel_init=self.kernel_init, bias_init=self.bias_init)
        shape = self.units, self.units
        self.recurrent = self.param("recurrent", self.recurrent_init, shape)
        if self.two_biases:
            self.recurrent_bias = self.param("recurrent_bias", self.bias_init, (self.units,))
        self.drop_weights = nn.Dropout(self.weight_dropout)

    @property
    def features(self) -> int:
        """Size of h."""
        return self.units

    def initial_carry(self, batch: int) -> jax.Array:
        return jnp.zeros((batch, self.units))

    def prepare(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        given = self.input(x.astype(jnp.float32))
        if self.two_biases:
            given = given + self.recurrent_bias
        return self.drop_weights(self.recurrent, deterministic=not train), given

    def step(
        self, weights: jax.Array, carry: jax.Array, given: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        out = jnp.tanh(given + carry @ weights)
        return out, out

    def __call__(
        self, carry: jax.Array, x: jax.Array, train: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        weights, given = self.prepare(x, train)
        return self.step(weights, carry, given)


CELLS = {"lstm": LSTMCell, "gru": GRUCell, "rnn": RNNCell}


def unroll(
    cell: Any,
    carry: Any,
    x: jax.Array,
    *,
    first: jax.Array | None = None,
    valid: jax.Array | None = None,
    cut: jax.Array | None = None,
    reverse: bool = False,
    train: bool = False,
) -> tuple[jax.Array, Any]:
    """Runs a cell over `x [T, N, D]`.

    Args:
      cell: see the module's text; bound.
      carry: what was before the first step, leaves `[N, ...]`.
      x: inputs, time first.
      first: `[T, N]` bool, the step begins from zeros, whatever was before: an episode's start.
      valid: `[T, N]` bool, False for padding, which leaves the carry as it is and gives zeros.
      cut: `[T, N]` bool, the gradient ends before the step: truncated backpropagation through time.
      reverse: from the last step to the first.
      train: dropout on.

    Returns:
      Outputs `[T, N, features]`, each at its input's place, and the carry after the last step.
    """
    weights, given = cell.prepare(x, train)

    def body(carry: Any, step: tuple) -> tuple[Any, jax.Array]:
        given, first, valid, cut = step
        if first is not None:
            carry = jax.tree.map(lambda part: jnp.where(first[:, None], 0.0, part), carry)
        if cut is not None:
            carry = jax.tree.map(
                lambda part: jnp.where(cut[:, None], jax.lax.stop_gradient(part), part), carry
            )
        new, out = cell.step(weights, carry, given)
        if valid is not None:
            new = jax.tree.map(lambda n, old: jnp.where(valid[:, None], n, old), new, carry)
            out = jnp.where(valid[:, None], out, 0.0)
        return new, out

    carry, outputs = jax.lax.scan(body, carry, (given, first, valid, cut), reverse=reverse)
    return outputs, carry


class LSTM(LSTMCell):
    """An LSTM over sequences that may hold an episode's end: `[T, N, D] -> [T, N, units]`."""

    def __call__(  # type: ignore[override]
        self, carry: Carry, x: jax.Array, first: jax.Array
    ) -> tuple[jax.Array, Carry]:
        """Runs from `carry`, what was before the first step; see `unroll`.

        Returns outputs `[T, N, units]` and the last carry.
        """
        return unroll(self, carry, x, first=first)


class RNNOutput(NamedTuple):
    """Outputs and carries of an `RNN`.

    Attributes:
      outputs: `[B, T, F]` of the last layer, zeros at padding; with both directions forward and
        backward features side by side.
      carry: for each layer a tuple with the last carry of each of its directions.
      layers: outputs of every layer, the last one's too.
    """

    outputs: jax.Array
    carry: tuple[tuple[Any, ...], ...]
    layers: tuple[jax.Array, ...]


class RNN(nn.Module):
    """Layers of recurrent cells over sequences `[B, T, D]`.

    Padding at the end of a row changes nothing: forward, the last carry is the one after the row's
    own end, and backward each row starts at its own end.

    Attributes:
      cell: makes a cell, as `functools.partial(LSTMCell, 512)`.
      num_layers: how many lie on top of each other.
      bidirectional: every layer runs both ways, and the next one reads both.
      reverse: run backward; not with `bidirectional`.
      dropout: of what each layer but the first reads.
      locked_dropout: the same features are left out in all steps of a row (Gal and Ghahramani,
        2016).
      residual: each layer but the first adds to what it reads.
      truncate_steps: the gradient goes back through so many steps at most. They are counted from
        where a row ends, so that from its last step it goes through all of them; 0 for no limit.
      time_major: sequences, lengths aside, are `[T, B, ...]`.
    """

    cell: Callable[[], nn.Module]
    num_layers: int = 1
    bidirectional: bool = False
    reverse: bool = False
    dropout: float = 0.0
    locked_dropout: bool = False
    residual: bool = False
    truncate_steps: int = 0
    time_major: bool = False

    def setup(self) -> None:
        if self.bidirectional and self.reverse:
            raise ValueError("both directions include the reverse one")
        self.forward_cells = [self.cell() for _ in self._layers] if not self.reverse else []
        both = self.bidirectional or self.reverse
        self.backward_cells = [self.cell() for _ in self._layers] if both else []
        broadcast = (0,) if self.locked_dropout else ()  # axis of time
        self.drop = nn.Dropout(self.dropout, broadcast_dims=broadcast)

    @property
    def _layers(self) -> range:
        return range(self.num_layers)

    def initial_carry(self, batch: int) -> tuple[tuple[Any, ...], ...]:
        """Zeros, as `RNNOutput.carry` has them."""
        return tuple(
            tuple(cell.initial_carry(batch) for cell, _ in self._directions(layer))
            for layer in self._layers
        )

    def __call__(
        self,
        x: jax.Array,
        carry: tuple[tuple[Any, ...], ...] | None = None,
        *,
        lengths: jax.Array | None = None,
        first: jax.Array | None = None,
        train: bool = False,
    ) -> RNNOutput:
        """Runs all layers.

        Args:
          x: `[B, T, D]`.
          carry: what was before, such as an encoder's last; None for zeros.
          lengths: `[B]`, steps of each row, the rest being padding; None where there is none.
          first: `[B, T]` bool, steps that begin from zeros (an episode's start); forward alone.
          train: dropout on (needs a "dropout" key).

        Raises:
          ValueError: `first` is given to a network that runs backward.
        """
        if first is not None and self.backward_cells:
            raise ValueError("a step of an episode must not see later ones: run forward alone")
        if not self.time_major:
            x = jnp.swapaxes(x, 0, 1)
            first = None if first is None else first.T
        steps, batch = x.shape[:2]
        valid = None if lengths is None else jnp.arange(steps)[:, None] < lengths
        carry = self.initial_carry(batch) if carry is None else carry
        layers: list[jax.Array] = []
        last: list[tuple[Any, ...]] = []
        for layer in self._layers:
            read = self.drop(x, deterministic=not train) if layer else x
            found = [
                unroll(
                    cell,
                    start,
                    read,
                    first=first,
                    valid=valid,
                    cut=self._cut(steps, batch, lengths, reverse),
                    reverse=reverse,
                    train=train,
                )
                for (cell, reverse), start in zip(
                    self._directions(layer), carry[layer], strict=True
                )
            ]
            outputs = jnp.concatenate([outputs for outputs, _ in found], axis=-1)
            x = read + outputs if self.residual and layer else outputs
            layers.append(x if self.time_major else jnp.swapaxes(x, 0, 1))
            last.append(tuple(end for _, end in found))
        return RNNOutput(layers[-1], tuple(last), tuple(layers))

    def _cut(
        self, steps: int, batch: int, lengths: jax.Array | None, reverse: bool
    ) -> jax.Array | None:
        """Before which steps `[T, B]` the gradient ends."""
        if not self.truncate_steps:
            return None
        times = jnp.arange(steps)[:, None]
        if reverse:  # whose last step is that of time 0
            left = jnp.broadcast_to(times + 1, (steps, batch))
        else:
            left = (jnp.full(batch, steps) if lengths is None else lengths) - times
        # At padding nothing is left; what passes through it is a row's last carry.
        return (left > 0) & (left % self.truncate_steps == 0)

    def _directions(self, layer: int) -> list[tuple[Any, bool]]:
        """A layer's cells, and whether each runs backward."""
        cells = ((self.forward_cells, False), (self.backward_cells, True))
        return [(own[layer], reverse) for own, reverse in cells if own]
