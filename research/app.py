"""The entry point of every script: flags, workdir, arms and seeds, claims, exit code.

Exit codes: 0 every checked claim holds (or the run was told to stop and can be resumed), 1 a
checked claim does not hold, 2 bad input, 3 the loss became NaN or infinite, 4 another process is
gone, 5 the disk is full or a file cannot be read or written, 6 out of memory, 70 a fault of the
program (with a traceback), 130 Ctrl-C twice. After 0 (stopped), 4, 5 and 130 the same command goes
on from what is saved.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
import shlex
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
from ml_collections import ConfigDict

from research import config as configs
from research import startup, training
from research.core import Experiment, UserError
from research.core.errors import check_choice, quoted
from research.core.files import disk_failure
from research.core.pipes import reader_left
from research.pods import simulated
from research.report import finished
from research.report.claims import Claim, MissingResult
from research.report.demo import Film
from research.report.demo_values import as_file
from research.report.provenance import Provenance
from research.report.results import RunFolder, by_metric, print_claims, seconds_trained
from research.training import (
    hosts,
    init_from,
    longer,
    loop,
    peer_failure,
    progress,
    run_folder,
    seeds,
    sinks,
    stopping,
)
from research.training.exchange import agree, exchange, process_count
from research.training.meter import NonFiniteLoss

build = configs.build
log = logging.getLogger("landmarks")

_DISK, _MEMORY, _FAULT = 5, 6, 70
_OUT_OF_MEMORY = re.compile(r"RESOURCE_EXHAUSTED|[Oo]ut of memory|bad_alloc")


def run() -> None:
    """Runs the script this is called from, and exits."""
    startup.use_huge_pages()
    startup.hush_threads()
    script = startup.calling_module(sys._getframe(1).f_globals)
    try:
        code = main(script, sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = reader_left()
    except Exception:
        if startup.observed():  # by a debugger, which is to see it
            raise
        traceback.print_exc()
        print("this is a fault of the program; what was saved is whole", file=sys.stderr)
        code = _FAULT
    _leave(code)


def _leave(code: int) -> None:
    """Ends this process, at once where it would wait for what never comes."""
    if code > 1:
        peer_failure.say_goodbye(failed=True)
        sys.stdout.flush()
        sys.stderr.flush()
        # The ordinary end waits for the other processes, and for the threads of a checkpoint that
        # could not be written, which may wait for ever.
        waiting = [
            thread
            for thread in threading.enumerate()
            if not thread.daemon and thread is not threading.main_thread()
        ]
        if waiting or process_count() > 1 or code == _DISK:
            os._exit(code)
    sys.exit(code)


def main(module: ModuleType, argv: Sequence[str]) -> int:
    """Runs a script's module with a command line; returns the exit code.

    What is a fault of the program is raised.
    """
    startup.quiet()
    command = shlex.join([Path(sys.executable).name, str(module.__file__), *argv])
    try:
        with stopping.listening(command):
            return _main(module, argv)
    except (stopping.Stopped, stopping.Interrupted) as stopped:
        twice = isinstance(stopped, stopping.Interrupted)
        line, code = stopping.farewell(twice, stopped, command)
    except KeyboardInterrupt:
        line, code = "interrupted", 130
    except Exception as error:
        peer_failure.exit_if_peer_lost(error)
        code = _code(error)
        if not code:
            raise
        line = f"error: {_line(error, code, module, argv)}"
    print(line, file=sys.stderr, flush=True)
    return code


def _code(error: Exception) -> int:
    """The exit code of an error that is no fault of the program, 0 for one that is."""
    if isinstance(error, UserError):
        return 2
    if isinstance(error, NonFiniteLoss):
        return 3
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return _MEMORY
    return _DISK if disk_failure(error) else 0


def _line(error: Exception, code: int, module: ModuleType, argv: Sequence[str]) -> str:
    if code == _DISK:
        return (
            f"cannot read or write: {disk_failure(error)}; checkpoints that were finished are "
            "whole: mend it (make room) and start the same command again"
        )
    if code == _MEMORY:
        reason = (str(error).strip().splitlines() or ["no more to be had"])[0][:200]
        dry_run = shlex.join(["python", str(module.__file__), *argv, "--dry_run=gpu:1"])
        return (
            f"out of memory: {reason}; this says what the step needs on another machine: {dry_run}"
        )
    return str(error)


def train(
    module: ModuleType, experiment: Experiment, config: ConfigDict, workdir: Path
) -> Mapping[str, float]:
    """Trains as the script's `main` does, or in one go; returns the final numbers."""
    if not hasattr(module, "main"):
        return training.run(experiment, config, workdir)[1]
    return module.main(experiment, config, workdir)


