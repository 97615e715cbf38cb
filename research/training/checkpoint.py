"""Checkpoints: Orbax underneath; what is saved, checked and refused is decided here."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as managers

from research.core.errors import UserError
from research.core.experiment import PyTree
from research.core.tree import named_leaves, path_name
from research.training.digest import digest

log = logging.getLogger("landmarks")


class Checkpoints:
    """The checkpoints of one run: asynchronous, atomic, `keep` newest and the best by a metric.

    A checkpoint holds the arrays of a pytree by path name, and a small JSON value.
    """

    def __init__(
        self,
        directory: Path,
        keep: int,
        best_metric: str,
        best_mode: str,
    ):
        policies: list[Any] = [managers.LatestN(keep)]
        if best_metric:
            policies.append(
                managers.BestN(
                    # Orbax takes the largest as best.
                    get_metric_fn=lambda metrics: metrics[best_metric],
                    reverse=best_mode == "min",
                    n=1,
                    keep_checkpoints_without_metrics=False,
                )
            )
        self.best_metric = best_metric
        self.manager = ocp.CheckpointManager(
            directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=managers.AnyPreservationPolicy(policies),
                cleanup_tmp_directories=True,
                enable_async_checkpointing=True,
            ),
            item_names=("arrays", "extra"),
        )

    def save(
        self, step: int, tree: PyTree, extra: dict[str, Any], metrics: dict[str, float]
    ) -> None:
        """Starts to write a checkpoint; returns as soon as `tree` may be donated."""
        arrays = self._arrays(tree)
        extra = extra | {
            "arrays": {n: [list(a.shape), str(a.dtype)] for n, a in arrays.items()},
            "digest": digest(arrays),
        }
        value = metrics.get(self.best_metric, math.nan)
        best = {self.best_metric: value} if math.isfinite(value) else None
        self.manager.save(
            step,
            metrics=best,
            args=ocp.args.Composite(
                arrays=ocp.args.StandardSave(arrays), extra=ocp.args.JsonSave(extra)
            ),
        )

    def restore(
        self, shapes: PyTree, shardings: PyTree
    ) -> tuple[int, PyTree, dict[str, Any]] | None:
        """The newest checkpoint that is whole, or None when there is none.

        A damaged checkpoint is named in the log and removed,
        and the one before it is used.

        Returns:
          Its step, the tree, and the JSON value.

        Raises:
          UserError: the checkpoint is of another configuration, or every checkpoint is damaged.
        """
        steps = sorted(self.manager.all_steps(), reverse=True)
        for step in steps:
            where = f"checkpoint {self.manager.directory / str(step)}"
            try:
                extra = self.manager.restore(
                    step, args=ocp.args.Composite(extra=ocp.args.JsonRestore())
                )["extra"]
                saved, sums = extra.pop("arrays"), extra.pop("digest")
                self._check_same(where, saved, self._arrays(shapes))
                target = jax.tree.map(
                    lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where),
                    self._arrays(shapes),
                    self._arrays(shardings),
                )
                arrays = self.manager.restore(
                    step, args=ocp.args.Composite(arrays=ocp.args.StandardRestore(target))
                )["arrays"]
                read = digest(arrays)
                changed = [name for name in sums if read[name] != sums[name]]
                if changed:
                    raise ValueError(f"{changed[0].replace('.', '/')} is not what was saved")
            except UserError:
                raise
            except Exception as error:  # whatever a damaged file makes Orbax raise
                reason = str(error).strip().splitlines()
                log.warning(
                    "%s is damaged and is not used (%s)",
                    where,
                    reason[0][:200] if reason else type(error).__name__,
                )
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

    def close(self) -> None:
        """Waits until the last checkpoint is written."""
        self.manager.wait_until_finished()
        self.manager.close()

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


def _show(entry: list[Any] | None) -> str:
    return "none" if entry is None else f"{entry[1]}{entry[0]}"
