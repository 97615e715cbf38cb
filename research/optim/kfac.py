"""Kronecker-factored approximate curvature (Martens and Grosse, 2015, arXiv:1503.05671; of
convolutions Grosse and Martens, 2016, arXiv:1602.01407), with the trust region of ACKTR (Wu et al.,
2017, arXiv:1708.05144).

A layer's block of the Fisher matrix is taken for the Kronecker product A (x) G: A is the second
moment of its inputs `[a, 1]`, G that of the gradients of the log likelihood with respect to its
outputs, for targets drawn from the model itself. Of a convolution with L places A sums over these
and G is their mean.

    statistics = kfac.statistics(forward, log_likelihood)     of a batch
    opt_state = optimizer.observe(opt_state, statistics)      running averages
    updates, opt_state = optimizer.tx().update(gradient, opt_state, params)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from research.nn.conv import Conv, explicit_padding


class Factors(NamedTuple):
    """The Kronecker factors of one layer of I inputs and O outputs.

    Attributes:
      inputs: A, `[I + 1, I + 1]`; `[I, I]` without a bias.
      outputs: G, `[O, O]`.
    """

    inputs: jax.Array
    outputs: jax.Array


Layers = Mapping[str, Factors]  # by the layer's path, such as "trunk/Dense_0"


def statistics(
    forward: Callable[[], Any], log_likelihood: Callable[[Any], jax.Array]
) -> dict[str, Factors]:
    """Factors of every dense and convolutional layer, over a batch of B.

    Args:
      forward: calls the model on the batch; each layer may be called once.
      log_likelihood: of the model's output, `[B]`: that of targets which were drawn from the
        model's own distribution, constants here.
    """
    shapes: dict[str, Any] = {}

    def run(taps: Mapping[str, jax.Array]) -> tuple[jax.Array, tuple[dict[str, jax.Array], Any]]:
        """Taps are added to the outputs of the layers: their gradients are those of the outputs."""
        inputs: dict[str, jax.Array] = {}

        def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            out = call(*args, **kwargs)
            layer = context.module
            if context.method_name != "__call__" or not isinstance(layer, nn.Dense | Conv):
                return out
            name = "/".join(layer.path)
            if name in inputs:
                raise ValueError(f"{name} is called twice: its places are not told apart")
            inputs[name] = _rows(layer, args[0].astype(jnp.float32))
            shapes[name] = jax.ShapeDtypeStruct(out.shape, out.dtype)
            return out + taps[name] if name in taps else out

        with nn.intercept_methods(intercept):
            likelihood = log_likelihood(forward())
        return likelihood.sum(), (inputs, likelihood)

    jax.eval_shape(run, {})
    taps = {name: jnp.zeros(s.shape, s.dtype) for name, s in shapes.items()}
    gradients, (inputs, likelihood) = jax.grad(run, has_aux=True)(taps)
    size = len(likelihood)
    found = {}
    for name, a in inputs.items():
        g = gradients[name].astype(jnp.float32)
        g = g.reshape(-1, g.shape[-1])
        found[name] = Factors(a.T @ a / size, g.T @ g / len(g))
    return found


def _rows(layer: nn.Dense | Conv, x: jax.Array) -> jax.Array:
    """Inputs of a layer `[rows, I (+ 1)]`: a row for every example, of convolutions also for every
    place, in the order of the kernel's axes."""
    if isinstance(layer, Conv):
        if layer.feature_group_count != 1:
            raise ValueError("convolutions in groups have no factors")
        height, width = _pair(layer.kernel_size)
        strides = _pair(layer.strides)
        pads = explicit_padding(layer.padding, x.shape[1:3], (height, width), strides)
        x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
        high, wide = (
            (n - k) // s + 1 for n, k, s in zip(x.shape[1:3], (height, width), strides, strict=True)
        )
        x = jnp.stack(
            [
                x[
                    :,
                    i : i + strides[0] * high : strides[0],
                    j : j + strides[1] * wide : strides[1],
                ][:, :high, :wide]
                for i in range(height)
                for j in range(width)
            ],
            axis=3,
        )
        x = x.reshape(-1, height * width * x.shape[-1])
    x = x.reshape(-1, x.shape[-1])
    return jnp.pad(x, ((0, 0), (0, 1)), constant_values=1.0) if layer.use_bias else x


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


