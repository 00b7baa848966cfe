"""What must not happen: packets that leave untranslated, and unsolicited ones that come back or loop.

Packets that conntrack calls invalid never meet a nat chain and would leave with the subscriber's own
address; so would a connection that was open before its pool was loaded. Packets to a global address that
no mapping wants would be routed back out.

What concerns new connections only stands in the nat chains, which see nothing else; the rest shares one
base chain after source NAT, since every base chain costs 4 % of a packet.
"""

from __future__ import annotations

from nfcompile.allocation.shared_addresses import own_address
from nfcompile.emit import Chain, Counter, Object, Rule
from nfcompile.emit.expressions import Bitwise, Field, symbol
from nfcompile.emit.statements import (
    ACCEPT,
    CT_DIRECTION,
    CT_STATE,
    CT_STATUS,
    DROP,
    IP_DADDR,
    IP_SADDR,
    RETURN,
    Match,
    counter,
    goto,
    jump,
    match,
    unlike,
)
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.custom_nat import left_alone
from nfcompile.lower.vlans import shared_vids
from nfcompile.model.ranges import Range, intersect, subtract, union
from nfcompile.model.site import Pool

POOLS = ("pools",)
PERMIT = ("nat_defaults", "permit_invalid_flow")
SYN, ALL_FLAGS = symbol("tcp_flag", "syn"), sum(symbol("tcp_flag", f) for f in ("fin", "syn", "rst", "ack"))
NOT_SYN = unlike(Bitwise(Field("tcp flags"), ALL_FLAGS), SYN)


def admission(context: Context) -> Contribution:
    """New connections that are not allowed: to a global address without a mapping, and TCP that does not
    begin with a SYN."""
    objects: list[Object] = []
    gateway: tuple[Rule, ...] = ()
    globals_ = global_addresses(context)
    if globals_:
        objects = [Counter(names.UNSOLICITED_COUNTER, POOLS), address_set(names.GLOBALS, globals_, POOLS)]
        new = match(CT_STATE, "new", "untracked", "invalid")
        gateway = _unsolicited_at_gateway(context, new)
    midstream: tuple[Rule, ...] = ()
    if context.translates_outward and not context.site.defaults.permit_invalid_flow:
        objects.append(Counter(names.MIDSTREAM_COUNTER, PERMIT))
        midstream = (Rule((NOT_SYN, counter(names.MIDSTREAM_COUNTER), DROP), PERMIT),)
    return Contribution(tuple(objects), postrouting=unsolicited(context), outbound=midstream, gateway=gateway)


def outbound(context: Context) -> Contribution:
    """What is translated: from an inside to an outside interface."""
    if not context.translates_outward:
        return Contribution()
    return Contribution(postrouting=(Rule((*context.outward, jump(names.OUTBOUND)), POOLS),))


def guard(context: Context) -> Contribution:
    """After source NAT: drop packets that no rule has translated and that must not leave as they are."""
    if not context.allocations and all(rule.exclude for rule in context.site.snat):
        return Contribution()
    objects: list[Object] = [Counter(names.INVALID_COUNTER, PERMIT)]
    translated = [
        Rule((match(CT_STATUS, "snat"), ACCEPT), POOLS),
        Rule((*context.outward, jump(names.OUTGOING)), POOLS),
    ]
    outgoing = [Rule((match(CT_STATE, "invalid"), counter(names.INVALID_COUNTER), DROP), POOLS)]
    owned = _owned(context)
    if owned:
        leak = Chain(names.LEAK, _leak(context), POOLS)
        objects += [Counter(names.LEAK_COUNTER, POOLS), address_set(names.OWNED, owned, POOLS), leak]
        outgoing.append(Rule((match(IP_SADDR, names.OWNED), goto(names.LEAK)), POOLS))
    if global_addresses(context):
        translated.append(_unsolicited(context, context.from_either, *_on(context)))
    return Contribution(tuple(objects), translated=tuple(translated), outgoing=tuple(outgoing))


