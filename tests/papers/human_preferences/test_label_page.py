"""The page on which a person compares clips: its server's manners, and a browser that uses it."""

import http.client
import json
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from research.core import UserError
from research.papers.human_preferences.clip_films import film_strip
from research.papers.human_preferences.label_page import LabelPage
from research.papers.human_preferences.labelling import ANSWERS, Desk, Film
from tests.viz import browser


def swing(start, speed):
    angle = start + speed * np.arange(25)
    return np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)


def offered(desk, count):
    for number in range(count):
        left, right = (
            film_strip("Pendulum-v1", swing(start, 0.1 * (number + 1))) for start in (0.0, 2.0)
        )
        desk.offer(number, Film(left, right, 25))


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path, total=5)


@pytest.fixture
def page(desk):
    with LabelPage(desk, ANSWERS, 0) as page:
        yield page


def ask(page, method="GET", path="/query", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", page.server.server_port, timeout=5)
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    connection.request(method, path, body, named)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, content, reply.headers


def answer(page, content, kind="application/json", **headers):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    status, reply, _ = ask(page, "POST", "/answer", body, Content_Type=kind, **headers)
    return status, json.loads(reply)


def test_it_is_served_on_this_computer_alone(page):
    assert page.server.server_address[0] == "127.0.0.1" and page.url.startswith("http://127.0.0.1:")
    elsewhere = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("192.0.2.1", 9))  # sends nothing; tells this computer's own address
        elsewhere.add(out.getsockname()[0])
    for address in elsewhere - {"127.0.0.1", "::1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, page.server.server_port), timeout=2)
    with pytest.raises(TypeError):
        LabelPage(None, ANSWERS, 0, "0.0.0.0")  # there is no way to ask for another address


def test_a_port_in_use_is_one_clear_line(page, desk):
    for port in (page.server.server_port, 70_000):
        with pytest.raises(UserError, match="queries.port"):
            LabelPage(desk, ANSWERS, port)


def test_the_page_needs_nothing_from_elsewhere(page):
    status, content, headers = ask(page, path="/")
    text = content.decode()
    assert status == 200 and "text/html" in headers["Content-Type"]
    assert not [word for word in ("http:", "https:", "src=", "url(", "@import") if word in text]
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_queries_come_one_by_one_and_answers_stay(page, desk):
    empty = json.loads(ask(page)[1])
    assert empty == {"query": None, "remaining": 5}
    offered(desk, 2)
    for number, word in enumerate(("left", "same")):
        for _ in range(2):  # the same again, as after a reload
            query = json.loads(ask(page)[1])
            assert query["query"] == number and query["frames"] == 25
            assert query["left"].startswith("data:image/png;base64,") != query["right"]
        assert answer(page, {"query": number, "answer": word}) == (200, {"remaining": 4 - number})
    assert json.loads(ask(page)[1]) == {"query": None, "remaining": 3}
    assert desk.take(0, [0, 1], 2) == {0: "left", 1: "same"}


def test_double_answers_and_unknown_queries(page, desk):
    offered(desk, 1)
    assert answer(page, {"query": 0, "answer": "right"})[0] == 200
    assert answer(page, {"query": 0, "answer": "left"})[0] == 409
    assert desk.take(0, [0], 1) == {0: "right"}
    for number in (1, -1, 10**30):
        assert answer(page, {"query": number, "answer": "left"})[0] == 404


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 900,
        [],
        7,
        None,
        {"query": 0},
        {"answer": "left"},
        {"query": "0", "answer": "left"},
        {"query": True, "answer": "left"},
        {"query": 0.0, "answer": "left"},
        {"query": 0, "answer": "best"},
        {"query": 0, "answer": None},
        {"query": 0, "answer": ["left"]},
    ],
    ids=str,
)
def test_malformed_answers_are_refused(page, desk, content):
    offered(desk, 1)
    status, reply = answer(page, content)
    assert status == 400 and "error" in reply
    assert desk.next()[0] == 0 and not desk._journal.exists()