class KFACState(flax.struct.PyTreeNode):
    """Attributes: factors, running averages; inverses of them, damped; observed, how many batches
    are in them; taken, steps; momentum, like the parameters; step_size, eta of the
    last step in every region."""

    factors: dict[str, Factors]
    inverses: dict[str, Factors]
    observed: jax.Array
    taken: jax.Array
    momentum: Any
    step_size: dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class KFAC:
    """Natural gradient steps by factors, no farther than a trust region.

    Attributes:
      learning_rate: the longest step, eta_max, of steps taken so far.
      trust_region: delta, of the quadratic model of the KL divergence.
      decay: of the running averages; of the first n batches all have the same weight.
      damping: lambda, split between the factors (Martens and Grosse, section 6.3).
      momentum: of steps; the new step has the weight 1 - momentum (OpenAI Baselines).
      inverse_every: steps from one inversion of the factors to the next.
      apart: beginnings of paths; parameters below each have a trust region of their own, of this
        size, as those of a network that shares no layer with the others.
      known: diagonal Fisher information of parameters that are no layer's, by path.
    """

    learning_rate: optax.Schedule
    trust_region: float
    decay: float = 0.99
    damping: float = 0.01
    momentum: float = 0.9
    inverse_every: int = 1
    apart: Mapping[str, float] = dataclasses.field(default_factory=dict)
    known: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def tx(self) -> optax.GradientTransformation:
        return optax.GradientTransformation(self.init, self.update)

    def init(self, params: Any) -> KFACState:
        """Raises: ValueError for parameters that are neither a layer's nor `known`."""
        matrices, others = _matrices(params)
        if unknown := others.keys() - self.known.keys():
            raise ValueError(f"no curvature of {', '.join(sorted(unknown))}")
        eyes = {
            name: Factors(jnp.eye(w.shape[0]), jnp.eye(w.shape[1])) for name, w in matrices.items()
        }
        zero = jnp.int32(0)
        return KFACState(
            eyes,
            jax.tree.map(jnp.copy, eyes),
            zero,
            zero,
            jax.tree.map(jnp.zeros_like, params),
            {start: jnp.float32(0) for start in ("", *self.apart)},
        )

    def observe(self, state: KFACState, found: Layers) -> KFACState:
        """Takes in the factors of a batch."""
        observed = state.observed + 1
        keep = jnp.minimum(1 - 1 / observed, self.decay)
        factors = jax.tree.map(
            lambda old, new: keep * old + (1 - keep) * new, state.factors, dict(found)
        )
        return state.replace(factors=factors, observed=observed)

    def update(self, gradient: Any, state: KFACState, params: Any = None) -> tuple[Any, KFACState]:
        """Preconditions the gradient of a mean loss."""
        inverses = jax.lax.cond(
            state.taken % self.inverse_every == 0,
            lambda: {name: damped_inverses(f, self.damping) for name, f in state.factors.items()},
            lambda: state.inverses,
        )
        matrices, others = _matrices(gradient)
        natural = {
            name: inverses[name].inputs @ w @ inverses[name].outputs for name, w in matrices.items()
        }
        scaled = {name: g / (self.known[name] + self.damping) for name, g in others.items()}
        direction = flatten_dict(_restored(gradient, natural, scaled), sep="/")
        eta = self._step_sizes(state, direction, flatten_dict(gradient, sep="/"))
        step = unflatten_dict(
            {name: -eta[self._region(name)] * d for name, d in direction.items()}, sep="/"
        )
        momentum = jax.tree.map(
            lambda m, s: self.momentum * m + (1 - self.momentum) * s, state.momentum, step
        )
        return momentum, state.replace(
            inverses=inverses, taken=state.taken + 1, momentum=momentum, step_size=eta
        )

    def _region(self, name: str) -> str:
        """The beginning of a parameter's path that has a trust region of its own, else ""."""
        return next((start for start in self.apart if name.startswith(start)), "")

    def _step_sizes(
        self, state: KFACState, direction: Mapping[str, Any], gradient: Mapping[str, Any]
    ) -> dict[str, jax.Array]:
        """eta = min(eta_max, sqrt(2 delta / (Delta^T F Delta))) of every region (section 3.2).

        F being what was inverted, Delta^T F Delta is Delta^T gradient.
        """
        longest = jnp.asarray(self.learning_rate(state.taken), jnp.float32)
        sizes: dict[str, Any] = {start: 0.0 for start in ("", *self.apart)}
        for name, d in direction.items():
            sizes[self._region(name)] += (d * gradient[name]).sum()
        limits = {"": self.trust_region, **self.apart}
        return {
            start: jnp.minimum(longest, jnp.sqrt(2 * limits[start] / jnp.maximum(size, 1e-12)))
            for start, size in sizes.items()
        }


def damped_inverses(factors: Factors, damping: float) -> Factors:
    """(A + pi sqrt(lambda))^-1 and (G + sqrt(lambda) / pi)^-1, pi^2 being the ratio of the factors'
    mean eigenvalues."""
    a, g = factors
    ratio = (jnp.trace(a) / len(a)) / jnp.maximum(jnp.trace(g) / len(g), 1e-12)
    pi = jnp.sqrt(jnp.maximum(ratio, 1e-12))

    def inverse(matrix: jax.Array, added: jax.Array) -> jax.Array:
        eye = jnp.eye(len(matrix))
        return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(matrix + added * eye), eye)

    root = damping**0.5
    return Factors(inverse(a, pi * root), inverse(g, root / pi))


def _matrices(tree: Any) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Parameters of layers as matrices `[I (+ 1), O]`, the bias in the last row; and all others."""
    flat = flatten_dict(tree, sep="/")
    layers = [name.removesuffix("/kernel") for name in flat if name.endswith("/kernel")]
    matrices = {}
    for name in layers:
        kernel = flat.pop(f"{name}/kernel")
        rows = [kernel.reshape(-1, kernel.shape[-1])]
        if f"{name}/bias" in flat:
            rows.append(flat.pop(f"{name}/bias")[None])
        matrices[name] = jnp.concatenate(rows)
    return matrices, flat


def _restored(like: Any, matrices: Mapping[str, jax.Array], others: Mapping[str, Any]) -> Any:
    """The inverse of `_matrices`."""
    flat = dict(others)
    for name, matrix in matrices.items():
        kernel = flatten_dict(like, sep="/")[f"{name}/kernel"]
        rows = kernel.size // kernel.shape[-1]
        flat[f"{name}/kernel"] = matrix[:rows].reshape(kernel.shape)
        if len(matrix) > rows:
            flat[f"{name}/bias"] = matrix[rows]
    return unflatten_dict(flat, sep="/")
