"""Told to stop, or failing, at chosen moments of a script: nothing is lost, and one line says how
to go on. In this process, on a toy; the same with real processes is in `moments.py` beside this."""

import os
import signal

import pytest

from research import app, config
from tests.faults.drill import TOYS, difference, outcome

FLAGS = ["--arm=first", "--config.num_steps=8", "--config.eval_every_steps=4"]
# Moment, how often it comes before, and the step from which the run then goes on.
MOMENTS = [
    ("build", 0, None),
    ("open", 0, None),
    ("compile", 0, None),
    ("step", 0, None),
    ("step", 4, 5),
    ("step", 7, 8),  # the last step: saved, and not evaluated
    ("evaluate", 0, 4),
    ("evaluate", 1, 8),
    ("decode", 0, 8),
]


@pytest.fixture
def toy():
    return config.load_module(TOYS / "experiments" / "moments.py")


def run(toy, workdir, *flags):
    return app.main(toy, [*FLAGS, *flags, "--workdir", str(workdir)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    module = config.load_module(TOYS / "experiments" / "moments.py")
    assert run(module, folder) == 0
    return outcome(folder)


def at(toy, moment, before, action):
    """Has something happen when a moment comes that has come `before` times already."""
    left = [before]

    def arrive(came):
        if came == moment:
            left[0] -= 1
            if left[0] == -1:
                action()

    toy.arrive = arrive


def resumed_from(said):
    found = [line for line in said.splitlines() if line.startswith("resuming from step")]
    return int(found[0].split()[-1]) if found else None


def resume(toy, workdir, capfd, caplog):
    """Runs the same command again; the step that it went on from."""
    at(toy, "", 0, None)
    caplog.clear()
    with caplog.at_level("INFO", "landmarks"):
        assert run(toy, workdir) == 0
    return resumed_from("\n".join(record.getMessage() for record in caplog.records))


@pytest.mark.parametrize(("moment", "before", "step"), MOMENTS)
def test_told_to_stop(toy, whole, moment, before, step, tmp_path, capfd, caplog):
    number = [signal.SIGTERM, signal.SIGINT][(before + len(moment)) % 2]
    at(toy, moment, before, lambda: os.kill(os.getpid(), number))
    assert run(toy, tmp_path / "run") == 0
    said = capfd.readouterr().err
    last = said.strip().splitlines()[-1]
    assert last.startswith("stopped") and "resume with: " in last and str(tmp_path / "run") in last
    assert "Traceback" not in said
    assert resume(toy, tmp_path / "run", capfd, caplog) == step
    assert difference(whole, outcome(tmp_path / "run")) == []


@pytest.mark.parametrize(("moment", "before", "step"), MOMENTS[6:9])
def test_an_error_after_steps_were_made_loses_none(
    toy, whole, moment, before, step, tmp_path, capfd, caplog
):
    def fail():
        raise RuntimeError("a fault of the evaluation")

    at(toy, moment, before, fail)
    with pytest.raises(RuntimeError, match="a fault of the evaluation"):
        run(toy, tmp_path / "run", "--config.checkpoint_every_steps=0")
    assert resume(toy, tmp_path / "run", capfd, caplog) == step
    found = outcome(tmp_path / "run")
    found["result"]["config"]["checkpoint_every_steps"] = 4
    assert difference(whole, found) == []


def test_ctrl_c_twice_is_one_line_and_130(toy, whole, tmp_path, capfd, caplog):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    at(toy, "step", 6, twice)
    assert run(toy, tmp_path / "run") == 130
    said = capfd.readouterr().err
    assert said.strip().splitlines()[-1].startswith("left at once; resume with: ")
    assert "Traceback" not in said
    assert resume(toy, tmp_path / "run", capfd, caplog) == 4
    assert difference(whole, outcome(tmp_path / "run")) == []


def test_the_next_arm_is_not_begun(toy, tmp_path, capfd):
    at(toy, "step", 7, lambda: os.kill(os.getpid(), signal.SIGTERM))
    flags = FLAGS[1:]
    assert app.main(toy, [*flags, "--workdir", str(tmp_path / "run")]) == 0
    assert not (tmp_path / "run" / "second").exists()


def test_while_claims_are_judged(toy, tmp_path, capfd):
    at(toy, "claims", 0, lambda: os.kill(os.getpid(), signal.SIGTERM))
    flags = [*FLAGS[1:], "--workdir", str(tmp_path / "run")]
    assert app.main(toy, flags) == 0
    assert capfd.readouterr().err.strip().splitlines()[-1].startswith("stopped; resume with: ")
    assert not (tmp_path / "run" / "result.json").exists()
    assert app.main(toy, flags) == 0
    assert (tmp_path / "run" / "result.json").exists()


def test_a_signal_that_a_callback_swallowed_is_not_forgotten(toy, tmp_path, capfd):
    """What JAX calls back drops every exception, the one of a signal too."""

    def swallowed():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            pass

    at(toy, "build", 0, swallowed)
    assert run(toy, tmp_path / "run") == 0
    assert "stopped before arm first, seed 0; resume with" in capfd.readouterr().err
