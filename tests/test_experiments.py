"""What holds for every script, tested through its `:smoke` variant."""

from __future__ import annotations

import ast
import contextlib
import json
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

import research
from research import app, config
from research.core import Learner, LearnerState
from research.core.tree import count_parameters, named_leaves
from research.report import demo as demos
from research.report import demo_command
from research.report.claims import Results
from research.report.demo import Film
from research.report.demo_values import as_file, filled, in_words
from research.training import loop, sharding
from research.training.program import Program
from research.training.writers import read_metrics

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(path.stem for path in (ROOT / "experiments").glob("*.py"))
MINUTES = 60.0

# The scripts that differ most: environments and replay inside the step, sequences of several
# lengths, images in phases. What is the same for every script is proved on these and on the toy of
# `test_app.py`; for the others it is with the slow tests.
DIFFERENT = ("ddpg", "transformer", "imagenet_18min")


def one_by_one(fast: Sequence[str] = SCRIPTS, slow: Sequence[str] = ()) -> Any:
    """Parametrizes a test over scripts, each in a group of its own; some of them are slow tests."""
    params = []
    for name in SCRIPTS:
        if name in fast or name in slow:
            marks = [pytest.mark.xdist_group(name), *([pytest.mark.slow] * (name not in fast))]
            params.append(pytest.param(name, marks=marks))
    return pytest.mark.parametrize("name", params)


each_script = one_by_one()
different_scripts = one_by_one(fast=DIFFERENT, slow=SCRIPTS)


def script(name: str) -> Path:
    return ROOT / "experiments" / f"{name}.py"


def config_file(name: str) -> Path:
    return ROOT / "configs" / f"{name}.py"


def start(name: str, workdir: Path, *flags: str, **env: str) -> subprocess.Popen[str]:
    """Starts a script's smoke variant as a user does."""
    command = [sys.executable, str(script(name)), "--config", f"{config_file(name)}:smoke"]
    return subprocess.Popen(
        [*command, "--workdir", str(workdir), *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str], code: int = 0, timeout: float = 8 * MINUTES) -> str:
    output, _ = process.communicate(timeout=timeout)
    assert process.returncode == code, output
    return output


def numbers(workdir: Path) -> dict[str, dict[str, float]]:
    """Final numbers by "arm/seed"."""
    return {
        str(path.parent.relative_to(workdir)): json.loads(path.read_text())["metrics"]
        for path in sorted(workdir.glob("*/*/result.json"))
    }


def first_arm(name: str) -> str:
    return next(iter(config.arms_of(config.load_config(config_file(name), "smoke"))))


@contextlib.contextmanager
def gradients_noted() -> Iterator[dict[str, float]]:
    """The largest absolute gradient of every parameter over the runs inside, by path.

    Each learner keeps them among its variables, so that programs stay pure: what is compiled once
    serves a later run, and a run of them resumes like any other.
    """
    largest: dict[str, float] = {}
    init, apply_gradients, go = Learner.init, Learner.apply_gradients, loop._Run.go

    def noting_init(self, *args, **kwargs):
        state = init(self, *args, **kwargs)
        noted = jnp.full(len(jax.tree.leaves(state.params)), -1.0)
        return state.replace(variables={**state.variables, "noted": {"max": noted}})

    def noting_gradients(self, state, grads):
        now = jnp.stack([abs(g).max() for g in jax.tree.leaves(grads)])
        noted = jnp.maximum(state.variables["noted"]["max"], now)
        state = state.replace(variables={**state.variables, "noted": {"max": noted}})
        return apply_gradients(self, state, grads)

    def noting_go(self):
        state, numbers = go(self)
        is_learner = lambda node: isinstance(node, LearnerState)  # noqa: E731
        for where, learner in jax.tree.leaves_with_path(state, is_leaf=is_learner):
            if not is_learner(learner):
                continue
            noted = np.asarray(learner.variables["noted"]["max"])
            noted = noted.reshape(-1, noted.shape[-1]).max(0)  # of an ensemble
            if (noted < 0).all():  # moved by no optimizer, as TRPO's policy
                continue
            for name, value in zip(named_leaves(learner.params), noted, strict=True):
                path = f"{jax.tree_util.keystr(where)}/{name}"
                largest[path] = max(largest.get(path, 0.0), float(value))
        return state, numbers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "init", noting_init)
        patch.setattr(Learner, "apply_gradients", noting_gradients)
        patch.setattr(loop._Run, "go", noting_go)
        yield largest


