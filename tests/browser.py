"""A headless Chromium, driven over chromedriver's own protocol."""

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from importlib import resources

import pytest

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
START_SECONDS = WAIT_SECONDS = 60


class Page:
    """One tab of a given size."""

    def __init__(self, server, session):
        self._address = f"{server}/session/{session}"

    def open(self, place, *, dark=False):
        """Open a file or an http address, as one who prefers a light or a dark page."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        command = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": [scheme]}}
        call(f"{self._address}/goog/cdp/execute", command)
        address = place if isinstance(place, str) else place.resolve().as_uri()
        call(f"{self._address}/url", {"url": address})

    def run(self, script):
        """Run JavaScript that returns something."""
        return call(f"{self._address}/execute/sync", {"script": script, "args": []})

    def click(self, selector):
        """Scroll an element into view and press it where it is, as a person would."""
        call(f"{self._element(selector)}/click", {})

    def type(self, selector, keys):
        """Give an element the focus and press keys; of a file input, choose the file of that name.

        `"\ue007"` is Enter, `"\ue014"` the right arrow (W3C WebDriver, 17.4.2).
        """
        call(f"{self._element(selector)}/value", {"text": str(keys)})

    def point(self, selector, across, down):
        """Move the mouse over an element, to shares of its width and height."""
        box = self.run(
            f"const e = document.querySelector({selector!r});"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]"
        )
        place = {"x": int(box[0] + across * box[2]), "y": int(box[1] + down * box[3])}
        move = {"type": "pointerMove", "duration": 0, **place}
        mouse = {"type": "pointer", "id": "mouse", "actions": [move]}
        call(f"{self._address}/actions", {"actions": [mouse]})

    def wait(self, script, seconds=WAIT_SECONDS):
        """Wait until JavaScript returns something true, and return that."""
        until = time.monotonic() + seconds
        while not (found := self.run(script)):
            if time.monotonic() > until:
                text = self.run("return document.body.innerText")
                raise TimeoutError(f"{script} stayed {found!r}; the page: {text}")
            time.sleep(0.1)
        return found

    def violations(self, without="template"):
        """What axe-core finds against WCAG 2 A and AA (contrast, names, keyboard, structure).

        Elements that match the selector `without` are not looked at.
        """
        self.run((resources.files("axe_core_python") / "axe.min.js").read_text("utf-8"))
        self.run(
            "window.axeFound = null;"
            f"axe.run({{exclude: [[{without!r}]]}}, {{runOnly: {RULES}}})"
            ".then(result => { window.axeFound = result.violations; });"
        )
        self.wait("return window.axeFound !== null")
        return "\n".join(
            f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
            for rule in self.run("return window.axeFound")
            for node in rule["nodes"]
        )

    def requests(self):
        """The addresses that the tab asked for since this was last called."""
        log = call(f"{self._address}/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in log]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def _element(self, selector):
        found = call(f"{self._address}/element", {"using": "css selector", "value": selector})
        return f"{self._address}/element/{next(iter(found.values()))}"

    def screenshot(self, file):
        file.write_bytes(base64.b64decode(call(f"{self._address}/screenshot")))

    def close(self):
        request = urllib.request.Request(self._address, method="DELETE")
        urllib.request.urlopen(request, timeout=30).close()


@contextmanager
def browser(folder):
    """Give what opens pages of a width and height; skips where there is no Chromium."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("no chromium and chromedriver here (Debian: chromium, chromium-driver)")
    log = folder / "chromedriver.log"
    process = subprocess.Popen([driver, "--port=0"], stdout=log.open("w"), stderr=subprocess.STDOUT)
    pages = []
    try:
        server = f"http://127.0.0.1:{port(log)}"

        def open_page(width, height, *, mouse=False):
            profile = f"--user-data-dir={folder / f'profile{len(pages)}'}"
            size = {"width": width, "height": height, "pixelRatio": 1}
            options = {"binary": program, "args": [*SWITCHES, profile]}
            if mouse:  # There is none where a device is emulated.
                options["args"].append(f"--window-size={width},{height}")
            else:
                options["mobileEmulation"] = {"deviceMetrics": size}
            wanted = {
                "alwaysMatch": {
                    "goog:chromeOptions": options,
                    "goog:loggingPrefs": {"performance": "ALL"},
                }
            }
            session = call(f"{server}/session", {"capabilities": wanted})["sessionId"]
            pages.append(Page(server, session))
            return pages[-1]

        yield open_page
    finally:
        for page in pages:
            page.close()
        process.terminate()
        process.wait(30)


def port(log):
    """The port that chromedriver says it listens on."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        text = log.read_text()
        if "successfully on port " in text:
            return int(text.rsplit("successfully on port ", 1)[1].split(".")[0].split()[0])
        time.sleep(0.1)
    raise TimeoutError(log.read_text())


def call(address, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()) from error
