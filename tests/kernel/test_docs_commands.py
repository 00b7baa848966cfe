"""Every command in a block of the documents is run, page by page, in a directory and a namespace of its own.

A page is read from top to bottom: what one command writes the next one finds. A command ends with 0 unless
EXIT says otherwise, and what cannot be run is in NOT_RUN with its reason; a command in neither is run.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.documents import Shown, shown
from support.sites import GOOD, ROOT
from support.waiting import until

AWS = "needs an instance in AWS; tests/host/test_aws.py asks a service that stands in for it"
DATABASE = "needs a PostgreSQL server: tests/kernel/test_log_database.py has one"
LOGS = "needs a log of that time: tests/log/test_answers.py has some"
AT = "nfcompile lookup 203.0.113.7:34567 --at 2026-05-01T12:00:00Z"
MOMENT = r"20\d\d-\d\d-\d\dT[\d:]+(Z|\+02:00)"
DB = "postgresql://nat@db.example/nat"
NOT_RUN = {
    f"nfcompile log site.yaml --only blocks --keep 180 --to {DB}": DATABASE,
    f"{AT} --db {DB}": DATABASE,
    f"{AT} --db {DB} --report": DATABASE,
    f"{AT} --log /var/log/nfcompile/log.jsonl": LOGS,
    f"{AT} --log log.jsonl --log log.jsonl.1.gz": LOGS,
    f"{AT} --log /var/log/nfcompile/parquet": LOGS,
    "exec nfcompile host cloud aws /etc/nfcompile/site.yaml --take": AWS,
    "python3 -m venv /opt/nfcompile && /opt/nfcompile/bin/pip install .": "needs a network: scripts/bare",
    "ln -s /opt/nfcompile/bin/nfcompile /usr/local/bin/": "tests/kernel/test_day_one.py has its own",
    "nfcompile host cloud aws site.yaml --dry-run": AWS,
    "nfcompile host cloud aws site.yaml": AWS,
    "nfcompile host cloud aws site.yaml --instance i-0123456789abcdef0 --region eu-central-1": AWS,
}
ELSEWHERE = {"docs/day-one.md": "tests/kernel/test_day_one.py types the whole page, word for word"}

# A site as the pages have it: pool `homes`, the addresses that they ask for, interfaces lan0 and wan0.
SITE = (
    GOOD.replace("home", "homes")
    .replace("100.64.0.0/24", "100.64.0.0/22")
    .replace("203.0.113.0/30", "203.0.113.0/28")
)
FLEET = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
MOVE = "sed -i 's/203.0.113.0.28/203.0.113.16\\/28/' site.yaml"
LONGER = "sed -i 's|udp: 300|udp: 301|' site.yaml"
GIT = """
git init -q . && git add site.yaml
git -c user.name=a -c user.email=a@example.org commit -qm one
git -c user.name=a -c user.email=a@example.org commit -qm two --allow-empty
git update-ref refs/remotes/origin/main HEAD
"""
DYNAMIC = "sed -i 's/type: cgnat/type: cgnat\\n    allocation: dynamic/' site.yaml"
INPUTS = r"""
cat >rules.v4 <<'END'
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.0.0.0/8 -o wan0 -j SNAT --to-source 203.0.113.5
COMMIT
END
cat >config.boot <<'END'
nat {
    source {
        rule 10 {
            outbound-interface {
                name eth0
            }
            source {
                address 10.0.0.0/8
            }
            translation {
                address masquerade
            }
        }
    }
}
END
cat >export.rsc <<'END'
/ip firewall nat
add action=masquerade chain=srcnat out-interface=ether1 src-address=10.0.0.0/8
END
"""
BEGIN = {
    "README.md": INPUTS + "rm site.yaml",
    "docs/bundle.md": "sed -i 's/connection_logging: off/connection_logging: on/' site.yaml",
    "docs/diff.md": f"{GIT}\nip netns add gw\ncp site.yaml old.yaml\n{MOVE}",
    "docs/explain.md": f"cp {ROOT}/examples/isp/site.yaml site.yaml",
    "docs/fmt.md": "",
    "docs/ha.md": "rm site.yaml; nfcompile init --template ha -q",
    "docs/history.md": "nfcompile apply site.yaml --yes -q",
    "docs/log.md": "mkdir -p etc/nfcompile var/log/nfcompile; cp site.yaml etc/nfcompile/; "
    "nfcompile apply site.yaml -q",
    "docs/boot.md": "mkdir -p etc/systemd/system",
    "docs/lookup.md": "nfcompile apply site.yaml -q; printf 'addr,port\\n203.0.113.1,3000\\n' >questions.csv",
    "docs/migrate.md": INPUTS,
    "docs/prove.md": f"cp -r {ROOT}/examples .; nfcompile apply site.yaml -q",
    "docs/status.md": "nfcompile apply site.yaml -q",
}
"""What a page takes for granted; site.yaml is there everywhere."""
BEFORE = {
    (
        "README.md",
        "nfcompile apply site.yaml --confirm 120",
    ): "sed -i 's|udp: 300|udp: 301|' site.yaml",
    ("README.md", "nfcompile diff site.yaml --git HEAD"): GIT,
    ("README.md", "nfcompile prove site.yaml --live"): "sed -i 's|udp: 301|udp: 300|' site.yaml",
    ("docs/history.md", "nfcompile apply site.yaml --confirm 120"): MOVE,
    ("docs/lookup.md", "nfcompile lookup site.yaml 203.0.113.7:34567 --live"): DYNAMIC
    + "; nfcompile apply site.yaml -q",
}
"""What happens on the machine before a command, as the text around it says."""
EXIT = {
    ("docs/ha.md", "nfcompile ha status"): (1, "there is no peer: `not ready`"),
    ("docs/host.md", "nfcompile host check site.yaml"): (1, "a line is not ok"),
    ("docs/lookup.md", "nfcompile lookup site.yaml 203.0.113.7:34567 --live"): (1, "nobody has a block yet"),
    ("docs/prove.md", "nfcompile prove site.yaml --live"): (1, "another program has changed the table"),
}
RUNS_ON = re.compile(r"^nfcompile log .*--to ")
"""Commands that run until they are ended; SIGTERM has to end them with 0."""

ALL = list(dict.fromkeys(shown()))
BY_PAGE = {page: [one for one in ALL if one.page == page] for page in dict.fromkeys(one.page for one in ALL)}


class Reader:
    """A reader of a page at a gateway (gw1): a directory, and a namespace with lan0 and wan0."""

    def __init__(self, place: Path, name: str) -> None:
        self.place, self.name = place, name
        self._running: list[subprocess.Popen[str]] = []
        (place / "bin").mkdir()
        program = place / "bin/nfcompile"
        program.write_text(
            f"#!/bin/sh\nexec {sys.executable} -c 'from nfcompile.cli import main; main()' \"$@\"\n"
        )
        program.chmod(0o755)
        self._environment = os.environ | {
            "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
            "NFCOMPILE_STATE_DIR": str(place / "state"),
        }
        (place / "site.yaml").write_text(SITE)
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.run(
            "ip link set lo up; for side in lan0 wan0; do "
            "ip link add $side type veth peer name far-$side; "
            "ip link set $side up; ip link set far-$side up; done"
        )

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """A script; paths of a machine lead into the directory."""
        return subprocess.run(
            self._words(text),
            cwd=self.place,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def start(self, text: str) -> None:
        """A command that runs on; it is ready when its figures can be asked for."""
        self._running.append(
            subprocess.Popen(
                self._words("exec " + text), cwd=self.place, env=self._environment, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            )
        )  # fmt: skip
        until(lambda: self.run("nfcompile log --stats").returncode == 0, "the log runs")

    def end(self) -> list[int]:
        """End what runs, and the namespace; the exit statuses."""
        ended = []
        for process in self._running:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)
            ended.append(process.returncode)
        subprocess.run(["ip", "netns", "delete", self.name], check=True)
        return ended

    def _words(self, text: str) -> list[str]:
        for folder in ("/etc/", "/var/log/", "/root/"):
            text = re.sub(rf"(?<![\w.]){folder}", f"{self.place}{folder}", text)
        apart = ["unshare", "--uts", "nsenter", f"--net=/run/netns/{self.name}"]
        return [*apart, "bash", "-e", "-o", "pipefail", "-c", "hostname gw1\n" + text]


def forms(command: str, name: str) -> Iterator[str]:
    """A command as it is typed: with and without what stands in brackets, a moment that the history knows."""
    if re.search(MOMENT, command):
        time.sleep(1 - datetime.now(UTC).microsecond / 1e6)  # a whole second after what was recorded last
        command = re.sub(MOMENT, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), command)
    command = re.sub(r" \| jq .*", "", command)
    for text in dict.fromkeys((re.sub(r" \[[^]]*\]", "", command), re.sub(r"[][]|\|\w+", "", command))):
        yield (
            text.replace("DIR", "bundle")
            .replace("NAME", name)
            .replace("OUTPUT ...", "json:/var/log/nfcompile/log.jsonl")
        )


@pytest.mark.parametrize("page", [page for page in BY_PAGE if page not in ELSEWHERE])
def test_every_command_of_a_page(page: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path, f"docs{os.getpid()}")
    try:
        begun = reader.run(BEGIN.get(page, ""))
        assert begun.returncode == 0, begun.stderr
        for one in BY_PAGE[page]:
            if one.command not in NOT_RUN:
                follow(reader, one)
    finally:
        ended = reader.end()
    assert set(ended) <= {0}


def follow(reader: Reader, one: Shown) -> None:
    """Run one command of a page, and compare its exit status."""
    expected, _ = EXIT.get(one, (0, ""))
    prepared = reader.run(BEFORE.get(one, ""))
    assert prepared.returncode == 0, prepared.stderr
    for text in forms(one.command, reader.name):
        if RUNS_ON.match(text):
            reader.start(text)
            continue
        done = reader.run(text)
        assert "Traceback" not in done.stderr
        assert done.returncode == expected, (
            f"{text}: {done.returncode}\n{done.stdout[-500:]}{done.stderr[-1500:]}"
        )


def test_what_is_not_run_or_ends_otherwise_is_in_the_documents() -> None:
    commands = {one.command for one in ALL}
    assert set(NOT_RUN) <= commands
    assert {*EXIT, *BEFORE} <= set(ALL)
    assert {*BEGIN, *ELSEWHERE} <= set(BY_PAGE)
    assert len(ALL) > 70
