"""Pools of type npt: IPv6 prefixes exchanged one to one, in a table of family ip6 of their own.

By default with connection tracking: NETMAP in both nat chains, the first packet of a connection decides.
`stateless: on` rewrites every packet before connection tracking sees it (`notrack`), and corrects the
checksum of what lies behind the address; both directions of a flow may pass different gateways.
A packet between two inside hosts that names a global address is rewritten at both ends at once.

What is for an address of the gateway itself is never touched: it may have one of a global prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from nfcompile.emit import Chain, Counter, Element, Hook, Map, Name, Object, Rule, Set, Table
from nfcompile.emit.expressions import Bitwise, Field
from nfcompile.emit.objects import FAMILY6
from nfcompile.emit.statements import (
    ACCEPT,
    CT_STATE,
    CT_STATUS,
    DROP,
    IIFNAME,
    NOTRACK,
    OIFNAME,
    Mangle,
    Match,
    Nat,
    concat,
    counter,
    goto,
    lookup,
    match,
)
from nfcompile.lower import names
from nfcompile.lower.context import Context, lowering_context
from nfcompile.lower.one_armed import DIRECTIONS
from nfcompile.model.npt import NptPool, Prefix6, PrefixPair
from nfcompile.model.ranges import Range, subtract, union
from nfcompile.model.site import Site

POOLS = ("pools",)
SOURCE, DESTINATION = Field("ip6 saddr"), Field("ip6 daddr")
OURS = match(Field("fib daddr type"), "local")
ADDRESS6 = ("ipv6_addr",)
EVERY_BIT = (1 << 128) - 1
EVERYWHERE = Range(0, EVERY_BIT)


class PrefixSides(NamedTuple):
    """Matches of the two sides. On an interface of both the local prefixes are inside."""

    from_inside: tuple[Match, ...]
    from_outside: tuple[Match, ...]
    to_inside: tuple[Match, ...]
    to_outside: tuple[Match, ...]
    from_either: tuple[Match, ...]


def _sides(context: Context) -> PrefixSides:
    there = {word: _side(context, word) for word in DIRECTIONS}
    return PrefixSides(**there, from_either=context.from_either)


def _side(context: Context, word: str) -> tuple[Match, ...]:
    """As `Context.direction`, for IPv6."""
    of_inside = word.endswith("inside")
    interface, address = (IIFNAME, SOURCE) if word.startswith("from") else (OIFNAME, DESTINATION)
    mine = context.inside if of_inside else context.outside
    apart = [name for name in mine if name not in context.sides.shared]
    if len(apart) == len(mine):
        return (match(interface, *mine),)
    if not apart:
        return match(interface, *mine), match(address, names.NPT_LOCALS, op="==" if of_inside else "!=")
    return (match(concat(interface, address), names.direction(word)),)


def _direction_sets(context: Context, locals_: tuple[Range, ...], objects: list[Object]) -> Iterator[Set]:
    """The interfaces and addresses of a direction where only some interfaces are on both sides."""
    asked = {one.right for one in _matches(objects)}
    sides = context.sides
    for word in DIRECTIONS:
        if names.direction(word) not in asked:
            continue
        of_inside = word.endswith("inside")
        there = locals_ if of_inside else subtract((EVERYWHERE,), locals_)
        rows = (
            (name, one)
            for name in (sides.inside if of_inside else sides.outside)
            for one in (there if name in sides.shared else (EVERYWHERE,))
        )
        kind = ("ifname", *ADDRESS6)
        yield Set(names.direction(word), kind, POOLS, tuple(Element(row) for row in rows), ("interval",))


def _matches(objects: list[Object]) -> Iterator[Match]:
    for chain in objects:
        for rule in chain.rules if isinstance(chain, Chain) else ():
            yield from (one for one in rule.statements if isinstance(one, Match))


def npt_table(site: Site) -> Table | None:
    """The table of all enabled npt pools; None where there is none."""
    pools = sorted((pool for pool in site.npt if pool.enable), key=lambda pool: pool.priority)
    if not pools:
        return None
    context = lowering_context(site, ())
    ends = _sides(context)
    stateful = [pool for pool in pools if not pool.stateless]
    stateless = [pool for pool in pools if pool.stateless]
    objects: list[Object] = [Counter(names.NPT_LEAKS, POOLS), Counter(names.NPT_LOOPS, POOLS)]
    objects += [_prefixes(names.NPT_LOCALS, pools, lambda pair: pair.local)]
    objects += [_prefixes(names.NPT_GLOBALS, pools, lambda pair: pair.globals)]
    objects += [one for pool in stateful for one in _maps(pool)]
    hooks = (
        (names.NPT_RAW, Hook("filter", "prerouting", "raw"), _raw(ends, stateless)),
        (names.NPT_PREROUTING, Hook("nat", "prerouting", "dstnat"), _prerouting(ends, stateful)),
        (names.NPT_POSTROUTING, Hook("nat", "postrouting", "srcnat"), _postrouting(ends, stateful)),
        (names.NPT_GUARD, Hook("filter", "postrouting", "srcnat + 1"), _guard(ends, pools)),
        (names.NPT_HAIRPIN, None, _hairpin(stateless)),
    )
    objects += (Chain(name, tuple(rules), POOLS, hook) for name, hook, rules in hooks)
    kept = [one for one in objects if not isinstance(one, Chain) or one.rules]
    locals_ = tuple(union(pair.local.range for pool in pools for pair in pool.pairs))
    return Table(names.TABLE, (*_direction_sets(context, locals_, kept), *kept), family=FAMILY6)


def _prefixes(name: Name, pools: list[NptPool], side: Callable[[PrefixPair], Prefix6]) -> Set:
    ranges = union(side(pair).range for pool in pools for pair in pool.pairs)
    return Set(name, ADDRESS6, POOLS, tuple(Element((one,)) for one in ranges), ("interval",))


def _maps(pool: NptPool) -> Iterator[Map]:
    """Local prefixes to global ones, and back."""
    outward = [(pair.local.range, pair.globals.range, pair) for pair in pool.pairs]
    inward = [(pair.globals.range, pair.local.range, pair) for pair in pool.pairs]
    for name, rows in ((names.outward(pool.name), outward), (names.inbound(pool.name), inward)):
        elements = tuple(Element((key,), (data,), pair.path) for key, data, pair in sorted(rows))
        yield Map(name, ADDRESS6, ADDRESS6, pool.path, elements, ("interval",), interval=True)


# ---- with connection tracking


def _prerouting(ends: PrefixSides, pools: list[NptPool]) -> Iterator[Rule]:
    """What comes for a global prefix, from outside and, with hairpin, from inside."""
    if pools:
        yield Rule((OURS, ACCEPT), POOLS)
    for pool in pools:
        side = ends.from_either if pool.hairpin else ends.from_outside
        statement = Nat("dnat", lookup(DESTINATION, names.inbound(pool.name)), prefix=True)
        yield Rule((*side, statement), pool.path)


def _postrouting(ends: PrefixSides, pools: list[NptPool]) -> Iterator[Rule]:
    for pool in pools:
        statement = Nat("snat", lookup(SOURCE, names.outward(pool.name)), prefix=True)
        yield Rule((*ends.from_inside, *ends.to_outside, statement), pool.path)
        if pool.hairpin:
            back = *ends.from_inside, *ends.to_inside, match(CT_STATUS, "dnat")
            yield Rule((*back, statement), (*pool.path, "hairpin"))
    if any(pool.hairpin for pool in pools):
        back = *ends.from_inside, *ends.to_inside, match(CT_STATUS, "dnat")
        others = match(SOURCE, names.NPT_LOCALS)
        yield Rule((*back, others, counter(names.NPT_LEAKS), DROP), POOLS)


# ---- without


def _raw(ends: PrefixSides, pools: list[NptPool]) -> Iterator[Rule]:
    """Every packet of the stateless pools on its way in; what leaves is rewritten after routing."""
    if pools:
        yield Rule((OURS, ACCEPT), POOLS)
    for pool in pools:
        for pair in pool.pairs if pool.hairpin else ():
            asked = *ends.from_inside, match(SOURCE, names.NPT_LOCALS), _within(DESTINATION, pair.globals)
            led = NOTRACK, _written(DESTINATION, pair.local), goto(names.NPT_HAIRPIN)
            yield Rule((*asked, *led), (*pool.path, "hairpin"))
    for pair in (pair for pool in pools for pair in pool.pairs):
        inward = *ends.from_outside, _within(DESTINATION, pair.globals)
        yield Rule((*inward, NOTRACK, _written(DESTINATION, pair.local)), pair.path)
        yield Rule((*ends.from_inside, _within(SOURCE, pair.local), NOTRACK), pair.path)


def _hairpin(pools: list[NptPool]) -> Iterator[Rule]:
    """The source of a packet between two inside hosts; without a global prefix here it is dropped."""
    hairpins = [pool for pool in pools if pool.hairpin]
    for pair in (pair for pool in hairpins for pair in pool.pairs):
        yield Rule((_within(SOURCE, pair.local), _written(SOURCE, pair.globals), ACCEPT), pair.path)
    if hairpins:
        yield Rule((counter(names.NPT_LEAKS), DROP), POOLS)


def _guard(ends: PrefixSides, pools: list[NptPool]) -> Iterator[Rule]:
    """Right after source NAT: stateless pools give their prefix; nothing leaves with a local one, nor goes
    back out to a global one that leads to nobody."""
    for pool in pools:
        for pair in pool.pairs if pool.stateless else ():
            untracked = match(CT_STATE, "untracked")
            out = *ends.from_inside, *ends.to_outside, untracked, _within(SOURCE, pair.local)
            yield Rule((*out, _written(SOURCE, pair.globals)), pair.path)
    leak = *ends.from_inside, *ends.to_outside, match(SOURCE, names.NPT_LOCALS)
    yield Rule((*leak, counter(names.NPT_LEAKS), DROP), POOLS)
    for known in (names.NPT_GLOBALS, names.NPT_LOCALS):
        loop = *ends.from_either, *ends.to_outside, match(DESTINATION, known)
        yield Rule((*loop, counter(names.NPT_LOOPS), DROP), POOLS)


def _within(field: Field, prefix: Prefix6) -> Match:
    return match(field, prefix.range)


def _written(field: Field, prefix: Prefix6) -> Mangle:
    """Another prefix, the same host bits."""
    return Mangle(field, Bitwise(field, EVERY_BIT >> prefix.length, prefix.base))
