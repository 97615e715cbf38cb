"""Checkpoints: Orbax underneath; what is saved, checked and refused is decided here."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as managers

from research.core.errors import UserError
from research.core.experiment import PyTree
from research.core.files import DiskError, disk_failure
from research.core.tree import named_leaves, path_name
from research.training.digest import digest
from research.training.exchange import exchange

log = logging.getLogger("landmarks")


class Checkpoints:
    """The checkpoints of one run: asynchronous, atomic, `keep` newest and the best by a metric.

    A checkpoint holds the arrays of a pytree by path name, and a small JSON value; both are under
    checksums.
    """

    def __init__(
        self,
        directory: Path,
        keep: int,
        best_metric: str,
        best_mode: str,
    ):
        self._kept = _Kept(keep, best_metric, best_mode)
        self.manager = _Manager(
            directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=self._kept,
                cleanup_tmp_directories=True,
                enable_async_checkpointing=True,
            ),
            item_names=("arrays", "extra"),
        )

    def save(self, step: int, tree: PyTree, extra: dict[str, Any]) -> None:
        """Starts to write a checkpoint; returns as soon as `tree` may be donated."""
        arrays = self._arrays(tree)
        text = json.dumps(
            {
                "step": step,
                "extra": extra,
                "arrays": {n: [list(a.shape), str(a.dtype)] for n, a in arrays.items()},
                "digest": digest(arrays),
            }
        )
        items = ocp.args.Composite(
            arrays=ocp.args.StandardSave(arrays),
            extra=ocp.args.JsonSave({"note": text, "sha256": _sha256(text)}),
        )
        with self._written():
            self.manager.save(step, args=items)

    def note(self, step: int, numbers: Mapping[str, float]) -> None:
        """Tells what a state was evaluated to be, before or after it was saved."""
        value = numbers.get(self._kept.best_metric, math.nan)
        if value is not None and math.isfinite(value):
            self._kept.found[step] = value

    def wait(self) -> None:
        """Waits until the last checkpoint is written."""
        with self._written():
            self.manager.wait_until_finished()

    def restore(
        self, shapes: PyTree, shardings: PyTree
    ) -> tuple[int, PyTree, dict[str, Any]] | None:
        """The newest checkpoint that is whole on all processes, or None when there is none.

        A damaged checkpoint is named in the log and removed, and the one before it is used.

        Returns:
          Its step, the tree, and the JSON value.

        Raises:
          UserError: the checkpoint is of another configuration, or every checkpoint is damaged.
          DiskError: a file cannot be read on one of the processes, which is no damage.
        """
        here = sorted(self.manager.all_steps(), reverse=True)
        steps: list[int] = json.loads(exchange("checkpoints", json.dumps(here))[0])
        for step in steps:
            try:
                arrays, extra = self._read(step, shapes, shardings)
            except _DamagedError as error:
                log.warning("%s is damaged and is not used (%s)", self._where(step), error)
                continue
            for newer in steps[: steps.index(step)]:
                self.manager.delete(newer)
            return step, self._fill(shapes, arrays), extra
        if steps:
            raise UserError(
                f"every checkpoint in {self.manager.directory} is damaged; "
                "remove that folder or choose another --workdir"
            )
        return None

    def _read(
        self, step: int, shapes: PyTree, shardings: PyTree
    ) -> tuple[dict[str, jax.Array], dict[str, Any]]:
        """Arrays and JSON value of a checkpoint.

        Read by handlers rather than through the manager, which waits for the other processes: one
        that found something wrong would leave them waiting.
        """
        folder = self.manager.directory / str(step)
        target = jax.tree.map(
            lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where),
            self._arrays(shapes),
            self._arrays(shardings),
        )

        def read_note() -> dict[str, Any]:
            saved = ocp.JsonCheckpointHandler().restore(folder / "extra")
            if {"arrays", "digest"} <= saved.keys():
                raise UserError(
                    f"{self._where(step)} was written by an earlier version of this library, whose "
                    "checkpoints are not read; choose another --workdir"
                )
            if saved["sha256"] != _sha256(saved["note"]):
                raise ValueError("its note is not what was saved")
            note = json.loads(saved["note"])
            if note["step"] != step:
                raise ValueError(f"it was saved as that of step {note['step']}")
            self._check_same(self._where(step), note["arrays"], target)
            return note

        def read_arrays() -> dict[str, jax.Array]:
            handler = ocp.StandardCheckpointHandler()
            return handler.restore(folder / "arrays", args=ocp.args.StandardRestore(target))

        def check_digest() -> None:
            changed = [name for name in note["digest"] if read[name] != note["digest"][name]]
            if changed:
                raise ValueError(f"{changed[0].replace('.', '/')} is not what was saved")

        note = self._together(step, read_note)
        arrays = self._together(step, read_arrays)
        read = digest(arrays)
        self._together(step, check_digest)
        return arrays, note["extra"]

    def _together(self, step: int, read: Callable[[], Any]) -> Any:
        """Reads something on every process; raises the same on all when one of them cannot."""
        value, failed = None, None
        try:
            value = read()
        except Exception as error:
            failed = error
        words = [json.loads(w) for w in exchange("restore", json.dumps(_verdict(failed)))]
        kind, text = max(words, key=lambda word: word[0])
        if kind == _REFUSED:
            raise UserError(text) from failed
        if kind == _UNREADABLE:
            raise DiskError(f"{self._where(step)} cannot be read: {text}") from failed
        if kind == _DAMAGED:
            raise _DamagedError(text) from failed
        return value

    def _where(self, step: int) -> str:
        return f"checkpoint {self.manager.directory / str(step)}"

    def close(self) -> None:
        """Waits until the last checkpoint is written, and ends."""
        with self._written():
            self.manager.close()

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Calls what may go wrong in writing, on the disk's part, by its name."""
        try:
            yield
        except Exception as error:  # whatever Orbax makes of it
            reason = disk_failure(error) or _first_line(error)
            where = self.manager.directory
            raise DiskError(f"a checkpoint in {where} cannot be written: {reason}") from error

    def _arrays(self, tree: PyTree) -> dict[str, Any]:
        return {name.replace("/", "."): leaf for name, leaf in named_leaves(tree).items()}

    def _fill(self, tree: PyTree, arrays: dict[str, Any]) -> PyTree:
        def leaf(path: tuple[Any, ...], _: Any) -> Any:
            return arrays[path_name(path).replace("/", ".")]

        return jax.tree_util.tree_map_with_path(leaf, tree)

    def _check_same(self, where: str, saved: dict[str, Any], ours: dict[str, Any]) -> None:
        mine = {name: [list(s.shape), str(s.dtype)] for name, s in ours.items()}
        if mine == saved:
            return
        differing = [n for n in sorted(mine.keys() | saved.keys()) if mine.get(n) != saved.get(n)]
        shown = "; ".join(
            f"{name.replace('.', '/')}: saved {_show(saved.get(name))}, "
            f"this run {_show(mine.get(name))}"
            for name in differing[:3]
        )
        raise UserError(
            f"{where} is of another configuration ({len(differing)} arrays differ: {shown}); "
            "choose another --workdir"
        )


