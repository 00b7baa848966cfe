"""ulogd2 beside `nfcompile log`: its command lines for JSON and PostgreSQL, from Debian's packages."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import time
from pathlib import Path

SCHEMA = Path("/usr/share/doc/ulogd2-pgsql/pgsql-ulogd2.sql.gz")
PLUGINS = ("inpflow_NFCT", "filter_IP2STR")
BUFFERS = "netlink_socket_buffer_size=67108864\nnetlink_socket_buffer_maxsize=268435456\n"
"""As a careful operator sets them; without them the kernel's default of 208 KiB holds."""
JSON = 'sync=1\nfile="{file}"\n'
TABLE = 'db="postgres"\nhost="{host}"\nuser="nat"\nport=5432\ntable="ulog2_ct"\nprocedure="INSERT_CT"\n'


def into_json(folder: Path, file: Path) -> list[str] | None:
    """The command line of ulogd2 that writes JSON lines; None where it is not installed."""
    return _command(folder, "JSON", JSON.format(file=file), BUFFERS)


def into_postgresql(folder: Path, url: str, buffers: bool) -> list[str] | None:
    """The command line of ulogd2 that writes into its own tables; None where it is not installed."""
    host = url.partition("host=")[2]
    return _command(folder, "PGSQL", TABLE.format(host=host), BUFFERS if buffers else "")


def tables(url: str) -> bool:
    """Make ulogd2's tables, with its own script; False where that is not installed."""
    if not SCHEMA.exists():
        return False
    subprocess.run(
        ["psql", "-q", "-X", url],
        input=gzip.decompress(SCHEMA.read_bytes()),
        capture_output=True,
        check=False,
    )
    return True


def rows(url: str) -> int:
    """The rows of connections in ulogd2's table."""
    words = ["psql", "-X", "-A", "-t", "-c", "SELECT count(*) FROM ulog2_ct WHERE orig_l4_dport = 443", url]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def settled(url: str, wanted: int, seconds: float) -> int:
    """The rows when all are there, or no more came within 3 s, or so many seconds are over."""
    before, end = -1, time.monotonic() + seconds
    while (now := rows(url)) != before and now < wanted and time.monotonic() < end:
        before = now
        time.sleep(3)
    return now


def _command(folder: Path, output: str, settings: str, buffers: str) -> list[str] | None:
    found = [*Path("/usr/lib").glob(f"*/ulogd/ulogd_output_{output}.so")]
    program = shutil.which("ulogd") or shutil.which("ulogd", path="/usr/sbin")
    if not found or program is None:
        return None
    plugins = "".join(
        f'plugin="{found[0].parent}/ulogd_{name}.so"\n' for name in (*PLUGINS, f"output_{output}")
    )
    conf = folder / "ulogd.conf"
    conf.write_text(
        f'[global]\nlogfile="{folder}/ulogd.log"\n{plugins}stack=ct1:NFCT,ip2str1:IP2STR,out1:{output}\n'
        f"[ct1]\nevent_mask=4\nhash_enable=0\n{buffers}[out1]\n{settings}"
    )
    return [program, "-c", str(conf)]
