"""What is there besides the kernel's network: LLDP, log and PCP daemons, the clock, the boot unit, the cloud.

Of it only the sockets belong to a network namespace. Read only; `lldp` changes what there is to change.
"""

from __future__ import annotations

import glob
from typing import NamedTuple

from nfcompile.host import lldp, metadata
from nfcompile.host.lldp import LldpSeen
from nfcompile.host.metadata import CloudSeen
from nfcompile.host.plan import HostPlan

NFLOG_GROUPS = "/proc/net/netfilter/nfnetlink_log"
NETLINK_SOCKETS = "/proc/net/netlink"
UDP_SOCKETS = "/proc/net/udp"
LOG_GROUP = 5
PCP_PORT = "14E7"
"""5351 as the kernel writes it."""
NETFILTER, DESTROY_EVENTS = "12", 0x4
"""NETLINK_NETFILTER (linux/netlink.h), and the bit of NFNLGRP_CONNTRACK_DESTROY
(linux/netfilter/nfnetlink_compat.h)."""
BOOT_UNIT = "/etc/systemd/system/*.wants/nfcompile.service"
TIMEX_BYTES, TIME_ERROR = 256, 5
"""Room for struct timex (208 bytes); adjtimex(2) answers 5 where nothing keeps the clock right."""


class Daemons(NamedTuple):
    """What runs. The two logs are None where this user may not know; `cloud` is None on a machine of one's
    own."""

    lldp: LldpSeen
    assignments_heard: bool | None
    connections_heard: bool | None
    clock_right: bool
    boots: bool
    cloud: CloudSeen | None = None
    opens_ports: bool = False


def observe(plan: HostPlan) -> Daemons:
    """Look at what the plan is about, and at the clock and the boot unit in any case."""
    return Daemons(
        lldp.observe(plan.lldp),
        _hears_group(),
        _hears_connections(),
        _clock_is_right(),
        bool(glob.glob(BOOT_UNIT)),
        metadata.observe(plan.default_route.interfaces[0]),
        _answers_pcp(),
    )


def _answers_pcp() -> bool:
    lines = _lines(UDP_SOCKETS) or [""]
    return any(line.split()[1].endswith(f":{PCP_PORT}") for line in lines[1:])


def _hears_group() -> bool | None:
    lines = _lines(NFLOG_GROUPS)
    return None if lines is None else any(line.split()[:1] == [str(LOG_GROUP)] for line in lines)


def _hears_connections() -> bool | None:
    lines = _lines(NETLINK_SOCKETS)
    if lines is None:
        return None
    sockets = [line.split() for line in lines[1:]]
    return any(one[1] == NETFILTER and int(one[3], 16) & DESTROY_EVENTS for one in sockets)


def _lines(path: str) -> list[str] | None:
    try:
        with open(path) as file:
            return file.read().splitlines()
    except PermissionError:
        return None
    except OSError:
        return []


def _clock_is_right() -> bool:
    """Whether something (NTP, PTP) disciplines the clock."""
    import ctypes

    state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    return state not in (-1, TIME_ERROR)
