"""Headless Chromium, driven through chromedriver by the WebDriver protocol: JSON over HTTP.

Invariant: browser and driver are dead when the `with` block ends.
"""

import http.client
import json
import os
from types import TracebackType
from typing import Any, Self

from tests.e2e.programs import Program, require

ARGUMENTS = ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--window-size=1100,900")


class Browser:
    """One window."""

    def __init__(self, *arguments: str) -> None:
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium's sandbox refuses root
        self._options = {"args": [*ARGUMENTS, *sandbox, *arguments], "binary": require("chromium")}
        self._session = ""
        self._driver = Program(["chromedriver", "--port=0"])

    def __enter__(self) -> Self:
        try:
            found = self._driver.wait_for_output(r"started successfully on port \d+")
            self._port = int(found.split()[-1])
            capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": self._options}}
            self._session = self._call("POST", "/session", {"capabilities": capabilities})["sessionId"]
        except BaseException as error:
            error.add_note(self._driver.output())
            self._driver.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._call("DELETE", f"/session/{self._session}")
        finally:
            self._driver.stop()

    def open(self, url: str) -> None:
        """Loads a page and waits until it is loaded."""
        self._command("url", {"url": url})

    def resize(self, width: int, height: int) -> None:
        """Makes the window that large; Chromium's are 500 pixels wide at least."""
        self._command("window/rect", {"width": width, "height": height})

    def run(self, script: str) -> Any:
        """Runs the body of a JavaScript function and returns its result."""
        return self._command("execute/sync", {"script": script, "args": []})

    def click(self, selector: str) -> None:
        """Clicks like a person (only then may a page play sound) on the first element that the selector finds."""
        element = self._command("element", {"using": "css selector", "value": selector})
        self._command(f"element/{next(iter(element.values()))}/click", {})

    def enter_frame(self, selector: str) -> None:
        """Goes into a frame of the page: what follows, until the next `open`, is about the page in it."""
        self._command("frame", {"id": self._command("element", {"using": "css selector", "value": selector})})

    def text(self, selector: str) -> str:
        """Returns the text of the first element found, empty if there is none."""
        return str(self.run(f"return document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def _command(self, path: str, body: dict[str, Any]) -> Any:
        return self._call("POST", f"/session/{self._session}/{path}", body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(f"{path}: {value['error']}: {value['message']}")
        return value
