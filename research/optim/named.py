"""Optimizers by name, where papers that share a network differ in them."""

from __future__ import annotations

import optax

from research.core.errors import UserError


def named(name: str, learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    """SGD without momentum, Adadelta (Zeiler, 2012; rho 0.95, epsilon 1e-6) or Adam.

    Args:
      name: "sgd", "adadelta" or "adam".
      learning_rate: of any of them; Adadelta's own is 1.

    Raises:
      UserError: there is no such optimizer.
    """
    if name == "sgd":
        return optax.sgd(learning_rate)
    if name == "adadelta":
        return optax.adadelta(learning_rate, rho=0.95, eps=1e-6)
    if name == "adam":
        return optax.adam(learning_rate)
    raise UserError(f"optimizer.name is sgd, adadelta or adam, not {name!r}")
