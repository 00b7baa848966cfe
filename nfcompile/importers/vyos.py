"""VyOS: nat44, static nat and cgnat; and `service nat` of EdgeOS and older Vyatta, by the same tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from nfcompile.importers import vyos_cgnat, vyos_nat
from nfcompile.importers.account import Accounting
from nfcompile.importers.form import ForeignRule, FoundPool
from nfcompile.importers.lines import SourceText
from nfcompile.importers.reading import ImportOptions, Reading, flat
from nfcompile.importers.values import Unreadable, address
from nfcompile.importers.vyos_tree import Leaf, Path, read_tree

LOOPBACK = ("loopback", "dummy")
GROUPS = ("address-group", "network-group", "port-group", "interface-group")


class VyosSetup(NamedTuple):
    """What rules refer to: interfaces with their addresses, and the members of groups by (kind, name)."""

    interfaces: tuple[str, ...]
    addresses: Mapping[str, int]
    groups: Mapping[tuple[str, str], tuple[str, ...]]


def read(texts: tuple[SourceText, ...], options: ImportOptions, ledger: Accounting) -> Reading:
    """Read files of either spelling; they are one configuration."""
    leaves = read_tree(texts, ledger)
    found, addresses = _interfaces(leaves)
    addresses.update(options.addresses)
    names = tuple(dict.fromkeys((*options.inside, *options.outside, *options.addresses, *found)))
    box = VyosSetup(
        (*names, *(name for name in _named(leaves) if name not in names)), addresses, _groups(leaves)
    )
    rules: list[ForeignRule] = []
    pools: tuple[FoundPool, ...] = ()
    for kind, mine in _parts(leaves, ledger).items():
        if kind == "cgnat":
            pools = vyos_cgnat.read_pools(mine, ledger)
        elif mine:
            rules += vyos_nat.read_rules(kind, mine, box, ledger)
    rules.sort(key=lambda rule: rule.stage)
    if any(kind == "edge" and mine for kind, mine in _parts(leaves, None).items()):
        ledger.guess("dialect", "EdgeOS or Vyatta", "its rules stand below 'service nat'")
    label = next(
        (leaf.path[2] for leaf in leaves if leaf.path[:2] == ("system", "host-name") and len(leaf.path) == 3),
        "",
    )
    return Reading(tuple(rules), pools, box.interfaces, addresses, label, program=flat(rules))


def _parts(leaves: list[Leaf], ledger: Accounting | None) -> dict[str, list[Leaf]]:
    """Leaves by what reads them, paths shortened to what follows; the rest is noted as ignored."""
    parts: dict[str, list[Leaf]] = {kind: [] for kind in ("static", "destination", "source", "edge", "cgnat")}
    for leaf in leaves:
        kind, tail = _part(leaf.path)
        if kind in parts and (tail or not leaf.structure):
            parts[kind].append(leaf._replace(path=tail))
        elif ledger is not None:
            reason = "opens or closes a block" if kind in parts else "no NAT"
            if leaf.path[:1] in (("nat66",), ("nat64",)):
                reason = "IPv6"
            ledger.note([leaf.origin], "ignored", "", reason)
    return parts


def _part(path: Path) -> tuple[str, Path]:
    if path[:2] == ("service", "nat"):
        return "edge", path[3:] if path[2:3] == ("rule",) else ()
    if path[:1] != ("nat",) or len(path) < 2:
        return "", ()
    if path[1] == "cgnat":
        return "cgnat", path[2:]
    return path[1], path[3:] if path[2:3] == ("rule",) else ()


# ---- interfaces and groups


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
