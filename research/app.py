"""The entry point of every script: flags, workdir, arms and seeds, claims, exit code.

Exit codes: 0 every checked claim holds (or the run was stopped and can be resumed), 1 a checked
claim does not hold, 2 bad input, 3 the loss became NaN or infinite, 4 another process is gone,
5 the disk is full.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
from ml_collections import ConfigDict

from research import config as configs
from research import startup, training
from research.core import Experiment, UserError
from research.pods import simulated
from research.report.claims import Claim, MissingResult
from research.report.provenance import Provenance
from research.report.results import RunFolder, by_metric, print_claims
from research.training import hosts, loop, seeds
from research.training.meter import NonFiniteLoss

build = configs.build
log = logging.getLogger("landmarks")

_FULL = 5
_NO_SPACE = re.compile("No space left on device|Disk quota exceeded|Read-only file system")


def run() -> None:
    """Runs the script this is called from, and exits."""
    startup.use_huge_pages()
    code = main(sys.modules["__main__"], sys.argv[1:])
    if code == _FULL:  # libraries would try to write what they still hold, and say so at length
        os._exit(code)
    sys.exit(code)


def main(module: ModuleType, argv: Sequence[str]) -> int:
    """Runs a script's module with a command line; returns the exit code."""
    startup.quiet()
    try:
        return _main(module, argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except NonFiniteLoss as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except loop.Stopped as stopped:
        script = shlex.join([Path(sys.executable).name, str(module.__file__), *argv])
        print(f"{stopped}; resume with: {script}", file=sys.stderr)
        return 0
    except Exception as error:
        found = _NO_SPACE.search(str(error))
        if not found:
            raise
        print(
            f"error: cannot write: {found.group()}; checkpoints that were finished are whole: "
            "make room and start the same command again",
            file=sys.stderr,
            flush=True,
        )
        return _FULL


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
    if flags.dry_run is not None:
        return _dry_run(module, flags)
    hosts.initialize()
    if "simulated_devices" in flags.config:  # of papers that are about several devices
        simulated.simulate_devices(flags.config.simulated_devices)
    startup.keep_compiled_programs()

    workdir = flags.workdir or Path("runs") / _run_name(script.stem, flags)
    arms = configs.arms_of(flags.config)
    as_json = json.loads(flags.config.to_json_best_effort())
    results = RunFolder(workdir, script.stem, as_json, flags.variant)
    results.check()
    # Whatever can be refused is refused before anything is compiled or written.
    experiments, origins = {}, {}
    for arm in [flags.arm] if flags.arm else arms:
        setting = _setting(flags.config, arm, flags.config.seeds[0])
        checked = experiments[arm] = build(module, setting)
        if flags.config.vmap_seeds:
            seeds.SeedBatch(checked, flags.config.seeds)
        loop.check(checked, setting)
        origins[arm] = "" if checked.source is None else checked.source.origin

    provenance = Provenance.of(script, argv)
    tried = getattr(configs.load_module(flags.path), "TRIED", {})
    results.create()
    for arm in list(experiments):
        # The first seed's experiment is at hand; no seed's parts are kept for the next.
        ready = {flags.config.seeds[0]: experiments.pop(arm)}
        together = 0.0  # seconds of one seed's share in what its arm did for all seeds
        if flags.config.vmap_seeds:
            setting = _setting(flags.config, arm, flags.config.seeds[0])
            together = _train_seeds(ready[flags.config.seeds[0]], setting, results, arm)
        for seed in flags.config.seeds:
            experiment, setting = ready.pop(seed, None), _setting(flags.config, arm, seed)
            if results.has(arm, seed):
                continue
            started = time.monotonic()
            if experiment is None:
                experiment = build(module, setting)
            before = 0.0 if together else results.seconds(arm, seed)
            numbers = train(module, experiment, setting, results.folder(arm, seed))
            seconds = before + together + time.monotonic() - started
            results.add(arm, seed, numbers, seconds, origins[arm], provenance)
    return _finish(module, flags.config, results, arms, provenance, tried)


def _setting(config: ConfigDict, arm: str, seed: int) -> ConfigDict:
    return configs.with_overrides(config, {**configs.arms_of(config)[arm], "seed": seed})


def _train_seeds(
    experiment: Experiment, setting: ConfigDict, results: RunFolder, arm: str
) -> float:
    """Trains an arm's seeds in one program, unless all have ended; returns the seconds of each."""
    started = time.monotonic()
    if not all(results.has(arm, seed) for seed in setting.seeds):
        folders = {seed: results.folder(arm, seed) for seed in setting.seeds}
        seeds.run_seeds(experiment, setting, folders)
    return (time.monotonic() - started) / len(setting.seeds)


def _finish(
    module: ModuleType,
    config: ConfigDict,
    results: RunFolder,
    arms: dict[str, Any],
    provenance: Provenance,
    tried: Mapping[str, str],
) -> int:
    """Claims, figures and `result.json` of all arms that are there."""
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
    print_claims(module.PAPER, claims)
    print(f"results in {results.workdir}", file=sys.stderr)
    return int(any(claim.holds is False for claim in claims))


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
