"""Which sources may leave, and between which sides a connection may be opened at all.

A source that is one of the gateway's own global addresses is forged (BCP 38): it would leave as it is, in the
name of the subscriber that has the address, and take the port from it; from outside it opens the way back to
that address. A connection that is opened to the own
address of a subscriber, from outside or with a source that the routes see outside, would be answered with it,
and what the subscriber itself sends to that peer would count as the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nfcompile.diagnostics import Path
from nfcompile.emit import Counter, Name, Object, Rule
from nfcompile.emit.expressions import Bitwise, Field, symbol
from nfcompile.emit.statements import (
    CT_DIRECTION,
    CT_STATE,
    CT_STATUS,
    DROP,
    IP_DADDR,
    IP_SADDR,
    RETURN,
    Match,
    Statement,
    counter,
    match,
    unlike,
)
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution, Rules
from nfcompile.model.ranges import EVERYWHERE, Range, intersect, subtract, union
from nfcompile.model.site import Pool
from nfcompile.model.sources import named_sources, own_sources

POOLS = ("pools",)
STRICT = ("nat_defaults", "strict_sources")
FORGED = counter(names.FORGED_COUNTER), DROP
TRANSLATED_BACK = match(CT_DIRECTION, "reply"), match(CT_STATUS, "dnat")
"""Answers to what was opened from outside to a global address: they leave with that address."""
SNAT, DNAT = symbol("ct_status", "snat"), symbol("ct_status", "dnat")
SENT_OUTSIDE = match(Bitwise(CT_STATUS, SNAT | DNAT), SNAT)
"""Connections that a pool has translated, and that do not come back inside (hairpin)."""
LED_INSIDE = match(Bitwise(CT_STATUS, SNAT | DNAT), DNAT)
"""Connections to a global address, from outside or from an inside host that no pool translates."""


def sources(context: Context) -> Contribution:
    """The rules for new connections; what runs is in `guard` and `among_inside`."""
    if not any(ranges for _, ranges in _sets(context)):
        return Contribution()
    objects: list[Object] = [Counter(names.FORGED_COUNTER, POOLS)]
    prerouting = [
        Rule((*context.from_outside, matched(IP_SADDR, name, ranges), *FORGED), origin(context, name))
        for name, ranges in _sets(context)
        if ranges
    ]
    private = closed(context)
    if private:
        name = names.OWNED if private == owned(context) else names.CLOSED
        target = matched(IP_DADDR, name, private)
        # Any source: so are the gateway's own addresses, which are not its subscribers'.
        takes_any = any(pool.takes_any_source for pool in context.site.active_pools)
        not_ours = (unlike(Field("fib daddr type"), "local"),) if takes_any else ()
        prerouting += [
            *(
                Rule((*context.from_inside, target, *elsewhere, *FORGED), POOLS)
                for elsewhere in context.routed_outside
            ),
            Rule((*context.from_outside, target, *not_ours, counter(names.PRIVATE_COUNTER), DROP), POOLS),
        ]
        if not context.sides.shared:
            inside = match(Field("fib saddr oifname"), *context.inside)
            source = matched(IP_SADDR, name, private)
            prerouting.append(Rule((*context.from_outside, source, inside, *FORGED), POOLS))
        objects.append(Counter(names.PRIVATE_COUNTER, POOLS))
        objects += several(names.CLOSED, private) if name == names.CLOSED else ()
    before = forged_leaving(context) if _may_be_translated(context) else ()
    return Contribution(
        tuple(objects), prerouting=tuple(prerouting), postrouting=tuple(_hairpin(context)), outbound=before
    )


def among_inside(context: Context) -> Contribution:
    """Inside hosts answer nothing that a pool has sent outside: a segment or an ICMP error of theirs that
    says so is forged, and the error would show its sender's own address. Nor does a subscriber send errors
    about what was opened to a global address with a source that is not translated, as from outside."""
    globals_ = context.global_addresses
    if not globals_:
        return Contribution()
    among = *context.from_inside, *context.to_inside
    of_a_pool = matched(Field("ct reply ip daddr"), names.GLOBALS, globals_)
    rules = [Rule((match(CT_DIRECTION, "reply"), SENT_OUTSIDE, *among, of_a_pool, *FORGED), POOLS)]
    subscribers = owned(context)
    reached = any(one.pool.can_be_reached or one.pool.opens_to_outside for one in context.allocations)
    if subscribers and reached:
        to_one = match(CT_STATE, "related"), match(CT_DIRECTION, "original"), LED_INSIDE
        source = matched(IP_SADDR, names.OWNED, subscribers)
        rules.append(Rule((*to_one, *among, source, *FORGED), POOLS))
    return Contribution(translated=tuple(rules))


def leaving(context: Context) -> Rules:
    """What goes from inside to outside untranslated, besides subscribers: no global address, and with
    `strict_sources` nothing that the site does not name."""
    rules = list(forged_leaving(context))
    if context.site.defaults.strict_sources:
        stranger = unmatched(IP_SADDR, names.NAMED, named_sources(context.site))
        rules.append(Rule((*stranger, counter(names.STRANGERS_COUNTER), DROP), STRICT))
    if rules:
        rules.insert(0, Rule((*TRANSLATED_BACK, RETURN), POOLS))
    return tuple(rules)


def strict_objects(context: Context) -> tuple[Object, ...]:
    """The sources that the site names, and the counter of the others."""
    named = several(names.NAMED, named_sources(context.site), STRICT)
    return Counter(names.STRANGERS_COUNTER, STRICT), *named


def forged_leaving(context: Context) -> Rules:
    """A drop for each set of the gateway's global addresses."""
    return tuple(
        Rule((matched(IP_SADDR, name, ranges), *FORGED), origin(context, name))
        for name, ranges in _sets(context)
        if ranges
    )


