"""A browser without a window, told what to do by the protocol of its developer tools, over two pipes."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time

PROGRAM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
SECONDS = 60


class Page:
    """One page. `complaints` has what scripts failed at or wrote to the console, `requests` what was asked for."""

    def __init__(self, to_browser, from_browser):
        self.to_browser, self.from_browser = to_browser, from_browser
        self.buffer = b""
        self.number = 0
        self.session = None
        self.loaded = False
        self.complaints = []
        self.requests = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def read(self):
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self.buffer:
            assert select.select([self.from_browser], [], [], deadline - time.monotonic())[0], "the browser is silent"
            received = os.read(self.from_browser, 1 << 20)
            assert received, "the browser has ended"
            self.buffer += received
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def note(self, message):
        method, values = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(values["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(values["args"])
        elif method == "Log.entryAdded":
            self.complaints.append(values["entry"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer}"
                return answer["result"]
            self.note(answer)

    def open(self, path, width=1200, height=900, dark=False, scripts=True):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.loaded = False
        self.call("Page.navigate", url=path.as_uri())
        while not self.loaded:
            self.note(self.read())

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def after_drawing(self):
        """When what a script has changed is on the screen."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)
        self.after_drawing()

    def picture(self, path, whole=False):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))


def pipe():
    """Of descriptors that are none of those which the browser expects."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high


@contextlib.contextmanager
def open_page():
    """The browser finds the pipes as descriptors 3 and 4. It has no network to look for, and no sandbox of its own,
    which would need rights that a test may not have."""
    reads, to_browser = pipe()
    from_browser, writes = pipe()
    home = tempfile.mkdtemp(prefix="dvec-browser-", dir="/tmp")
    command = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
               "--disable-background-networking", f"--user-data-dir={home}", "--remote-debugging-pipe", "about:blank"]
    nothing = os.open(os.devnull, os.O_RDWR)
    ends = {0: nothing, 1: nothing, 2: nothing, 3: reads, 4: writes}
    pid = os.posix_spawn(PROGRAM, command, os.environ | {"HOME": home}, setpgroup=0,
                         file_actions=[(os.POSIX_SPAWN_DUP2, end, number) for number, end in ends.items()])
    for end in (nothing, reads, writes):
        os.close(end)
    try:
        yield Page(to_browser, from_browser)
    finally:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(to_browser)
        os.close(from_browser)
        shutil.rmtree(home, ignore_errors=True)
