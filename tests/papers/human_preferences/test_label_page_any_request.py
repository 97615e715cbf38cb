"""Whatever is sent to the page: it answers, and takes nothing but answers of this computer."""

import json
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from research.core import UserError
from research.papers.human_preferences.label_page import LabelPage
from research.papers.human_preferences.labelling import ANSWERS, JOURNAL, Desk, Film

MAX_BYTES = 1000  # of an answer
HOSTS = ["ours", "localhost", "example.com", "127.0.0.1", "", "127.0.0.1:1", "ours.example.com"]
ORIGINS = [None, "http://ours", "http://example.com", "null", "https://ours", "ours.evil"]
PATHS = ["/", "/query", "/answer", "/answer/", "/../answers.jsonl", "/%2e%2e/%2e%2e/etc/passwd"]
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


class Served:
    """A page with one query of two."""

    def __init__(self, folder):
        self.desk = Desk(folder, total=2)
        self.desk.offer(0, Film(b"left", b"right", 1))
        self.page = LabelPage(self.desk, ANSWERS, 0)
        self.port = self.page.server.server_port

    def send(self, request: bytes) -> bytes:
        """The reply to a request, after which nothing more is sent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            reply = b""
            while part := connection.recv(65536):
                reply += part
        return reply

    def named(self, host):
        return host and host.replace("ours", f"127.0.0.1:{self.port}").replace(
            "localhost", f"localhost:{self.port}"
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("run"))
    with served.page:
        yield served


def status(reply: bytes) -> int:
    assert reply.startswith(b"HTTP/1."), reply
    return int(reply.split(b" ", 2)[1])


def nothing_was_taken(served):
    assert served.desk.remaining() == 2 and served.desk.next()[0] == 0
    assert not (served.desk._journal).exists()


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "get"]) | WORDS,
    path=st.sampled_from(PATHS) | WORDS.map("/{}".format),
    host=st.sampled_from(HOSTS) | WORDS,
    origin=st.sampled_from(ORIGINS) | WORDS,
    kind=st.sampled_from(["application/json", "text/plain", ""]),
    body=st.binary(max_size=50)
    | st.sampled_from([b'{"query": 1, "answer": "left"}', b'{"query": 0, "answer": "maybe"}'])
    | st.just(b"[" * 1500),
    length=st.none() | st.integers(-5, 3000) | st.sampled_from(["x", "1e3", "9" * 30, "²"]),
)
@settings(max_examples=150, deadline=None)
def test_any_request(served, method, path, host, origin, kind, body, length):
    length = len(body) if length is None else length
    lines = [f"{method} {path} HTTP/1.0", f"Host: {served.named(host)}"]
    lines += [f"Origin: {served.named(origin)}"] if origin is not None else []
    lines += [f"Content-Type: {kind}", f"Content-Length: {length}", "", ""]
    reply = served.send("\r\n".join(lines).encode("utf-8") + body)
    found = status(reply)
    ours = host in ("ours", "localhost") and origin in (None, "http://ours")
    assert found != 200 or (ours and method == "GET" and path in ("/", "/query")), reply
    if method == "GET" and path == "/query" and not ours:
        assert found == 403 and b"data:image" not in reply
    if method not in ("GET", "POST"):
        assert found in (400, 501)
    if method == "POST" and isinstance(length, int) and length > MAX_BYTES:
        assert found == 413
    assert b"passwd" not in reply.partition(b"\r\n\r\n")[2] or found != 200
    nothing_was_taken(served)


@given(st.binary(max_size=100))
@example(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n")
@example(b"GET /" + b"x" * 70_000 + b" HTTP/1.0\r\n\r\n")
@example(b"\r\n\r\n")
@settings(max_examples=60, deadline=None)
def test_any_bytes(served, request_bytes):
    reply = served.send(request_bytes)
    assert b"data:image" not in reply and b"Which clip" not in reply
    nothing_was_taken(served)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=3))
@settings(max_examples=60, deadline=None)
def test_any_answer(served, value):
    for content in (value, {"query": value, "answer": "left"}, {"query": 0, "answer": value}):
        if content == {"query": 0, "answer": "left"} or value in ANSWERS:
            continue
        if isinstance(value, int) and not isinstance(value, bool) and value == 0:
            continue
        body = json.dumps(content).encode()
        lines = ["POST /answer HTTP/1.0", f"Host: 127.0.0.1:{served.port}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
        assert status(served.send("\r\n".join(lines).encode() + body)) in (400, 404, 413)
    nothing_was_taken(served)


JOURNALS = [
    "5\n",
    "[]\n",
    "null\n",
    "{}\n",
    '{"query": 0}\n',
    '{"query": "0", "answer": "left"}\n',
    '{"query": 0, "answer": "maybe"}\n',
    '{"query": 0, "answer": ["left"]}\n',
    '{"query": 0, "step": null}\n',
    '{"query": true, "step": 1}\n',
    "\x00\x00\x00\n",
    "some text\n",
    b"\xff\xfe\n",
]


@pytest.mark.parametrize("line", JOURNALS, ids=repr)
def test_a_damaged_journal_is_one_line(line, tmp_path):
    """Without one of its lines the run would take another course, and nobody would know."""
    path = tmp_path / JOURNAL
    whole = b'{"query": 0, "answer": "left"}\n'
    path.write_bytes(whole + (line if isinstance(line, bytes) else line.encode()) + whole)
    with pytest.raises(UserError, match="answers.jsonl is damaged") as error:
        Desk(tmp_path, total=3)
    assert str(error.value).isprintable()


@given(st.integers(0, 200))
@settings(max_examples=30, deadline=None)
def test_a_journal_that_was_cut_off_is_read_up_to_there(tmp_path_factory, size):
    folder = tmp_path_factory.mktemp("desk")
    lines = [{"query": n, "answer": "same"} for n in range(3)] + [{"query": 0, "step": 2}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / JOURNAL).write_text(text[:size])
    desk = Desk(folder, total=3)
    whole = text[:size].count("}")
    assert desk.remaining() == 3 - min(whole, 3)
