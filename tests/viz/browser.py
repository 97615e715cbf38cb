"""A headless Chromium driven over its own pipe (Chrome DevTools Protocol): no package is needed."""

import base64
import json
import os
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find():
    """The browser's program, or None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page of a browser with a profile of its own in `folder`."""

    def __init__(self, program, folder):
        read, self._to = os.pipe()
        self._from, write = os.pipe()

        def pipes():  # the browser reads from 3 and writes to 4
            os.dup2(os.dup(read), 30)
            os.dup2(os.dup(write), 31)
            os.dup2(30, 3)
            os.dup2(31, 4)

        self.process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-pipe",
                "--no-first-run",
                "--disable-dev-shm-usage",
                "--window-size=800,760",
                f"--user-data-dir={folder}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=pipes,
            close_fds=False,
        )
        os.close(read)
        os.close(write)
        self._buffer, self._count, self._session = b"", 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.call("Page.enable")
        self.call("Runtime.enable")

    def call(self, method, **params):
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._read()
            if reply.get("id") == self._count:
                assert "error" not in reply, reply
                return reply["result"]

    def _read(self):
        while b"\0" not in self._buffer:
            found = os.read(self._from, 1 << 16)
            assert found, "the browser is gone"
            self._buffer += found
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def open(self, url):
        self.call("Page.navigate", url=url)
        self._loaded(f"location.href === {json.dumps(url)}")

    def reload(self):
        self.evaluate("window.before = true")
        self.call("Page.reload")
        self._loaded("!window.before")

    def _loaded(self, condition, seconds=20.0):
        deadline = time.monotonic() + seconds
        while not self.evaluate(f"{condition} && document.readyState === 'complete'"):
            assert time.monotonic() < deadline, "the page does not load"
            time.sleep(0.05)

    def evaluate(self, expression):
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._to)
        os.close(self._from)
