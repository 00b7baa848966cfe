"""What rules of VyOS refer to: interfaces, their addresses, and groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from nfcompile.importers.reading import ImportOptions
from nfcompile.importers.values import Unreadable, address
from nfcompile.importers.vyos_tree import Leaf, Path

LOOPBACK = ("loopback", "dummy")
GROUPS = ("address-group", "network-group", "port-group", "interface-group")


class VyosSetup(NamedTuple):
    """Interfaces with their addresses, and the members of groups by (kind, name)."""

    interfaces: tuple[str, ...]
    addresses: Mapping[str, int]
    groups: Mapping[tuple[str, str], tuple[str, ...]]


def setup_of(leaves: list[Leaf], options: ImportOptions) -> VyosSetup:
    """Read what rules refer to; what the command line names comes first."""
    found, addresses = _interfaces(leaves)
    addresses.update(options.addresses)
    names = (*options.inside, *options.outside, *options.addresses, *found, *_named(leaves))
    return VyosSetup(tuple(dict.fromkeys(names)), addresses, _groups(leaves))


def _interfaces(leaves: Iterable[Leaf]) -> tuple[list[str], dict[str, int]]:
    """Interfaces that have an address, in their order, and the first static address of each."""
    found: dict[str, None] = {}
    addresses: dict[str, int] = {}
    for leaf in leaves:
        name = _interface(leaf.path)
        if name is None:
            continue
        found[name] = None
        if leaf.path[-2] == "address" and name not in addresses:
            try:
                addresses[name] = address(leaf.path[-1].partition("/")[0])
            except Unreadable:
                continue  # dhcp, or IPv6
    return list(found), addresses


def _interface(path: Path) -> str | None:
    """The name of an interface of which an address is set: a VLAN is named after its parent."""
    if path[:1] != ("interfaces",) or len(path) < 4 or path[1] in LOOPBACK:
        return None
    kind, name, *rest = path[1:]
    while len(rest) > 2 and rest[0] in ("vif", "vif-s", "vif-c"):
        name, rest = f"{name}.{rest[1]}", rest[2:]
    if len(rest) >= 2 and rest[0] == "pppoe":
        return f"pppoe{rest[1]}"
    if kind == "pppoe" or (len(rest) == 2 and rest[0] == "address"):
        return name
    return None


def _named(leaves: Iterable[Leaf]) -> Iterator[str]:
    """Interfaces that NAT rules name."""
    for leaf in leaves:
        path = leaf.path
        if path[:1] == ("nat",) or path[:2] == ("service", "nat"):
            for at, word in enumerate(path[:-1]):
                if word in ("outbound-interface", "inbound-interface"):
                    name = path[-1].lstrip("!")
                    if path[at + 1] != "group" and name != "any" and not name.endswith(("*", "+")):
                        yield name


def _groups(leaves: Iterable[Leaf]) -> dict[tuple[str, str], tuple[str, ...]]:
    groups: dict[tuple[str, str], tuple[str, ...]] = {}
    for leaf in leaves:
        path = leaf.path
        if path[:2] == ("firewall", "group") and len(path) == 6 and path[2] in GROUPS:
            key = (path[2], path[3])
            groups[key] = (*groups.get(key, ()), path[5])
    return groups
