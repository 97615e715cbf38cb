"""What a process makes of the end of another one; with real processes in `test_processes`."""

import socket
import threading
import time

import pytest

from research.training import peer_failure
from research.training.peer_failure import _Connection


@pytest.fixture
def ended(monkeypatch):
    reasons: list[str] = []
    monkeypatch.setattr(peer_failure, "_exit", reasons.append)
    monkeypatch.setattr(peer_failure, "_GRACE", 0.0)
    monkeypatch.setattr(peer_failure, "_connections", [])
    return reasons


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"..o", ""),
        (b"..", "the first one has gone"),
        (b"?", "the first one has gone"),
        (b".x", "process 0 has ended with an error of its own"),
    ],
)
def test_without_a_goodbye_the_first_process_is_lost(ended, words, reason):
    here, there = socket.socketpair()
    there.sendall(words)
    there.close()
    _Connection(here, "process 0").listen()
    assert ended[:1] == ([reason] if reason else [])


def test_one_that_is_silent_is_lost(ended):
    here, there = socket.socketpair()
    here.settimeout(0.05)
    _Connection(here, "process 3").listen()
    assert "process 3 has not answered" in ended[0]
    there.close()


def test_goodbyes_are_said_to_all_that_are_still_there(ended, monkeypatch):
    monkeypatch.setattr(peer_failure, "_BEAT", 0.01)
    before = set(threading.enumerate())
    server = socket.create_server(("127.0.0.1", 0))
    address, secret = server.getsockname(), "5e" * 16
    accept = threading.Thread(target=peer_failure._accept, args=(server, secret), daemon=True)
    accept.start()
    stranger = socket.create_connection(address)
    stranger.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" + bytes(40))
    others = [socket.create_connection(address) for _ in range(3)]
    for i, other in enumerate(others, 1):
        other.sendall(f"{secret} {i:6d}".encode())
    while len(peer_failure._connections) < 3:
        time.sleep(0.01)
    names = {connection.other for connection in peer_failure._connections}
    assert names == {"process 1", "process 2", "process 3"}, "the stranger is none of them"
    others.pop(0).close()
    while not ended:
        time.sleep(0.01)
    peer_failure.say_goodbye()
    for connection in others:
        _Connection(connection, "process 0").listen()
    assert len(ended) == 1 and ended[0].endswith("has gone")
    stranger.close()
    # Who still listens when the test is over would end this very process.
    for connection in others:
        connection.sendall(b"o")
    for thread in set(threading.enumerate()) - before - {accept}:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("said", "processes", "left"),
    [
        ("Gloo AllReduce failed: Connection closed by peer", 2, 1),
        ("Gloo AllReduce failed: Connection closed by peer", 1, 0),
        ("shapes do not match", 2, 0),
    ],
)
def test_errors_of_a_lost_process_are_told_from_others(ended, monkeypatch, said, processes, left):
    monkeypatch.setattr(peer_failure, "process_count", lambda: processes)
    peer_failure.exit_if_peer_lost(RuntimeError(said))
    assert len(ended) == left
