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

from research.core.tree import join_batch, named_leaves, split_batch

Variables = dict[str, Any]


class LearnerState(flax.struct.PyTreeNode):
    """Arrays of one learner.

    Attributes:
      params: the parameters, in float32.
      opt_state: the optimizer's state.
      variables: the model's other collections, such as `{"batch_stats": ...}`.
      ema: exponential moving averages of "params" and of the other collections, or None when none
        are kept.
    """

    params: Any
    opt_state: Any
    variables: Variables
    ema: Any = None


class Aux(NamedTuple):
    """What a loss function returns beside the loss.

    Attributes:
      metrics: scalars to report.
      variables: updated collections, merged into the learner's.
      weight: how much this (micro-)batch counts in the mean over micro-batches: 1, or for a loss
        per token its number of tokens.
      extra: pytree of arrays `[B, ...]`, one row for each row of the batch, such as TD errors.
    """

    metrics: Mapping[str, Any] = {}
    variables: Mapping[str, Any] = {}
    weight: float | jax.Array = 1.0
    extra: Any = None


def variable_paths(learner: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of a model by their path in a state.

    Args:
      learner: path of the `LearnerState` in the state.
      variables: "params" and other collections.
    """
    return {
        f"{learner}/{collection if collection == 'params' else f'variables/{collection}'}/{name}": x
        for collection, tree in variables.items()
        for name, x in named_leaves(tree).items()
    }


LossFn = Callable[[Variables, Any, jax.Array], tuple[jax.Array, Aux]]


@dataclasses.dataclass(frozen=True)
class Learner:
    """A model and its optimizer.

    Attributes:
      model: the network.
      tx: the optimizer.
      accumulate: number of micro-batches that one `minimize` splits its batch into.
      max_grad_norm: gradients with a larger global norm are scaled down to it; 0 for never.
      ema_decay: decay of the variables' moving average; 0 to keep none.
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
        # A copy: the average and what it is of must not share buffers, for the state is donated.
        ema = jax.tree.map(jnp.copy, variables) if self.ema_decay else None
        params = variables.pop("params")
        return LearnerState(params, self.tx.init(params), variables, ema)

    def apply(self, state: LearnerState | Variables, *args: Any, **kwargs: Any) -> Any:
        """`model.apply` with a learner's current parameters, or with `variables`."""
        if isinstance(state, LearnerState):
            state = {"params": state.params, **state.variables}
        return self.model.apply(state, *args, **kwargs)

    def eval_variables(self, state: LearnerState) -> Variables:
        """Variables to evaluate with: the moving averages where they are kept."""
        if state.ema is not None:
            return dict(state.ema)
        return {"params": state.params, **state.variables}

    def set_hyperparams(self, state: LearnerState, **values: Any) -> LearnerState:
        """Sets hyperparameters of an optimizer made by `optax.inject_hyperparams`.

        Args:
          state: of this learner.
          **values: by name, such as `learning_rate=0.1`.

        Raises:
          KeyError: the optimizer has no such hyperparameter.
        """
        return state.replace(opt_state=optax.tree.set(state.opt_state, **values))

    def minimize(
        self, state: LearnerState, loss_fn: LossFn, batch: Any, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """One optimizer step on `loss_fn(variables, batch, key) -> (loss, Aux)`.

        `variables` holds "params" and the other collections. Metrics gain "loss" and "grad_norm"
        (before clipping). With `accumulate` > 1 every leaf of `batch` `[B, ...]` is split into that
        many micro-batches, their gradients averaged by `Aux.weight`.
        """
        state, metrics, _ = self.minimize_with_extra(state, loss_fn, batch, key)
        return state, metrics

    def minimize_with_extra(
        self, state: LearnerState, loss_fn: LossFn, batch: Any, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array], Any]:
        """`minimize` that also returns `Aux.extra`, row for row as in `batch`."""
        if self.accumulate == 1:
            grads, metrics, variables, extra, _ = self._gradient(state, loss_fn, batch, key)
        else:
            grads, metrics, variables, extra = self._accumulated(state, loss_fn, batch, key)
        state, norm = self.apply_gradients(state.replace(variables=variables), grads)
        return state, {**metrics, **norm}, extra

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
            # Batch statistics too: those of the newest weights do not fit the averaged ones.
            ema = self._averaged(ema, {"params": params, **state.variables})
        return LearnerState(params, opt_state, state.variables, ema), {"grad_norm": norm}

    def _averaged(self, ema: Variables, new: Variables) -> Variables:
        def average(old: jax.Array, new: jax.Array) -> jax.Array:
            if not jnp.issubdtype(new.dtype, jnp.inexact):  # a counter
                return new
            return optax.incremental_update(new, old, 1.0 - self.ema_decay)

        return jax.tree.map(average, ema, new)

    def _gradient(
        self, state: LearnerState, loss_fn: LossFn, batch: Any, key: jax.Array
    ) -> tuple[Any, dict[str, jax.Array], Variables, Any, jax.Array]:
        """Gradients, metrics, collections, extra and weight of one (micro-)batch."""
        (loss, aux), grads = jax.value_and_grad(
            lambda params: loss_fn({"params": params, **state.variables}, batch, key), has_aux=True
        )(state.params)
        weight = jnp.asarray(aux.weight, jnp.float32)
        variables = {**state.variables, **aux.variables}
        return grads, {"loss": loss, **aux.metrics}, variables, aux.extra, weight

    def _accumulated(
        self, state: LearnerState, loss_fn: LossFn, batch: Any, key: jax.Array
    ) -> tuple[Any, dict[str, jax.Array], Variables, Any]:
        micro = split_batch(batch, self.accumulate), jax.random.split(key, self.accumulate)

        def body(carry: Any, xs: Any) -> tuple[Any, Any]:
            sums, total, variables = carry
            grads, metrics, variables, extra, weight = self._gradient(
                state.replace(variables=variables), loss_fn, *xs
            )
            sums = jax.tree.map(lambda s, x: s + weight * x, sums, (grads, metrics))
            return (sums, total + weight, variables), extra

        first = jax.tree.map(lambda x: x[0], micro)
        shapes = jax.eval_shape(lambda xs: self._gradient(state, loss_fn, *xs)[:2], first)
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, jnp.float32), shapes)
        (sums, total, variables), extra = jax.lax.scan(
            body, (zeros, jnp.zeros(()), state.variables), micro
        )
        grads, metrics = jax.tree.map(lambda s: s / total, sums)
        return grads, metrics, variables, join_batch(extra)