@pytest.fixture(scope="session")
def smoke_runs(tmp_path_factory):
    """Runs a smoke variant once, in this process: exit code, workdir, gradients by path."""
    runs: dict[str, tuple[int, Path, dict[str, float]]] = {}

    def run(name: str) -> tuple[int, Path, dict[str, float]]:
        if name not in runs:
            workdir = tmp_path_factory.mktemp(name) / "run"
            flags = ["--config", f"{config_file(name)}:smoke", "--workdir", str(workdir)]
            with gradients_noted() as gradients:
                code = app.main(config.load_module(script(name)), flags)
            runs[name] = code, workdir, gradients
        return runs[name]

    return run


@each_script
def test_smoke_trains_and_emits_claims(name, smoke_runs):
    code, workdir, _ = smoke_runs(name)
    assert code == 0
    result = json.loads((workdir / "result.json").read_text())
    smoke = config.load_config(config_file(name), "smoke")
    assert set(result["arms"]) == set(config.arms_of(smoke))
    assert all(claim["holds"] is None for claim in result["claims"])
    assert result["claims"] or claims_of_all_arms(name, result["arms"])
    assert {"paper", "config", "variant", "seconds", "device", "versions"} <= set(result)
    assert all(math.isfinite(v) for run in numbers(workdir).values() for v in run.values())
    assert list(workdir.glob("*.png")), "no learning curve"
    records = [r for folder in workdir.glob("*/*") for r in read_metrics(folder)]
    assert any("loss" in key for record in records for key in record)


def claims_of_all_arms(name: str, trained: dict[str, dict[str, dict[str, float]]]) -> list:
    """The default's claims, where an arm that was not trained reports what some other did.

    So a claim about a metric that no run reports is noticed though few arms are trained.
    """
    reported = {k: v for seeds in trained.values() for k, v in seeds["0"].items()}
    arms = {}
    for arm in config.arms_of(config.load_config(config_file(name))):
        numbers = {**reported, **trained[arm]["0"]} if arm in trained else reported
        arms[arm] = {metric: np.array([value]) for metric, value in numbers.items()}
    return config.load_module(script(name)).claims(Results(arms))


@each_script
def test_every_parameter_gets_a_gradient(name, smoke_runs):
    _, _, gradients = smoke_runs(name)
    assert gradients
    exempt = config.load_module(script(name)).PAPER.without_gradient
    for end in exempt:  # an exemption that is not needed is a mistake
        assert [g for path, g in gradients.items() if path.endswith(end)], end
        assert all(g < 1e-6 for path, g in gradients.items() if path.endswith(end)), end
    learning = {path: g for path, g in gradients.items() if not path.endswith(tuple(exempt))}
    assert not [path for path, largest in learning.items() if largest == 0.0]


@each_script
def test_a_demo_works_with_its_defaults(name, smoke_runs):
    """On the run's folder alone; of an agent the run itself has left the film of it."""
    _, workdir, _ = smoke_runs(name)
    run = research.load_run(workdir, optimizer=False)
    demo = run.demo()
    assert not set(demo.inputs) & set(demo_command.RESERVED)
    films = [film for film in demo.outputs.values() if isinstance(film, Film)]
    if films and "env" in run.config:
        with Image.open(workdir / "film.gif") as film:
            assert film.n_frames > 1
        return
    results = demo.run(**filled(demo, {}))
    assert set(results) == set(demo.outputs)
    for output, field in demo.outputs.items():
        check_output(field, results[output])


def check_output(field, value):
    assert in_words(field, value) and as_file(field, value)
    match field:
        case demos.Image():
            assert value.dtype == np.uint8 and value.ndim in (2, 3) and np.ptp(value) > 0
        case Film():
            assert value.dtype == np.uint8 and value.ndim == 4 and len(value) > 1
        case demos.Probabilities():
            assert all(0 <= share <= 1 for share in value.values()) and sum(value.values()) < 1.001
        case demos.Number():
            assert field.low <= value <= field.high