def owned(context: Context) -> tuple[Range, ...]:
    """Sources that must always be translated: those a translating pool takes before any fake pool does. An
    acl that allows any source takes no global address: what has one is forged, or answers from it."""
    found: list[Range] = []
    passed: list[Range] = []
    for allocation in context.allocations:
        if not allocation.pool.translates:
            passed += subtract(allocation.taken, found)
        else:
            found += subtract(allocation.taken, passed)
    return union(subtract(found, context.global_addresses))


def closed(context: Context) -> tuple[Range, ...]:
    """Those of them that no fake pool passes to some destination, and no snat rule excludes: from there
    a connection may come."""
    passed = excluded_sources(context)
    for pool in partly_fake(context):
        passed += subtract(allowed(pool), taken_before(context, pool))
    return union(subtract(owned(context), passed))


def allowed(pool: Pool) -> Sequence[Range]:
    """Sources of which a pool takes some packets, perhaps all; none that a rule in front denies whole."""
    if pool.is_static:
        return [entry.local for entry in pool.global_map if entry.vid is None]
    found: list[Range] = []
    denied: list[Range] = []
    for rule in pool.acl.rules if pool.acl else ():
        if rule.allow:
            found += subtract([rule.source], denied)
        elif rule.only_source:
            denied.append(rule.source)
    return found if pool.subscribers is None else intersect(found, pool.subscribers)


def excluded_sources(context: Context) -> list[Range]:
    """Sources that an snat rule excludes, for some destinations at least."""
    found: list[Range] = []
    for excluding in (rule.match.src_cidr for rule in context.site.snat if rule.exclude):
        found += (EVERYWHERE,) if excluding is None or excluding.negated else excluding.values
    return found


def partly_fake(context: Context) -> list[Pool]:
    """Fake pools that pass a source for some destinations, before another pool translates it."""
    found: list[Pool] = []
    for index, allocation in enumerate(context.allocations):
        later = any(other.pool.translates for other in context.allocations[index:])
        rules = allocation.pool.acl.rules if allocation.pool.acl else ()
        if not allocation.pool.translates and later and not all(rule.only_source for rule in rules):
            found.append(allocation.pool)
    return found


def taken_before(context: Context, pool: Pool) -> tuple[Range, ...]:
    """Sources that translating pools in front of a fake one take whole; fake ones before these leave them."""
    found: list[Range] = []
    passed: list[Range] = []
    for allocation in context.allocations:
        if allocation.pool == pool:
            break
        if allocation.pool.translates:
            found += subtract(allocation.taken, passed)
        else:
            passed += allowed(allocation.pool)
    return union(subtract(found, context.global_addresses))


def gateways_own(context: Context) -> tuple[Range, ...]:
    """Addresses of snat rules and `secondary_ips` that are no pool's."""
    return union(subtract(own_sources(context.site), context.global_addresses))


def origin(context: Context, name: Name) -> Path:
    """Which part of the site gives the gateway these addresses."""
    if name == names.GLOBALS:
        return POOLS
    return ("snat",) if context.site.snat else ("gateway", "secondary_ips")


def matched(field: Field, name: Name, ranges: tuple[Range, ...]) -> Match:
    """A field in a set, or the one range of it: a comparison is quicker than a look-up."""
    return match(field, name) if len(ranges) > 1 else match(field, *ranges)


def several(name: Name, ranges: tuple[Range, ...], path: Path = POOLS) -> tuple[Object, ...]:
    """The set that `matched` asks, if there is one."""
    return (address_set(name, ranges, path),) if len(ranges) > 1 else ()


def unmatched(field: Field, name: Name, ranges: tuple[Range, ...]) -> tuple[Statement, ...]:
    """A field in none of the ranges; without ranges every packet."""
    if not ranges:
        return ()
    return (unlike(field, name) if len(ranges) > 1 else unlike(field, *ranges),)


def _sets(context: Context) -> tuple[tuple[Name, tuple[Range, ...]], ...]:
    pools = context.global_addresses
    return (names.GLOBALS, pools), (names.OWN, gateways_own(context))


def _may_be_translated(context: Context) -> bool:
    """Whether a pool or an snat rule takes sources that are global addresses; else they leave as they are,
    which `leaving` sees at no cost for others."""
    sources: list[Range] = []
    for allocation in context.allocations:
        rules = allocation.pool.acl.rules if allocation.pool.acl else ()
        allowed = [rule.source for rule in rules if rule.allow]
        limited = allocation.pool.subscribers
        sources += allowed if limited is None else intersect(allowed, limited)
    for rule in context.site.snat:
        named = rule.match.src_cidr
        sources += (EVERYWHERE,) if named is None or named.negated else named.values
    return any(intersect(sources, ranges) for _, ranges in _sets(context))


def _hairpin(context: Context) -> Iterator[Rule]:
    """A forged source on its way to another subscriber."""
    if not any(allocation.pool.hairpins for allocation in context.allocations):
        return
    back = *context.from_inside, *context.to_inside, match(CT_STATUS, "dnat")
    asked = matched(Field("ct original ip daddr"), names.GLOBALS, context.global_addresses)
    for name, ranges in _sets(context):
        if ranges:
            yield Rule((*back, asked, matched(IP_SADDR, name, ranges), *FORGED), origin(context, name))
