"""The wires of the lab: names, addresses and routes, and what `ip` is told of them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import NamedTuple

from nfcompile.model.parse import addresses
from nfcompile.model.ranges import Range

GATEWAY, INSIDE, OUTSIDE = "gateway", "inside", "outside"


class Wire(NamedTuple):
    """One interface of the gateway: the side it is on, its subnet and the prefixes routed to it."""

    name: str
    side: str
    subnet: str
    routes: tuple[str, ...]

    @property
    def number(self) -> int:
        return WIRES.index(self) + 1

    def mac(self, end: int) -> bytes:
        """The address of the gateway's end (1) or the far end (2)."""
        return bytes((2, 0, 0, 0, self.number, end))

    def ipv6(self, end: int) -> IPv6Address:
        return IPv6Address(f"2001:db8:{self.number}::{end}")


WIRES = (
    Wire("lan0", INSIDE, "172.31.0", ("100.64.0.0/10", "10.0.0.0/8", "192.168.0.0/16")),
    Wire("lan1", INSIDE, "172.31.1", ("10.1.0.0/16", "100.127.0.0/16")),
    Wire("lan0.102", INSIDE, "172.31.102", ("10.102.0.0/16", "192.168.1.0/24")),
    Wire("wan0", OUTSIDE, "172.31.9", ("default",)),
    Wire("wan1", OUTSIDE, "172.31.10", ("198.18.1.0/24",)),
)
WIRE = {wire.name: wire for wire in WIRES}
GATEWAY_ADDRESS = "172.31.9.1"
VLANS = {"lan1": 101, "lan0.102": 102}
"""The VLANs of sites that have some."""


def gateway_address(wire: str) -> str:
    """The gateway's own address on a wire."""
    return f"{WIRE[wire].subnet}.1"


def route(address: int) -> str:
    """The interface behind which the gateway's routes see an address."""
    found = max(
        (entry for entry in _ROUTES if entry[0].first <= address <= entry[0].last),
        key=lambda entry: entry[0].first - entry[0].last,
    )
    return found[1]


_ROUTES: tuple[tuple[Range, str], ...] = tuple(
    (addresses(text.replace("default", "0.0.0.0/0")), wire.name)
    for wire in WIRES
    for text in (*wire.routes, f"{wire.subnet}.0/24")
)


def gateway_lines() -> Iterator[str]:
    yield "link set lo up"
    for wire in WIRES:
        yield f"link set {wire.name} up"
        yield f"address add {wire.subnet}.1/24 dev {wire.name}"
        yield f"neighbour add {wire.subnet}.2 lladdr {mac_text(wire.mac(2))} dev {wire.name} nud permanent"
        for prefix in wire.routes:
            yield f"route add {prefix} via {wire.subnet}.2 dev {wire.name}"


def host_lines(address: str, wire: Wire) -> Iterator[str]:
    gateway = f"{wire.subnet}.1"
    yield f"address replace {address}/32 dev lo"
    yield f"neighbour replace {gateway} lladdr {mac_text(wire.mac(1))} dev {wire.name} nud permanent"
    yield f"route replace {gateway} dev {wire.name} scope link"
    yield f"route replace default via {gateway} dev {wire.name} src {address}"


def marker_lines() -> Iterator[str]:
    for wire in WIRES:
        yield f"route add {wire.ipv6(0)}/64 dev {wire.name}"
        yield f"neighbour add {wire.ipv6(2)} lladdr {mac_text(wire.mac(2))} dev {wire.name} nud permanent"


def mac_text(address: bytes) -> str:
    return address.hex(":")
