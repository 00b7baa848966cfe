"""The same mapping in the shape that VyOS's CGNAT loads: four maps with an element for each subscriber.

Written from the structure of its ruleset, to have something to compare with. One difference: there
`other_nat_map` is `ipv4_addr : interval ipv4_addr`, with plain addresses in it, which kernels refuse;
here it is `ipv4_addr : ipv4_addr`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import measure  # noqa: F401  (finds the checkout)
import sites

from nfcompile.ipalloc import Layout, Stock
from nfcompile.model.ranges import Range, address_text

PORTED = ("tcp", "udp", "icmp")
PORTED_TYPE = "ipv4_addr : interval ipv4_addr . inet_service"
PLAIN_TYPE = "ipv4_addr : ipv4_addr"


def layout(subscribers: int, ports: int = sites.BLOCK) -> Layout:
    """What `sites.aligned` describes."""
    addresses = Range(sites.FIRST_GLOBAL, sites.FIRST_GLOBAL + subscribers * ports // sites.PORTS - 1)
    stock = Stock((addresses,), Range(1024, 65535), ports)
    return Layout(stock, [Range(sites.FIRST_SUBSCRIBER, sites.FIRST_SUBSCRIBER + subscribers - 1)])


def ruleset(mapping: Layout) -> Iterable[str]:
    """The text, piece by piece."""
    ported: list[str] = []
    plain: list[str] = []
    for piece in mapping.pieces:
        for subscriber in range(piece.first, piece.last + 1):
            address, first, last = mapping.stock.block(piece.address(subscriber), piece.block)
            local, outside = address_text(subscriber), address_text(address)
            ported.append(f"{local} : {outside} . {first}-{last}")
            plain.append(f"{local} : {outside}")
    maps = [*((f"{word}_nat_map", PORTED_TYPE, ported) for word in PORTED)]
    maps.append(("other_nat_map", PLAIN_TYPE, plain))
    yield "add table ip cgnat\nflush table ip cgnat\n\n"
    for name, type_, _ in maps:
        yield f"add map ip cgnat {name} {{ type {type_} ; flags interval ;}}\n"
    for name, _, _ in maps:
        yield f"flush map ip cgnat {name}\n"
    yield "\ntable ip cgnat {\n"
    for name, type_, elements in maps:
        yield f"    map {name} {{\n        type {type_}\n        flags interval\n        elements = {{ "
        yield ", ".join(elements)
        yield " }\n    }\n\n"
    yield _CHAIN


def write(path: Path, subscribers: int, ports: int = sites.BLOCK) -> int:
    """Write the ruleset of that many subscribers; the size in bytes."""
    with open(path, "w") as file:
        return sum(file.write(part) for part in ruleset(layout(subscribers, ports)))


def main(arguments: Sequence[str]) -> None:
    """python bench/vyos_shape.py 65536 FILE"""
    print(f"{write(Path(arguments[1]), int(arguments[0]))} bytes")


_CHAIN = """\
    chain POSTROUTING {
        type nat hook postrouting priority srcnat; policy accept;
        ip protocol tcp counter snat ip to ip saddr map @tcp_nat_map
        ip protocol udp counter snat ip to ip saddr map @udp_nat_map
        ip protocol icmp counter snat ip to ip saddr map @icmp_nat_map
        counter snat ip to ip saddr map @other_nat_map
    }
}
"""

if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
