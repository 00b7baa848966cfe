"""A headless Chromium, spoken to by WebDriver: what an engineer would see and hear of a page in a file."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 120
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
TAB = "\ue004"


class Browser:
    """One browser with an empty profile; what a page asks of the network fails."""

    def __init__(self, profile: Path) -> None:
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"LANG": "C.UTF-8"},
        )
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if "started successfully on port" in line:
                port = line.rstrip(". \n").rsplit(" ", 1)[1]
                self._address = f"http://127.0.0.1:{port}/session"
                break
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"], "binary": "/usr/bin/chromium"}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._post(self._address, {"capabilities": {"alwaysMatch": wanted}})
        self._address += f"/{made['sessionId']}"

    def open(self, file: Path) -> None:
        """Show a file; what was logged of an earlier one is forgotten."""
        self.messages()
        self.requests()
        self.ask("url", url=file.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script in the page returns."""
        return self.ask("execute/sync", script=script, args=list(arguments))

    def messages(self) -> list[str]:
        """What the console has got since the last time."""
        return [one["message"] for one in self.ask("se/log", type="browser")]

    def requests(self) -> list[str]:
        """The URLs that were asked for since the last time."""
        events = [json.loads(one["message"])["message"] for one in self.ask("se/log", type="performance")]
        sent = [one["params"] for one in events if one["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent]

    def protocol(self, method: str, **parameters: Any) -> Any:
        """What Chromium's own protocol answers."""
        return self.ask("goog/cdp/execute", cmd=method, params=parameters)

    def colors(self, scheme: str, width: int = 1280, height: int = 900) -> None:
        """Light or dark, and the size of the window."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.protocol("Emulation.setEmulatedMedia", features=[feature])
        self.protocol(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def accessible(self) -> list[tuple[str, str]]:
        """Role and name of everything that a screen reader is told."""
        nodes = self.protocol("Accessibility.getFullAXTree")["nodes"]
        return [
            (one["role"]["value"], one.get("name", {}).get("value", ""))
            for one in nodes
            if not one["ignored"]
        ]

    def press(self, key: str) -> None:
        """A key, down and up."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.ask("actions", actions=[{"type": "key", "id": "keys", "actions": keys}])

    def press_tab(self) -> str:
        """The element that has the focus after the tabulator key."""
        self.press(TAB)
        return str(self.run("return document.activeElement.tagName.toLowerCase()"))

    def picture(self, file: Path, whole: bool = True) -> None:
        """What is shown, as PNG."""
        shot = self.protocol("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End browser and driver."""
        try:
            self._send("DELETE", self._address, None)
        finally:
            self._driver.terminate()
            self._driver.wait(PATIENCE_SECONDS)

    def ask(self, command: str, **words: Any) -> Any:
        """One command of WebDriver."""
        return self._post(f"{self._address}/{command}", words)

    def _post(self, url: str, words: dict[str, Any]) -> Any:
        return self._send("POST", url, json.dumps(words).encode())

    def _send(self, method: str, url: str, data: bytes | None) -> Any:
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)["value"]
