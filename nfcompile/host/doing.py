"""Make a step, or undo it, in the namespace of the calling process. The only file that changes the host.

Undoing takes back what the step did and nothing else: where another program has changed the same
thing since, it stays as it is and is named.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from nfcompile.host import lldp
from nfcompile.host.machine import read_sysctl, sysctl_file
from nfcompile.host.steps import (
    AddAddress,
    AddLocalRoute,
    AddMarkRoute,
    AddRule,
    LoadModule,
    SetMtu,
    SetSysctl,
    Step,
    WriteLldp,
)
from nfcompile.kernel import KernelError
from nfcompile.kernel.network import LOCAL_TABLE
from nfcompile.model.ranges import Range, address_text

if TYPE_CHECKING:
    from pyroute2 import IPRoute

GONE = (errno.ENODEV, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENOENT)
"""What the kernel says where that which is to be taken away is not there."""
MODPROBE = "modprobe"


def make(step: Step) -> None:
    """Do it. Raises KernelError with the command that has failed and why."""
    try:
        _make(step)
    except OSError as error:
        raise KernelError(f"'{step.command}' failed: {error.strerror or error}") from None


def undo(step: Step) -> str:
    """Undo it; '' or why it is left as it is. Raises KernelError where it should be undone and cannot be."""
    try:
        return _undo(step)
    except OSError as error:
        raise KernelError(f"'{step.command}' cannot be undone: {error.strerror or error}") from None


def _make(step: Step) -> None:
    match step:
        case SetSysctl(name, _, after):
            _write_sysctl(name, after)
        case SetMtu(interface, _, after):
            _set_mtu(interface, after)
        case LoadModule(name):
            _run(MODPROBE, name)
        case WriteLldp(_, after):
            _write_lldp(after)
            lldp.activate()
        case _:
            with _linked() as link:
                _network(link, step)("add")


def _undo(step: Step) -> str:
    match step:
        case SetSysctl():
            return _undo_sysctl(step)
        case SetMtu():
            return _undo_mtu(step)
        case LoadModule(name):
            _run(MODPROBE, "-r", name)
        case WriteLldp():
            return _undo_lldp(step)
        case _:
            _take_away(step)
    return ""


def _take_away(step: Step) -> None:
    try:
        with _linked() as link:
            _network(link, step)("del")
    except OSError as error:
        if error.errno not in GONE:
            raise


def _network(link: IPRoute, step: Step) -> Callable[[str], Any]:
    """The call that adds ('add') or takes away ('del') an address, route or rule."""
    match step:
        case AddAddress(address, interface):
            number = _number(link, interface)
            return partial(link.addr, index=number, address=address_text(address), prefixlen=32)
        case AddLocalRoute(first, last):
            where = {"oif": _number(link, "lo"), "table": LOCAL_TABLE, "type": "local", "scope": "host"}
            return partial(link.route, dst=_prefix(first, last), **where)
        case AddMarkRoute(first, last, interface, table):
            where = {"oif": _number(link, interface), "table": table, "scope": "link"}
            return partial(link.route, dst=_prefix(first, last), **where)
        case AddRule(mark):
            return partial(link.rule, fwmark=mark, table=mark)
    raise AssertionError(step)


@contextmanager
def _linked() -> Iterator[IPRoute]:
    """A talk with the kernel, whose refusals are OSErrors."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as link:
            yield link
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from None


def _number(link: IPRoute, interface: str) -> int:
    found: list[int] = list(link.link_lookup(ifname=interface))
    if not found:
        raise OSError(errno.ENODEV, f"there is no interface '{interface}'")
    return found[0]


def _prefix(first: int, last: int) -> str:
    return f"{address_text(first)}/{32 - (Range(first, last).size.bit_length() - 1)}"


def _write_sysctl(name: str, value: int) -> None:
    with open(sysctl_file(name), "w") as file:
        file.write(str(value))


def _undo_sysctl(step: SetSysctl) -> str:
    seen = read_sysctl(step.name)
    if seen is None or seen.value == step.before:
        return ""
    if seen.value != step.after:
        return f"{step.name} is {seen.value} by now, not {step.after}: left as it is"
    _write_sysctl(step.name, step.before)
    for name, before in step.beside:
        beside = read_sysctl(name)
        if beside is not None and beside.value != before:
            _write_sysctl(name, before)
    return ""


def _mtu(link: IPRoute, interface: str) -> int:
    (found,) = link.get_links(_number(link, interface))
    mtu: int = found.get("mtu")
    return mtu


def _set_mtu(interface: str, mtu: int) -> None:
    with _linked() as link:
        link.link("set", index=_number(link, interface), mtu=mtu)


def _undo_mtu(step: SetMtu) -> str:
    try:
        with _linked() as link:
            mtu = _mtu(link, step.interface)
    except OSError as error:
        if error.errno in GONE:
            return ""
        raise
    if mtu == step.before:
        return ""
    if mtu != step.after:
        return f"the MTU of {step.interface} is {mtu} by now, not {step.after}: left as it is"
    _set_mtu(step.interface, step.before)
    return ""


def _write_lldp(text: str) -> None:
    """Whole or not at all; the daemon reads no file whose name ends otherwise."""
    with open(f"{lldp.FILE}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{lldp.FILE}.new", lldp.FILE)


def _undo_lldp(step: WriteLldp) -> str:
    try:
        with open(lldp.FILE, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return ""
    if text != step.after:
        return f"{lldp.FILE} has been changed: left as it is"
    if step.before is None:
        os.unlink(lldp.FILE)
    else:
        _write_lldp(step.before)
    lldp.forget(step.after)
    return ""


def _run(*command: str) -> None:
    import subprocess

    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        raise OSError(errno.EIO, error.stderr.strip() or f"exit status {error.returncode}") from None
