"""Data-parallel convolutions with model-parallel fully-connected layers (Krizhevsky, 2014,
arXiv:1404.5997), by `shard_map`.

Convolutions have nearly all of the arithmetic and few of the parameters, fully-connected layers the
reverse. So each of K workers has all convolutions and 1/K of the images, but 1/K of the units of
every fully-connected layer and all of the images. Between the two, activations change hands, in one
of three ways (section 4; the letters are the paper's):

a  all workers' activations at once; then the fully-connected layers see the whole batch
b  rounds; in each, one worker sends a part of its activations to all others
c  rounds; in each, every worker sends a part of its activations to all others

In b and c the fully-connected layers see a part of the batch at a time, which takes less memory,
and each round's sending can overlap with the computation of the round before; they also allow an
update of the fully-connected weights after every round (section 4.2, «variable batch size»). What
goes backward retraces the way forward: summed over the workers, each of which has the part of the
gradient that comes from its own units, it returns to the worker whose images they are.

"data" is what it all is compared with: every worker has all weights, and its own images.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from research.core.errors import UserError
from research.core.experiment import PyTree

AXIS = "data"  # of the mesh: the workers
SCHEMES = ("a", "b", "c", "data")

# (parameters of this worker, activations, labels, ids of the images) -> loss, metrics: means over
# the images and the sum over all units, equal on all workers.
HeadLoss = Callable[[PyTree, jax.Array, jax.Array, jax.Array], tuple[jax.Array, PyTree]]


def num_workers() -> int:
    """K, from the mesh that is in force; 1 without."""
    return int(jax.sharding.get_abstract_mesh().shape.get(AXIS, 1))


def head_rules(scheme: str) -> tuple[tuple[str, P], ...]:
    """How the state of a learner called "head" is laid out: units are split, unless scheme "data".

    Kernels `[in, units]`, biases `[units]` and what the optimizer has of them.
    """
    if scheme == "data":
        return ()
    return (("head/.*kernel$", P(None, AXIS)), ("head/.*bias$", P(AXIS)))


@dataclasses.dataclass(frozen=True)
class Hybrid:
    """One of the schemes, as functions of arrays on all workers.

    Attributes:
      scheme: "a", "b", "c" or "data".
      updates: of the fully-connected weights for one batch; more than one in b and c only.

    Raises:
      UserError: no such scheme, or more updates than it allows.
    """

    scheme: str
    updates: int = 1

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise UserError(f"scheme is {', '.join(SCHEMES)}, not {self.scheme!r}")
        if self.updates > 1 and self.scheme not in ("b", "c"):
            raise UserError(
                f"scheme {self.scheme} has no rounds, so no fully-connected batch smaller than the "
                "whole; take scheme b or c, or make both batch sizes equal"
            )

    def split_units(self) -> dict[str, Any]:
        """Over which mesh axis, and how many workers, the units of a layer are split."""
        if self.scheme == "data":
            return {"axis": "", "shards": 1}
        return {"axis": AXIS, "shards": num_workers()}

    def trunk(
        self, apply: Callable[[PyTree, jax.Array], jax.Array], params: PyTree, images: jax.Array
    ) -> tuple[jax.Array, Callable[[jax.Array], PyTree]]:
        """The convolutions, each worker on its own images.

        Args:
          apply: `(params, images [b, ...]) -> activations [b, D]`.
          params: replicated.
          images: `[B, ...]`, split over workers.

        Returns:
          activations: `[B, D]`, split over workers.
          backward: gradient for the activations to the gradient for the parameters, summed over
            all images and replicated.
        """
        # One copy for each worker, so that what comes back is each worker's own gradient.
        copies = jax.tree.map(lambda p: jnp.broadcast_to(p, (num_workers(), *p.shape)), params)
        on_workers = _map_workers(
            lambda own, images: apply(jax.tree.map(lambda p: p[0], own), images),
            (P(AXIS), P(AXIS)),
            P(AXIS),
        )
        activations, backward = jax.vjp(lambda copies: on_workers(copies, images), copies)
        return activations, lambda gradient: _sum_over_workers(*backward(gradient))

    def head(
        self,
        loss: HeadLoss,
        params: PyTree,
        activations: jax.Array,
        labels: jax.Array,
        gradient: jax.Array,
        update: jax.Array | int = 0,
    ) -> tuple[tuple[jax.Array, PyTree], PyTree, jax.Array]:
        """The rounds of the fully-connected layers that belong to one update of their weights.

        Args:
          loss: of the images that are given to it.
          params: laid out as `head_rules` says.
          activations, labels: `[B, ...]`, split over workers.
          gradient: `[B, D]`, split over workers; that of the updates before this one.
          update: which one, of `updates`.

        Returns:
          (loss, metrics): means over the images of this update.
          gradients: of that loss, laid out as the parameters.
          gradient: of that loss for the activations of these images, written into the one given.
        """
        whole = self.scheme == "data"
        layout = jax.tree.map(lambda p: P() if whole else P(*[None] * (p.ndim - 1), AXIS), params)
        on_workers = _map_workers(
            functools.partial(self._rounds, loss),
            (layout, P(AXIS), P(AXIS), P(AXIS), P()),
            (P(), layout, P(AXIS)),
        )
        return on_workers(params, activations, labels, gradient, jnp.asarray(update))

    def _rounds(
        self,
        loss: HeadLoss,
        params: PyTree,
        activations: jax.Array,
        labels: jax.Array,
        gradient: jax.Array,
        update: jax.Array,
    ) -> tuple[Any, PyTree, jax.Array]:
        """`head` as one worker sees it: `[n, ...]` are its own images."""
        rounds = self._num_rounds(len(labels))
        per_update = rounds // self.updates
        ids = lax.axis_index(AXIS) * len(labels) + jnp.arange(len(labels))

        def mean_loss(*args: Any) -> tuple[jax.Array, PyTree]:
            value = loss(*args)
            if self.scheme == "data":  # each worker has its own images
                value = jax.tree.map(lambda x: lax.pmean(x, AXIS), value)
            return value

        def one_round(sums: Any, s: jax.Array) -> tuple[Any, None]:
            (value, gradients), gradient = sums
            # Rounds of scheme c take every `rounds`-th image; those of one update belong together
            # whatever the number of workers.
            r = update + self.updates * s if self.scheme == "c" else update * per_update + s
            sent, sent_labels, sent_ids = (
                self._send(x, r, rounds) for x in (activations, labels, ids)
            )
            of_round, (of_params, of_sent) = jax.value_and_grad(mean_loss, (0, 1), has_aux=True)(
                params, sent, sent_labels, sent_ids
            )
            gradient = self._give_back(gradient, of_sent / per_update, r, rounds)
            new = jax.tree.map(
                lambda total, x: total + x / per_update,
                (value, gradients),
                (of_round, of_params),
            )
            return (new, gradient), None

        shapes = jax.eval_shape(mean_loss, params, activations, labels, ids)
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        sums = (zeros, jax.tree.map(jnp.zeros_like, params)), gradient
        # Written out, so that the compiler may send what the next round needs during this one.
        sums, _ = lax.scan(one_round, sums, jnp.arange(per_update), unroll=True)
        (value, gradients), gradient = sums
        return value, gradients, gradient

    def _num_rounds(self, images: int) -> int:
        """Rounds of one batch, of which each worker has `images`.

        Raises:
          UserError: the images cannot be divided like that.
        """
        workers = num_workers()
        if self.scheme in ("a", "data"):
            return 1
        rounds = math.lcm(self.updates, workers)
        parts = rounds if self.scheme == "c" else rounds // workers
        if images % parts:
            raise UserError(
                f"scheme {self.scheme} sends {images} images of a worker in {parts} parts "
                f"({workers} workers, {self.updates} updates of the fully-connected weights); "
                "change batch_size, fc_batch_size or the mesh"
            )
        return rounds

    def _send(self, x: jax.Array, r: jax.Array, rounds: int) -> jax.Array:
        """What all workers get of all workers' `x` `[n, ...]` in round r: `[b, ...]`, by image."""
        if self.scheme == "data":
            return x
        if self.scheme == "a":
            return lax.all_gather(x, AXIS, tiled=True)
        if self.scheme == "b":
            own, mine = self._part(x, r, rounds)
            # A broadcast: the others add zeros.
            return _varying(lax.psum(jnp.where(mine, own, 0), AXIS))
        return lax.all_gather(_every(x, rounds)[:, r], AXIS, tiled=True)

    def _give_back(
        self, gradient: jax.Array, sent: jax.Array, r: jax.Array, rounds: int
    ) -> jax.Array:
        """The way back of `_send`: sums each worker's share of the gradient for what was sent.

        Args:
          gradient: `[n, D]`, which it is written into.
          sent: `[b, D]`, this worker's share.
        """
        if self.scheme == "data":
            return sent
        if self.scheme == "b":
            whole = lax.psum(sent, AXIS)
            own, mine = self._part(gradient, r, rounds)
            start = (r % (rounds // num_workers())) * len(own)
            return lax.dynamic_update_slice_in_dim(gradient, jnp.where(mine, whole, own), start, 0)
        own = lax.psum_scatter(sent, AXIS, tiled=True)
        if self.scheme == "a":
            return own
        return _every(gradient, rounds).at[:, r].set(own).reshape(gradient.shape)

    def _part(self, x: jax.Array, r: jax.Array, rounds: int) -> tuple[jax.Array, jax.Array]:
        """This worker's images of round r of scheme b, and whether it is its turn."""
        parts = rounds // num_workers()
        size = len(x) // parts
        own = lax.dynamic_slice_in_dim(x, (r % parts) * size, size)
        return own, lax.axis_index(AXIS) == r // parts


def _replicated(x: jax.Array) -> jax.Array:
    """`x` on all workers; without a mesh it is."""
    mesh = jax.sharding.get_abstract_mesh()
    return x if mesh.empty else lax.with_sharding_constraint(x, P())


def _every(x: jax.Array, rounds: int) -> jax.Array:
    """`[n, ...]` as `[n / rounds, rounds, ...]`: column r is every `rounds`-th image from r on."""
    return x.reshape(len(x) // rounds, rounds, *x.shape[1:])


def _sum_over_workers(copies: PyTree) -> PyTree:
    """Sums gradients of all workers (section 4.1): each sums a K-th of them, which all then get.

    Args:
      copies: leaves `[K, ...]`, split over workers.

    Returns:
      leaves `[...]`, replicated.
    """

    def scatter(own: PyTree) -> jax.Array:
        flat = ravel_pytree(own)[0]
        flat = jnp.pad(flat, (0, -len(flat) % num_workers()))
        return lax.psum_scatter(flat, AXIS, tiled=True)

    zeros, unravel = ravel_pytree(jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), copies))
    summed = _map_workers(scatter, (P(AXIS),), P(AXIS))(copies)
    return unravel(_replicated(summed)[: len(zeros)])


def _map_workers(function: Callable, in_specs: Any, out_specs: Any) -> Callable:
    """`shard_map` over the mesh in force; without one, over one device."""
    mesh = None
    if jax.sharding.get_abstract_mesh().empty:
        auto = (AxisType.Auto,)
        mesh = jax.make_mesh((1,), (AXIS,), axis_types=auto, devices=jax.devices()[:1])
    return jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=out_specs)


def _varying(x: jax.Array) -> jax.Array:
    """`x`, equal on all workers, as a value of which each has its own and its own gradient."""
    return lax.pcast(x, AXIS, to="varying")
