"""Where the kernel routes addresses to, in the namespace of the calling process."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def leaving(addresses: Iterable[str], interfaces: Collection[str]) -> set[str]:
    """Those addresses (dotted) that are routed out through one of the interfaces."""
    import socket

    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    found: set[str] = set()
    with IPRoute() as route:
        numbers: set[int] = set()
        for name in interfaces:
            numbers |= set(route.link_lookup(ifname=name))
        for address in set(addresses) if numbers else ():
            try:
                (answer, *_) = route.route("get", dst=address, family=socket.AF_INET)
            except NetlinkError:
                continue
            if answer.get_attr("RTA_OIF") in numbers:
                found.add(address)
    return found
