"""A PostgreSQL server of Debian's package for a measurement: a directory of its own, and a unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def server(*settings: str) -> Iterator[str | None]:
    """The URL of its database; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    # PostgreSQL refuses to be root: in a user namespace of its own it is somebody else.
    other = [] if os.geteuid() else ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
    options = " ".join(
        f"-c {one}" for one in (f"unix_socket_directories={folder}", "listen_addresses=", *settings)
    )

    def do(program: str, *words: str) -> None:
        command = [*other, str(found[-1] / program), *words]
        with (folder / "said").open("a") as said:
            done = subprocess.run(command, cwd=folder, stdout=said, stderr=said, check=False)
        if done.returncode:
            raise SystemExit(f"{program}: {(folder / 'said').read_text()}")

    try:
        do("initdb", "-D", "data", "-A", "trust", "-U", "nat", "-E", "UTF8", "--locale=C", "-N")
        do("pg_ctl", "-D", "data", "-w", "-o", options, "start")
        try:
            yield f"postgresql://nat@/postgres?host={folder}"
        finally:
            do("pg_ctl", "-D", "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
