"""Static loss scaling for float16 (Micikevicius et al., 2017, section 3.2).

Gradients below 6e-8 are zero in float16. Multiplied by a constant between the loss and the
parameters' float32 copies they are not, and the optimizer never sees the constant.
"""

from __future__ import annotations

import functools
from typing import Any

import jax


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def scale_gradient(tree: Any, factor: float) -> Any:
    """`tree` itself, whose gradient is multiplied by `factor`.

    Around a model, `loss = scale_gradient(loss, s)` and `params = scale_gradient(params, 1 / s)`:
    what flows back between the two is s times the gradient, what comes out is the gradient.
    """
    return tree


def _forward(tree: Any, factor: float) -> tuple[Any, None]:
    return tree, None


def _backward(factor: float, _: None, gradient: Any) -> tuple[Any]:
    return (jax.tree.map(lambda g: g * factor, gradient),)


scale_gradient.defvjp(_forward, _backward)
