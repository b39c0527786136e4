"""Headless Chromium for tests of the page, by the WebDriver protocol of chromedriver: JSON over HTTP, no package."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
LACKS = "no chromium with chromedriver on this machine: apt-get install chromium chromium-driver"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--mute-audio",
)
_ALONE = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy is not asked for this machine
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # of the WebDriver recommendation


class Browser:
    """One window; ends with its block."""

    def __init__(self, *, width: int = 1280, height: int = 900) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="triad-chromium-", ignore_cleanup_errors=True)
        home = {**os.environ, "HOME": self._home.name, "XDG_RUNTIME_DIR": self._home.name}
        self._driver = subprocess.Popen(
            [str(DRIVER), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=home
        )
        assert self._driver.stdout is not None
        said = ""
        for line in self._driver.stdout:
            said += line
            if found := re.search(r"successfully on port (\d+)", line):
                self._base = f"http://127.0.0.1:{found[1]}"
                break
        else:
            raise RuntimeError(f"chromedriver did not start: {said[-500:]}")
        options = {"binary": CHROMIUM, "args": [*_FLAGS, f"--user-data-dir={self._home.name}/profile"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self._session = ""
        self._session = f"/session/{self._ask('POST', '/session', capabilities={'alwaysMatch': wanted})['sessionId']}"
        self.resize(width, height)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ask("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(10)
            self._home.cleanup()

    def go(self, address: str) -> None:
        self._ask("POST", "/url", url=address)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function body returns; a promise is waited for."""
        return self._ask("POST", "/execute/sync", script=script, args=list(arguments))

    def wait(self, script: str, seconds: float = 30) -> Any:
        """What an expression is, once it is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(f"return {script}")):
            assert time.monotonic() < end, f"never true: {script}; the console says {self.console()}"
            time.sleep(0.05)
        return value

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def click(self, selector: str) -> None:
        self._ask("POST", f"/element/{self._find(selector)}/click")

    def type(self, selector: str, words: str) -> None:
        """Keys, into an input or onto whatever has the focus."""
        self._ask("POST", f"/element/{self._find(selector)}/value", text=words)

    def press(self, key: str) -> None:
        """One key, where the focus is: a character, or WebDriver's code of another."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._ask("POST", "/actions", actions=[{"type": "key", "id": "keys", "actions": keys}])

    def picture(self, path: Path) -> None:
        """The window as it stands, as PNG."""
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.cdp("Emulation.setDeviceMetricsOverride", **size)

    def scheme(self, name: str) -> None:
        """`light` or `dark`."""
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def console(self) -> list[str]:
        """What the page wrote there since the last call, errors and refusals by its policy among them."""
        return [line["message"] for line in self._ask("POST", "/se/log", type="browser")]

    def cdp(self, command: str, **params: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._ask("POST", "/goog/cdp/execute", cmd=command, params=params)

    def _find(self, selector: str) -> str:
        return str(self._ask("POST", "/element", using="css selector", value=selector)[_ELEMENT])

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        content = json.dumps(body).encode() if method == "POST" else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._base + self._session + path, content, headers, method=method)
        try:
            with _ALONE.open(request, timeout=120) as said:
                return json.load(said)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"][:500]) from error