def _main(module: ModuleType, argv: Sequence[str]) -> int:
    script = Path(str(module.__file__)).resolve()
    flags = configs.parse(argv, script)
    if flags.config.published_as:
        check_choice("published_as", flags.config.published_as, module.PAPER.parameters)
    if flags.dry_run is not None:
        return _dry_run(module, flags)
    workdir = flags.workdir or Path("runs") / _run_name(script.stem, flags)
    startup.refuse_switches()
    hosts.initialize()
    if "simulated_devices" in flags.config:  # of papers that are about several devices
        simulated.simulate_devices(flags.config.simulated_devices)
    startup.keep_compiled_programs()
    startup.check_devices()

    as_json = json.loads(flags.config.to_json_best_effort())
    arms = [flags.arm] if flags.arm else list(configs.arms_of(flags.config))
    results = RunFolder(workdir, script.stem, as_json, flags.variant, arms)
    shorter = agree("check", results.check)
    # Whatever can be refused is refused before anything is compiled or written.
    experiments = agree("build", lambda: _build_arms(module, flags, arms, results, shorter))
    _check_same_everywhere(experiments)

    provenance = Provenance.of(script, argv)
    tried = getattr(configs.load_module(flags.path), "TRIED", {})
    places = _Places(results, arms, flags.config.seeds)
    with results.held(longer=bool(shorter)):
        with results.alone():
            run_folder.note_run(
                workdir, script, module.PAPER.method, flags.variant, argv, flags.config
            )
        for arm in arms:
            # The first seed's experiment is at hand; no seed's parts are kept for the next.
            _run_arm(module, flags.config, results, arm, experiments.pop(arm), provenance, places)
        # Of several runs in one folder the last to come here finds the numbers of all arms.
        with results.alone():
            return _finish(module, flags.config, results, provenance, tried)


def _build_arms(
    module: ModuleType,
    flags: configs.Flags,
    arms: Sequence[str],
    results: RunFolder,
    shorter: Mapping[str, Any],
) -> dict[str, Experiment]:
    """The first seed's experiment of every arm that is to run.

    Args:
      arms: their names.
      shorter: values of keys in the run that this one is to go on with.

    Raises:
      UserError: some value of the configuration does not go with another, or with the data.
    """
    experiments = {}
    for arm in arms:
        setting = _setting(flags.config, arm, flags.config.seeds[0])
        experiment = experiments[arm] = _build(module, setting, arm)
        if experiment.num_steps < 1:
            raise UserError(f"arm {arm} makes no step: the run is shorter than one; make it longer")
        if flags.config.vmap_seeds:
            seeds.SeedBatch(experiment, flags.config.seeds)
        loop.check(experiment, setting)
        axis = setting.tensorboard_axis
        if axis not in ("step", *experiment.per_step):
            units = ", ".join(("step", *experiment.per_step))
            raise UserError(f"tensorboard_axis is one of {units} for arm {arm}, not {quoted(axis)}")
        if experiment.reads_log:
            results.check(fixed=("log_every_steps",))
        if shorter and results.has_phases():
            raise UserError(
                f"{', '.join(shorter)}: a run of several trainings, of which each goes on from the "
                "one before, is not made longer; choose another --workdir"
            )
        if shorter:
            before = configs.with_overrides(setting, shorter)
            longer.check_longer(build(module, before), experiment, setting)
    return experiments


def _check_same_everywhere(experiments: Mapping[str, Experiment]) -> None:
    """Checks that all processes have the same data, as far as it can be told without reading it.

    Raises:
      UserError: some process found another.
    """
    sources = [e.source for e in experiments.values() if e.source is not None]
    origin = sources[-1].origin if sources else ""
    seen = [(s.origin, str(s.spec), list(s.row_counts), s.get_state()) for s in sources]
    steps = [experiment.num_steps for experiment in experiments.values()]
    found = hashlib.sha256(repr((seen, steps)).encode()).hexdigest()
    words = [json.loads(word) for word in exchange("data", json.dumps([found, origin]))]
    for i, (theirs, their_origin) in enumerate(words):
        if theirs != words[0][0]:
            raise UserError(
                f"process {i} has other data than process 0 ({their_origin or 'none'}; "
                f"{words[0][1] or 'none'}); give all of them the same --config.data.dir"
            )


