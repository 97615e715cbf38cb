"""How many matrix products of a program wait for one another (Vaswani et al. 2017, table 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Var

_PRODUCTS = ("dot_general", "conv_general_dilated")


def sequential_products(function: Callable[..., Any], *args: Any) -> int:
    """The longest chain of matrix products each of which needs the one before it.

    It is what remains of the time on hardware that does everything at once that can be done at
    once. A loop of n turns has n times the chain of one turn.

    Args:
      function: a pure function; it is traced, not run.
      *args: arrays or their shapes.

    Raises:
      ValueError: the program has a loop whose number of turns is not known before it runs.
    """
    return _chain(jax.make_jaxpr(function)(*args).jaxpr)


def _chain(jaxpr: Jaxpr) -> int:
    depth: dict[Var, int] = {}

    def of(x: Any) -> int:
        return depth.get(x, 0) if isinstance(x, Var) else 0

    for equation in jaxpr.eqns:
        after = max(map(of, equation.invars), default=0) + _length(equation)
        depth |= dict.fromkeys(equation.outvars, after)
    return max(map(of, jaxpr.outvars), default=0)


def _length(equation: JaxprEqn) -> int:
    """Products in a row within one equation."""
    name = equation.primitive.name
    if name in _PRODUCTS:
        return 1
    if name == "while":
        raise ValueError("a loop of unknown length")
    inner = max(map(_chain, _inside(equation)), default=0)
    return inner * equation.params["length"] if name == "scan" else inner


def _inside(equation: JaxprEqn) -> Iterator[Jaxpr]:
    """The programs that an equation calls: branches, a loop's body, what is compiled on its own."""
    for value in equation.params.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(part, ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, Jaxpr):
                yield part