def test_other_requests_are_refused(page, desk):
    offered(desk, 1)
    good = {"query": 0, "answer": "left"}
    port = page.server.server_port
    assert answer(page, good, kind="text/plain")[0] == 415  # what a form elsewhere could send
    assert answer(page, good, Origin="http://example.com")[0] == 403
    assert answer(page, good, Host=f"example.com:{port}")[0] == 403
    assert ask(page, Host="example.com")[0] == 403  # a name that leads here by rebinding
    assert ask(page, path="/answers.jsonl")[0] == 404
    assert ask(page, path="/../etc/passwd")[0] == 404
    assert ask(page, "POST", "/query", b"{}", Content_Type="application/json")[0] == 404
    assert ask(page, "DELETE", "/answer")[0] == 501
    assert answer(page, b" " * 2_000)[0] == 413
    for length in ("-1", "many", "\u00b2", ""):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.sendall(
                f"POST /answer HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                f"Content-Length: {length}\r\n\r\n".encode("latin-1")
            )
            assert b" 411 " in raw.recv(100)
    assert desk.next()[0] == 0
    assert answer(page, good, Origin=f"http://127.0.0.1:{port}")[0] == 200


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


INK = """(side => { const c = document.getElementById(side);
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0, at = 0;
  for (let i = 0; i < d.length; i += 4) if (d[i] - d[i + 2] > 80) { n++; at += i; }
  return n ? at / n : 0; })"""


@pytest.mark.slow
@pytest.mark.skipif(browser.find() is None, reason="no Chromium or Chrome is installed")
def test_a_person_in_a_browser(page, desk, tmp_path):
    """Every key and a button; a reload; what is drawn moves; the run goes away and comes back."""
    pictures = Path(os.environ.get("LANDMARKS_SCREENSHOTS", tmp_path))
    chrome = browser.Browser(browser.find(), tmp_path / "profile")
    try:

        def text(name):
            return chrome.evaluate(f"document.getElementById('{name}').textContent")

        def enabled():
            return chrome.evaluate("!document.querySelector('[data-answer=left]').disabled")

        chrome.open(page.url)
        until(lambda: "playing" in text("state"))
        chrome.screenshot(pictures / "labelling_waiting.png")
        assert not enabled() and text("remaining") == "5 pairs to go."
        chrome.press("ArrowLeft")  # nothing is there to be answered
        offered(desk, 5)
        until(enabled)
        chrome.evaluate("document.getElementById('pause').click()")  # what is drawn stays
        time.sleep(0.2)
        still = chrome.evaluate(INK + "('left')")
        assert still > 0 and chrome.evaluate(INK + "('right')") not in (0, still)
        assert chrome.evaluate(INK + "('left')") == still
        chrome.evaluate("document.getElementById('pause').click()")
        until(lambda: chrome.evaluate(INK + "('left')") != still)
        chrome.screenshot(pictures / "labelling.png")

        for i, (key, word) in enumerate([("ArrowRight", "right"), ("ArrowUp", "same")]):
            chrome.press(key)
            until(lambda i=i: text("remaining") == f"{4 - i} pairs to go." and enabled())
            assert desk.take(i, list(range(5)), 1)[i] == word
        chrome.reload()
        until(lambda: text("state").startswith("Pair 3") and enabled())  # the same query again
        chrome.evaluate("document.querySelector('[data-answer=left]').click()")
        until(lambda: text("state").startswith("Pair 4") and enabled())
        chrome.press("ArrowDown")
        until(lambda: text("state").startswith("Pair 5") and enabled())

        page.server.shutdown()  # the run is stopped
        page.server.server_close()
        chrome.press("ArrowLeft")
        until(lambda: "does not answer" in text("state") and not enabled())
        with LabelPage(desk, ANSWERS, page.server.server_port):  # and started again
            until(lambda: text("state").startswith("Pair 5") and enabled())
            assert text("remaining") == "1 pair to go."
            chrome.press("ArrowLeft")
            until(lambda: "last one" in text("state"))
        assert desk.take(9, [2, 3, 4], 3) == {2: "left", 3: "skip", 4: "left"}
    finally:
        chrome.close()
