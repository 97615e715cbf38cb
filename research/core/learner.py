"""`Learner`: parameters with their optimizer. A classifier has one, a GAN two, SAC four."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

Variables = dict[str, Any]


@flax.struct.dataclass
class LearnerState:
    """Arrays of one learner.

    Attributes:
      params: the parameters, in float32.
      opt_state: the optimizer's state.
      variables: the model's other collections, such as `{"batch_stats": ...}`.
      ema: exponential moving average of the parameters, or None when none is kept.
    """

    params: Any
    opt_state: Any
    variables: Variables
    ema: Any = None

    @property
    def eval_params(self) -> Any:
        """Parameters to evaluate with: the moving average where one is kept."""
        return self.params if self.ema is None else self.ema


class Aux(NamedTuple):
    """What a loss function returns beside the loss.

    Attributes:
      metrics: scalars to report.
      variables: updated collections, merged into the learner's.
      weight: how much this (micro-)batch counts in the mean over micro-batches: 1, or for a loss
        per token its number of tokens.
    """

    metrics: Mapping[str, Any] = {}
    variables: Mapping[str, Any] = {}
    weight: float | jax.Array = 1.0


LossFn = Callable[[Variables, Any, jax.Array], tuple[jax.Array, Aux]]


@dataclasses.dataclass(frozen=True)
class Learner:
    """A model and its optimizer.

    Attributes:
      model: the network.
      tx: the optimizer.
      accumulate: number of micro-batches that one `minimize` splits its batch into.
      max_grad_norm: gradients with a larger global norm are scaled down to it; 0 for never.
      ema_decay: decay of the parameters' moving average; 0 to keep none.
    """

    model: nn.Module
    tx: optax.GradientTransformation
    accumulate: int = 1
    max_grad_norm: float = 0.0
    ema_decay: float = 0.0

    def init(self, key: jax.Array, *inputs: Any, **kwargs: Any) -> LearnerState:
        """State for a model called as `model(*inputs, **kwargs)`."""
        keys = dict(zip(("params", "dropout"), jax.random.split(key), strict=True))
        variables = dict(self.model.init(keys, *inputs, **kwargs))
        params = variables.pop("params")
        # A copy: `ema` and `params` must not share buffers, for the state is donated.
        ema = jax.tree.map(jnp.copy, params) if self.ema_decay else None
        return LearnerState(params, self.tx.init(params), variables, ema)

    def apply(self, state: LearnerState | Variables, *args: Any, **kwargs: Any) -> Any:
        """`model.apply` with a learner's current parameters, or with `variables`."""
        if isinstance(state, LearnerState):
            state = {"params": state.params, **state.variables}
        return self.model.apply(state, *args, **kwargs)

    def eval_variables(self, state: LearnerState) -> Variables:
        """Variables to evaluate with: `eval_params` and the other collections."""
        return {"params": state.eval_params, **state.variables}

    def minimize(
        self, state: LearnerState, loss_fn: LossFn, batch: Any, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """One optimizer step on `loss_fn(variables, batch, key) -> (loss, Aux)`.

        `variables` holds "params" and the other collections. Metrics gain "loss" and "grad_norm"
        (before clipping). With `accumulate` > 1 every leaf of `batch` `[B, ...]` is split into that
        many micro-batches, their gradients averaged by `Aux.weight`.
        """
        if self.accumulate == 1:
            grads, metrics, variables = self._gradient(
                state.params, state.variables, loss_fn, batch, key
            )[:3]
        else:
            grads, metrics, variables = self._accumulated(state, loss_fn, batch, key)
        state, norm = self.apply_gradients(dataclasses.replace(state, variables=variables), grads)
        return state, {**metrics, **norm}

    def apply_gradients(
        self, state: LearnerState, grads: Any
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """The second half of `minimize`, for gradients that come from elsewhere.

        Returns the new state and the metric "grad_norm" (before clipping).
        """
        norm = optax.global_norm(grads)
        if self.max_grad_norm:
            scale = jnp.minimum(1.0, self.max_grad_norm / (norm + 1e-6))
            grads = jax.tree.map(lambda g: g * scale, grads)
        updates, opt_state = self.tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = state.ema
        if ema is not None:
            ema = optax.incremental_update(params, ema, 1.0 - self.ema_decay)
        return LearnerState(params, opt_state, state.variables, ema), {"grad_norm": norm}

    def _gradient(
        self, params: Any, variables: Variables, loss_fn: LossFn, batch: Any, key: jax.Array
    ) -> tuple[Any, dict[str, jax.Array], Variables, jax.Array]:
        def with_params(params: Any) -> tuple[jax.Array, Aux]:
            return loss_fn({"params": params, **variables}, batch, key)

        (loss, aux), grads = jax.value_and_grad(with_params, has_aux=True)(params)
        metrics = {"loss": loss, **aux.metrics}
        weight = jnp.asarray(aux.weight, jnp.float32)
        return grads, metrics, {**variables, **aux.variables}, weight

    def _accumulated(
        self, state: LearnerState, loss_fn: LossFn, batch: Any, key: jax.Array
    ) -> tuple[Any, dict[str, jax.Array], Variables]:
        m = self.accumulate

        def split(x: jax.Array) -> jax.Array:
            # Micro-batch i takes rows i, i+m, ...: each device keeps the rows it already has.
            return jnp.moveaxis(x.reshape(x.shape[0] // m, m, *x.shape[1:]), 1, 0)

        micro, keys = jax.tree.map(split, batch), jax.random.split(key, m)

        def body(carry: Any, xs: Any) -> tuple[Any, None]:
            sums, total, variables = carry
            grads, metrics, variables, weight = self._gradient(
                state.params, variables, loss_fn, *xs
            )
            sums = jax.tree.map(lambda s, x: s + weight * x, sums, (grads, metrics))
            return (sums, total + weight, variables), None

        first = jax.tree.map(lambda x: x[0], (micro, keys))
        shapes = jax.eval_shape(
            lambda xs: self._gradient(state.params, state.variables, loss_fn, *xs)[:2], first
        )
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, jnp.float32), shapes)
        (sums, total, variables), _ = jax.lax.scan(
            body, (zeros, jnp.zeros(()), state.variables), (micro, keys)
        )
        grads, metrics = jax.tree.map(lambda s: s / total, sums)
        return grads, metrics, variables
