"""Interfaces for a scratch namespace: a flowtable can only be asked for where its interfaces are."""

from __future__ import annotations

import re

_DEVICES = re.compile(r"^\t\tdevices = \{ (.*) \}$", re.MULTILINE)


def stand_in(text: str) -> None:
    """Make a dummy interface for each that a flowtable of the ruleset names. Where the kernel makes none it
    refuses the flowtable, at its line."""
    names = [name.strip('"') for devices in _DEVICES.findall(text) for name in devices.split(", ")]
    if not names:
        return
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with IPRoute() as route:
        for name in names:
            try:
                route.link("add", ifname=name, kind="dummy")
            except NetlinkError:
                return
