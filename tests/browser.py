"""A headless Chromium, driven over chromedriver's own protocol."""

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

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
START_SECONDS = 60


class Page:
    """One tab of a given size."""

    def __init__(self, server, session):
        self._address = f"{server}/session/{session}"

    def open(self, file):
        call(f"{self._address}/url", {"url": file.resolve().as_uri()})

    def run(self, script):
        """Run JavaScript that returns something."""
        return call(f"{self._address}/execute/sync", {"script": script, "args": []})

    def click(self, selector):
        """Scroll an element into view and press it where it is, as a person would."""
        found = call(f"{self._address}/element", {"using": "css selector", "value": selector})
        call(f"{self._address}/element/{next(iter(found.values()))}/click", {})

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

        def open_page(width, height):
            options = {
                "binary": program,
                "args": [*SWITCHES, f"--user-data-dir={folder / f'profile{len(pages)}'}"],
                "mobileEmulation": {
                    "deviceMetrics": {"width": width, "height": height, "pixelRatio": 1}
                },
            }
            wanted = {"alwaysMatch": {"goog:chromeOptions": options}}
            session = call(f"{server}/session", {"capabilities": wanted})["sessionId"]
            pages.append(Page(server, session))
            return pages[-1]

        yield open_page
        for page in pages:
            page.close()
    finally:
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
