"""What must not happen: packets that leave untranslated, and unsolicited ones that come back or loop.

Packets that conntrack calls invalid never meet a nat chain and would leave with the subscriber's own
address; so would a connection that was open before its pool was loaded. Packets to a global address that
no mapping wants would be routed back out.
"""

from __future__ import annotations

from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Counter, Hook, Rule
from nfcompile.emit.objects import Object
from nfcompile.lower import names
from nfcompile.lower.acl import address_set
from nfcompile.lower.gate import Gate
from nfcompile.lower.limits import session_limit
from nfcompile.lower.mapping import tracking
from nfcompile.model.ranges import Range, subtract, union
from nfcompile.model.site import Pool


def guard_objects(gate: Gate) -> tuple[Object, ...]:
    """Counters, sets and chains of the guard; nothing for a site that translates no source."""
    if not gate.claims and not gate.site.snat:
        return ()
    return (*_unsolicited(gate), *_forward(gate), *_after_translation(gate))


def global_addresses(gate: Gate) -> tuple[Range, ...]:
    """All global addresses of the enabled pools, joined."""
    found = [one for claim in gate.claims for one in claim.pool.global_ip]
    found += [entry.globals for claim in gate.claims for entry in claim.pool.global_map]
    return union(found)


def _unsolicited(gate: Gate) -> tuple[Object, ...]:
    """After destination NAT a packet of a known connection no longer has a global address."""
    globals_ = global_addresses(gate)
    if not globals_:
        return ()
    rule = Rule(
        (
            gate.from_either,
            f"ip daddr @{names.GLOBALS}",
            "ct state { new, untracked, invalid }",
            f"counter name {names.UNSOLICITED_COUNTER} drop",
        ),
        ("pools",),
        "pools",
    )
    return (
        Counter(names.UNSOLICITED_COUNTER, ("pools",)),
        address_set(names.GLOBALS, globals_, ("pools",)),
        Chain(names.UNSOLICITED, (rule,), ("pools",), Hook("filter", "prerouting", "dstnat + 10")),
    )


def _forward(gate: Gate) -> tuple[Object, ...]:
    """What is refused before it is translated."""
    counters, rules = _no_invalid(gate)
    objects, refusals = session_limit(gate)
    if not (*rules, *refusals):
        return ()
    hook = Hook("filter", "forward", "filter")
    return (*counters, *objects, Chain(names.FORWARD, (*rules, *refusals), (), hook))


def _no_invalid(gate: Gate) -> tuple[tuple[Counter, ...], tuple[Rule, ...]]:
    """Invalid packets meet no nat chain, so they never leave. `permit_invalid_flow: off`: no connection
    starts with anything but a SYN, in either direction."""
    origin = ("nat_defaults", "permit_invalid_flow")
    midstream = "ct state new tcp flags & (fin | syn | rst | ack) != syn"
    tests = [((*gate.outward, "ct state invalid"), names.INVALID_COUNTER)]
    if not gate.site.defaults.permit_invalid_flow:
        tests.append(((*gate.outward, midstream), names.MIDSTREAM_COUNTER))
        if gate.claims:
            tests.append(((gate.from_either, "ct status dnat", midstream), names.MIDSTREAM_COUNTER))
    rules = tuple(
        Rule((*match, f"counter name {counter} drop"), origin, dotted(origin)) for match, counter in tests
    )
    return tuple(Counter(counter, origin) for counter in {counter: None for _, counter in tests}), rules


def _after_translation(gate: Gate) -> tuple[Object, ...]:
    """One chain for all that looks at packets after source NAT: every base chain costs 4 % of a packet."""
    tracked, track = tracking(gate)
    owned = _owned(gate)
    objects: list[Object] = [*tracked]
    rules: list[Rule] = [*track]
    if owned:
        match = (*gate.outward, f"ip saddr @{names.OWNED}")
        for pool in _partly_fake(gate):
            rules.append(Rule((*match, f"jump {names.pool_chain(pool.name)}"), pool.path, dotted(pool.path)))
        rules.append(Rule((*match, f"counter name {names.LEAK_COUNTER} drop"), ("pools",), "pools"))
        objects.append(Counter(names.LEAK_COUNTER, ("pools",)))
        objects.append(address_set(names.OWNED, owned, ("pools",)))
    if rules:
        hook = Hook("filter", "postrouting", "srcnat + 1")
        objects.append(Chain(names.GUARD, tuple(rules), ("pools",), hook))
    return tuple(objects)


def _partly_fake(gate: Gate) -> list[Pool]:
    """Fake pools that pass a source for some destinations, before another pool translates it."""
    found: list[Pool] = []
    for index, claim in enumerate(gate.claims):
        later = any(other.pool.type != "fake" for other in gate.claims[index:])
        rules = claim.pool.acl.rules if claim.pool.acl else ()
        if claim.pool.type == "fake" and later and not all(rule.only_source for rule in rules):
            found.append(claim.pool)
    return found


def _owned(gate: Gate) -> tuple[Range, ...]:
    """Sources that must always be translated: those a translating pool takes before any fake pool does."""
    owned: list[Range] = []
    passed: list[Range] = []
    for claim in gate.claims:
        if claim.pool.type == "fake":
            passed += subtract(claim.taken, owned)
        else:
            owned += subtract(claim.taken, passed)
    return union(owned)
