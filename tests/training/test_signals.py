import os
import signal

import pytest

from research.training.signals import StopSignal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_no_more(number):
    before = signal.getsignal(number)
    with StopSignal() as stop:
        assert not stop.requested(1)
        os.kill(os.getpid(), number)
        assert stop.requested(2)
        assert stop.requested(3)
    assert signal.getsignal(number) is before


def test_asking_twice_by_keyboard_ends_at_once():
    with pytest.raises(KeyboardInterrupt), StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested(1)
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_asking_again_after_sigterm_does_not_cut_the_saving_short(second):
    with StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), second)
        assert stop.requested(1)
