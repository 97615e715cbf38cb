"""A run's demo as a page in the browser, on this machine alone.

Gradio draws it (the extra `demo`). Nothing is asked of any other host: its fonts are the system's,
its analytics are off, and the page forbids the browser to load anything from elsewhere.
"""

from __future__ import annotations

import base64
import os
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Any

from research.core.errors import UserError
from research.report.demo import (
    Audio,
    Choice,
    Demo,
    Drawing,
    Film,
    Image,
    Input,
    Number,
    Output,
    Probabilities,
    Text,
)
from research.report.demo_values import as_file, filled, in_words

HOST = "127.0.0.1"
_FIRST_PORT, _TRIED = 7860, 100
_POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "connect-src 'self' data: blob:; frame-ancestors 'none'; form-action 'self'"
)
_CSS = """
.gradio-container { max-width: 1100px !important; margin: 0 auto !important; }
footer { display: none !important; }
.film img { width: 100%; max-width: 672px; border-radius: 6px; }
.picture img { image-rendering: pixelated; object-fit: contain; width: 100%; height: 100%; }
"""


def serve(demo: Demo, port: int | None = None) -> None:
    """Serves the page until the process is stopped.

    Args:
      demo: of a finished run.
      port: None for the first free one from 7860 on.

    Raises:
      UserError: Gradio is not installed, or the port is taken.
    """
    server = Server(demo, port)
    print(f"{demo.title}: {server.url} (Ctrl-C ends it)", file=sys.stderr, flush=True)
    try:
        server.run()
    except KeyboardInterrupt:
        print(file=sys.stderr)


class Server:
    """The page's server on 127.0.0.1; its port is taken when it is made.

    As a context it serves from a thread of its own.
    """

    def __init__(self, demo: Demo, port: int | None = None):
        app = make_app(demo)
        import uvicorn

        self._socket = _listen(port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}/"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """Serves until it is told to stop."""
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.should_exit = True
        self._thread.join(10)


def make_app(demo: Demo) -> Any:
    """The page as an ASGI application.

    Raises:
      UserError: Gradio is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import fastapi
        import gradio
        from starlette.middleware.trustedhost import TrustedHostMiddleware
    except ImportError as error:
        raise UserError(
            f"a page in the browser needs Gradio ({error}): pip install 'landmarks[demo]'"
        ) from None
    app = fastapi.FastAPI()
    # Other pages that the browser shows cannot reach this one under a name of theirs.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])

    @app.middleware("http")
    async def keep_inside(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    theme = gradio.themes.Base(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return gradio.mount_gradio_app(
        app,
        _blocks(demo),
        "/",
        server_name=HOST,
        footer_links=[],
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        theme=theme,
        css=_CSS,
    )


def _blocks(demo: Demo) -> Any:
    """The page: inputs on the left, outputs on the right, examples below the inputs."""
    import gradio

    def run(*values: Any) -> Any:
        given = dict(zip(demo.inputs, values, strict=True))
        try:
            results = demo.run(**filled(demo, given))
        except UserError as error:
            raise gradio.Error(str(error), print_exception=False) from None
        return _alone([_shown(field, results[name]) for name, field in demo.outputs.items()])

    def example(values: Mapping[str, Any]) -> Any:
        chosen = {**demo.defaults(), **values}
        return lambda: _alone([chosen[name] for name in demo.inputs])

    with gradio.Blocks(title=demo.title, analytics_enabled=False) as blocks:
        gradio.Markdown(f"# {demo.title}\n\n{demo.says}")
        with gradio.Row():
            with gradio.Column():
                inputs = [_input(field) for field in demo.inputs.values()]
                button = gradio.Button("Run", variant="primary", elem_id="run")
                with gradio.Row():
                    tries = [
                        (gradio.Button(_named(values, i), size="sm"), values)
                        for i, values in enumerate(demo.examples)
                    ]
            with gradio.Column():
                outputs = [_output(name, field) for name, field in demo.outputs.items()]
        button.click(run, inputs, outputs, api_visibility="private")
        for small, values in tries:
            filled_in = small.click(example(values), None, inputs, api_visibility="private")
            filled_in.then(run, inputs, outputs, api_visibility="private")
    return blocks


def _alone(values: list[Any]) -> Any:
    """As Gradio wants them: several in a list, one without."""
    return values if len(values) > 1 else values[0]


def _input(field: Input) -> Any:
    import gradio

    match field:
        case Text():
            return gradio.Textbox(field.default, label=field.label, lines=field.lines)
        case Choice():
            return gradio.Dropdown(list(field.options), value=field.default, label=field.label)
        case Image():
            return gradio.Image(
                field.default,
                label=field.label,
                sources=["upload", "clipboard"],
                format="png",
                height=320,
                elem_classes="picture",
            )
        case Audio():
            value = None if field.default is None else (field.rate, field.default)
            return gradio.Audio(value, label=field.label, sources=["upload", "microphone"])
        case Number():
            return gradio.Slider(
                field.low, field.high, value=field.default, step=field.step, label=field.label
            )


def _output(name: str, field: Output) -> Any:
    import gradio

    about = {"label": field.label, "elem_id": f"output-{name}"}
    match field:
        case Image():
            return gradio.Image(**about, format="png", interactive=False, elem_classes="picture")
        case Film() | Drawing():
            return gradio.HTML(**about, container=True, elem_classes="film", min_height=200)
        case Audio():
            return gradio.Audio(**about, interactive=False)
        case Probabilities():
            return gradio.Label(**about)
        case _:
            lines = field.lines if isinstance(field, Text) else 1
            return gradio.Textbox(**about, interactive=False, lines=lines)


def _shown(field: Output, value: Any) -> Any:
    """An output as its component takes it."""
    match field:
        case Film():
            code = base64.b64encode(as_file(field, value)).decode()
            return f'<img alt="the film" src="data:image/gif;base64,{code}">'
        case Drawing():  # as a picture: what is in an image of SVG runs no code and loads nothing
            code = base64.b64encode(as_file(field, value)).decode()
            return f'<img alt="the drawing" src="data:image/svg+xml;base64,{code}">'
        case Audio():
            return field.rate, value
        case Image() | Probabilities():
            return value
        case _:
            return in_words(field, value)


def _named(values: Mapping[str, Any], index: int) -> str:
    words = [f"{name}: {x}" for name, x in values.items() if isinstance(x, (str, int, float))]
    text = ", ".join(words) or f"example {index + 1}"
    return text if len(text) <= 40 else f"{text[:39]}…"


def _listen(port: int | None) -> socket.socket:
    """A socket on this machine alone.

    Raises:
      UserError: the port is taken.
    """
    ports = [port] if port is not None else range(_FIRST_PORT, _FIRST_PORT + _TRIED)
    for number in ports:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, number))
            listening.listen()
        except (OSError, OverflowError):
            listening.close()
            continue
        return listening
    raise UserError(f"port {ports[0]} is taken, or none; choose another --port")
