import importlib.util
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from research.core.errors import UserError
from research.pods import topology
from research.pods.dry_run import dry_run as compile_for
from research.pods.dry_run_report import show
from tests.training.toy import ROOT, TENSOR, Functions, build, settings

needs_compiler = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="libtpu, the extra `pod`, is not installed"
)


def dry_run(experiment, config, name, published):
    """Compiles, prints and judges."""
    report = compile_for(
        experiment, name, config.mesh, steps_per_call=config.steps_per_call, published=published
    )
    show(report)
    return report.fits


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("v9:2x2", "unknown topology 'v9:2x2'; give a chip"),
        ("v5e", "unknown topology"),
        ("v5e:ax8", "unknown topology"),
        ("v5e:0x8", "unknown topology"),
        ("v5e:2x2x2", "2 dimensions, such as v5e:4x4"),
        ("v5p:4x4", "3 dimensions, such as v5p:4x4x4"),
        ("v5e:3x5", "every side of a v5e slice is 1 or even"),
        ("v5e:32x32", "at most 256 chips"),
        ("gpu:2x2", "1 dimension, such as gpu:4"),
        ("gpu:512", "at most 256 chips"),
    ],
)
def test_slices_that_do_not_exist(name, said):
    with pytest.raises(UserError, match=said):
        topology.load(name)


