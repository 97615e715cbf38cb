"""What a paper is to the loop: a small set of functions, and a source of batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.sharding import PartitionSpec

PyTree = Any
State = Any
Batch = Any
Metrics = Mapping[str, jax.Array]
Rules = Sequence[tuple[str, PartitionSpec]]


class Source:
    """Batches made on the host.

    Attributes:
      spec: pytree of `jax.ShapeDtypeStruct`, one GLOBAL batch (leading axis = global batch). Known
        without opening any data, so that a dry run needs none. Where batches come in several
        shapes, the largest.
      row_counts: rows of all global batches that may come, where not all have those of `spec`.
      sized_by: what decides on the rows, for the message that they do not divide.
      prefetch: how many batches the loop may ask for before they are used; 0 for a source that
        reads `state`, such as an actor.
      every_step: whether a batch is of the very state that it is used with, so that no two can
        share a dispatch.
      origin: which data the batches come from, known once it is open; noted in the result.
    """

    spec: PyTree
    row_counts: Sequence[int] = ()
    sized_by: str = "the batch size"
    prefetch: int = 1
    every_step: bool = False
    origin: str = ""

    def open(self) -> None:
        """Opens and verifies the data, before anything is compiled or written.

        Raises:
          UserError: the data is missing or damaged.
        """

    def __call__(self, state: State) -> Batch:
        """This process's rows of the next global batch, as NumPy arrays."""
        raise NotImplementedError

    def get_state(self) -> dict[str, Any]:
        """Position in the stream as a small JSON value; `set_state` of it resumes exactly."""
        raise NotImplementedError

    def set_state(self, state: dict[str, Any]) -> None:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One phase of a paper: everything that trains is a value of this type.

    Attributes:
      init: `key -> state`, any pytree of arrays (no functions, no keys). The names of its
        dictionaries and dataclass fields give every array a path "a/b/c".
      step: `(state, batch, key) -> (state, metrics)`, pure and jittable: one step of the paper's
        algorithm. `batch` is None without a source. Metrics are scalars; one whose name contains
        "loss" stops the run when it is not finite, any other may be NaN for «nothing to report».
      num_steps: length of the whole run.
      source: batches made on the host; None when the data is made inside `step`.
      evals: `{name: (state, key) -> {metric: number}}` on the host, free to jit what they like. In
        a run of several processes each of them computes the same.
      rules: `(regex, PartitionSpec)` pairs; the first whose regex is found in an array's path says
        how it is split over the mesh. What no rule names is replicated.
      per_step: units consumed by one step, e.g. `{"frames": 256}`, for rates and curve axes.
      transient: regexes of paths left out of checkpoints (a large replay buffer); a resumed run
        starts them anew, so it is not bit-identical, and says so in its log.
      splits: as `rules`, of what is split where the mesh divides it and replicated elsewhere, as
        environments are, however few or many.
    """

    init: Callable[[jax.Array], State]
    step: Callable[[State, Batch, jax.Array], tuple[State, Metrics]]
    num_steps: int
    source: Source | None = None
    evals: Mapping[str, Callable[[State, jax.Array], Mapping[str, Any]]] = dataclasses.field(
        default_factory=dict
    )
    rules: Rules = ()
    per_step: Mapping[str, int] = dataclasses.field(default_factory=dict)
    transient: Sequence[str] = ()
    splits: Rules = ()
    # (state, numbers) of the last evaluation, so that a final state is not evaluated twice.
    last_evaluation: list[Any] = dataclasses.field(default_factory=list, repr=False, compare=False)
