"""What a paper is to the loop: an object of pure functions, and a source of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jax
from jax.sharding import PartitionSpec

PyTree = Any
State = Any
Batch = Any
Metrics = Mapping[str, Any]
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


class Asset(Protocol):
    """What is learned from data beside the state, such as a vocabulary or a mean image."""

    def to_files(self) -> Mapping[str, bytes]:
        """What a run keeps of it: files by name."""
        ...

    def from_files(self, files: Mapping[str, bytes]) -> None:
        """Takes what a run has kept in place of what the data would say."""
        ...


class Experiment:
    """One phase of a paper: everything that trains is one of these.

    A script's class makes its parts (learner, images, schedule, environment) once, in
    `__init__(config)`, as attributes. Its methods are the paper's equations; those that are pure
    (`init`, `warm_start`, `step`) may read the attributes but never write them.

    Attributes:
      num_steps: length of the whole run.
      source: batches made on the host; None where the data is made inside `step`.
      rules: `(regex, PartitionSpec)` pairs; the first whose regex is found in an array's path says
        how it is split over the mesh. What no rule names is replicated.
      soft_rules: as `rules`, but an axis that the mesh does not divide is replicated, as
        environments are, however few or many.
      per_step: units that one step consumes, e.g. `{"frames": 256}`, for rates and curve axes.
      micro_batches: parts that a step splits its batch into; a batch must divide by them as well.
      reads_log: whether numbers are read off the lines of the log, so that another interval between
        them would be another result.
      assets: what a finished model needs beside the state; a run keeps it, so that the model can be
        used without the data.
      initial: weights by path in the state, from elsewhere, with which a run begins in place of
        those that `init` draws; None for no such.
    """

    num_steps: int
    source: Source | None = None
    rules: Rules = ()
    soft_rules: Rules = ()
    per_step: Mapping[str, int] = {}
    micro_batches: int = 1
    reads_log: bool = False
    assets: Sequence[Asset] = ()
    initial: Mapping[str, Any] | None = None

    def init(self, key: jax.Array) -> State:
        """The first state: any pytree of arrays (no functions, no keys).

        The names of its dictionaries and dataclass fields give every array a path "a/b/c".
        """
        raise NotImplementedError

    def warm_start(self, state: State, before: PyTree) -> State:
        """The first state of a phase that goes on from what an earlier one left.

        Args:
          state: from `init`.
          before: what `training.run` was given, such as the parameters of an earlier phase. They
            are arguments of the compiled program, never its constants.
        """
        raise NotImplementedError

    def from_released(self, arrays: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Weights that others have released, by path in the state.

        Args:
          arrays: by the names that they have there.

        Returns:
          What begins the state; None where the names are not known: the arrays are then of a run
          of this project, by path already.

        Raises:
          UserError: they are of another architecture, or not all of it.
        """
        return None

    def phase(self, index: int) -> Experiment:
        """The experiment of phase `index`, where a paper trains in several (`run_phases`): what its
        last state is of. Of those that train in one go there is none."""
        raise NotImplementedError

    def step(
        self, state: State, batch: Batch, t: jax.Array, key: jax.Array
    ) -> tuple[State, Metrics]:
        """One step of the paper's algorithm; pure and jittable.

        Args:
          state: from `init` or the step before.
          batch: from `source`, None without one.
          t: the step's number, int32, from 0.
          key: of this step, a function of the seed and `t` alone.

        Returns:
          The new state, of the same shapes, and scalars to report. One whose name contains "loss"
          stops the run when it is not finite; any other may be NaN for «nothing to report».
        """
        raise NotImplementedError

    def evaluate(self, state: State, key: jax.Array) -> Mapping[str, Any]:
        """Numbers such as `{"test/error": 7.1}`; on the host, free to jit what it likes.

        The key depends on the seed and the step alone. In a run of several processes all of them
        call it at the same step; `training.map_batches` shares the work between them.
        """
        return {}
