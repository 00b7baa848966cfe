"""Static pools: one to one, in both directions, with single addresses, prefixes and VLANs.

Single addresses sit in hash maps; a pool with a prefix needs interval maps and NETMAP. Entries of a VLAN
are keyed by the interface too, so the same host number on another VLAN is another host.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import Path, dotted
from nfcompile.emit import Element, Map, Rule, Set, words
from nfcompile.emit.objects import Object
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.gate import Gate
from nfcompile.lower.nat import inbound_rule
from nfcompile.lower.part import Part
from nfcompile.model.ranges import range_text, union
from nfcompile.model.site import StaticEntry


def static(gate: Gate, allocation: PoolAllocation) -> Part:
    """The maps and rules of one static pool."""
    pool = allocation.pool
    plain = [entry for entry in pool.global_map if entry.vid is None]
    tagged = [entry for entry in pool.global_map if entry.vid is not None]
    objects: list[Object] = []
    rules: list[Rule] = []
    for key, word, entries in (("ip saddr", "outward", plain), ("iifname . ip saddr", "outwardvlan", tagged)):
        if entries:
            name = f"{word}_{pool.name}"
            objects.append(_outward(gate, name, entries, pool.path))
            statement = f"snat ip {_prefix(entries)}to {key} map @{name}"
            rules.append(Rule((statement,), pool.path, dotted(pool.path)))
    inbound: tuple[Rule, ...] = ()
    if pool.can_be_reached:
        name = f"inbound_{pool.name}"
        objects.append(_inbound(name, pool.global_map, pool.path))
        statement = f"dnat ip {_prefix(pool.global_map)}to ip daddr map @{name}"
        inbound = (inbound_rule(gate, pool, statement),)
    return Part(tuple(objects), tuple(rules), inbound)


def static_sources(gate: Gate, allocation: PoolAllocation) -> tuple[tuple[Set, ...], tuple[str, ...]]:
    """Sets of the local addresses, and the matches of which one must hold."""
    pool = allocation.pool
    name = names.subscribers(pool.name)
    sets: list[Set] = []
    matches: list[str] = []
    plain = union(entry.local for entry in pool.global_map if entry.vid is None)
    if plain:
        sets.append(address_set(name, plain, pool.path))
        matches.append(f"ip saddr @{name}")
    tagged = [entry for entry in pool.global_map if entry.vid is not None]
    if tagged:
        elements = tuple(Element(_key(gate, entry), "", entry.path) for entry in tagged)
        flags = ("interval",) if _prefix(tagged) else ()
        tagged_name = names.tagged_subscribers(pool.name)
        sets.append(Set(tagged_name, "ifname . ipv4_addr", pool.path, elements, flags))
        matches.append(f"iifname . ip saddr @{tagged_name}")
    return tuple(sets), tuple(matches)


def _prefix(entries: list[StaticEntry] | tuple[StaticEntry, ...]) -> str:
    """NETMAP's word where an entry is a prefix."""
    return "prefix " if any(entry.local.size > 1 for entry in entries) else ""


def _key(gate: Gate, entry: StaticEntry) -> str:
    local = range_text(entry.local)
    return local if entry.vid is None else f'"{gate.site.interfaces.vlan(entry.vid)}" . {local}'


def _outward(gate: Gate, name: str, entries: list[StaticEntry], origin: Path) -> Map:
    interval = bool(_prefix(entries))
    spell = words.interval_datum if interval else range_text
    ordered = sorted(entries, key=lambda entry: (entry.vid or 0, entry.local))
    elements = tuple(Element(_key(gate, e), spell(e.globals), e.path) for e in ordered)
    key = "ipv4_addr" if entries[0].vid is None else "ifname . ipv4_addr"
    return _map(name, key, elements, origin, interval)


def _inbound(name: str, entries: tuple[StaticEntry, ...], origin: Path) -> Map:
    interval = bool(_prefix(entries))
    spell = words.interval_datum if interval else range_text
    ordered = sorted(entries, key=lambda entry: entry.globals)
    elements = tuple(Element(range_text(e.globals), spell(e.local), e.path) for e in ordered)
    return _map(name, "ipv4_addr", elements, origin, interval)


def _map(name: str, key: str, elements: tuple[Element, ...], origin: Path, interval: bool) -> Map:
    data = "interval ipv4_addr" if interval else "ipv4_addr"
    return Map(name, key, data, origin, elements, ("interval",) if interval else ())
