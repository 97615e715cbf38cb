"""Being told to stop, by SIGTERM or Ctrl-C, at any moment of a script.

What a signal does depends on the moment it comes in:

- anywhere but in the loop (start-up, compilation, evaluation, what a script does after training):
  nothing is lost by leaving, so `Stopped` is raised at once;
- in the loop: the wish is kept, and the loop asks for it after every dispatch, saves, and raises
  `Stopped` itself. A second Ctrl-C leaves without that, by `Interrupted`;
- while a checkpoint is written: nothing cuts that short.

In a run of several processes none may leave alone: JAX's service then finds a moment for all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from jax.experimental import multihost_utils

from research.training import exchange

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_ANYWHERE, _STEPPING, _WRITING = range(3)
_PATIENCE = 10.0  # seconds that a call into compiled code may go on after a signal


class Stopped(BaseException):
    """The run was told to stop; what is saved is whole, and the same command resumes it.

    Like KeyboardInterrupt it is no Exception: nothing that mends errors on the way takes it.
    """


class Interrupted(BaseException):
    """The run was told twice by Ctrl-C, and left without saving once more."""


class _Wish:
    """What was asked for, in this process."""

    def __init__(self) -> None:
        self.listening = False
        self.resume = ""  # command that goes on with the run
        self.moment = _ANYWHERE
        self.turns = 0  # how often the main thread has gone from one moment to another
        self.since = 0  # value of `turns` at the start of this `listening`
        self.clear()

    def enter(self, moment: int) -> None:
        self.moment = moment
        self.turns += 1

    def clear(self) -> None:
        self.signal: int | None = None
        self.by_hand = 0  # how often Ctrl-C was pressed
        self.agreed = False


_wish = _Wish()
_asked = 0  # times that all processes of a run were asked together; JAX's service lives as long


@contextlib.contextmanager
def listening(resume: str = "") -> Iterator[None]:
    """Context in which SIGTERM and SIGINT are taken; one inside another changes nothing.

    In another thread than the main one, which gets no signals, it does nothing.
    """
    if _wish.listening or threading.current_thread() is not threading.main_thread():
        yield
        return
    _wish.clear()
    _wish.listening, _wish.resume = True, resume
    _wish.enter(_ANYWHERE)
    _wish.since = _wish.turns
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ours, theirs = socket.socketpair()  # a signal's number arrives there at once, from C
    theirs.setblocking(False)
    previous = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_hear, args=(ours, _wish.since), daemon=True).start()
    try:
        take_signals()
        yield
    finally:
        _wish.listening = False
        _wish.enter(_ANYWHERE)
        _wish.clear()
        for number, handler in before.items():
            if handler is not None:  # one that was not set from Python cannot be set again
                signal.signal(number, handler)
        signal.set_wakeup_fd(previous)
        theirs.close()


def take_signals() -> None:
    """Sets the handlers, once more after JAX's service may have set its own."""
    if not _wish.listening:
        return
    if _several():
        # SIGTERM is JAX's own then, which tells the other processes.
        signal.signal(signal.SIGINT, _pass_on)
    else:
        for number in SIGNALS:
            signal.signal(number, _take)


def requested() -> bool:
    """Whether to stop here. In a run of several processes all of them ask at the same places."""
    global _asked
    if not _several():
        return _wish.signal is not None
    _asked += 1
    # Notices reach processes at different times; JAX's service finds a call for all of them.
    if multihost_utils.reached_preemption_sync_point(_asked):
        _wish.agreed = True
    return _wish.agreed


def check(where: str) -> None:
    """Stops here if that was asked for.

    Raises:
      Stopped: it was.
    """
    if requested():
        raise Stopped(f"stopped {where}")


@contextlib.contextmanager
def stepping() -> Iterator[None]:
    """Context of the loop, which asks `requested` itself."""
    with _moment(_STEPPING):
        yield


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Context in which nothing is cut short."""
    with _moment(_WRITING):
        yield


@contextlib.contextmanager
def anywhere() -> Iterator[None]:
    """Context, inside of the loop's, of what may be left at once: nothing is lost by it."""
    with _moment(_ANYWHERE):
        if _wish.signal is not None and not _several():
            raise Stopped("stopped")
        yield


@contextlib.contextmanager
def _moment(moment: int) -> Iterator[None]:
    before = _wish.moment
    _wish.enter(moment)
    try:
        yield
    finally:
        _wish.enter(before)


def _several() -> bool:
    return exchange.process_count() > 1


def _take(number: int, frame: FrameType | None) -> None:
    """Python's handler; runs in the main thread as soon as compiled code lets go of it."""
    _wish.by_hand += number == signal.SIGINT
    first, _wish.signal = _wish.signal is None, number
    if _wish.moment == _WRITING:
        return
    if number == signal.SIGINT and _wish.by_hand > 1:
        raise Interrupted("left at once")
    if _wish.moment == _ANYWHERE and first:
        raise Stopped("stopped")


def _pass_on(number: int, frame: FrameType | None) -> None:
    _wish.by_hand += 1
    if _wish.by_hand > 1 and _wish.moment != _WRITING:
        raise Interrupted("left at once")
    os.kill(os.getpid(), signal.SIGTERM)


def _hear(ours: socket.socket, since: int) -> None:
    """Says at once what a signal will do; Python's handler may have to wait for compiled code.

    Args:
      ours: End of the socket at which numbers of signals arrive.
      since: `_wish.since` of the `listening` that this thread belongs to; a signal that is heard
        when that is over has ended it.
    """
    by_hand = 0
    with ours:
        while heard := ours.recv(1):
            number = heard[0]
            if number not in SIGNALS:
                continue
            by_hand += number == signal.SIGINT
            moment, turns = _wish.moment, _wish.turns
            if _wish.since != since or not _wish.listening:
                continue
            _say(signal.Signals(number).name, moment, by_hand)
            if moment == _ANYWHERE or (moment == _STEPPING and by_hand > 1):
                threading.Thread(target=_insist, args=(turns, by_hand), daemon=True).start()


def _say(name: str, moment: int, by_hand: int) -> None:
    if moment == _WRITING:
        text = "a checkpoint is being written: stopping when it is whole"
    elif by_hand > 1:
        text = "leaving at once, without another checkpoint"
    elif moment == _STEPPING:
        text = "stopping after this step, when its state is saved (Ctrl-C twice: at once)"
    else:
        return  # it stops at once, and says so
    print(f"{name}: {text}", file=sys.stderr, flush=True)


def _insist(turns: int, by_hand: int) -> None:
    """Ends this process where compiled code, such as the compiler's, does not let go of it.

    Args:
      turns: `_wish.turns` when the signal came. Another number says that the main thread has run
        since, and has taken the signal: what it does now, maybe in another run, is left alone.
    """
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        time.sleep(0.1)
        if _wish.turns != turns:
            return
    if _several() and by_hand < 2:
        return
    message, code = farewell(
        by_hand > 1, "left at once" if by_hand > 1 else "stopped", _wish.resume
    )
    print(message, file=sys.stderr, flush=True)
    os._exit(code)


def farewell(interrupted: bool, what: Any, command: str) -> tuple[str, int]:
    """The last line of a run that was told to stop, and its exit code."""
    resume = f"; resume with: {command}" if command else ""
    return f"{what}{resume}", 130 if interrupted else 0