class _Places:
    """Which training of how many is running, and how long those took that have ended.

    Args:
      results: the folder, which says what had ended before.
      arms: those that this command runs, in order.
      seeds: of each arm.
    """

    def __init__(self, results: RunFolder, arms: Sequence[str], run_seeds: Sequence[int]):
        self.results, self.arms, self.seeds = results, list(arms), list(run_seeds)
        self.took: list[float] = []

    @contextlib.contextmanager
    def at(self, arm: str, seed: int, folder: Path) -> Iterator[None]:
        """Trains one seed of an arm."""
        nth = self.seeds.index(seed)
        later = [(a, s) for a in self._after(arm) for s in self.seeds]
        later += [(arm, s) for s in self.seeds[nth + 1 :]]
        place = self._place(arm, f"seed {seed}", (nth + 1, len(self.seeds)), later, folder)
        with self._timed(place):
            yield

    @contextlib.contextmanager
    def together(self, arm: str, folder: Path) -> Iterator[None]:
        """Trains all seeds of an arm in one program."""
        later = [(a, self.seeds[0]) for a in self._after(arm)]
        with self._timed(self._place(arm, f"{len(self.seeds)} seeds", (1, 1), later, folder)):
            yield

    def _after(self, arm: str) -> list[str]:
        return self.arms[self.arms.index(arm) + 1 :]

    def _place(
        self,
        arm: str,
        seed: str,
        nth: tuple[int, int],
        later: Sequence[tuple[str, int]],
        folder: Path,
    ) -> progress.Place:
        left = sum(not self.results.ended(*run) for run in later)
        of = (self.arms.index(arm) + 1, len(self.arms))
        return progress.Place(
            "" if len(self.arms) == 1 else arm, of, seed, nth, left, folder, tuple(self.took)
        )

    @contextlib.contextmanager
    def _timed(self, place: progress.Place) -> Iterator[None]:
        with progress.at(place):
            yield
        if place.trained:
            self.took.append(time.monotonic() - place.since)


def _run_arm(
    module: ModuleType,
    config: ConfigDict,
    results: RunFolder,
    arm: str,
    experiment: Experiment,
    provenance: Provenance,
    places: _Places,
) -> None:
    """Trains what has not ended of one arm's seeds.

    Args:
      experiment: of the first seed.
      provenance: of this session.
      places: for whoever looks on.
    """
    origin = "" if experiment.source is None else experiment.source.origin
    ready: dict[int, Experiment] = {config.seeds[0]: experiment}
    together = 0.0  # seconds of one seed's share in what its arm did for all seeds
    if config.vmap_seeds:
        setting = _setting(config, arm, config.seeds[0])
        together = _train_seeds(experiment, setting, results, arm, places)
    for seed in config.seeds:
        first, setting = ready.pop(seed, None), _setting(config, arm, seed)
        if results.has(arm, seed):
            continue
        stopping.check(f"before arm {arm}, seed {seed}")
        folder, before = results.folder(arm, seed), together or results.seconds(arm, seed)
        started = time.monotonic()
        experiment = first or _build(module, setting, arm)
        with places.at(arm, seed, folder):
            numbers = train(module, experiment, setting, folder)
        run_folder.keep_assets(experiment, folder)
        if jax.process_index() == 0:
            _show_pictures(experiment, setting, folder)
        seconds = before + time.monotonic() - started
        results.add(arm, seed, numbers, seconds, origin, provenance)


def _show_pictures(experiment: Experiment, setting: ConfigDict, folder: Path) -> None:
    """Puts the pictures that the script has left beside the curves, wherever these are."""
    run = sinks.RunInfo(folder, setting.to_dict(), experiment.num_steps, experiment.per_step)
    sinks.show_pictures(setting.writers, setting.tensorboard_axis, run)


def _setting(config: ConfigDict, arm: str, seed: int) -> ConfigDict:
    return configs.with_overrides(config, {**configs.arms_of(config)[arm], "seed": seed})


