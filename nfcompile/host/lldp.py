"""The LLDP daemon, lldpd: what it announces, and one file of its configuration that is ours."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from nfcompile.host.plan import Lldp

if TYPE_CHECKING:
    from subprocess import CompletedProcess

FOLDER = "/etc/lldpd.d"
FILE = f"{FOLDER}/nfcompile.conf"
CLIENT = "lldpcli"
SECONDS = 10
OFF = "disabled"


class LldpSeen(NamedTuple):
    """Whether it is installed and runs, the name that it announces, the interfaces on which it is switched
    off, and our file as it is (None: there is none)."""

    installed: bool = False
    runs: bool = False
    hostname: str = ""
    off: frozenset[str] = frozenset()
    file: str | None = None


def observe(wanted: Lldp | None) -> LldpSeen:
    """Ask the daemon, where the site has to do with it."""
    if wanted is None:
        return LldpSeen()
    chassis, ports = _asked("chassis"), _asked("interfaces")
    names = [name["value"] for name in _all(chassis, "local-chassis", "chassis", "name")]
    off = [
        port["name"]
        for port in _all(ports, "lldp", "interface")
        if [status["value"] for status in port.get("status", [])] == [OFF]
    ]
    hostname = names[0] if names else ""
    return LldpSeen(os.path.isdir(FOLDER), chassis is not None, hostname, frozenset(off), _file())


def configuration(wanted: Lldp) -> str:
    """Our file: commands of lldpcli(8). The schema lets no quotes into a name."""
    return "".join(f"{command}\n" for command in _commands(wanted))


def activate() -> None:
    """Let a running daemon read our file."""
    _client("-c", FILE)


def forget(text: str) -> None:
    """Take back what our file, with this text, has told a running daemon; then what the other files say
    holds."""
    for line in text.splitlines():
        if line.startswith("configure system hostname"):
            _client("unconfigure", "system", "hostname")
        elif line.endswith("lldp status disabled"):
            _client(*line.replace("status disabled", "status rx-and-tx").split())
    _client("-c", FOLDER)


def _commands(wanted: Lldp) -> Iterator[str]:
    if not wanted.on:
        yield f"configure ports {','.join(wanted.interfaces)} lldp status disabled"
    elif wanted.hostname:
        yield f'configure system hostname "{wanted.hostname}"'


def _file() -> str | None:
    try:
        with open(FILE, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def _asked(what: str) -> Any:
    """What the daemon answers; None where none runs, or this user may not ask."""
    done = _client("-f", "json0", "show", what)
    try:
        return json.loads(done.stdout) if done is not None and done.returncode == 0 else None
    except ValueError:
        return None


def _client(*arguments: str) -> CompletedProcess[str] | None:
    import subprocess

    try:
        return subprocess.run(
            [CLIENT, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _all(found: Any, *keys: str) -> Iterator[Any]:
    """Walk json0, in which every value is a list."""
    if not keys:
        yield found
        return
    for one in (found or {}).get(keys[0], []):
        yield from _all(one, *keys[1:])
