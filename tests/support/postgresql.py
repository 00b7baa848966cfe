"""A PostgreSQL server of Debian's package: its own directory, a unix socket, no network, an ordinary user."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support.lab import cannot
from support.waiting import until

OPTIONS = {"listen_addresses": "", "shared_buffers": "32MB", "max_wal_size": "256MB", "fsync": "off"}
"""fsync=off: the server is killed here, never the machine."""


class DatabaseServer:
    """One server in `folder`, which runs or not."""

    def __init__(self, programs: Path, folder: Path, options: dict[str, str]) -> None:
        self.folder, self._programs, self._options = folder, programs, OPTIONS | options
        self._process: subprocess.Popen[bytes] | None = None
        made = self._run("initdb", "-D", "data", "-A", "trust", "-U", "nat", "-E", "UTF8", "--locale=C", "-N")
        if made.returncode:
            cannot(f"initdb: {made.stderr}")

    @property
    def url(self) -> str:
        """Its database."""
        return f"postgresql://nat@/postgres?host={self.folder}"

    def start(self) -> None:
        """Until it answers."""
        settings = self._options | {"unix_socket_directories": str(self.folder)}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        alone = [*_as_ordinary_user(), "setpriv", "--pdeathsig", "QUIT"]  # it does not outlive the test
        with (self.folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [*alone, self._programs / "postgres", "-D", "data", *words],
                cwd=self.folder,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        until(self._answers, lambda: (self.folder / "said").read_text())

    def stop(self, number: int = signal.SIGINT) -> None:
        """SIGINT ends its sessions at once, SIGQUIT it without care, as a crash would."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def freeze(self, number: int = signal.SIGSTOP) -> None:
        """Stop all its processes where they are, until SIGCONT."""
        assert self._process is not None
        for one in self._family(self._process.pid):
            with suppress(ProcessLookupError):  # a session that has just ended
                os.kill(one, number)

    def rows(self, query: Any) -> list[tuple[Any, ...]]:
        """What a query answers, in UTC."""
        import psycopg

        with psycopg.connect(self.url) as connection:
            connection.execute("SET timezone = 'UTC'")
            return connection.execute(query).fetchall()

    def do(self, *statements: Any) -> None:
        """Run statements."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            for one in statements:
                connection.execute(one)

    def _family(self, pid: int) -> list[int]:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return []
        return [pid, *(other for child in children for other in self._family(int(child)))]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "said").read_text()
        return self._run("pg_isready", "-h", str(self.folder)).returncode == 0

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*_as_ordinary_user(), str(self._programs / program), *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)


def _as_ordinary_user() -> list[str]:
    """PostgreSQL refuses to run as root, so it gets a user namespace in which it is another user."""
    return [] if os.geteuid() else ["unshare", "--user", "--map-user=65534", "--map-group=65534"]


@contextmanager
def database_server(**options: str) -> Iterator[DatabaseServer]:
    """A server that runs until the end of the block."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        cannot("not installed: postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # its name is short: a socket's path has 107 characters
    try:
        server = DatabaseServer(programs[-1], folder, options)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)
