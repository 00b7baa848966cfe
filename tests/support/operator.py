"""An operator who works on a gateway with a history of its own: applies, confirms, rolls back, and looks."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nfcompile.records import history, store
from support.bare_gateway import OTHER, SITE, Namespace
from support.command import NFCOMPILE

THIRD = SITE.replace("203.0.113.0/30", "192.0.2.0/30")
GLOBALS = {"203.0.113.0/30": SITE, "198.51.100.0/30": OTHER, "192.0.2.0/30": THIRD}
PATIENCE_SECONDS = 60


class Operator:
    """One gateway, and a state directory below a folder."""

    def __init__(self, gateway: Namespace, folder: Path) -> None:
        self.gateway = gateway
        self.state = str(folder / "state")
        self.path = store.directory(self.state, gateway.path)

    def command(self, verb: str, *arguments: str) -> list[str]:
        return [*NFCOMPILE, verb, *arguments, "--netns", self.gateway.path, "--state-dir", self.state]

    def does(self, verb: str, *arguments: str, site: str = "", **options: Any) -> Any:
        options = {"capture_output": True, "text": True} | options
        return subprocess.run(self.command(verb, *arguments), input=site, check=False, **options)

    def must(self, verb: str, *arguments: str, **options: Any) -> Any:
        ran = self.does(verb, *arguments, **options)
        assert ran.returncode == 0, ran.stderr
        return ran

    def applies(self, site: str, *arguments: str) -> Any:
        return self.must("apply", "-", "-q", *arguments, site=site)

    def starts(self, site: str, *arguments: str) -> subprocess.Popen[str]:
        """An apply that is under way."""
        process = subprocess.Popen(
            self.command("apply", "-", "-q", *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(site)
        process.stdin.close()
        return process

    def live(self) -> str | None:
        """The site that the kernel has, None for no table."""
        if not self.gateway.tables():
            return None
        listed = self.gateway.nft("list", "table", "ip", "nfcompile")
        listed = re.sub(r"\tset unflushed \{.*?\n\t\}\n", "", listed, flags=re.S)  # what was live before
        (found,) = [site for prefix, site in GLOBALS.items() if prefix in listed]
        return found

    def results(self) -> list[str]:
        return [one.result for one in store.read(self.path).events if one.result != history.LOADING]

    def waits(self, until: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not until():
            assert time.monotonic() < end, store.read(self.path)
            time.sleep(0.1)

    def left_over(self) -> list[str]:
        """Files of the state directory that no change should leave."""
        known = {"history.jsonl", "sites", "reserve", "lock", store.LOADED, store.LOADED_TEXT}
        return sorted(set(os.listdir(self.path)) - known) if os.path.isdir(self.path) else []


def timers(operator: Operator) -> list[int]:
    """The processes that wait for the end of a trial."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except (OSError, ValueError):
            continue
        if operator.path in words and any("deploy.trial" in word for word in words):
            found.append(int(name))
    return found
