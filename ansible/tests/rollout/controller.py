"""Nodes in namespaces as an operator's inventory has them, and ansible-playbook as an operator calls it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[3]
ANSIBLE = ROOT / ".venv-ansible/bin"
RECAP = re.compile(r"^(\S+)\s+: (ok=.*)$", re.MULTILINE)


class Outcome(NamedTuple):
    """What a playbook has said, and its figures by hosts."""

    code: int
    text: str
    hosts: dict[str, dict[str, int]]

    def total(self, figure: str) -> int:
        return sum(host[figure] for host in self.hosts.values())


class Controller:
    """A machine with ansible-core, the collection as it is built for users, and an inventory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "PATH": f"{ANSIBLE}:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": str(folder),
            "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_REMOTE_TMP": str(folder / "remote"),
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "False",
        }  # fmt: skip

    def install(self) -> None:
        """Build the collection and install it, as from Galaxy."""
        self._run(
            "ansible-galaxy", "collection", "build", str(ROOT / "ansible"), "--output-path", str(self.folder)
        )
        [built] = self.folder.glob("nfcompile-gateway-*.tar.gz")
        self._run(
            "ansible-galaxy",
            "collection",
            "install",
            "--offline",
            str(built),
            "-p",
            self.environment["ANSIBLE_COLLECTIONS_PATH"],
        )

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def inventory(self, site: Path, variables: dict[str, Any]) -> Path:
        """The inventory of a site's nodes; `variables` are for all of them."""
        file = self.folder / "fleet.nfcompile.yaml"
        file.write_text(f"plugin: nfcompile.gateway.site\nsite: {site}\n")
        (self.folder / "group_vars").mkdir(exist_ok=True)
        always = {"ansible_connection": "local", "ansible_python_interpreter": str(ANSIBLE / "python")}
        (self.folder / "group_vars/nfcompile.yml").write_text(json.dumps(always | variables))
        return file

    def command(self, playbook: str, site: Path, *words: str) -> list[str]:
        inventory = str(self.folder / "fleet.nfcompile.yaml")
        return [
            "ansible-playbook",
            f"nfcompile.gateway.{playbook}",
            "-i",
            inventory,
            "-e",
            f"nfcompile_site={site}",
            *words,
        ]

    def play(self, playbook: str, site: Path, *words: str) -> Outcome:
        command = self.command(playbook, site, *words)
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        hosts = {
            name: {key: int(value) for key, value in (one.split("=") for one in figures.split())}
            for name, figures in RECAP.findall(done.stdout)
        }
        return Outcome(done.returncode, done.stdout + done.stderr, hosts)

    def module(self, name: str, host: str, **arguments: Any) -> dict[str, Any]:
        """What one module says of one host."""
        inventory = str(self.folder / "fleet.nfcompile.yaml")
        command = [
            "ansible",
            host,
            "-i",
            inventory,
            "-m",
            f"nfcompile.gateway.{name}",
            "-a",
            json.dumps(arguments),
        ]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        found: dict[str, Any] = json.JSONDecoder().raw_decode(done.stdout.partition(" => ")[2])[0]
        return found

    def ask(self, *command: str) -> Any:
        return json.loads(self._run(*command))


def script(file: Path, *command: str, environment: dict[str, str] | None = None) -> Path:
    """A command as a file that can be run, with the arguments that are given to it."""
    set_first = [f"{key}={value}" for key, value in (environment or {}).items()]
    file.write_text(f'#!/bin/sh\nexec {shlex.join(["env", *set_first, *command])} "$@"\n')
    file.chmod(0o755)
    return file
