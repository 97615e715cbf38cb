"""A page on which a person says which of two clips is better, for a browser on this computer.

It is served on 127.0.0.1 and nowhere else, to requests that name that address: a page of another
site that is open in the same browser can neither read the clips nor answer.
"""

from __future__ import annotations

import base64
import json
import logging
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from research.core.errors import UserError

log = logging.getLogger("landmarks")

ADDRESS = "127.0.0.1"
_MAX_BYTES = 1_000  # of an answer


class Desk(Protocol):
    """Where queries come from and answers go; see `labelling.Desk`."""

    def next(self) -> tuple[int, Any] | None: ...

    def remaining(self) -> int: ...

    def answer(self, number: int, answer: str) -> str: ...


class LabelPage:
    """Serves the page from its making to the end of a `with` block.

    Attributes:
      url: of the page.

    Args:
      desk: of the run.
      answers: words that are answers.
      port: 0 for any that is free.

    Raises:
      UserError: the port is in use.
    """

    def __init__(self, desk: Desk, answers: tuple[str, ...], port: int):
        handler = type("Handler", (_Handler,), {"desk": desk, "answers": answers})
        try:
            self.server = _Server((ADDRESS, port), handler)
        except (OSError, OverflowError) as error:
            raise UserError(
                f"port {port} cannot be had ({error}); set another --config.queries.port"
            ) from error
        self.url = f"http://{ADDRESS}:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        log.info("compare clips at %s", self.url)

    def __enter__(self) -> LabelPage:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Passes over a browser that went away."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers a browser. The class attributes `desk` and `answers` are set by `LabelPage`."""

    desk: Desk
    answers: tuple[str, ...]
    timeout = 30  # seconds without a byte

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        if self.path == "/":
            self._send(HTTPStatus.OK, PAGE.encode(), "text/html; charset=utf-8")
        elif self.path == "/query":
            self._send_json(HTTPStatus.OK, self._query())
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return self._refuse(HTTPStatus.LENGTH_REQUIRED, "an answer says how long it is")
        if len(length) > 9 or int(length) > _MAX_BYTES:
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "an answer is short")
        body = self.rfile.read(int(length))
        if not self._is_ours():
            return
        if self.path != "/answer":
            return self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
        if self.headers.get_content_type() != "application/json":
            return self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "an answer is application/json")
        try:
            entry = json.loads(body)
        except (ValueError, RecursionError):
            return self._refuse(HTTPStatus.BAD_REQUEST, "this is not JSON")
        number = entry.get("query") if isinstance(entry, dict) else None
        word = entry.get("answer") if isinstance(entry, dict) else None
        if type(number) is not int or not isinstance(word, str) or word not in self.answers:
            return self._refuse(
                HTTPStatus.BAD_REQUEST,
                f'an answer is {{"query": number, "answer": one of {", ".join(self.answers)}}}',
            )
        outcome = self.desk.answer(number, word)
        if outcome == "unknown":
            return self._refuse(HTTPStatus.NOT_FOUND, f"there is no query {number}")
        if outcome == "answered":
            return self._refuse(HTTPStatus.CONFLICT, f"query {number} was answered before")
        self._send_json(HTTPStatus.OK, {"remaining": self.desk.remaining()})

    def log_message(self, format: str, *args: Any) -> None:
        """Prints nothing: the terminal is the run's."""

    def _query(self) -> dict[str, Any]:
        """The oldest query as the page takes it: its number, the films as data URLs."""
        oldest = self.desk.next()
        content: dict[str, Any] = {"query": None, "remaining": self.desk.remaining()}
        if oldest is not None:
            number, film = oldest
            content |= {"query": number, "frames": film.frames}
            for side, png in (("left", film.left), ("right", film.right)):
                content[side] = "data:image/png;base64," + base64.b64encode(png).decode()
        return content

    def _is_ours(self) -> bool:
        """Refuses requests that were sent to another name, or by a page from elsewhere."""
        port = self.connection.getsockname()[1]
        hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in hosts and (
            origin is None or origin.removeprefix("http://") in hosts
        ):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, f"ask http://{ADDRESS}:{port}/")
        return False

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True
        self._send_json(status, {"error": reason})

    def _send_json(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
            "img-src data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
        )
        self.end_headers()
        self.wfile.write(content)


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Which clip is better?</title>
<style>
:root { color-scheme: light dark; --line: #8886; --accent: #b8451a; --on: #fff }
@media (prefers-color-scheme: dark) { :root { --accent: #f0935f; --on: #181818 } }
body { font: 17px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 1.5rem auto;
       padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 0 .25rem }
p { margin: .25rem 0 1rem }
#clips { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
figure { margin: 0 }
canvas { width: 100%; aspect-ratio: 1; border: 1px solid var(--line); border-radius: 8px;
         image-rendering: auto; background: #8881; box-sizing: border-box }
button { font: inherit; width: 100%; padding: .6rem; border: 2px solid var(--line);
         border-radius: 8px; background: transparent; color: inherit; cursor: pointer }
button:hover:enabled { border-color: var(--accent) }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
button:disabled { opacity: .45; cursor: default }
button.chosen { background: var(--accent); border-color: var(--accent); color: var(--on) }
#both { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1rem; margin-top: 1rem }
kbd { border: 1px solid var(--line); border-radius: 4px; padding: 0 .35em; font-size: .85em }
#state { min-height: 1.5em; margin-top: 1rem }
@media (max-width: 30rem) { #both { grid-template-columns: 1fr } }
</style>
<main>
<h1>Which clip is better?</h1>
<p>Choose the clip that does more of what you want the agent to do.
<span id="remaining"></span></p>
<div id="clips">
<figure><canvas id="left" width="336" height="336" role="img" aria-label="Left clip"></canvas>
<button data-answer="left" disabled>Left is better <kbd>&larr;</kbd></button></figure>
<figure><canvas id="right" width="336" height="336" role="img" aria-label="Right clip"></canvas>
<button data-answer="right" disabled>Right is better <kbd>&rarr;</kbd></button></figure>
</div>
<div id="both">
<button data-answer="same" disabled>Equally good <kbd>&uarr;</kbd></button>
<button data-answer="skip" disabled>Cannot tell, skip <kbd>&darr;</kbd></button>
<button id="pause">Pause <kbd>space</kbd></button>
</div>
<p id="state" role="status" aria-live="polite">Waiting for clips</p>
</main>
<script>
"use strict";
const KEYS = {ArrowLeft: "left", ArrowRight: "right", ArrowUp: "same", ArrowDown: "skip"};
const FRAME_MS = 66, PAUSE_FRAMES = 8;
const at = id => document.getElementById(id);
const buttons = [...document.querySelectorAll("button[data-answer]")];
let query = null, films = null, frames = 0, frame = 0, sending = false, timer = 0;
let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;

function say(text) { if (at("state").textContent !== text) at("state").textContent = text; }
function count(n) { at("remaining").textContent = n + (n === 1 ? " pair" : " pairs") + " to go."; }
function enable(on) { for (const b of buttons) b.disabled = !on; }
function later(ms) { clearTimeout(timer); timer = setTimeout(load, ms); }

function draw() {
  if (!films) return;
  ["left", "right"].forEach((side, i) => {
    const canvas = at(side), film = films[i], shown = Math.min(frame, frames - 1);
    canvas.getContext("2d").drawImage(film, shown * film.height, 0, film.height, film.height,
                                      0, 0, canvas.width, canvas.height);
  });
}
function clear() {
  for (const side of ["left", "right"])
    at(side).getContext("2d").clearRect(0, 0, at(side).width, at(side).height);
}
function label() {
  at("pause").firstChild.textContent = playing ? "Pause " : "Play ";
}
function image(source) {
  const film = new Image();
  film.src = source;
  return film.decode().then(() => film);
}
async function load() {
  clearTimeout(timer);
  try {
    const found = await (await fetch("/query", {cache: "no-store"})).json();
    count(found.remaining);
    if (found.query === null) {
      query = films = null; enable(false); clear();
      say(found.remaining ? "The agent is playing; the next clips come soon."
                          : "That was the last one. Thank you.");
      return later(500);
    }
    films = await Promise.all([image(found.left), image(found.right)]);
    for (const b of buttons) b.classList.remove("chosen");
    query = found.query; frames = found.frames; frame = 0;
    draw(); enable(true);
    say("Pair " + (query + 1) + ", clips of " + frames + " steps.");
  } catch (error) {
    query = films = null; enable(false);
    say("The run does not answer: it has ended, or was stopped. This page goes on when it does.");
    later(2000);
  }
}
async function answer(word) {
  if (query === null || sending) return;
  sending = true; enable(false);
  buttons.find(b => b.dataset.answer === word).classList.add("chosen");
  try {
    await fetch("/answer", {method: "POST", headers: {"Content-Type": "application/json"},
                            body: JSON.stringify({query: query, answer: word})});
  } catch (error) { /* `load` says so */ }
  sending = false; query = null;
  await load();
}
function pause() { playing = !playing; label(); }

for (const b of buttons) b.addEventListener("click", () => answer(b.dataset.answer));
at("pause").addEventListener("click", pause);
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (event.key in KEYS) { event.preventDefault(); answer(KEYS[event.key]); }
  if (event.key === " " && event.target.tagName !== "BUTTON") { event.preventDefault(); pause(); }
});
setInterval(() => {
  if (!films || !playing) return;
  frame = (frame + 1) % (frames + PAUSE_FRAMES);
  draw();
}, FRAME_MS);
label();
load();
</script>
</html>
"""
