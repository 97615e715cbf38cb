"""The only training loop. Knows nothing of any paper."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from research.core.errors import UserError
from research.core.experiment import Experiment, PyTree, State
from research.training import peer_failure, sinks, stopping
from research.training.checkpoint import Checkpoints
from research.training.evaluation import evaluate_at
from research.training.exchange import exchange
from research.training.feed import Feed
from research.training.meter import Meter, NonFiniteLoss, check_parameters
from research.training.profile import Profile
from research.training.program import Carry, Program
from research.training.sharding import check_batch, make_mesh
from research.training.stopping import Stopped
from research.training.writers import METRICS, Writers, read_metrics
from research.weights import initial

log = logging.getLogger("landmarks")


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
      DiskError: a checkpoint cannot be read, though it may be whole.
      Stopped: SIGTERM or SIGINT came; the state is saved.
    """
    with stopping.listening():
        return _Run(experiment, config, Path(workdir), before).go()


def check(experiment: Experiment, config: ConfigDict, before: PyTree | None = None) -> Program:
    """Everything that can be refused before compilation: mesh, batch, rules, data, writers."""
    mesh = make_mesh(config.mesh)
    sinks.check(config.writers)
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
        self.recorded: int | None = None  # the step of the newest evaluation in the metrics
        self.numbers: dict[str, float] | None = None  # of the final state
        self.evaluated = False  # whether the state that was restored has its line in the metrics
        self.closing = contextlib.ExitStack()
        self.closing.callback(self.checkpoints.close)
        self.closing.callback(self.profile.close)

    def go(self) -> tuple[State, dict[str, float]]:
        try:
            carry, step = self._start()
            with stopping.stepping():
                carry = self._train(carry, step)
        except Exception as error:
            peer_failure.exit_if_peer_lost(error)
            raise
        finally:
            with stopping.writing():
                self.closing.close()
        assert self.numbers is not None
        return carry.state, self.numbers

    def _train(self, carry: Carry, step: int) -> Carry:
        """Makes the steps that are left after `step`; returns the final state."""
        total = self.experiment.num_steps
        first = True
        while step < total:
            n = self._steps_until_boundary(step)
            batch = self.feed.take(n, carry.state) if self.feed else None
            # The first call compiles, for minutes maybe; there is nothing new to save then.
            with stopping.anywhere() if first else contextlib.nullcontext():
                carry, metrics = self.program.advance(carry, batch, n)
            first = False
            step += n
            self._read_ahead(step, carry)
            self._consume()
            self.pending = step - n, n, metrics
            self._boundary(step, carry)
            self.profile.after(step)
            if step < total and stopping.requested():
                self._save(step, carry)
                raise Stopped(f"stopped at step {step}")
        if self.numbers is None:  # the run had ended before it was started again
            self.numbers = self._evaluate(total, carry)
            if step == total and not self.evaluated:
                self._record(total, self.numbers)
        return carry

    def _start(self) -> tuple[Carry, int]:
        restored = self.checkpoints.restore(self.program.shapes, self.program.carry_sharding)
        step, carry, extra = restored or (0, None, {"seconds": 0.0})
        self.writers = Writers(
            self.workdir,
            step,
            self.experiment.num_steps,
            self.experiment.per_step,
            extra["seconds"],
            names=self.config.writers,
            axis=self.config.tensorboard_axis,
            config=self.config.to_dict(),
        )
        self.closing.callback(self.writers.close)
        if carry is None:
            return self._begin(), 0
        if self.feed:
            assert self.experiment.source is not None
            self.experiment.source.set_state(extra["source"])
            self.feed.position = extra["source"]
        self.meter.sums = extra["sums"]
        self.saved = step
        log.info("resuming from step %d", step)
        evaluated = self._recall(step, extra["lines"]) or extra["evaluated"]
        if self._evaluates(step) and step < self.experiment.num_steps and not evaluated:
            self._record(step, self._evaluate(step, carry))
        self.evaluated = evaluated
        return carry, step

    def _recall(self, step: int, lines: int) -> bool:
        """Reads what `metrics.jsonl` says of the time before `step`.

        Args:
          lines: how many there were when the checkpoint was written.

        Returns:
          Whether lines were added after the checkpoint was: those of its evaluation.
        """
        best, found = self.config.best_metric, {}
        if self.writers.active and best:
            found = {r["step"]: r[best] for r in read_metrics(self.workdir) if best in r}
        # Process 0 has the file open; all are to come to the same decision.
        word = json.dumps([self.writers.lines, list(found.items())])
        there, items = json.loads(exchange("metrics", word)[0])
        for at, value in items:
            self.checkpoints.note(at, {best: value})
        if there < lines:
            log.warning(
                "%s lacks %d of its lines up to step %d; curves have a gap there",
                self.workdir / METRICS,
                lines - there,
                step,
            )
        return there > lines

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

    def _evaluates(self, step: int) -> bool:
        every = self.config.eval_every_steps
        return step == self.experiment.num_steps or bool(every and step % every == 0)

    def _boundary(self, step: int, carry: Carry) -> None:
        """Saves, then evaluates: what goes wrong in an evaluation costs no step."""
        every = self.config.checkpoint_every_steps
        if step == self.experiment.num_steps or (every and step % every == 0):
            self._save(step, carry)
        if self._evaluates(step):
            self._consume()
            numbers = self._evaluate(step, carry)
            self._record(step, numbers)
            if step == self.experiment.num_steps:
                self.numbers = numbers

    def _evaluate(self, step: int, carry: Carry) -> dict[str, float]:
        if stopping.requested():
            self._save(step, carry)
            raise Stopped(f"stopped at step {step}, before its evaluation")
        with stopping.writing():
            self.checkpoints.wait()
        try:
            with stopping.anywhere():
                return evaluate_at(self.experiment, carry.state, self.config.seed, step)
        except BaseException:
            # Where several processes evaluate, one that fails cannot save without the others.
            if jax.process_count() == 1:
                self._save(step, carry)
            raise

    def _record(self, step: int, numbers: dict[str, float]) -> None:
        self.writers.write(step, numbers)
        self.checkpoints.note(step, numbers)
        self.recorded = step

    def _save(self, step: int, carry: Carry) -> None:
        if self.saved is not None and step <= self.saved:
            return
        self._consume()
        try:
            check_parameters(step, carry.state)
        except NonFiniteLoss as error:
            raise self._with_last_good(error) from None
        extra = {
            "source": self.feed.position if self.feed else None,
            "sums": dict(self.meter.sums),
            "lines": self.writers.lines,
            # A stop after the evaluation is saved after it.
            "evaluated": self.recorded == step,
            "seconds": self.writers.seconds(),
        }
        with stopping.writing():
            self.writers.keep()
            self.checkpoints.save(step, carry, extra)
        self.saved = step

    def _with_last_good(self, error: NonFiniteLoss) -> NonFiniteLoss:
        kept = "none yet" if self.saved is None else f"step {self.saved}"
        return NonFiniteLoss(f"{error}; last good checkpoint: {kept}")
