"""Static pools: one to one, in both directions, with single addresses, prefixes and VLANs.

Single addresses sit in hash maps; a pool with a prefix needs interval maps and NETMAP. Entries of a VLAN
are keyed by the interface too, so the same host number on another VLAN is another host.
"""

from __future__ import annotations

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.diagnostics import Path
from nfcompile.emit import Element, Map, Name, Object, Rule, Set
from nfcompile.emit.expressions import Concat, Field, Key
from nfcompile.emit.statements import IIFNAME, IP_DADDR, IP_SADDR, Match, Nat, concat, lookup, match
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.context import Context
from nfcompile.lower.nat import inbound_rule
from nfcompile.lower.part import PoolPart
from nfcompile.model.ranges import union
from nfcompile.model.site import StaticEntry

TAGGED = concat(IIFNAME, IP_SADDR)
Entries = list[StaticEntry] | tuple[StaticEntry, ...]


def static(context: Context, allocation: PoolAllocation) -> PoolPart:
    """The maps and rules of one static pool."""
    pool = allocation.pool
    plain = [entry for entry in pool.global_map if entry.vid is None]
    tagged = [entry for entry in pool.global_map if entry.vid is not None]
    objects: list[Object] = []
    rules: list[Rule] = []
    sources: tuple[tuple[Field | Concat, Entries], ...] = ((IP_SADDR, plain), (TAGGED, tagged))
    for key, entries in sources:
        if entries:
            name = names.outward(pool.name, key == TAGGED)
            objects.append(_outward(context, name, entries, pool.path))
            statement = Nat("snat", lookup(key, name), prefix=_has_prefix(entries))
            rules.append(Rule((statement,), pool.path))
    inbound: tuple[Rule, ...] = ()
    if pool.can_be_reached:
        name = names.inbound(pool.name)
        objects.append(_inbound(name, pool.global_map, pool.path))
        statement = Nat("dnat", lookup(IP_DADDR, name), prefix=_has_prefix(pool.global_map))
        inbound = (inbound_rule(context, pool, statement),)
    return PoolPart(tuple(objects), tuple(rules), inbound)


def static_sources(context: Context, allocation: PoolAllocation) -> tuple[tuple[Set, ...], tuple[Match, ...]]:
    """Sets of the local addresses, and the matches of which one must hold."""
    pool = allocation.pool
    name = names.subscribers(pool.name)
    sets: list[Set] = []
    matches: list[Match] = []
    plain = union(entry.local for entry in pool.global_map if entry.vid is None)
    if plain:
        sets.append(address_set(name, plain, pool.path))
        matches.append(match(IP_SADDR, name))
    tagged = [entry for entry in pool.global_map if entry.vid is not None]
    if tagged:
        elements = tuple(Element(_key(context, entry), (), entry.path) for entry in tagged)
        flags = ("interval",) if _has_prefix(tagged) else ()
        tagged_name = names.tagged_subscribers(pool.name)
        sets.append(Set(tagged_name, ("ifname", "ipv4_addr"), pool.path, elements, flags))
        matches.append(match(TAGGED, tagged_name))
    return tuple(sets), tuple(matches)


def _has_prefix(entries: Entries) -> bool:
    """Whether an entry is a prefix, so that the maps need intervals and NETMAP."""
    return any(entry.local.size > 1 for entry in entries)


def _key(context: Context, entry: StaticEntry) -> Key:
    return (entry.local,) if entry.vid is None else (context.site.interfaces.vlan(entry.vid), entry.local)


def _outward(context: Context, name: Name, entries: Entries, origin: Path) -> Map:
    ordered = sorted(entries, key=lambda entry: (entry.vid or 0, entry.local))
    elements = tuple(Element(_key(context, e), (e.globals,), e.path) for e in ordered)
    key = ("ipv4_addr",) if entries[0].vid is None else ("ifname", "ipv4_addr")
    return _map(name, key, elements, origin, _has_prefix(entries))


def _inbound(name: Name, entries: Entries, origin: Path) -> Map:
    ordered = sorted(entries, key=lambda entry: entry.globals)
    elements = tuple(Element((e.globals,), (e.local,), e.path) for e in ordered)
    return _map(name, ("ipv4_addr",), elements, origin, _has_prefix(entries))


def _map(
    name: Name, key: tuple[str, ...], elements: tuple[Element, ...], origin: Path, interval: bool
) -> Map:
    flags = ("interval",) if interval else ()
    return Map(name, key, ("ipv4_addr",), origin, elements, flags, interval=interval)
