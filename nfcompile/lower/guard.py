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
from nfcompile.lower.partly_closed import asked_again, taken_in_front, untranslated
from nfcompile.lower.snat_rules import left_alone
from nfcompile.lower.sources import (
    gateways_own,
    leaving,
    matched,
    origin,
    owned,
    partly_fake,
    several,
    strict_objects,
    taken_before,
)
from nfcompile.lower.vlans import shared_vids
from nfcompile.model.ranges import Range, intersect
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
    globals_, own = context.global_addresses, gateways_own(context)
    if globals_ or own:
        objects = [
            Counter(names.UNSOLICITED_COUNTER, POOLS),
            *several(names.OWN, own, origin(context, names.OWN)),
        ]
    if globals_:
        objects.append(address_set(names.GLOBALS, globals_, POOLS))
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
    rules = any(not rule.exclude for rule in context.site.snat)
    strict = context.site.defaults.strict_sources
    if not (context.allocations or rules or gateways_own(context) or strict):
        return Contribution()
    objects: list[Object] = [Counter(names.INVALID_COUNTER, PERMIT)]
    translated = [
        Rule((match(CT_STATUS, "snat"), ACCEPT), POOLS),
        Rule((*context.outward, jump(names.OUTGOING)), POOLS),
    ]
    outgoing = [Rule((match(CT_STATE, "invalid"), counter(names.INVALID_COUNTER), DROP), POOLS)]
    own = owned(context)
    if own:
        objects += [Counter(names.LEAK_COUNTER, POOLS), address_set(names.OWNED, own, POOLS), *_leak(context)]
        outgoing.append(Rule((match(IP_SADDR, names.OWNED), goto(names.LEAK)), POOLS))
    outgoing += [*leaving(context), *untranslated(context)]
    if strict:
        objects += strict_objects(context)
    if context.global_addresses:
        translated.append(_unsolicited(context, *context.from_either, *_on(context)))
    translated += _never_back(context)
    return Contribution(tuple(objects), translated=tuple(translated), outgoing=tuple(outgoing))


def before_inbound(context: Context) -> tuple[Rule, ...]:
    """`permit_invalid_flow: off` for sessions that are opened to a global address."""
    if context.site.defaults.permit_invalid_flow or not context.global_addresses:
        return ()
    globals_ = *_not_own(context), matched(IP_DADDR, names.GLOBALS, context.global_addresses)
    return (Rule((*context.from_either, *globals_, NOT_SYN, counter(names.MIDSTREAM_COUNTER), DROP), PERMIT),)


def _not_own(context: Context) -> tuple[Match, ...]:
    """All but the gateway's own address, where a pool has it: what no mapping wants is the gateway's."""
    own = own_address(context.site)
    return () if own is None else (unlike(IP_DADDR, own),)


def _unsolicited_at_gateway(context: Context, new: Match) -> tuple[Rule, ...]:
    """What is for the gateway itself, by an address of a pool: a `local` route led it here."""
    if context.global_addresses == (own_range(context),):
        return ()
    return (_unsolicited(context, *context.from_either, new, *_not_own(context)),)


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
    """What still goes to a global address after destination NAT has no mapping. It would be routed back
    out, or into a network that the routes know behind another interface."""
    pools = (_unsolicited(context, *context.from_either),) if context.global_addresses else ()
    return (*pools, *_never_back(context))


def _never_back(context: Context) -> tuple[Rule, ...]:
    """Addresses of snat rules and `secondary_ips` that the gateway does not have on an interface: what is
    sent there would go back to the router that sent it."""
    own = gateways_own(context)
    if not own:
        return ()
    back = *context.from_either, *context.to_outside, matched(IP_DADDR, names.OWN, own)
    return (Rule((*back, counter(names.UNSOLICITED_COUNTER), DROP), origin(context, names.OWN)),)


def _on(context: Context) -> tuple[Match, ...]:
    """Where a packet leaves that came for a global address and found nobody.

    A host that routes VLANs by marks may send it into the VLAN behind that address.
    """
    return () if shared_vids(context.site) else context.to_outside


def _unsolicited(context: Context, *matches: Match) -> Rule:
    target = matched(IP_DADDR, names.GLOBALS, context.global_addresses)
    return Rule((*matches, target, counter(names.UNSOLICITED_COUNTER), DROP), POOLS)


def _leak(context: Context) -> list[Chain]:
    """A subscriber's own address on its way out, in an answer too: a connection that was open before the pool
    was loaded. What an snat rule excludes and what a fake pool passes may go, unless a pool before that one
    takes the source, or this packet of it."""
    drop = counter(names.LEAK_COUNTER), DROP
    passed: list[Rule] = []
    chains: dict[str, Chain] = {}
    for pool in partly_fake(context):
        if before := taken_before(context, pool):
            passed.append(Rule((match(IP_SADDR, *before), *drop), pool.path))
        rules, asked = asked_again(context, taken_in_front(context, pool))
        passed += rules
        chains |= {str(chain.name): chain for chain in asked}
        passed.append(Rule((jump(names.pool_chain(pool.name)),), pool.path))
    leak = Chain(names.LEAK, (*left_alone(context), *passed, Rule(drop, POOLS)), POOLS)
    return [*chains.values(), leak]