class _DamagedError(Exception):
    """A checkpoint is not what was saved."""


# What a process found when it read a checkpoint; the largest of all processes counts.
_WHOLE, _DAMAGED, _UNREADABLE, _REFUSED = range(4)


def _verdict(error: Exception | None) -> tuple[int, str]:
    """What an error in reading says of the checkpoint, and in what words."""
    if error is None:
        return _WHOLE, ""
    if isinstance(error, UserError):
        return _REFUSED, str(error)
    if reason := disk_failure(error):
        return _UNREADABLE, reason
    reason = _first_line(error)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return _UNREADABLE, f"out of memory ({reason})"
    return _DAMAGED, reason  # whatever a damaged file makes Orbax raise


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


class _Kept:
    """Says to Orbax which checkpoints stay: the newest, and the best of those evaluated.

    Attributes:
      found: step -> value of `best_metric`, known only after the checkpoint was saved.
    """

    def __init__(self, keep: int, best_metric: str, best_mode: str):
        self.keep, self.best_metric = keep, best_metric
        self.choose = min if best_mode == "min" else max
        self.found: dict[int, float] = {}

    def should_preserve(
        self, checkpoints: Sequence[Any], *, context: managers.PreservationContext
    ) -> Sequence[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = set(steps[-self.keep :] if self.keep else ())
        evaluated = [step for step in steps if step in self.found]
        if evaluated:  # of equals, the newest
            kept.add(self.choose(reversed(evaluated), key=self.found.__getitem__))
        return [step in kept for step in steps]


class _Manager(ocp.CheckpointManager):
    def reached_preemption(self, step: int) -> bool:
        # Orbax would ask JAX's service, whose answer is counted by calls: it is the loop's to ask.
        return False


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _show(entry: list[Any] | None) -> str:
    return "none" if entry is None else f"{entry[1]}{entry[0]}"
