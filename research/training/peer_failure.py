"""What the processes of a run do when one of them has gone: end, each with one line."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import re
import socket
import sys
import threading

import jax
import numpy as np
from jax.experimental import multihost_utils

log = logging.getLogger("landmarks")

LOST = 4  # exit code of a process that another one has left alone
# What the errors of Gloo, NCCL and JAX's own service say when a process no longer answers.
_LOST = re.compile(
    r"closed by peer|reset by peer|Socket closed|heartbeat|UNAVAILABLE|remote process exited|"
    r"Gloo \w+ failed|Broken pipe|tasks? (is|are) (unhealthy|set to ERROR)"
)
_GOODBYE = b"."
_PATIENCE = 10.0  # seconds until who does not reach process 0 goes on without
_exiting = threading.Lock()  # taken by who ends this process, and never given back


def exit_if_peer_lost(error: BaseException) -> None:
    """Ends this process, with exit code `LOST`, if an error means that another one has ended.

    At once: the ordinary end of a process waits for all the others.
    """
    if jax.process_count() > 1 and _LOST.search(str(error)):
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
def watch_coordinator() -> None:
    """Lets the others notice at once when process 0 has gone. All processes call it.

    JAX's own service lives there, and seconds later would abort them without a word of ours.
    Process 0 keeps a connection to each of the others, which ends after a goodbye or else breaks.
    Whoever cannot reach it goes on without: firewalls may let nothing through but JAX's port, and
    then all wait for it here, for some seconds.
    """
    if jax.process_count() == 1:
        return
    first = jax.process_index() == 0
    server = socket.create_server(("", 0)) if first else None
    where = f"{socket.gethostname()}:{server.getsockname()[1] if server else 0}"
    said = np.frombuffer(where.encode().ljust(256)[:256], np.uint8)
    heard = bytes(np.asarray(multihost_utils.broadcast_one_to_all(said)))
    host, _, port = heard.decode().strip().rpartition(":")
    if server is not None:
        with server:
            _hold_connections(server, jax.process_count() - 1)
        return
    coordinator = os.environ.get("JAX_COORDINATOR_ADDRESS", "").rpartition(":")[0].strip("[]")
    for name in filter(None, (coordinator, host)):
        try:
            connection = socket.create_connection((name, int(port)), timeout=_PATIENCE / 2)
        except OSError:
            continue
        connection.settimeout(None)
        threading.Thread(target=_watch, args=(connection,), daemon=True).start()
        return
    log.info("process 0 cannot be watched at %s:%s", host, port)


def _hold_connections(server: socket.socket, others: int) -> None:
    connections: list[socket.socket] = []
    server.settimeout(_PATIENCE)
    with contextlib.suppress(TimeoutError):
        while len(connections) < others:
            connections.append(server.accept()[0])

    def say_goodbye() -> None:
        for connection in connections:
            with contextlib.suppress(OSError):  # it has gone before
                connection.sendall(_GOODBYE)

    atexit.register(say_goodbye)


def _watch(connection: socket.socket) -> None:
    try:
        said = connection.recv(1)
    except OSError:
        said = b""
    if said != _GOODBYE:
        _exit("the first one has gone")
