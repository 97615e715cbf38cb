"""The only training loop. Knows nothing of any paper."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from research.core.errors import UserError
from research.core.experiment import Experiment, PyTree, State
from research.training import peer_failure
from research.training.checkpoint import Checkpoints
from research.training.evaluation import evaluate_at
from research.training.feed import Feed
from research.training.meter import Meter, NonFiniteLoss, check_parameters
from research.training.profile import Profile
from research.training.program import Carry, Program
from research.training.sharding import check_batch, make_mesh
from research.training.signals import StopSignal
from research.training.writers import Writers
from research.weights import initial

log = logging.getLogger("landmarks")


class Stopped(Exception):
    """The run was told to stop; its state is saved and the same command resumes it."""


def run(
    experiment: Experiment, config: ConfigDict, workdir: Path | str, before: PyTree | None = None
) -> tuple[State, dict[str, float]]:
    """Trains an experiment, or goes on where an earlier run in `workdir` was interrupted.

    Args:
      experiment: what to train.
      config: the keys of `run_config`, and any others.
      workdir: folder of this run's checkpoints and metrics.
      before: arrays that `Experiment.warm_start` puts into the first state, such as what an earlier
        phase has learned; None to begin as `Experiment.init` says.

    Returns:
      The final state, and the numbers of `Experiment.evaluate` for it.

    Raises:
      UserError: the mesh, batch, data or an earlier checkpoint does not fit; nothing is compiled.
      NonFiniteLoss: a loss became NaN or infinite.
      Stopped: SIGTERM or SIGINT came; the state is saved.
    """
    return _Run(experiment, config, Path(workdir), before).go()


def check(experiment: Experiment, config: ConfigDict, before: PyTree | None = None) -> Program:
    """Everything that can be refused before compilation: mesh, batch, rules, data."""
    mesh = make_mesh(config.mesh)
    if experiment.source is not None:
        check_batch(experiment.source, mesh, experiment.micro_batches)
        if experiment.source.every_step and config.steps_per_call > 1:
            raise UserError("each batch is of the newest state; set --config.steps_per_call=1")
        experiment.source.open()
    program = Program(experiment, mesh, config.steps_per_call, before)
    if experiment.initial is not None:
        initial.check(program.shapes.state, experiment.initial, config.init_from)
    return program


class _Run:
    def __init__(
        self, experiment: Experiment, config: ConfigDict, workdir: Path, before: PyTree | None
    ):
        self.experiment, self.config, self.workdir = experiment, config, workdir
        self.program = check(experiment, config, before)
        workdir.mkdir(parents=True, exist_ok=True)
        self.checkpoints = Checkpoints(
            workdir.absolute() / "checkpoints",
            config.keep_checkpoints,
            config.best_metric,
            config.best_mode,
        )
        self.feed: Feed | None = None
        if experiment.source is not None:
            sharding = self.program.batch_sharding
            self.feed = Feed(experiment.source, sharding, config.steps_per_call)
        self.profile = Profile(workdir / "profile", config.profile_at_step)
        self.meter = Meter()
        self.pending: tuple[int, int, Any] | None = None
        self.saved: int | None = None
        self.numbers: dict[str, float] | None = None  # of the final state

    def go(self) -> tuple[State, dict[str, float]]:
        peer_failure.watch_coordinator()
        carry, step = self._start()
        total = self.experiment.num_steps
        self.writers = Writers(self.workdir, step, total, self.experiment.per_step)
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
                    self.profile.after(step)
                    if step < total and stop.requested(step):
                        self._save(step, carry, {})
                        raise Stopped(f"stopped at step {step}")
            if self.numbers is None:  # the run had ended before it was started again
                self.numbers = evaluate_at(self.experiment, carry.state, self.config.seed, total)
        except Exception as error:
            peer_failure.exit_if_peer_lost(error)
            raise
        finally:
            self.checkpoints.close()
            self.writers.close()
        return carry.state, self.numbers

    def _start(self) -> tuple[Carry, int]:
        restored = self.checkpoints.restore(self.program.shapes, self.program.carry_sharding)
        if restored is None:
            return self._begin(), 0
        step, carry, extra = restored
        if self.feed:
            assert self.experiment.source is not None
            self.experiment.source.set_state(extra["source"])
            self.feed.position = extra["source"]
        self.meter.sums = extra["sums"]
        self.saved = step
        log.info("resuming from step %d", step)
        return carry, step

    def _begin(self) -> Carry:
        """The carry before the first step."""
        carry, given = self.program.init(self.config.seed), self.experiment.initial
        if given is None:
            return carry
        layout = self.program.carry_sharding.state
        state = initial.begin_with(carry.state, layout, given, self.config.init_from)
        return Carry(carry.seed, carry.step, state)

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
        try:
            self.meter.add(step, n, metrics)
        except NonFiniteLoss as error:
            raise self._with_last_good(error) from None
        step += n
        self.writers.advance(step)
        if step % self.config.log_every_steps == 0:
            self.writers.write(step, self.meter.means())

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
            numbers = evaluate_at(self.experiment, carry.state, config.seed, step)
            self.writers.write(step, numbers)
        if last:
            self.numbers = numbers
        if saves:
            self._save(step, carry, numbers)

    def _save(self, step: int, carry: Carry, numbers: dict[str, float]) -> None:
        if step == self.saved:
            return
        self._consume()
        try:
            check_parameters(step, carry.state)
        except NonFiniteLoss as error:
            raise self._with_last_good(error) from None
        extra = {"source": self.feed.position if self.feed else None, "sums": dict(self.meter.sums)}
        self.checkpoints.save(step, carry, extra, numbers)
        self.saved = step

    def _with_last_good(self, error: NonFiniteLoss) -> NonFiniteLoss:
        kept = "none yet" if self.saved is None else f"step {self.saved}"
        return NonFiniteLoss(f"{error}; last good checkpoint: {kept}")
