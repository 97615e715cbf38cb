"""What the processes of a run do when one of them has gone: end, each with one line."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
from typing import Any

from research.training.exchange import exchange, process_count, process_index

log = logging.getLogger("landmarks")

LOST = 4  # exit code of a process that another one has left alone
# What the errors of Gloo, NCCL and JAX's own service say when a process no longer answers.
_LOST = re.compile(
    r"closed by peer|reset by peer|Socket closed|heartbeat|UNAVAILABLE|remote process exited|"
    r"Gloo \w+ failed|Broken pipe|tasks? (is|are) (unhealthy|set to ERROR)"
)
_ALIVE, _ENDED, _FAILED = b".", b"o", b"x"
_BEAT = 5.0  # seconds between two signs of life
_SILENCE = 60.0  # seconds without one until a process counts as lost; JAX aborts after 100
_PATIENCE = 5.0  # seconds for a connection
_GRACE = 10.0  # seconds in which the others may come upon the same error by themselves
_exiting = threading.Lock()  # taken by who ends this process, and never given back


def exit_if_peer_lost(error: BaseException) -> None:
    """Ends this process, with exit code `LOST`, if an error means that another one has ended.

    At once: the ordinary end of a process waits for all the others.
    """
    if process_count() > 1 and _LOST.search(str(error)):
        _exit(str(error).strip().splitlines()[0][:200])


def _exit(reason: str) -> None:
    _exiting.acquire()
    print(
        f"error: another process of this run has ended or cannot be reached ({reason}); start all "
        "of them again with the same command, and the run goes on from its last checkpoint",
        file=sys.stderr,
        flush=True,
    )
    os._exit(LOST)


@functools.cache
def watch_peers() -> None:
    """Lets every process notice at once when another one has gone. All processes call it.

    JAX's own service would notice a minute later, and abort them without a word of ours. Process 0
    keeps a connection to each of the others; both ends send signs of life, and a last word before
    they end. When another one is lost, process 0 ends, and with it all.
    Whoever cannot reach it goes on without: firewalls may let nothing through but JAX's port.
    """
    if process_count() == 1:
        return
    _delay_abort()
    server = socket.create_server(("", 0)) if process_index() == 0 else None
    port = server.getsockname()[1] if server else 0
    # Only who knows the secret takes the place of a process.
    host, port, secret = exchange(
        "watch", f"{socket.gethostname()} {port} {secrets.token_hex(16)}"
    )[0].split()
    if server is not None:
        threading.Thread(target=_accept, args=(server, secret), daemon=True).start()
        return
    coordinator = os.environ.get("JAX_COORDINATOR_ADDRESS", "").rpartition(":")[0].strip("[]")
    for name in filter(None, (coordinator, host)):
        with contextlib.suppress(OSError):
            connection = socket.create_connection((name, int(port)), timeout=_PATIENCE)
            connection.sendall(f"{secret} {process_index():6d}".encode())
            _Connection(connection, "process 0").watch()
            return
    log.info("process 0 cannot be watched at %s:%s", host, port)


def say_goodbye(failed: bool = False) -> None:
    """Tells the others that this process ends; where it failed, they too end within seconds."""
    for connection in _connections:
        connection.say(_FAILED if failed else _ENDED)
    _connections.clear()


def _accept(server: socket.socket, secret: str) -> None:
    with server:
        while True:
            connection, _ = server.accept()
            connection.settimeout(_PATIENCE)
            with contextlib.suppress(OSError, ValueError):
                word = connection.recv(len(secret) + 7, socket.MSG_WAITALL).decode()
                if secrets.compare_digest(word[: len(secret)], secret):
                    _Connection(connection, f"process {int(word[len(secret) :])}").watch()
                    continue
            connection.close()


class _Connection:
    """What two processes know of each other."""

    def __init__(self, connection: socket.socket, other: str):
        self.connection, self.other = connection, other
        self._said_goodbye = False
        self._saying = threading.Lock()

    def watch(self) -> None:
        self.connection.settimeout(_SILENCE)
        _connections.append(self)
        threading.Thread(target=self.listen, daemon=True).start()
        threading.Thread(target=self.beat, daemon=True).start()

    def say(self, word: bytes) -> None:
        with self._saying, contextlib.suppress(OSError):  # it has gone before
            if not self._said_goodbye:
                self._said_goodbye = word != _ALIVE
                self.connection.sendall(word)

    def beat(self) -> None:
        while not self._said_goodbye:
            self.say(_ALIVE)
            time.sleep(_BEAT)

    def listen(self) -> None:
        word = _ALIVE
        while word == _ALIVE:
            try:
                word = self.connection.recv(1)
            except TimeoutError:
                if not self._said_goodbye:
                    _exit(f"{self.other} has not answered for {_SILENCE:.0f} s")
                return
            except OSError:
                word = b""
        if word == _ENDED:
            return
        if word == _FAILED:
            time.sleep(_GRACE)
            _exit(f"{self.other} has ended with an error of its own")
        _exit("the first one has gone" if self.other == "process 0" else f"{self.other} has gone")


_connections: list[_Connection] = []
atexit.register(say_goodbye)


def _delay_abort() -> None:
    """Gives those who watch the time to end this process before JAX's service aborts it.

    That one notices the end of process 0 within the same milliseconds, and its abort would be an
    exit code of -6. When its signal's handler returns, the abort takes its course.
    """
    global _handler
    with contextlib.suppress(OSError, AttributeError, TypeError):  # a system without it
        _handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: time.sleep(_PATIENCE))
        ctypes.CDLL(None).signal(int(signal.SIGABRT), _handler)


_handler: Any = None  # kept: C calls it
