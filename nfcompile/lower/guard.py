"""What must not happen: packets that leave untranslated, and unsolicited ones that come back or loop.

Packets that conntrack calls invalid never meet a nat chain and would leave with the subscriber's own
address; so would a connection that was open before its pool was loaded. Packets to a global address that
no mapping wants would be routed back out.

What concerns new connections only stands in the nat chains, which see nothing else; the rest shares one
base chain after source NAT, since every base chain costs 4 % of a packet.
"""

from __future__ import annotations

from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Counter, Hook, Rule, words
from nfcompile.emit.objects import Object
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.connection_policy import expected_flows
from nfcompile.lower.flowtable import flowtable
from nfcompile.lower.gate import Gate
from nfcompile.lower.mapping import learning
from nfcompile.lower.renewal import renewal
from nfcompile.lower.session_limits import session_limit
from nfcompile.lower.vlans import shared_vids
from nfcompile.model.ranges import Range, subtract, union
from nfcompile.model.site import Pool

POOLS = ("pools",)
PERMIT = ("nat_defaults", "permit_invalid_flow")
NOT_SYN = "tcp flags & (fin | syn | rst | ack) != syn"


def guard_objects(gate: Gate) -> tuple[Object, ...]:
    """Counters, sets and chains of the guard; nothing for a site that translates no source."""
    if not gate.allocations and not gate.site.snat:
        return ()
    globals_ = global_addresses(gate)
    objects: list[Object] = [Counter(names.INVALID_COUNTER, PERMIT)]
    if not gate.site.defaults.permit_invalid_flow:
        objects.append(Counter(names.MIDSTREAM_COUNTER, PERMIT))
    if globals_:
        objects.append(Counter(names.UNSOLICITED_COUNTER, POOLS))
        objects.append(address_set(names.GLOBALS, globals_, POOLS))
        objects.append(_local(gate))
    limits, refusals = session_limit(gate)
    shortcut, offload = flowtable(gate)
    objects += (*limits, *shortcut)
    if refusals or offload:
        hook = Hook("filter", "forward", "filter")
        objects.append(Chain(names.FORWARD, (*refusals, *offload), (), hook))
    return (*objects, *_after_translation(gate))


def before_inbound(gate: Gate) -> tuple[Rule, ...]:
    """`permit_invalid_flow: off` for sessions that are opened to a global address."""
    if gate.site.defaults.permit_invalid_flow or not global_addresses(gate):
        return ()
    match = (gate.from_either, f"ip daddr @{names.GLOBALS}", NOT_SYN)
    return (Rule((*match, f"counter name {names.MIDSTREAM_COUNTER} drop"), PERMIT, dotted(PERMIT)),)


def unsolicited(gate: Gate) -> tuple[Rule, ...]:
    """What still goes to a global address after destination NAT is wanted by nobody. It would be routed back
    out, or into a network that the routes know behind another interface."""
    return (_unsolicited(gate, gate.from_either),) if global_addresses(gate) else ()


def midstream(gate: Gate) -> tuple[Rule, ...]:
    """With `permit_invalid_flow: off` no connection starts with anything but a SYN."""
    if gate.site.defaults.permit_invalid_flow:
        return ()
    drop = f"counter name {names.MIDSTREAM_COUNTER} drop"
    return (Rule((NOT_SYN, drop), PERMIT, dotted(PERMIT)),)


def _on(gate: Gate) -> tuple[str, ...]:
    """Where a packet leaves that came for a global address and found nobody.

    A host that routes VLANs by marks may send it into the VLAN behind that address.
    """
    return () if shared_vids(gate.site) else (gate.to_outside,)


def _unsolicited(gate: Gate, *match: str) -> Rule:
    globals_ = global_addresses(gate)
    target = f"@{names.GLOBALS}" if len(globals_) > 1 else words.addresses(globals_)
    drop = f"ip daddr {target}", f"counter name {names.UNSOLICITED_COUNTER} drop"
    return Rule((*match, *drop), POOLS, "pools")


def _local(gate: Gate) -> Chain:
    """Global addresses that the gateway has on an interface: nobody outside reaches the gateway by them."""
    rule = _unsolicited(gate, gate.from_either, "ct state { new, untracked, invalid }")
    return Chain(names.LOCAL, (rule,), POOLS, Hook("filter", "input", "filter"))


def global_addresses(gate: Gate) -> tuple[Range, ...]:
    """All global addresses of the enabled pools, joined."""
    found = [one for allocation in gate.allocations for one in allocation.pool.global_ip]
    found += [entry.globals for allocation in gate.allocations for entry in allocation.pool.global_map]
    return union(found)


def _after_translation(gate: Gate) -> tuple[Object, ...]:
    """The one base chain after source NAT: mapping entries, then the guard."""
    renewed, renew = renewal(gate)
    expected, expect = expected_flows(gate)
    learnt, learn = learning(gate)
    objects: list[Object] = [*learnt, *renewed, *expected]
    translated = Rule(("ct status snat accept",), POOLS, "pools")
    rules: list[Rule] = [*expect, *learn, *renew, translated]
    rules.append(Rule((*gate.outward, f"jump {names.OUTGOING}"), POOLS, "pools"))
    invalid = Rule(("ct state invalid", f"counter name {names.INVALID_COUNTER} drop"), POOLS, "pools")
    outgoing = [invalid]
    owned = _owned(gate)
    if owned:
        objects.append(Counter(names.LEAK_COUNTER, POOLS))
        objects.append(address_set(names.OWNED, owned, POOLS))
        outgoing.append(Rule((f"ip saddr @{names.OWNED}", f"goto {names.LEAK}"), POOLS, "pools"))
    if global_addresses(gate):
        rules.append(_unsolicited(gate, gate.from_either, *_on(gate)))
    hook = Hook("filter", "postrouting", "srcnat + 1")
    objects.append(Chain(names.GUARD, tuple(rules), POOLS, hook))
    objects.append(Chain(names.OUTGOING, tuple(outgoing), POOLS, None, "pools"))
    if owned:
        objects.append(Chain(names.LEAK, _leak(gate), POOLS, None, "pools"))
    return tuple(objects)


def _leak(gate: Gate) -> tuple[Rule, ...]:
    """A subscriber's own address on its way out. Answers to connections from outside may leave with it, and
    what a fake pool passes; connections that were open before the pool was loaded may not."""
    passed = (
        Rule((f"jump {names.pool_chain(pool.name)}",), pool.path, dotted(pool.path))
        for pool in _partly_fake(gate)
    )
    return (
        Rule(("ct direction reply return",), POOLS, "pools"),
        *passed,
        Rule((f"counter name {names.LEAK_COUNTER} drop",), POOLS, "pools"),
    )


def _partly_fake(gate: Gate) -> list[Pool]:
    """Fake pools that pass a source for some destinations, before another pool translates it."""
    found: list[Pool] = []
    for index, allocation in enumerate(gate.allocations):
        later = any(other.pool.type != "fake" for other in gate.allocations[index:])
        rules = allocation.pool.acl.rules if allocation.pool.acl else ()
        if allocation.pool.type == "fake" and later and not all(rule.only_source for rule in rules):
            found.append(allocation.pool)
    return found


def _owned(gate: Gate) -> tuple[Range, ...]:
    """Sources that must always be translated: those a translating pool takes before any fake pool does."""
    owned: list[Range] = []
    passed: list[Range] = []
    for allocation in gate.allocations:
        if allocation.pool.type == "fake":
            passed += subtract(allocation.taken, owned)
        else:
            owned += subtract(allocation.taken, passed)
    return union(owned)
