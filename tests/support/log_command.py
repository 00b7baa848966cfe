"""`nfcompile log` in the lab's gateway, and what it writes."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.command import NFCOMPILE
from support.lab import Lab
from support.sites import HEAD
from support.waiting import until


class LogCommand:
    """A daemon that runs, or has run; `folder` holds its site, state and messages."""

    verb, ready = "log", "logging to"

    def __init__(self, lab: Lab, folder: Path, site: str) -> None:
        self.lab, self.folder = lab, folder
        self.file = folder / "log.jsonl"
        self.pid = 0
        (folder / "site.yaml").write_text(HEAD + site)

    def words(self, *arguments: str) -> list[str]:
        """The command line; the state directory is the test's own."""
        named = [
            *NFCOMPILE,
            self.verb,
            str(self.folder / "site.yaml"),
            "--state-dir",
            str(self.folder / "state"),
        ]
        return [*named, *arguments]

    def start(self, *arguments: str) -> None:
        """Run it until it logs."""
        self.run(*(arguments or ("--to", f"json:{self.file}")))
        if not any("ipfix" in word or "postgresql:" in word for word in arguments):
            until(lambda: self.events("log_started"), self.said)

    def run(self, *arguments: str) -> None:
        """Run it until it says that it is ready."""
        said = self.folder / "said"
        said.unlink(missing_ok=True)
        line = shlex.join(self.words(*arguments))
        environment = f"PYTHONPATH={shlex.quote(os.environ.get('PYTHONPATH', ''))}"
        out = shlex.quote(str(self.folder / "out"))
        done = self.lab.must("sh", "-c", f"{environment} {line} >{out} 2>{shlex.quote(str(said))} & echo $!")
        self.pid = int(done)
        until(lambda: self.ready in self.said(), self.said)

    def said(self) -> str:
        """What it said on stderr."""
        file = self.folder / "said"
        return file.read_text() if file.exists() else ""

    def signal(self, name: str) -> None:
        """Send it a signal."""
        self.lab.must("kill", f"-{name}", str(self.pid))

    def stop(self, name: str = "TERM") -> None:
        """End it, and wait until it has ended."""
        if self.pid:
            self.lab.run("kill", f"-{name}", str(self.pid))
            until(lambda: _has_ended(self.pid), self.said)
            self.pid = 0

    def lines(self, file: Path | None = None) -> list[dict[str, Any]]:
        """The whole lines of its file so far."""
        file = file or self.file
        if not file.exists():
            return []
        return [json.loads(one) for one in file.read_text().splitlines(True) if one.endswith("\n")]

    def events(self, *events: str) -> list[dict[str, Any]]:
        """The lines about these events."""
        return [one for one in self.lines() if one["event"] in events]

    def waits(self, ready: Callable[[], object]) -> None:
        """Until something is in the file."""
        until(ready, lambda: f"{self.said()} {len(self.lines())} lines")

    def stats(self) -> dict[str, Any]:
        """What `log --stats` says."""
        said: dict[str, Any] = json.loads(self.lab.must(*self.words("--stats", "--format", "json")))
        return said


def _has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for init to take note of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@contextmanager
def logging(lab: Lab, folder: Path, site: str, *arguments: str) -> Iterator[LogCommand]:
    """The daemon on a site, until the end of the block."""
    made = LogCommand(lab, folder, site)
    made.start(*arguments)
    try:
        yield made
    finally:
        made.stop()