# Whose evaluation costs little; for the others it is with the slow tests.
@one_by_one(fast=("a2c", "ddpg", "gpt", "gpt1", "imagenet_1hr", "trpo"), slow=SCRIPTS)
def test_a_run_that_is_loaded_evaluates_as_it_did(name, smoke_runs):
    _, workdir, _ = smoke_runs(name)
    run = research.load_run(workdir)
    found, records = run.evaluate(), read_metrics(workdir / run.arm / str(run.seed))
    last = {metric: value for record in records for metric, value in record.items()}
    assert found or name == "dcgan"  # which is judged by its `main` alone
    assert found == {metric: last[metric] for metric in found}


@each_script
def test_config_file(name):
    module = config.load_module(config_file(name))
    assert {"smoke", "paper"} <= set(module.VARIANTS)
    assert f"experiments/{name}.py" in module.__doc__
    assert keys(module.get_config("")) == keys(module.get_config("paper")), "numbers alone differ"


def keys(group, prefix: str = "") -> set[str]:
    """Dotted keys of a configuration, but for the names of its arms."""
    if not isinstance(group, ConfigDict) or prefix == "arms.":
        return {prefix}
    return set().union(*(keys(group[name], f"{prefix}{name}.") for name in group))


def published(name: str) -> list[str]:
    """Variants that say which published parameter count they have."""
    module = config.load_module(config_file(name))
    variants = ["", *module.VARIANTS]
    seen: dict[str, str] = {}
    for variant in variants:
        key = module.get_config(variant).published_as
        if key:
            seen.setdefault(key, variant)
    return list(seen.values())


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        # Of 1202 layers, each traced by itself: with the slow tests.
        pytest.param(name, variant, marks=[pytest.mark.slow] * ("1202" in variant))
        for name in SCRIPTS
        for variant in published(name)
    ],
)
def test_published_parameter_counts(name, variant):
    module = config.load_module(script(name))
    setting = config.load_config(config_file(name), variant)
    state = jax.eval_shape(app.build(module, setting).init, jax.random.key(0))
    counts = count_parameters(state)
    expected = module.PAPER.parameters[setting.published_as]
    if isinstance(expected, int):
        assert sum(counts.values()) == expected
    else:
        assert counts == dict(expected)


@different_scripts
def test_resumes_bit_identically_after_kill(name, tmp_path):
    """`kill -9` at a random moment, the same command again, and the same final numbers."""
    arm = first_arm(name)
    # Not that of `smoke_runs`: its program also notes gradients, and may round in other places.
    finish(start(name, tmp_path / "unbroken", f"--arm={arm}"))
    process = start(name, tmp_path / "run", f"--arm={arm}")
    lines = random.randint(1, 4)
    deadline = time.monotonic() + 8 * MINUTES
    while process.poll() is None and time.monotonic() < deadline:
        if any(len(read_lines(p)) >= lines for p in tmp_path.glob("run/*/*/metrics.jsonl")):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finish(start(name, tmp_path / "run", f"--arm={arm}"))
    assert numbers(tmp_path / "run") == numbers(tmp_path / "unbroken")


@one_by_one(fast=[name for name in SCRIPTS if name not in DIFFERENT])
def test_resumes_bit_identically_from_its_oldest_checkpoint(name, smoke_runs, tmp_path):
    """In this process, for those whose `kill -9` is with the slow tests."""
    _, unbroken, _ = smoke_runs(name)
    arm, workdir = first_arm(name), tmp_path / "run"
    shutil.copytree(unbroken, workdir)
    for result in workdir.glob(f"{arm}/*/result.json"):
        result.unlink()
    removed = 0
    for checkpoints in (workdir / arm).rglob("checkpoints"):
        # A small training beside the paper's may save at its end alone: it is not run again.
        _, *newer = sorted(checkpoints.glob("[0-9]*"), key=lambda step: int(step.name))
        for step in newer:
            shutil.rmtree(step)
            removed += 1
    assert removed, "no run has saved on the way: set checkpoint_every_steps in :smoke"
    flags = ["--config", f"{config_file(name)}:smoke", "--workdir", str(workdir), f"--arm={arm}"]
    with gradients_noted():
        assert app.main(config.load_module(script(name)), flags) == 0
    assert numbers(unbroken) and numbers(workdir) == numbers(unbroken)


