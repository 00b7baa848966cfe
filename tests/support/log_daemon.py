"""ulogd2 in the gateway, and the file that it writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from support.lab import Lab
from support.peers import need
from support.waiting import until

CONF = """
[global]
logfile="{folder}/ulogd.log"
loglevel=3
{plugins}
stack=log1:NFLOG,base1:BASE,{stack}
[log1]
group=5
netlink_qthreshold=1
[{output}]
file="{folder}/assignments"
sync=1
"""
INPUT = ("inppkt_NFLOG", "raw2packet_BASE", "filter_IP2STR")


class Form(NamedTuple):
    """What ulogd2 writes: plugins besides INPUT, its stack behind BASE, and the last one of that."""

    plugins: tuple[str, ...]
    stack: str

    @property
    def output(self) -> str:
        return self.stack.rpartition(",")[2].partition(":")[0]


FORMS = {
    "syslog": Form(
        ("filter_IFINDEX", "filter_PRINTPKT", "output_LOGEMU"),
        "ifi1:IFINDEX,ip2str1:IP2STR,print1:PRINTPKT,emu1:LOGEMU",
    ),
    "json": Form(("output_JSON",), "ip2str1:IP2STR,json1:JSON"),
}


def wait(ready: Callable[[], bool], folder: Path) -> None:
    until(ready, (folder / "ulogd.log").read_text)


@contextmanager
def listening(lab: Lab, folder: Path, form: str = "syslog") -> Iterator[Path]:
    """ulogd2 on group 5, from when the kernel knows of it; the file that it writes."""
    need("ulogd")
    found = [*Path("/usr/lib").glob("*/ulogd/ulogd_inppkt_NFLOG.so")]
    assert found, "ulogd2 without its NFLOG plugin"
    shape = FORMS[form]
    loaded = (*INPUT, *shape.plugins)
    plugins = "\n".join(f'plugin="{found[0].parent}/ulogd_{plugin}.so"' for plugin in loaded)
    conf, written, pid = folder / "conf", folder / "assignments", folder / "pid"
    conf.write_text(
        CONF.format(folder=folder, plugins=plugins, stack=shape.stack, output=shape.output).lstrip()
    )
    (folder / "ulogd.log").touch()
    lab.must("sh", "-c", f"ulogd -c {conf} >/dev/null 2>&1 & echo $! >{pid}")
    try:
        wait(lambda: heard(lab), folder)
        yield written
    finally:
        lab.run("sh", "-c", f"kill $(cat {pid})")
        wait(lambda: not heard(lab), folder)


def heard(lab: Lab) -> bool:
    """Does anybody listen to group 5?"""
    return bool(re.search(r"(?m)^ *5 ", lab.must("cat", "/proc/net/netfilter/nfnetlink_log")))
