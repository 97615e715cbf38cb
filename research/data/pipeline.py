"""Batches from random-access data, through Grain.

The order is a function of the seed alone. Elements are shuffled anew for every epoch, epochs follow
each other without a gap, and global batch t is elements `[t * batch_size, (t + 1) * batch_size)` of
that endless sequence. A process takes its slice of each global batch, so the number of processes
changes neither the batches nor the order of their rows, and the position is one number.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np

from research.core.errors import UserError
from research.core.experiment import Batch, PyTree, Source, State
from research.data.dataset import Rows

Rounding = Literal["down", "nearest", "up"]
Transform = Callable[[Any, np.random.Generator], Any]

# Decoding releases the interpreter lock, augmentation in NumPy mostly does not, so more threads
# would only compete. Batches held ahead bound the memory.
READ_THREADS = 4
BATCHES_AHEAD = 8


def stream(
    open_dataset: Callable[[], Sequence[Any]],
    spec: PyTree,
    batch_size: int,
    seed: int,
    transform: Transform | None = None,
    shuffle: bool = True,
) -> Stream:
    """An endless source of batches for `Experiment.source`.

    Args:
      open_dataset: opens the data, e.g. `lambda: data.load("mnist", "train", config.data.dir)`;
        called by `Source.open`, not before.
      spec: pytree of `jax.ShapeDtypeStruct`, ONE ELEMENT as `transform` leaves it, without the
        batch axis. Where it is a dictionary, other features of an element are dropped.
      batch_size: rows of a global batch.
      seed: decides the order of the elements and the random numbers of `transform`.
      transform: `(element, np.random.Generator) -> element`; must not change its argument in place.
        The generator depends on the seed and on the position in the stream, so every epoch
        augments anew and a resumed run repeats exactly.
      shuffle: a new order every epoch; False keeps the order of the data.
    """
    return Stream(
        spec=jax.tree.map(lambda s: jax.ShapeDtypeStruct((batch_size, *s.shape), s.dtype), spec),
        open_dataset=open_dataset,
        batch_size=batch_size,
        seed=seed,
        transform=transform,
        shuffle=shuffle,
    )


def arrays(
    values: Mapping[str, np.ndarray],
    batch_size: int,
    seed: int,
    transform: Transform | None = None,
    spec: PyTree | None = None,
    shuffle: bool = True,
) -> Stream:
    """`stream` over arrays in memory, each `[N, ...]`; `spec` only where `transform` changes it."""
    if spec is None:
        spec = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in values.items()}
    return stream(lambda: Rows(values), spec, batch_size, seed, transform, shuffle)


def steps_of(epochs: float, num_examples: int, batch_size: int, rounding: Rounding) -> int:
    """Steps in so many epochs.

    A stream has no gap between epochs, so their ends fall inside a batch where the batch does not
    divide the data.

    Args:
      epochs: number of passes over the data; need not be whole.
      num_examples: examples in one pass.
      batch_size: rows of a global batch.
      rounding: of the last step: "down" drops a batch that is not full, as loaders mostly do; "up"
        sees at least so many examples; "nearest" is as close as can be.
    """
    exact = epochs * num_examples / batch_size
    if rounding == "nearest":
        return round(exact)
    return math.floor(exact) if rounding == "down" else math.ceil(exact)


@dataclasses.dataclass(eq=False)
class Stream(Source):
    """See `stream`. `process` is (index, count); None asks JAX when the stream is opened."""

    spec: PyTree
    open_dataset: Callable[[], Sequence[Any]]
    batch_size: int
    seed: int
    transform: Transform | None = None
    shuffle: bool = True
    process: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self._next_batch = 0
        self._dataset: Sequence[Any] | None = None
        self._iterator: Any = None

    @property
    def dataset(self) -> Sequence[Any]:
        """The data behind the stream; opened on first use."""
        self.open()
        assert self._dataset is not None
        return self._dataset

    def open(self) -> None:
        """Opens the data and compares one element with the spec.

        Raises:
          UserError: the data is missing, damaged, empty or not what the spec says, or the batch
            does not divide over the processes.
        """
        if self._dataset is not None:
            return
        _, processes = self._process()
        if self.batch_size % processes:
            raise UserError(
                f"a global batch of {self.batch_size} rows does not divide over {processes} "
                f"processes; choose a multiple of {processes}"
            )
        dataset = self.open_dataset()
        if not len(dataset):
            raise UserError(f"{dataset!r} is empty; choose another split")
        element = dataset[0]
        if self.transform is not None:
            element = self.transform(element, np.random.default_rng(self.seed))
        self._check(self._select(element), dataset)
        self._dataset = dataset
        self.origin = getattr(dataset, "origin", "")  # a list in a test has none

    def __call__(self, state: State) -> Batch:
        if self._iterator is None:
            self._iterator = self._iterate()
        batch = next(self._iterator)
        self._next_batch += 1
        return batch

    def get_state(self) -> dict[str, int]:
        return {"next_batch": self._next_batch}

    def set_state(self, state: dict[str, int]) -> None:
        self._next_batch = state["next_batch"]
        if self._iterator is not None:
            self._iterator.close()  # ends the threads that read ahead
            self._iterator = None

    def _iterate(self) -> Any:
        import grain

        index, processes = self._process()
        elements = grain.MapDataset.source(self.dataset).seed(self.seed)
        if self.shuffle:
            elements = elements.shuffle()
        elements = elements.repeat()
        if self.transform is not None:
            elements = elements.random_map(self.transform)
        batches = elements.batch(
            self.batch_size // processes,
            drop_remainder=True,  # of an endless sequence; else their number overflows
            batch_fn=self._stack,
        )
        iterator = iter(
            batches[index::processes].to_iter_dataset(
                grain.ReadOptions(num_threads=READ_THREADS, prefetch_buffer_size=BATCHES_AHEAD)
            )
        )
        # Grain counts the batches that were handed out, not those read ahead.
        iterator.set_state({"next_index": self._next_batch})
        return iterator

    def _process(self) -> tuple[int, int]:
        return self.process or (jax.process_index(), jax.process_count())

    def _select(self, element: Any) -> Any:
        if isinstance(self.spec, dict) and isinstance(element, dict):
            return {name: element[name] for name in self.spec if name in element}
        return element

    def _stack(self, elements: Sequence[Any]) -> Batch:
        def stack(spec: jax.ShapeDtypeStruct, *rows: Any) -> np.ndarray:
            return np.stack(rows).astype(spec.dtype, copy=False)

        return jax.tree.map(stack, self.spec, *map(self._select, elements))

    def _check(self, element: Any, dataset: Sequence[Any]) -> None:
        def describe(value: Any, shape: tuple[int, ...]) -> str:
            # Only the width of a number may differ: labels are int64 in one set, uint8 in another.
            kind = "int" if value.dtype.kind in "iu" and not shape else value.dtype.name
            return f"{kind}{list(shape)}"

        wanted = jax.tree.map(lambda s: describe(s, s.shape[1:]), self.spec)
        arrays = jax.tree.map(np.asarray, element)
        found = jax.tree.map(lambda a: describe(a, a.shape), arrays)
        if found != wanted:
            raise UserError(
                f"{dataset!r} has elements {found}, but the experiment was built for {wanted}; "
                "choose the variant or the sizes that go with this data"
            )


class MergedStreams(Source):
    """Streams side by side: a batch of each in one dictionary, such as training and held-out rows.

    Args:
      streams: by what is put before the names of their features; "" changes none. The first one's
        origin is reported.
    """

    def __init__(self, streams: Mapping[str, Stream]):
        self.streams = streams
        self.spec = self._named({name: stream.spec for name, stream in streams.items()})

    def _named(self, batches: Mapping[str, Batch]) -> Batch:
        return {f"{name}{k}": v for name, batch in batches.items() for k, v in batch.items()}

    def open(self) -> None:
        for stream in self.streams.values():
            stream.open()
        self.origin = next(iter(self.streams.values())).origin

    def __call__(self, state: State) -> Batch:
        return self._named({name: stream(state) for name, stream in self.streams.items()})

    def get_state(self) -> dict[str, Any]:
        return {name: stream.get_state() for name, stream in self.streams.items()}

    def set_state(self, state: dict[str, Any]) -> None:
        for name, stream in self.streams.items():
            stream.set_state(state[name])
