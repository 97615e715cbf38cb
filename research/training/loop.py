"""The only training loop. Knows nothing of any paper."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from research.training import sharding
from research.training.checkpoint import Checkpoints
from research.training.experiment import Experiment, State
from research.training.feed import Feed
from research.training.program import Carry, Program, eval_key
from research.training.signals import StopSignal
from research.training.writers import Writers

log = logging.getLogger("landmarks")


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite; the message names step, batch and last good checkpoint."""


class Stopped(Exception):
    """The run was told to stop; its state is saved and the same command resumes it."""


def evaluate(experiment: Experiment, state: State, config: ConfigDict) -> dict[str, float]:
    """Numbers of all evaluations of a finished run, as `{"name/metric": number}`.

    The key depends on the seed alone, so the same state gives the same numbers. Free for the state
    that `run` has just returned: it has these numbers already.
    """
    last = experiment.last_evaluation
    if not (last and last[0] is state):
        experiment.last_evaluation[:] = (
            state,
            _evaluate(experiment, state, config.seed, experiment.num_steps),
        )
    return dict(experiment.last_evaluation[1])


def run(experiment: Experiment, config: ConfigDict, workdir: Path | str) -> State:
    """Trains an experiment, or goes on where an earlier run in `workdir` was interrupted.

    Args:
      experiment: what to train.
      config: the keys of `run_config`, and any others.
      workdir: folder of this run's checkpoints and metrics.

    Returns:
      The final state.

    Raises:
      UserError: the mesh, batch, data or an earlier checkpoint does not fit; nothing is compiled.
      NonFiniteLoss: a loss became NaN or infinite.
      Stopped: SIGTERM or SIGINT came; the state is saved.
    """
    return _Run(experiment, config, Path(workdir)).go()


def check(experiment: Experiment, config: ConfigDict) -> Program:
    """Everything that can be refused before compilation: mesh, batch, rules, data."""
    mesh = sharding.make_mesh(config.mesh)
    if experiment.source is not None:
        sharding.check_batch(experiment.source.spec, mesh, config.accumulate_steps)
        experiment.source.open()
    return Program(experiment, mesh, config.steps_per_call)


def _evaluate(experiment: Experiment, state: State, seed: int, step: int) -> dict[str, float]:
    key = eval_key(seed, step)
    numbers = {}
    for i, (name, function) in enumerate(experiment.evals.items()):
        for metric, value in function(state, jax.random.fold_in(key, i)).items():
            numbers[f"{name}/{metric}"] = float(value)
    return numbers