def _build(module: ModuleType, setting: ConfigDict, arm: str) -> Experiment:
    """The experiment of an arm and seed, with the weights that it begins with, if any are given."""
    experiment = build(module, setting)
    if setting.init_from:
        if setting.vmap_seeds:
            raise UserError("init_from is for seeds one after the other: set vmap_seeds=false")
        arrays = init_from.read_weights(setting.init_from, arm)
        experiment.initial = experiment.from_released(arrays) or arrays
    return experiment


def _train_seeds(
    experiment: Experiment, setting: ConfigDict, results: RunFolder, arm: str, places: _Places
) -> float:
    """Trains an arm's seeds in one program, unless all have ended; returns the seconds of each."""
    if all([results.has(arm, seed) for seed in setting.seeds]):
        return 0.0
    folders = {seed: results.folder(arm, seed) for seed in setting.seeds}
    before = seconds_trained(folders[setting.seeds[0]] / "together")
    started = time.monotonic()
    with places.together(arm, folders[setting.seeds[0]] / "together"):
        seeds.run_seeds(experiment, setting, folders)
    return (before + time.monotonic() - started) / len(setting.seeds)


def _finish(
    module: ModuleType,
    config: ConfigDict,
    results: RunFolder,
    provenance: Provenance,
    tried: Mapping[str, str],
) -> int:
    """Claims, figures and `result.json` of all arms that are there."""
    arms = configs.arms_of(config)
    numbers = results.read(arms, config.seeds)
    missing = [arm for arm in arms if arm not in numbers]
    claims: list[Claim] = []
    if missing:
        print(f"claims not checked: arms still to run: {', '.join(missing)}", file=sys.stderr)
    else:
        try:
            claims = module.claims(by_metric(numbers))
        except MissingResult:
            if config.check_claims:
                if jax.process_index() == 0:  # what was measured is kept all the same
                    results.write([], provenance, tried)
                raise
            # A variant that runs one setting alone compares nothing.
    if jax.process_index() != 0:
        return 0
    claims = [
        dataclasses.replace(c, holds=bool(c.holds))
        if config.check_claims and c.holds is not None
        else dataclasses.replace(c, holds=None)
        for c in claims
    ]
    results.write(claims, provenance, tried)
    results.draw(module.PAPER)
    if "env" in config and not missing and jax.process_count() == 1:  # an agent, at its end
        _leave_films(module, results.workdir)
    print_claims(module.PAPER, claims)
    print(f"results in {results.workdir}", file=sys.stderr)
    return int(any(claim.holds is False for claim in claims))


def _leave_films(module: ModuleType, workdir: Path) -> None:
    """Writes the films that the script's demo shows beside the curves, unless they are there."""
    if not hasattr(module, "demo") or list(workdir.glob("*.gif")):
        return
    try:
        demo = finished.load_run(workdir, optimizer=False).demo()
        films = {name: field for name, field in demo.outputs.items() if isinstance(field, Film)}
        shown = demo.run(**demo.defaults()) if films else {}
    except UserError as error:  # such as a probe, which nobody can watch
        log.info("no film: %s", error)
        return
    for name, film in films.items():
        (workdir / f"{name}.gif").write_bytes(as_file(film, shown[name]))


def _dry_run(module: ModuleType, flags: configs.Flags) -> int:
    from research.pods import topology
    from research.pods.dry_run import dry_run
    from research.pods.dry_run_report import show

    assert flags.dry_run is not None
    names = topology.by_size(flags.dry_run.split(","))  # before an experiment starts JAX
    arms = configs.arms_of(flags.config)
    setting = configs.with_overrides(flags.config, arms[flags.arm] if flags.arm else {})
    published = module.PAPER.parameters[setting.published_as] if setting.published_as else None
    for name in names:
        try:
            report = dry_run(
                build(module, setting),
                name,
                setting.mesh,
                steps_per_call=setting.steps_per_call,
                published=published,
            )
        except UserError as error:
            if len(names) == 1:
                raise
            print(f"{name}: {error}\n")  # a batch that does not divide over so many chips
            continue
        show(report)
        if report.fits:
            if len(names) > 1:
                print(f"smallest that fits: {name}, of {', '.join(names)}")
            return 0
        print()
    return 1


def _run_name(script: str, flags: configs.Flags) -> str:
    """Folder of a run: its script, variant and overrides, so that different runs never meet."""
    parts = [script, flags.variant] if flags.variant else [script]
    parts += [f"{key}={value}" for key, value in sorted(flags.overrides.items())]
    return re.sub(r"[^\w.,=+-]+", "_", "-".join(parts))[:200]