def read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@different_scripts
def test_eight_devices_give_the_numbers_of_one(name, smoke_runs, tmp_path):
    _, one, _ = smoke_runs(name)
    arm = first_arm(name)
    finish(start(name, tmp_path / "run", f"--arm={arm}", JAX_NUM_CPU_DEVICES="8"))
    same_losses(one, tmp_path / "run", arm)


def processes(name: str, workdir: Path, count: int, *flags: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    started = [
        start(
            name,
            workdir,
            *flags,
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES=str(count),
            JAX_PROCESS_ID=str(i),
        )
        for i in range(count)
    ]
    try:
        for process in started:
            finish(process)
    finally:
        for process in started:
            process.kill()


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
@different_scripts
def test_processes_give_the_numbers_of_one(name, count, smoke_runs, tmp_path):
    _, one, _ = smoke_runs(name)
    arm = first_arm(name)
    processes(name, tmp_path / "run", count, f"--arm={arm}")
    same_losses(one, tmp_path / "run", arm)


def same_losses(one: Path, other: Path, arm: str) -> None:
    """The first logged losses agree to float tolerance; later ones drift apart as chaos has it."""
    for folder in sorted((one / arm).iterdir()):
        expected, got = read_metrics(folder), read_metrics(other / arm / folder.name)
        assert [r["step"] for r in expected] == [r["step"] for r in got]
        losses = [k for k in expected[0] if "loss" in k]
        assert losses
        for key in losses:
            np.testing.assert_allclose(got[0][key], expected[0][key], rtol=2e-3, atol=1e-5)
    assert numbers(other).keys() == {k for k in numbers(one) if k.split("/")[0] == arm}


@different_scripts
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--bogus"], "unknown flag"),
        (["--config.bogus=1"], "no configuration key"),
        (["--config.log_every_steps=often"], "takes a int"),
        (["--config", "configs/missing.py"], "no configuration file"),
        (["--arm=bogus"], "no arm"),
        (["--config.mesh.data=7"], "does not match"),
        (["--config.seed=3"], "--config.seeds"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(name, flags, words, tmp_path, capsys):
    base = [] if "--config" in flags else ["--config", f"{config_file(name)}:smoke"]
    workdir = tmp_path / "run"
    code = app.main(config.load_module(script(name)), [*base, *flags, "--workdir", str(workdir)])
    error = capsys.readouterr().err.strip()
    assert code == 2
    assert words in error and error.startswith("error: ") and "\n" not in error
    assert not workdir.exists()


@different_scripts
def test_workdir_of_another_configuration_is_refused(name, smoke_runs, capsys):
    _, workdir, _ = smoke_runs(name)
    before = sorted(workdir.rglob("*"))
    flags = ["--config", f"{config_file(name)}:smoke", "--workdir", str(workdir)]
    code = app.main(config.load_module(script(name)), [*flags, "--config.max_grad_norm=77.0"])
    assert code == 2 and "another configuration" in capsys.readouterr().err
    assert sorted(workdir.rglob("*")) == before


@each_script
def test_step_keeps_the_shapes_of_its_state(name):
    """The default configuration traces, without data and without an array."""
    module = config.load_module(script(name))
    setting = config.load_config(config_file(name))
    program = Program(app.build(module, setting), sharding.make_mesh(setting.mesh))
    lowered = jax.eval_shape(program._one, program.shapes, *batch_of(program))
    assert jax.tree.map(lambda s: (s.shape, s.dtype), lowered[0]) == jax.tree.map(
        lambda s: (s.shape, s.dtype), program.shapes
    )


def batch_of(program: Program):
    source = program.experiment.source
    return (None,) if source is None else (source.spec,)


def test_scripts_do_not_import_each_other():
    for name in SCRIPTS:
        text = script(name).read_text(encoding="utf-8")
        assert "from experiments" not in text and "import experiments" not in text
        assert isinstance(config.load_module(script(name)).PAPER.claim, str)


@each_script
def test_a_function_is_read_at_a_glance(name):
    tree = ast.parse(script(name).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions}
    assert not {name: lines for name, lines in long.items() if lines > 75}
