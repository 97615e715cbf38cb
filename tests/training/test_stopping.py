"""What SIGTERM and Ctrl-C do, by the moment in which they come; in real runs in `tests/faults`."""

import os
import signal
import threading
import time

import pytest

from research.training import stopping
from research.training.stopping import Interrupted, Stopped


def tell(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


BOTH = pytest.mark.parametrize("number", stopping.SIGNALS)


@BOTH
def test_outside_the_loop_it_stops_at_once(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped), stopping.listening():
        tell(number)
        pytest.fail("went on")
    assert signal.getsignal(number) is before


@BOTH
def test_in_the_loop_the_wish_is_kept_until_it_is_asked_for(number):
    with stopping.listening():
        with stopping.stepping():
            assert not stopping.requested()
            tell(number)
            assert stopping.requested()
        assert stopping.requested(), "the next arm is not begun"
        with pytest.raises(Stopped, match="before arm b"):
            stopping.check("before arm b")
    with stopping.listening():
        assert not stopping.requested(), "another run is not stopped"


def test_a_wish_of_the_loop_stops_the_evaluation_before_it_begins():
    with pytest.raises(Stopped), stopping.listening(), stopping.stepping():
        tell()
        with stopping.anywhere():
            pytest.fail("began")


def test_ctrl_c_twice_leaves_the_loop_at_once(capfd):
    with pytest.raises(Interrupted), stopping.listening(), stopping.stepping():
        tell(signal.SIGINT)
        assert stopping.requested()
        tell(signal.SIGINT)
        pytest.fail("went on")


@pytest.mark.parametrize("signals", [[signal.SIGINT] * 3, [signal.SIGTERM, signal.SIGINT]])
def test_nothing_cuts_a_checkpoint_short(signals):
    with stopping.listening(), stopping.stepping():
        with stopping.writing():
            for number in signals:
                tell(number)
        assert stopping.requested()


def test_an_error_mended_on_the_way_does_not_take_the_wish():
    """Stopped is no Exception: a reader that tries something else after an error is not fooled."""
    with pytest.raises(Stopped), stopping.listening():
        try:
            tell()
        except Exception:
            pytest.fail("taken for an error")


def test_what_is_said_comes_at_once(capfd):
    with stopping.listening(), stopping.stepping():
        tell()
        wait_for(capfd, "stopping after this step, when its state is saved")


@pytest.fixture
def ends(monkeypatch):
    """Exit codes with which this process would have been ended."""
    codes = []
    monkeypatch.setattr(stopping.os, "_exit", codes.append)
    monkeypatch.setattr(stopping, "_PATIENCE", 0.1)
    return codes


def test_compiled_code_that_does_not_let_go_is_left(ends, capfd):
    """The main thread cannot take a signal while it is in the compiler."""
    with stopping.listening("python again.py"):
        stopping._insist(stopping._wish.turns, 0)
        with stopping.stepping():
            stopping._insist(stopping._wish.turns, 2)
    assert ends == [0, 130]
    assert capfd.readouterr().err.count("resume with: python again.py") == 2


def test_a_run_that_has_let_go_is_not_ended_and_neither_is_the_next(ends):
    with stopping.listening():
        turns = stopping._wish.turns
        with stopping.stepping():
            stopping._insist(turns, 0)  # it went on, and is asked by the loop
        stopping._insist(turns, 0)  # it is back where it was
    stopping._insist(turns, 0)
    with stopping.listening():  # another run, in the same moment
        stopping._insist(turns, 0)
    assert ends == []


def test_a_stopped_run_does_not_end_the_next_one(ends, monkeypatch):
    """The thread that insists still sleeps when the next run of this process begins."""
    monkeypatch.setattr(stopping, "_PATIENCE", 0.3)
    with pytest.raises(Stopped), stopping.listening():
        tell()
        pytest.fail("went on")
    with stopping.listening():
        time.sleep(0.8)
    assert ends == []


def test_a_checkpoint_longer_than_patience_is_not_cut_short(ends):
    with stopping.listening(), stopping.stepping(), stopping.writing():
        tell(signal.SIGINT)
        tell(signal.SIGINT)
        time.sleep(0.6)
    assert ends == []


def test_in_another_thread_it_does_nothing():
    found = []

    def run():
        with stopping.listening(), stopping.stepping():
            found.append(stopping.requested())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [False]


def wait_for(capfd, text):
    said = ""
    for _ in range(500):
        said += capfd.readouterr().err
        if text in said:
            return
        threading.Event().wait(0.01)
    pytest.fail(f"{text!r} was not said: {said!r}")
