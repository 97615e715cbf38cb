"""The page of a demo in a headless Chromium: a click, a result, and nothing from other hosts."""

import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from research.core import UserError
from research.report import demo_page
from research.report.demo import Choice, Demo, Film, Image, Number, Probabilities, Text

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "viz"))
import browser as chromium  # noqa: E402

pytestmark = pytest.mark.slow


def run(word, times, colour, picture):
    if word == "bad":
        raise UserError("that word is in no vocabulary")
    shade = {"red": (220, 30, 30), "blue": (30, 30, 220)}[colour]
    return {
        "said": " ".join([word] * times),
        "shares": {colour: 0.75, "other": 0.25},
        "film": np.stack([np.full((8, 8, 3), 60 * i, np.uint8) for i in range(4)]),
        "picture": np.broadcast_to(np.array(shade, np.uint8), picture.shape).copy(),
    }


DEMO = Demo(
    title="Say it again",
    says="A test.",
    inputs={
        "word": Text("a word", "hello"),
        "times": Number("times", 2, 1, 5),
        "colour": Choice("colour", ["red", "blue"], "red"),
        "picture": Image("picture", np.zeros((16, 16, 3), np.uint8)),
    },
    outputs={
        "said": Text("said"),
        "shares": Probabilities("shares"),
        "film": Film("film"),
        "picture": Image("coloured"),
    },
    run=run,
    examples=[{"word": "again", "times": 3}],
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    program = chromium.find()
    if program is None:
        pytest.skip("no Chromium here")
    pytest.importorskip("gradio")
    with demo_page.Server(DEMO) as server:
        opened = chromium.Browser(program, tmp_path_factory.mktemp("browser"))
        try:
            opened.call("Network.enable")
            opened.open(server.url)
            wait(opened, "!!document.querySelector('#run')")
            yield opened, server.url
        finally:
            opened.close()


def wait(page, condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, page.evaluate("document.body.innerText")
        time.sleep(0.1)


SAID = "document.querySelector('#output-said textarea, #output-said input').value"


def test_a_click_gives_a_result(page):
    opened, _ = page
    assert opened.evaluate("document.title") == "Say it again"
    opened.evaluate("document.querySelector('#run').click()")
    wait(opened, f"{SAID} === 'hello hello'")
    wait(opened, "document.querySelector('#output-film img').naturalWidth === 8")
    wait(opened, "document.querySelector('#output-picture img').naturalWidth === 16")
    assert "75%" in opened.evaluate("document.querySelector('#output-shares').innerText")


def test_an_example_fills_in_and_runs(page):
    opened, _ = page
    opened.evaluate(
        "[...document.querySelectorAll('button')].find(b => b.innerText.includes('again')).click()"
    )
    wait(opened, f"{SAID} === 'again again again'")


def test_one_input_and_one_output(page):
    """Gradio takes lists of several alone."""
    opened, url = page
    small = Demo(
        title="One",
        says="",
        inputs={"word": Text("a word", "one")},
        outputs={"shares": Probabilities("shares")},
        run=lambda word: {"shares": {word: 0.5}},
        examples=[{"word": "two"}],
    )
    with demo_page.Server(small) as server:
        opened.open(server.url)
        wait(opened, "!!document.querySelector('#run')")
        opened.evaluate("document.querySelector('#run').click()")
        wait(opened, "document.querySelector('#output-shares').innerText.includes('one')")
        buttons = "[...document.querySelectorAll('button')]"
        opened.evaluate(f"{buttons}.find(b => b.innerText.includes('two')).click()")
        wait(opened, "document.querySelector('#output-shares').innerText.includes('two')")
    opened.open(url)
    wait(opened, "!!document.querySelector('#run')")


def test_what_is_refused_is_said(page):
    opened, _ = page
    opened.evaluate("""(() => {
        const box = document.querySelector('textarea, input[type=text]');
        Object.getOwnPropertyDescriptor(box.constructor.prototype, 'value').set.call(box, 'bad');
        box.dispatchEvent(new Event('input', {bubbles: true}));
    })()""")
    time.sleep(0.5)
    opened.evaluate("document.querySelector('#run').click()")
    wait(opened, "document.body.innerText.includes('that word is in no vocabulary')")


def test_nothing_comes_from_elsewhere(page):
    opened, url = page
    loaded = opened.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded and all(name.startswith((url, "data:", "blob:")) for name in loaded)
    blocked = opened.evaluate(
        "fetch('https://example.com/').then(() => 'loaded', error => 'blocked')"
    )
    assert blocked == "blocked"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_it_fits_its_window(page, width, scheme):
    opened, url = page
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.call("Emulation.setEmulatedMedia", features=features)
    opened.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=width < 500,
    )
    opened.open(f"{url}?width={width}")
    wait(opened, "!!document.querySelector('#run')")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    heading = opened.evaluate("getComputedStyle(document.querySelector('h1')).color")
    letters = sum(map(int, re.findall(r"\d+", heading)[:3]))
    assert (letters > 400) == (scheme == "dark")  # light ones on a dark page


def test_only_this_machine_is_answered(page):
    import urllib.error
    import urllib.request

    _, url = page
    foreign = urllib.request.Request(url, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(foreign)
    assert refused.value.code == 400
    assert "default-src 'self'" in urllib.request.urlopen(url).headers["Content-Security-Policy"]


def test_a_port_that_is_taken(page):
    _, url = page
    port = int(url.rsplit(":", 1)[1].strip("/"))
    with pytest.raises(UserError, match=f"port {port} is taken"):
        demo_page.Server(DEMO, port)