class _Run:
    def __init__(self, experiment: Experiment, config: ConfigDict, workdir: Path):
        self.experiment, self.config, self.workdir = experiment, config, workdir
        self.program = check(experiment, config)
        workdir.mkdir(parents=True, exist_ok=True)
        self.checkpoints = Checkpoints(
            workdir.absolute() / "checkpoints",
            config.keep_checkpoints,
            config.best_metric,
            config.best_mode,
            tuple(experiment.transient),
        )
        source = experiment.source
        self.feed = (
            Feed(source, self.program.batch_sharding, config.steps_per_call) if source else None
        )
        # Sums and counts of the metrics since the last log line.
        self.sums: dict[str, list[float]] = {}
        self.pending: tuple[int, int, Any] | None = None
        self.saved: int | None = None

    def go(self) -> State:
        carry, step = self._start()
        total = self.experiment.num_steps
        self.writers = Writers(
            self.workdir,
            step,
            total,
            self.experiment.per_step,
            f"{self.workdir.parent.name}/{self.workdir.name}",
        )
        try:
            with StopSignal() as stop:
                while step < total:
                    n = self._steps_until_boundary(step)
                    batch = self.feed.take(n, carry.state) if self.feed else None
                    carry, metrics = self.program.advance(carry, batch, n)
                    step += n
                    self._read_ahead(step, carry)
                    self._consume()
                    self.pending = step - n, n, metrics
                    self._boundary(step, carry)
                    if step < total and stop.requested(step):
                        self._save(step, carry, {})
                        raise Stopped(f"stopped at step {step}")
        finally:
            self.checkpoints.close()
            self.writers.close()
        return carry.state

    def _start(self) -> tuple[Carry, int]:
        restored = self.checkpoints.restore(self.program.shapes, self.program.carry_sharding)
        if restored is None:
            return self.program.init(self.config.seed), 0
        step, carry, extra = restored
        if self.experiment.transient:
            fresh = self.program.init(self.config.seed)
            carry = jax.tree.map(
                lambda kept, new: new if kept is None else kept,
                carry,
                fresh,
                is_leaf=lambda leaf: leaf is None,
            )
            log.warning(
                "left out of checkpoints and started anew: %s", ", ".join(self.experiment.transient)
            )
        if self.feed:
            assert self.experiment.source is not None
            self.experiment.source.set_state(extra["source"])
            self.feed.position = extra["source"]
        self.sums = extra["sums"]
        self.saved = step
        log.info("resuming from step %d", step)
        return carry, step

    def _steps_until_boundary(self, step: int) -> int:
        config = self.config
        every = (config.log_every_steps, config.eval_every_steps, config.checkpoint_every_steps)
        ends = [self.experiment.num_steps] + [(step // e + 1) * e for e in every if e]
        return min(*ends, step + config.steps_per_call) - step

    def _read_ahead(self, step: int, carry: Carry) -> None:
        source = self.experiment.source
        if source is not None and source.prefetch and step < self.experiment.num_steps:
            assert self.feed is not None
            self.feed.prepare(self._steps_until_boundary(step), carry.state)

    def _consume(self) -> None:
        """Reads the metrics of the dispatch before the last one: the host is one step ahead."""
        if self.pending is None:
            return
        step, n, metrics = self.pending
        self.pending = None
        values = {name: np.asarray(v)[:n] for name, v in jax.device_get(metrics).items()}
        for name, v in values.items():
            if "loss" in name and not np.isfinite(v).all():
                self._refuse(step + int(np.argmin(np.isfinite(v))), name)
            total, count = self.sums.setdefault(name, [0.0, 0])
            good = v[np.isfinite(v)]
            self.sums[name] = [total + float(good.sum(dtype=np.float64)), count + good.size]
        step += n
        self.writers.advance(step)
        if step % self.config.log_every_steps == 0:
            self.writers.write(
                step, {k: s / c if c else math.nan for k, (s, c) in self.sums.items()}
            )
            self.sums = {}

    def _refuse(self, step: int, name: str) -> None:
        kept = (
            "no checkpoint yet"
            if self.saved is None
            else f"last good checkpoint: step {self.saved}"
        )
        batch = f"; source at {self.feed.position}" if self.feed else ""
        raise NonFiniteLoss(f"{name} is not finite at step {step} (batch {step}{batch}); {kept}")

    def _boundary(self, step: int, carry: Carry) -> None:
        config = self.config
        last = step == self.experiment.num_steps
        evaluates = last or (config.eval_every_steps and step % config.eval_every_steps == 0)
        saves = last or (
            config.checkpoint_every_steps and step % config.checkpoint_every_steps == 0
        )
        if not (evaluates or saves):
            return
        self._consume()
        numbers: dict[str, float] = {}
        if evaluates:
            numbers = _evaluate(self.experiment, carry.state, config.seed, step)
            self.writers.write(step, numbers)
        if last:
            self.experiment.last_evaluation[:] = carry.state, numbers
        if saves:
            self._save(step, carry, numbers)

    def _save(self, step: int, carry: Carry, numbers: dict[str, float]) -> None:
        self._consume()
        extra = {"source": self.feed.position if self.feed else None, "sums": self.sums}
        self.checkpoints.save(step, carry, extra, numbers)
        self.saved = step