def before_inbound(context: Context) -> tuple[Rule, ...]:
    """`permit_invalid_flow: off` for sessions that are opened to a global address."""
    if context.site.defaults.permit_invalid_flow or not global_addresses(context):
        return ()
    globals_ = *_not_own(context), match(IP_DADDR, names.GLOBALS)
    return (Rule((context.from_either, *globals_, NOT_SYN, counter(names.MIDSTREAM_COUNTER), DROP), PERMIT),)


def _not_own(context: Context) -> tuple[Match, ...]:
    """All but the gateway's own address, where a pool has it: what no mapping wants is the gateway's."""
    own = own_address(context.site)
    return () if own is None else (unlike(IP_DADDR, own),)


def _unsolicited_at_gateway(context: Context, new: Match) -> tuple[Rule, ...]:
    """What is for the gateway itself, by an address of a pool: a `local` route led it here."""
    if global_addresses(context) == (own_range(context),):
        return ()
    return (_unsolicited(context, context.from_either, new, *_not_own(context)),)


def own_range(context: Context) -> Range | None:
    """The gateway's own address, where a pool has it."""
    own = own_address(context.site)
    return None if own is None else Range(own, own)


def midstream_to_own(context: Context, pool: Pool) -> tuple[Rule, ...]:
    """TCP without SYN to the gateway's own address is led to no subscriber, but not dropped either: it may be
    of a connection of the gateway's that was open before connection tracking was."""
    own = own_range(context)
    if own is None or context.site.defaults.permit_invalid_flow or not intersect([own], pool.global_ip):
        return ()
    return (Rule((match(IP_DADDR, own), NOT_SYN, RETURN), PERMIT),)


def unsolicited(context: Context) -> tuple[Rule, ...]:
    """What still goes to a global address after destination NAT is wanted by nobody. It would be routed back
    out, or into a network that the routes know behind another interface."""
    return (_unsolicited(context, context.from_either),) if global_addresses(context) else ()


def _on(context: Context) -> tuple[Match, ...]:
    """Where a packet leaves that came for a global address and found nobody.

    A host that routes VLANs by marks may send it into the VLAN behind that address.
    """
    return () if shared_vids(context.site) else (context.to_outside,)


def _unsolicited(context: Context, *matches: Match) -> Rule:
    globals_ = global_addresses(context)
    target = match(IP_DADDR, names.GLOBALS) if len(globals_) > 1 else match(IP_DADDR, *globals_)
    return Rule((*matches, target, counter(names.UNSOLICITED_COUNTER), DROP), POOLS)


def global_addresses(context: Context) -> tuple[Range, ...]:
    """All global addresses of the enabled pools, joined."""
    return union(one for allocation in context.allocations for one in allocation.pool.global_ranges)


def _leak(context: Context) -> tuple[Rule, ...]:
    """A subscriber's own address on its way out. Answers to connections from outside may leave with it, what
    a fake pool passes and what an snat rule excludes; connections that were open before the pool was loaded
    may not."""
    passed = (Rule((jump(names.pool_chain(pool.name)),), pool.path) for pool in _partly_fake(context))
    return (
        Rule((match(CT_DIRECTION, "reply"), RETURN), POOLS),
        *left_alone(context),
        *passed,
        Rule((counter(names.LEAK_COUNTER), DROP), POOLS),
    )


def _partly_fake(context: Context) -> list[Pool]:
    """Fake pools that pass a source for some destinations, before another pool translates it."""
    found: list[Pool] = []
    for index, allocation in enumerate(context.allocations):
        later = any(other.pool.translates for other in context.allocations[index:])
        rules = allocation.pool.acl.rules if allocation.pool.acl else ()
        if not allocation.pool.translates and later and not all(rule.only_source for rule in rules):
            found.append(allocation.pool)
    return found


def _owned(context: Context) -> tuple[Range, ...]:
    """Sources that must always be translated: those a translating pool takes before any fake pool does."""
    owned: list[Range] = []
    passed: list[Range] = []
    for allocation in context.allocations:
        if not allocation.pool.translates:
            passed += subtract(allocation.taken, owned)
        else:
            owned += subtract(allocation.taken, passed)
    return union(owned)