def test_says_how_to_install_the_compiler(monkeypatch):
    monkeypatch.setattr(topology.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[pod\]'"):
        topology.load("v5e:2x2")


@needs_compiler
@pytest.mark.parametrize(
    ("name", "chips"), [("v4:2x2x1", 4), ("v5e:1x1", 1), ("v5p:2x2x2", 8), ("v6e:4x8", 32)]
)
def test_a_device_is_a_chip(name, chips):
    found = topology.load(name)
    assert len(found.devices) == chips
    assert {device.platform for device in found.devices} == {"tpu"}


@needs_compiler
def test_the_real_step_on_a_mesh_of_three_axes(capsys):
    config = settings(mesh__data=2, mesh__fsdp=2, mesh__model=2)
    config.compute_dtype = "bfloat16"
    experiment = build(config, width=512, rules=TENSOR, rows=(256,), accumulate=2, ema_decay=0.9)
    count = 4 * 512 + 512 + 512 + 1
    assert dry_run(experiment, config, "v5e:2x4", count)
    shown = capsys.readouterr().out
    assert f"{count:,}  (published {count:,}: equal)" in shown
    assert "8 chips as data 2 x fsdp 2 x model 2" in shown
    assert "of 15.75 GiB" in shown
    assert "all-reduce" in shown and "compile time" in shown and "fits" in shown
    # Kernels are split fsdp x model ways; biases are whole.
    each = 4 * (4 * 512 // 4 + 512 // 2) + 4 * (512 + 1)
    assert f"  parameters         {each / 1024:.4g} KiB" in shown
    assert f"  optimizer          {(2 * each + 4) / 1024:.4g} KiB" in shown  # Adam's count
    # The moving average; seed, step, seen.
    assert f"  other state        {(each + 12) / 1024:.4g} KiB" in shown
    assert "MFU" in shown and "assuming 197 TFLOP/s" in shown


@needs_compiler
def test_a_wrong_count_is_shown(capsys):
    config = settings()
    assert dry_run(build(config), config, "v5e:2x2", 50)
    assert "published 50: DIFFERS by -1" in capsys.readouterr().out
    assert dry_run(build(config), config, "v5e:2x2", {"net": 49, "other": 3})
    shown = capsys.readouterr().out
    assert "parameters net       49  (published 49: equal)" in shown
    assert "parameters other     0  (published 3: DIFFERS by -3)" in shown


@needs_compiler
def test_too_large_is_a_verdict_with_the_largest_buffers(capsys):
    config = settings()
    experiment = build(config, width=2**22, rows=(2**20,))
    assert not dry_run(experiment, config, "v5e:2x2", None)
    shown = capsys.readouterr().out
    assert "DOES NOT FIT: needs" in shown and "of 15.75GiB" in shown
    buffers = shown.splitlines()[-8:]
    assert "4096.00 GiB" in buffers[0] and "Dense_0/dot_general" in buffers[0]
    assert any("params['Dense_0']['kernel']" in line for line in buffers)


@needs_compiler
def test_sharding_makes_it_fit(capsys):
    """A state of 54 GiB on chips of 31."""

    def step(state, batch, key):
        state = {name: w * 0.9 for name, w in state.items()}
        return state, {"loss": sum(w.sum() for w in state.values())}

    experiment = Functions(
        init=lambda key: {name: jnp.zeros((40_000, 120_000)) for name in ("a", "b", "c")},
        step=step,
        num_steps=1,
    )
    config = settings()
    assert not dry_run(experiment, config, "v6e:2x2", None)
    assert "needs 53.6" in capsys.readouterr().out
    config.mesh.data, config.mesh.fsdp = 1, 4
    experiment.rules = ((".", P("fsdp")),)
    assert dry_run(experiment, config, "v6e:2x2", None)


@needs_compiler
def test_batches_read_ahead_count(capsys):
    config = settings(steps_per_call=8)
    experiment = build(config, rows=(2**14,))
    dry_run(experiment, config, "v5e:2x2", None)
    per_chip = 16 * 2**14 * 4 / 4 / 2**20 / 4  # MiB of one batch of [2**14, 4] float32 on 4 chips
    assert f"inputs             {16 * per_chip:.4g} MiB" in capsys.readouterr().out


def test_gpus_are_simulated(capsys):
    """In a process of its own, whose CPU has to become four devices."""
    code = (
        "from research.pods.dry_run import dry_run; from research.pods.dry_run_report import show;"
        "from research.pods import topology; from tests.training.toy import *;"
        "topology.load('gpu:4'); config = settings(mesh__data=2, mesh__fsdp=2);"
        "show(dry_run(build(config, width=64, rules=FSDP), 'gpu:4', config.mesh, published=385))"
    )
    env = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    shown = done.stdout
    assert "gpu:4: 4 chips as data 2 x fsdp 2 x model 1" in shown, done.stderr
    assert "H100 of 80 GB; compiled for CPU devices" in shown and "equal" in shown
    assert "over fsdp (2 chips)" in shown and "verdict              fits" in shown


def test_a_list_of_slices_is_tried_from_the_smallest():
    assert topology.by_size(["gpu:1"]) == ["gpu:1"]
    with pytest.raises(UserError, match="unknown topology 'v9:2x2'"):
        topology.by_size(["gpu:1", "v9:2x2"])


@needs_compiler
def test_the_smallest_slice_that_fits(tmp_path):
    command = [
        sys.executable,
        str(ROOT / "experiments/dcgan.py"),
        "--config",
        "configs/dcgan.py:smoke",
        "--dry_run",
        "v5e:2x4,v5e:1x1,v5e:2x2",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "smallest that fits: v5e:1x1, of v5e:1x1, v5e:2x2, v5e:2x4" in done.stdout


@needs_compiler
def test_mesh_and_batch_errors_are_those_of_a_run():
    config = settings(mesh__data=3)
    with pytest.raises(UserError, match="does not match the 4 devices"):
        dry_run(build(config), config, "v5e:2x2", None)
    config = settings()
    with pytest.raises(UserError, match="batch of 16 .* does not divide"):
        dry_run(build(config), config, "v5e:8x8", None)


@needs_compiler
def test_a_step_that_only_a_cpu_can_run():
    def step(state, batch, key):
        out = jax.ffi.ffi_call("some_emulator", jax.ShapeDtypeStruct((), jnp.float32))(state)
        return out, {}

    experiment = Functions(lambda key: jnp.zeros(()), step, 1)
    with pytest.raises(UserError, match="the step calls some_emulator, which runs on the host"):
        dry_run(experiment, settings(), "v5e:2x2", None)


@needs_compiler
def test_no_data_is_opened(monkeypatch):
    config = settings()
    experiment = build(config)

    def opened(*_):
        raise AssertionError("the source was used")

    monkeypatch.setattr(type(experiment.source), "open", opened)
    monkeypatch.setattr(type(experiment.source), "__call__", opened)
    assert dry_run(experiment, config, "v5e:2x2", None)


def test_a_normal_run_has_nothing_to_do_with_it():
    code = "import research.app, sys; print([m for m in sys.modules if 'topolog' in m])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@needs_compiler
def test_a_normal_run_leaves_the_compiler_alone():
    """JAX by itself starts any libtpu it finds, TPU or none."""
    code = (
        "from research.training import hosts; hosts.initialize(); import jax; jax.devices();"
        "print('libtpu.so' in open('/proc/self/maps').read())"
    )
    env = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False", done.stdout + done.stderr
