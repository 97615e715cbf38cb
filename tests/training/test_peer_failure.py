"""What a process makes of the end of another one; with real processes in `test_processes`."""

import socket

import pytest

from research.training import peer_failure


@pytest.fixture
def ended(monkeypatch):
    reasons: list[str] = []
    monkeypatch.setattr(peer_failure, "_exit", reasons.append)
    return reasons


@pytest.mark.parametrize(("last_word", "left"), [(peer_failure._GOODBYE, 0), (b"", 1), (b"?", 1)])
def test_without_a_goodbye_the_first_process_is_lost(ended, last_word, left):
    here, there = socket.socketpair()
    there.sendall(last_word)
    there.close()
    peer_failure._watch(here)
    assert len(ended) == left


def test_goodbyes_are_said_to_all_that_are_still_there(ended, monkeypatch):
    at_exit = []
    monkeypatch.setattr(peer_failure.atexit, "register", at_exit.append)
    server = socket.create_server(("127.0.0.1", 0))
    others = [socket.create_connection(server.getsockname()) for _ in range(3)]
    peer_failure._hold_connections(server, 3)
    others.pop(0).close()
    at_exit[0]()
    for connection in others:
        peer_failure._watch(connection)
    assert not ended


@pytest.mark.parametrize(
    ("said", "processes", "left"),
    [
        ("Gloo AllReduce failed: Connection closed by peer", 2, 1),
        ("Gloo AllReduce failed: Connection closed by peer", 1, 0),
        ("shapes do not match", 2, 0),
    ],
)
def test_errors_of_a_lost_process_are_told_from_others(ended, monkeypatch, said, processes, left):
    monkeypatch.setattr(peer_failure.jax, "process_count", lambda: processes)
    peer_failure.exit_if_peer_lost(RuntimeError(said))
    assert len(ended) == left
