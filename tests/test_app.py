"""The entry point, on a toy script: arms, seeds, results, exit codes."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from research import app, config
from research.core import Source
from research.training.writers import read_metrics

TOYS = Path(__file__).resolve().parent / "toys"


@pytest.fixture
def line():
    return config.load_module(TOYS / "experiments" / "line.py")


def result(workdir):
    return json.loads((workdir / "result.json").read_text())


def run(module, workdir, *flags):
    return app.main(module, [*flags, "--workdir", str(workdir)])


def test_arms_and_seeds(line, tmp_path, capsys):
    assert run(line, tmp_path / "run") == 0
    written = result(tmp_path / "run")
    assert {arm: set(seeds) for arm, seeds in written["arms"].items()} == {
        "slow": {"0", "1"},
        "fast": {"0", "1"},
    }
    slow, fast = (written["arms"][arm]["0"]["test/error"] for arm in ("slow", "fast"))
    assert fast < slow
    assert written["arms"]["fast"]["0"] != written["arms"]["fast"]["1"], "seeds differ"
    (claim,) = written["claims"]
    assert claim["holds"] is True and claim["paper"] == "so it does"
    assert written["config"]["learning_rate"] == 0.1 and written["seconds"] > 0
    assert (tmp_path / "run" / "test_error.png").stat().st_size > 1000
    assert "fast learns faster" in capsys.readouterr().out


def test_a_claim_that_fails_is_exit_code_1(line, tmp_path):
    line.claims = lambda results: [app.Claim("no", "", "", False)]
    assert run(line, tmp_path / "run") == 1
    assert result(tmp_path / "run")["claims"][0]["holds"] is False


def test_a_claim_about_what_was_not_measured_is_an_error(line, tmp_path, capsys):
    line.claims = lambda results: [results["test/eror"].at_least("fast", 0, claim="", paper="")]
    assert run(line, tmp_path / "run") == 2
    assert "reports 'test/eror'; reported: test/error" in capsys.readouterr().err
    assert result(tmp_path / "run")["arms"]["fast"]


def test_one_setting_alone_compares_nothing(line, tmp_path):
    flags = ["--config", f"{TOYS}/configs/line.py:smoke", "--workdir", str(tmp_path / "run")]
    line.claims = lambda results: [results["test/error"].above("a", "b", claim="", paper="")]
    assert app.main(line, [*flags, "--config.check_claims=false"]) == 0
    assert result(tmp_path / "run")["claims"] == []


def test_claims_are_not_checked_where_the_config_says_so(line, tmp_path):
    line.claims = lambda results: [app.Claim("no", "", "", False)]
    assert run(line, tmp_path / "run", "--config.check_claims=false") == 0
    assert result(tmp_path / "run")["claims"][0]["holds"] is None


def test_a_claim_that_this_run_cannot_tell_is_not_checked(line, tmp_path, capsys):
    line.claims = lambda results: [app.Claim("unsure", "", "", None)]
    assert run(line, tmp_path / "run") == 0
    assert result(tmp_path / "run")["claims"][0]["holds"] is None
    assert "not checked" in capsys.readouterr().out


def test_arms_run_apart_are_compared_by_the_last(line, tmp_path, capsys):
    assert run(line, tmp_path / "run", "--arm=slow") == 0
    assert result(tmp_path / "run")["claims"] == []
    assert "still to run: fast" in capsys.readouterr().err
    assert run(line, tmp_path / "run", "--arm=fast") == 0
    assert len(result(tmp_path / "run")["claims"]) == 1


def test_finished_runs_are_not_run_again(line, tmp_path):
    assert run(line, tmp_path / "run") == 0
    before = result(tmp_path / "run")
    line.main = None
    assert run(line, tmp_path / "run") == 0
    assert result(tmp_path / "run") == before


def test_non_finite_loss_is_exit_code_3(line, tmp_path, capsys):
    assert run(line, tmp_path / "run", "--config.worst_loss=1e-9", "--arm=fast") == 3
    assert "loss is not finite at step 0" in capsys.readouterr().err


def test_default_workdir_names_variant_and_overrides(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["--config", f"{TOYS}/configs/line.py:smoke", "--config.flag=true", "--arm=fast"]
    assert app.main(line, flags) == 0
    assert (tmp_path / "runs" / "line-smoke-flag=true" / "fast" / "1").is_dir()


@pytest.mark.parametrize("kind", ["file", "other files", "under a file"])
def test_unusable_workdir_is_refused(line, tmp_path, kind, capsys):
    workdir = tmp_path / "run"
    if kind == "other files":
        workdir.mkdir()
        (workdir / "thesis.tex").write_text("")
    else:
        workdir.write_text("")
    before = sorted(tmp_path.rglob("*"))
    assert run(line, workdir / "deeper" if kind == "under a file" else workdir) == 2
    assert "choose another --workdir" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_workdir_of_another_script_is_refused(line, tmp_path, capsys):
    shutil.copytree(TOYS, tmp_path / "toys")
    script = (tmp_path / "toys/experiments/line.py").rename(tmp_path / "toys/experiments/curve.py")
    (tmp_path / "toys/configs/line.py").rename(tmp_path / "toys/configs/curve.py")
    run(line, tmp_path / "run", "--arm=fast")
    before = sorted((tmp_path / "run").rglob("*"))
    assert run(config.load_module(script), tmp_path / "run", "--arm=fast") == 2
    assert "'line' -> 'curve'" in capsys.readouterr().err
    assert sorted((tmp_path / "run").rglob("*")) == before


def test_a_clock_set_back_changes_nothing(line, tmp_path, monkeypatch):
    """Checkpoints dated years ahead are resumed from as any other."""
    flags = ("--arm=fast", "--config.seeds=0", "--config.checkpoint_every_steps=5")
    assert run(line, tmp_path / "run", *flags) == 0
    unbroken = result(tmp_path / "run")["arms"]
    folder = tmp_path / "run" / "fast" / "0"
    (folder / "result.json").unlink()
    saved = sorted((p for p in (folder / "checkpoints").glob("[0-9]*")), key=lambda p: int(p.name))
    assert len(saved) > 1
    shutil.rmtree(saved[-1])  # as if killed before it was made
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: 1e9)  # in 2001
        assert run(line, tmp_path / "run", *flags) == 0
    assert result(tmp_path / "run")["arms"] == unbroken
    again = [p for p in (folder / "checkpoints").glob("[0-9]*") if p.name == saved[-1].name]
    assert again, "went on past the checkpoint, and made the last one anew"


def test_metrics_have_steps_in_order(line, tmp_path):
    run(line, tmp_path / "run", "--arm=fast")
    steps = [record["step"] for record in read_metrics(tmp_path / "run" / "fast" / "0")]
    assert steps == [5, 10, 15, 20, 20]


def test_seeds_trained_together_end_as_each_would_alone(line, tmp_path):
    flags = ("--config.seeds=3,5", "--config.log_every_steps=5", "--config.eval_every_steps=5")
    assert run(line, tmp_path / "alone", *flags) == 0
    assert run(line, tmp_path / "together", *flags, "--config.vmap_seeds=true") == 0
    alone, together = result(tmp_path / "alone")["arms"], result(tmp_path / "together")["arms"]
    for arm, seeds in alone.items():
        for seed, numbers in seeds.items():
            assert together[arm][seed] == pytest.approx(numbers, rel=1e-4)
            curves = [read_metrics(tmp_path / way / arm / seed) for way in ("alone", "together")]
            assert len(curves[0]) == len(curves[1]) > 4
            for first, second in zip(*curves, strict=True):
                del first["seconds"], second["seconds"]
                assert second == pytest.approx(first, rel=1e-3)
    assert together["fast"]["3"] != together["fast"]["5"]


def test_seeds_of_a_run_with_a_source_are_not_trained_together(line, tmp_path, capsys):
    line.Line.source = Source()
    assert run(line, tmp_path / "run", "--config.vmap_seeds=true") == 2
    assert "vmap_seeds" in capsys.readouterr().err and not (tmp_path / "run").exists()


class Failing:
    """A script whose evaluation fails in some way."""

    def __init__(self, line, error):
        def fail(self, state, key):
            raise error

        line.Line.evaluate = fail


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 5, "No space left on device"),
        (OSError(errno.EIO, os.strerror(errno.EIO), "x.npy"), 5, "Input/output error"),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), 5, "File too large"),
        (ValueError("UNKNOWN: [OS error 122: EDQUOT Disk quota exceeded]"), 5, "Disk quota"),
        (MemoryError("Unable to allocate 9 TiB"), 6, "out of memory: Unable to allocate 9 TiB"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nmore"), 6, "--dry_run=gpu:1"),
    ],
)
def test_what_is_no_fault_of_the_program_is_one_line(line, tmp_path, error, code, said, capsys):
    Failing(line, error)
    assert run(line, tmp_path / "run", "--arm=fast", "--config.seeds=0") == code
    errors = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error: ")]
    assert len(errors) == 1 and said in errors[0]


@pytest.fixture
def script(line, monkeypatch):
    """`app.run` as from the script, with a command line; gives the exit code."""
    monkeypatch.setattr(app.startup, "use_huge_pages", lambda: None)
    monkeypatch.setattr(app.startup, "observed", lambda: False)
    monkeypatch.setattr(app, "process_count", lambda: 1)
    monkeypatch.setattr(app.threading, "enumerate", lambda: [])

    def start(*flags):
        monkeypatch.setattr(sys, "argv", [line.__file__, *flags])
        with pytest.raises(SystemExit) as end:
            exec("app.run()", line.__dict__)
        return end.value.code

    return start


def test_a_fault_of_the_program_has_a_traceback_and_a_code_of_its_own(
    line, script, tmp_path, capsys
):
    Failing(line, ZeroDivisionError("a bug"))
    assert script("--arm=fast", "--workdir", str(tmp_path / "run")) == 70
    said = capsys.readouterr().err
    assert "Traceback" in said and "ZeroDivisionError: a bug" in said


def test_a_debugger_sees_a_fault(line, script, tmp_path, monkeypatch):
    Failing(line, ZeroDivisionError("a bug"))
    monkeypatch.setattr(app.startup, "observed", lambda: True)
    with pytest.raises(ZeroDivisionError):
        app.main(line, ["--arm=fast", "--workdir", str(tmp_path / "run")])


def test_a_thread_that_waits_for_ever_does_not_keep_the_process(script, monkeypatch, tmp_path):
    """Such as those of a checkpoint that could not be written."""
    gate, ends = threading.Event(), []
    waiting = threading.Thread(target=gate.wait)
    waiting.start()
    monkeypatch.setattr(app.threading, "enumerate", lambda: [waiting])
    monkeypatch.setattr(app.os, "_exit", ends.append)
    assert script("--bogus") == 2
    assert ends == [2]
    gate.set()


@pytest.mark.parametrize(
    ("workdir", "said"),
    [
        ("gs://bucket/run", "'gs://bucket/run' is not in this machine's file system"),
        ("s3://bucket", "mount it and give the folder"),
        ("~nobody_has_this_name/run", "write the path out"),
    ],
)
def test_a_workdir_that_is_no_folder_here_is_refused(
    line, tmp_path, workdir, said, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert app.main(line, ["--workdir", workdir]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_home_is_meant_by_its_sign(line, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert app.main(line, ["--arm=fast", "--config.seeds=0", "--workdir=~/run"]) == 0
    assert (tmp_path / "run" / "fast").is_dir()


@pytest.mark.parametrize("switch", ["jax_enable_x64", "jax_debug_nans", "jax_disable_jit"])
def test_switches_that_the_loop_does_not_go_with_are_refused(line, tmp_path, switch, capsys):
    import jax

    jax.config.update(switch, True)
    try:
        assert run(line, tmp_path / "run") == 2
    finally:
        jax.config.update(switch, False)
    assert f"error: unset {switch.upper()}: " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_no_device_is_one_line(line, tmp_path, capsys, monkeypatch):
    def fail():
        raise AssertionError

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(app.startup.jax, "devices", fail)
    assert run(line, tmp_path / "run") == 2
    assert "error: JAX_PLATFORMS=cuda finds no device to run on" in capsys.readouterr().err


def test_a_script_runs_in_a_thread(line, tmp_path):
    codes = []
    flags = ("--arm=fast", "--config.seeds=0")
    thread = threading.Thread(target=lambda: codes.append(run(line, tmp_path / "run", *flags)))
    thread.start()
    thread.join()
    assert codes == [0]


@pytest.mark.slow
def test_a_script_runs_under_a_profiler_without_a_home(line, tmp_path):
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "JAX_COMPILATION_CACHE_DIR")}
    env |= {"PYTHONPATH": str(TOYS.parents[1])}
    flags = ["--arm=fast", "--config.seeds=0", "--workdir", str(tmp_path / "run")]
    found = subprocess.run(
        [sys.executable, "-m", "cProfile", line.__file__, *flags],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0 and result(tmp_path / "run")["arms"], found.stderr


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_ends_the_process(line, tmp_path):
    """In seconds and with one line, though threads of it wait for ever."""
    flags = ["--config.num_steps=3000", "--config.checkpoint_every_steps=20", "--arm=fast"]
    command = [sys.executable, line.__file__, *flags, "--workdir", str(tmp_path / "run")]
    env = {**os.environ, "PYTHONPATH": str(TOYS.parents[1])}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
    checkpoints = tmp_path / "run" / "fast" / "0" / "checkpoints"
    while process.poll() is None and not any(p.name.isdigit() for p in checkpoints.glob("*")):
        time.sleep(0.01)
    checkpoints.rename(tmp_path / "moved")
    checkpoints.write_text("")
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 5, error
    assert "Traceback" not in error and error.splitlines()[-1].startswith("error: ")
    assert "cannot be written" in error.splitlines()[-1]


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_the_checkpoints_whole(line, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system")
    try:
        flags = [
            "--config.num_steps=3000",
            "--config.checkpoint_every_steps=20",
            "--config.seeds=0",
            "--arm",
            "fast",
        ]
        command = [sys.executable, line.__file__, *flags, "--workdir", str(disk / "run")]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        checkpoints = disk / "run" / "fast" / "0" / "checkpoints"
        while process.poll() is None and not any(p.name.isdigit() for p in checkpoints.glob("*")):
            time.sleep(0.01)
        with contextlib.suppress(OSError), (disk / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(4096))
                filler.flush()
        error = process.communicate(timeout=300)[1]
        assert process.returncode == 5, error
        last = error.splitlines()[-1]
        assert last.startswith("error: ") and "No space left on device" in last
        assert "Traceback" not in error
        (disk / "filler").unlink()
        again = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=300)
        assert again.returncode == 0 and "resuming from step" in again.stderr
        assert run(line, tmp_path / "whole", *flags) == 0
        assert result(disk / "run")["arms"] == result(tmp_path / "whole")["arms"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
