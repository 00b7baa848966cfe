"""An address of the command line or of a file of questions, with its port: A:P, and of IPv6 [A]:P.

A subscriber of a VLAN is A~VID[:P], as `mappings` writes it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nfcompile.cli.exit_status import UsageProblem

_IPV4 = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3})(?:~(\d{1,4}))?(?::(\d{1,5}))?", re.ASCII)
_IPV6 = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([0-9A-Fa-f:.]+))", re.ASCII)


class WrittenEnd(NamedTuple):
    """An address as a number, its port and its VLAN (None: not given)."""

    address: int
    port: int | None = None
    is_ipv6: bool = False
    vid: int | None = None


def read_end(text: str) -> WrittenEnd:
    """Read ADDR[:PORT]. Raises UsageProblem.

    >>> read_end("0.0.1.2:80")
    WrittenEnd(address=258, port=80, is_ipv6=False, vid=None)
    >>> read_end("[::1]:80")
    WrittenEnd(address=1, port=80, is_ipv6=True, vid=None)
    """
    found = read_end_in_vlan(text)
    if found.vid is not None:
        raise UsageProblem(f"'{text}' is not an address, or an address:port")
    return found


def read_end_in_vlan(text: str) -> WrittenEnd:
    """Read ADDR[~VID][:PORT]. Raises UsageProblem.

    >>> read_end_in_vlan("0.0.1.2~102")
    WrittenEnd(address=258, port=None, is_ipv6=False, vid=102)
    """
    found = _ipv6(text) if text.count(":") > 1 else _ipv4(text)
    if found is None or (found.port is not None and not 1 <= found.port <= 65535):
        raise UsageProblem(f"'{text}' is not an address, or an address:port")
    return found


def with_port(address: str, port: str) -> str:
    """ADDR:PORT of its two parts.

    >>> with_port("::1", "80"), with_port("192.0.2.1", "80"), with_port("192.0.2.1", "")
    ('[::1]:80', '192.0.2.1:80', '192.0.2.1')
    """
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address and not address.startswith("[") else f"{address}:{port}"


def _ipv4(text: str) -> WrittenEnd | None:
    match = _IPV4.fullmatch(text)
    octets = [int(octet) for octet in match[1].split(".")] if match else []
    if not match or max(octets) > 255:
        return None
    vid, port = (int(one) if one else None for one in match.groups()[1:])
    return WrittenEnd(int.from_bytes(octets, "big"), port, vid=vid)


def _ipv6(text: str) -> WrittenEnd | None:
    import ipaddress

    match = _IPV6.fullmatch(text)
    if not match:
        return None
    try:
        address = int(ipaddress.IPv6Address(match[1] or match[3]))
    except ValueError:
        return None
    return WrittenEnd(address, int(match[2]) if match[2] else None, True)
