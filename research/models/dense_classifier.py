"""Classifiers of dense layers: logistic and softmax regression, ReLU and maxout networks, and units
of radial basis functions.

Sources: Goodfellow et al. 2013, arXiv:1302.4389, section 5.1 and its released code (maxout);
Goodfellow, Shlens, Szegedy 2014, arXiv:1412.6572, sections 5 and 7 (logistic and radial ones).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype, Initializer

from research.core.errors import check_choice
from research.nn.fan_in import within
from research.nn.maxout import Maxout, ScaledDropout

UNITS = ("relu", "maxout")


class DenseClassifier(nn.Module):
    """Hidden layers of one kind, and a linear layer: with no hidden one, softmax regression.

    Attributes:
      num_classes: K. With 2 classes and no hidden layer it is logistic regression, one vector of
        weights w and P(y = 1) = sigmoid(w . x + b).
      widths: units of each hidden layer.
      units: one of `UNITS`.
      pieces: of each maxout unit.
      dropout: rate on what the hidden layers give.
      input_dropout: rate on the input.
      input_dropout_scale: factor of the inputs that are kept; 0 for 1 / (1 - rate).
      uniform_init: all weights begin uniform within this of 0; 0 for He's or LeCun's deviation.
      dtype: of the computation.
    """

    num_classes: int
    widths: Sequence[int] = ()
    units: str = "relu"
    pieces: int = 1
    dropout: float = 0.0
    input_dropout: float = 0.0
    input_dropout_scale: float = 0.0
    uniform_init: float = 0.0
    dtype: Dtype | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, start: int = 0
    ) -> tuple[jax.Array, dict[str, Any]]:
        """Classifies inputs `[B, ...]`, which are flattened.

        Args:
          x: the inputs, or with `start` what hidden layer `start` has given.
          train: whether dropout acts; it needs the key "dropout".
          start: 0; or the number, from 1, of the hidden layer whose output x is in place of the
            network's input, so that hidden layers can be perturbed.

        Returns:
          Logits `[B, K]`; "hidden", what each hidden layer from `start` on gives `[B, width]`,
          before dropout.
        """
        check_choice("model.units", self.units, UNITS)
        hidden = []
        x = x.reshape(len(x), -1)
        if not start:
            scale = self.input_dropout_scale or None
            x = ScaledDropout(self.input_dropout, scale, name="input_dropout")(x, train=train)
        for i, width in enumerate(self.widths, 1):
            if i < start:
                continue
            if i > start:
                x = self._hidden(width, f"hidden{i}")(x)
                x = x if self.units == "maxout" else nn.relu(x)
            hidden.append(x)
            x = ScaledDropout(self.dropout, name=f"dropout{i}")(x, train=train)
        kernel_init = self._init(nn.initializers.lecun_normal())
        if self.num_classes == 2 and not self.widths:
            z = nn.Dense(1, kernel_init=kernel_init, dtype=self.dtype, name="logistic")(x)
            # The softmax of these two is sigmoid(-z) and sigmoid(z).
            logits = jnp.concatenate([-z / 2, z / 2], -1)
        else:
            linear = nn.Dense(
                self.num_classes, kernel_init=kernel_init, dtype=self.dtype, name="softmax"
            )
            logits = linear(x)
        return logits.astype(jnp.float32), {"hidden": hidden}

    @nn.nowrap
    def _hidden(self, width: int, name: str) -> nn.Module:
        if self.units == "maxout":
            kernel_init = self._init(nn.initializers.lecun_normal())
            return Maxout(width, self.pieces, kernel_init, dtype=self.dtype, name=name)
        kernel_init = self._init(nn.initializers.he_normal())
        return nn.Dense(width, kernel_init=kernel_init, dtype=self.dtype, name=name)

    @nn.nowrap
    def _init(self, otherwise: Initializer) -> Initializer:
        return within(self.uniform_init) if self.uniform_init else otherwise


class RadialBasisClassifier(nn.Module):
    """A unit for each class that is sure only near its centre (arXiv:1412.6572, section 7).

    P(k | x) = exp(-(x - mu_k)^T B_k (x - mu_k)) with a diagonal B_k above 0. The classes are not
    normalised: far from all centres every one of them is unlikely.

    Attributes:
      num_classes: K.
      centre: of all mu_k at the start, in every entry.
      precision: of all entries of B_k at the start.
    """

    num_classes: int
    centre: float = 0.5
    precision: float = 0.1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> tuple[jax.Array, dict[str, Any]]:
        """Logarithms of P(k | x), `[B, K]`, of inputs `[B, ...]`; `train` changes nothing."""
        del train
        x = x.reshape(len(x), -1)
        shape = (self.num_classes, x.shape[-1])
        centres = self.param("centres", nn.initializers.constant(self.centre), shape)
        logs = self.param("log_precision", nn.initializers.constant(jnp.log(self.precision)), shape)
        squares = jnp.square(x[:, None] - centres) * jnp.exp(logs)
        return -squares.sum(-1).astype(jnp.float32), {}


def radial_losses(logs: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross-entropy of K classes that are each there or not, in nats: `[B]`.

    Args:
      logs: logarithms of P(k | x), `[B, K]`, as `RadialBasisClassifier` gives them.
      labels: `[B]`, the one class that is there.
    """
    is_there = jax.nn.one_hot(labels, logs.shape[-1], dtype=bool)
    # log(1 - e^q) is not finite at q = 0, where an input lies on a centre.
    logs = jnp.minimum(logs, -1e-6)
    return -jnp.where(is_there, logs, jnp.log(-jnp.expm1(logs))).sum(-1)
