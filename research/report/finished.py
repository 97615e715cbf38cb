"""Finished runs: what a run's folder notes, and everything in it brought back to life."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from research import config as configs
from research.core import Experiment, UserError
from research.core.experiment import State
from research.report.demo import Demo
from research.training import restore, run_folder
from research.training.evaluation import evaluate_at
from research.training.sharding import make_mesh


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """One arm and seed of a finished run.

    Attributes:
      folder: of the whole run.
      script: its module.
      config: of this arm and seed, on the mesh of this machine.
      experiment: built from it, with what the run has learned from its data (`assets`).
      state: the checkpoint's.
      arm, seed, step: which one it is.
      numbers: final numbers, as the run's `result.json` has them.
    """

    folder: Path
    script: ModuleType
    config: Any
    experiment: Experiment
    state: State
    arm: str
    seed: int
    step: int
    numbers: Mapping[str, float]

    def evaluate(self) -> dict[str, float]:
        """Numbers of the state by the experiment's own evaluation, which reads its data."""
        return evaluate_at(self.experiment, self.state, self.seed, self.step)

    def demo(self) -> Demo:
        """What the model does for a person.

        Raises:
          UserError: the script has no `demo`.
        """
        if not hasattr(self.script, "demo"):
            raise UserError(f"{self.script.__file__} has no demo(experiment, state)")
        return self.script.demo(self.experiment, self.state)


def load_run(
    folder: str | Path,
    *,
    arm: str | None = None,
    seed: int | None = None,
    best: bool = False,
    optimizer: bool = True,
    overrides: Mapping[str, Any] | None = None,
) -> FinishedRun:
    """Brings a finished run back: its configuration, experiment and trained state.

    Nothing is read but the run's folder and the script that it names; data is read when
    `evaluate` asks for it.

    Args:
      folder: of the run, such as "runs/dqn_atari", or of one arm and seed in it, "runs/her/her/0".
      arm: one of the compared settings; by default the paper's own (`Paper.method`) or the first.
      seed: which repeat; by default the first.
      best: takes the best checkpoint by `config.best_metric` in place of the last.
      optimizer: whether the optimizers' states are read; without them `opt_state` is None, and a
        third of the memory does for Adam.
      overrides: dotted configuration keys -> other values, such as another data set to evaluate on.

    Raises:
      UserError: the folder holds no finished run, or a damaged one; no such arm or seed.
    """
    ended = run_folder.find(Path(folder), arm, seed)
    script = _script(ended.noted)
    config = configs.from_plain(ended.noted["config"])
    settings = {**configs.arms_of(config).get(ended.arm, {}), "seed": ended.seed, "init_from": ""}
    # Whatever mesh it was trained on, it is used on what there is.
    settings |= {"mesh.data": -1, "mesh.fsdp": 1, "mesh.model": 1, **(overrides or {})}
    setting = configs.with_overrides(config, settings)
    checkpoint = restore.chosen_checkpoint(ended.folder, config, best=best)
    experiment = configs.build(script, setting)
    if phase := restore.phase_of(checkpoint):
        experiment = experiment.phase(phase)
    run_folder.give_assets(experiment, ended.folder)
    mesh = make_mesh(setting.mesh)
    return FinishedRun(
        folder=ended.root,
        script=script,
        config=setting,
        experiment=experiment,
        state=restore.read_state(checkpoint, experiment, mesh, optimizer=optimizer),
        arm=ended.arm,
        seed=ended.seed,
        step=int(checkpoint.name),
        numbers=ended.numbers,
    )


def _script(noted: Mapping[str, Any]) -> ModuleType:
    """The script that a run names, or where that has moved, the one of that name in this place."""
    script = Path(noted["script"])
    for path in (script, configs.ROOT / "experiments" / script.name):
        if path.is_file():
            return configs.load_module(path)
    raise UserError(f"the run is of {script}, which is not there any more")
