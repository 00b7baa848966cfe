"""Who belongs to which pool, against the packet rules of docs/site.md spelt out for a dozen addresses."""

from hypothesis import given
from hypothesis import strategies as st

from nfcompile import pipeline
from nfcompile.allocation.pools import allocations, rounded
from nfcompile.model.protocols import ANY_PROTOCOL
from nfcompile.model.ranges import EVERYWHERE, Range
from nfcompile.model.site import (
    Acl,
    AclRule,
    StaticEntry,
)

SOURCES = range(16)
TCP, UDP = 6, 17
HERE, THERE = 1000, 2000
PACKETS = [(source, protocol, to) for source in SOURCES for protocol in (TCP, UDP) for to in (HERE, THERE)]
"""Every packet that can be: a source, a protocol and a destination."""


BASE = pipeline.read(
    pipeline.parse(
        b"version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
        b"pools: {p: {type: cgnat, priority: 1, hairpin: off, global_ip: [0.0.19.136-0.0.19.199]}}",
        "site.yaml",
    )
)


def acl_rule(number, allow, source, protocol=ANY_PROTOCOL, destination=EVERYWHERE):
    return AclRule(("acls", "a", str(number)), number, allow, protocol, source, None, destination)


def pool(name, priority, rules, kind="cgnat", given=None, entries=()):
    acl = Acl(("acls", name), name, tuple(rules)) if rules is not None else None
    static = tuple(StaticEntry((), one, None, Range(one.first + 9000, one.last + 9000)) for one in entries)
    return BASE.pools[0]._replace(
        path=("pools", name),
        name=name,
        type=kind,
        acl=acl,
        priority=priority,
        subscribers=given,
        global_map=static,
    )


def site(*pools):
    return BASE._replace(pools=pools)


runs = st.builds(
    lambda first, size: Range(first, min(first + size, SOURCES[-1])), st.integers(0, 15), st.integers(0, 8)
)
plain_rules = st.lists(st.tuples(st.booleans(), runs), max_size=5).map(
    lambda found: [acl_rule(10 * n, allow, source) for n, (allow, source) in enumerate(found, 1)]
)
any_rules = st.lists(
    st.tuples(
        st.booleans(),
        runs,
        st.sampled_from([ANY_PROTOCOL, ANY_PROTOCOL, TCP]),
        st.sampled_from([EVERYWHERE, EVERYWHERE, Range(HERE, HERE)]),
    ),
    max_size=5,
).map(lambda found: [acl_rule(10 * n, *words) for n, words in enumerate(found, 1)])


@st.composite
def sites(draw, rules):
    """Up to four pools in any order of priority; static ones have entries, some say who is served."""
    made = []
    for priority in draw(st.permutations(range(1, draw(st.integers(1, 4)) + 1))):
        kind = draw(st.sampled_from(["cgnat", "nat", "fake", "static"]))
        given = None
        if kind in ("cgnat", "nat") and draw(st.booleans()):
            given = tuple(draw(st.lists(runs, min_size=1, max_size=3)))
        entries = draw(st.lists(runs, min_size=1, max_size=2)) if kind == "static" else ()
        listed = draw(rules) if kind != "static" or draw(st.booleans()) else None
        made.append(pool(f"p{priority}", priority, listed, kind, given, entries))
    return site(*made)


def accepts(one, packet):
    """Whether a pool accepts a packet that has come to it: point 4 of "What a packet meets"."""
    source, protocol, to = packet
    if one.subscribers is not None and not within(source, one.subscribers):
        return False
    hit = None
    for rule in one.acl.rules if one.acl else ():
        fits = rule.protocol in (ANY_PROTOCOL, protocol) and within(to, [rule.destination])
        if fits and within(source, [rule.source]):
            hit = rule
            break
    if one.type == "static":
        return within(source, [entry.local for entry in one.global_map]) and (hit is None or hit.allow)
    return hit is not None and hit.allow


def within(number, ranges):
    return any(one.first <= number <= one.last for one in ranges)


def owner(this, packet):
    """The pool that a packet belongs to, or None."""
    return next((one for one in this.active_pools if accepts(one, packet)), None)


def addresses(ranges):
    return [n for one in ranges for n in range(one.first, one.last + 1)]


@given(sites(any_rules))
def test_who_is_accepted_has_been_counted(this):
    """The other way round a subscriber may be counted of whom no packet can come; that costs a block."""
    subscribers = {
        allocation.pool.name: set(addresses(allocation.subscribers)) for allocation in allocations(this)
    }
    for packet in PACKETS:
        one = owner(this, packet)
        if one is not None:
            assert packet[0] in subscribers[one.name]


@given(sites(plain_rules))
def test_sources_alone_are_counted_exactly(this):
    for allocation in allocations(this):
        if allocation.pool.subscribers is None and allocation.pool.type != "static":
            served = {packet[0] for packet in PACKETS if owner(this, packet) == allocation.pool}
            assert set(addresses(allocation.subscribers)) == served


@given(sites(any_rules))
def test_no_later_pool_sees_what_is_taken(this):
    pools = this.active_pools
    for allocation in allocations(this):
        taken = set(addresses(allocation.taken))
        later = pools[pools.index(allocation.pool) + 1 :]
        for packet in PACKETS:
            if packet[0] in taken:
                one = owner(this, packet)
                assert one is not None
                assert one not in later


@given(sites(plain_rules))
def test_taken_is_exact_where_sources_alone_decide(this):
    for allocation in allocations(this):
        accepted = {p[0] for p in PACKETS if accepts(allocation.pool, p)}
        if allocation.pool.type != "static" or allocation.pool.acl is None:
            assert set(addresses(allocation.taken)) == accepted


@given(sites(any_rules))
def test_nobody_is_counted_twice(this):
    for allocation in allocations(this):
        found = addresses(allocation.subscribers)
        assert len(found) == len(set(found)) == allocation.demand


@given(plain_rules, runs)
def test_an_allow_rule_at_the_end_moves_nobody(rules, more):
    """Blocks are handed out in this order, so the old order must be the beginning of the new one."""
    (before,) = allocations(site(pool("p", 1, rules)))
    (after,) = allocations(site(pool("p", 1, [*rules, acl_rule(999, True, more)])))
    old, new = addresses(before.subscribers), addresses(after.subscribers)

    assert new[: len(old)] == old


@given(st.lists(runs, min_size=1, max_size=4), runs)
def test_a_subscriber_entry_at_the_end_moves_nobody(given_, more):
    (before,) = allocations(site(pool("p", 1, [], given=tuple(given_))))
    (after,) = allocations(site(pool("p", 1, [], given=(*given_, more))))
    old, new = addresses(before.subscribers), addresses(after.subscribers)

    assert new[: len(old)] == old
    assert set(new) == set(addresses([*given_, more]))


def test_subscribers_come_in_the_order_of_the_rules():
    rules = [
        acl_rule(10, True, Range(8, 9)),
        acl_rule(20, False, Range(1, 1)),
        acl_rule(30, True, Range(0, 3)),
    ]
    (allocation,) = allocations(site(pool("p", 1, rules)))

    assert addresses(allocation.subscribers) == [8, 9, 0, 2, 3]


def test_any_source_is_not_counted_but_named():
    rule = acl_rule(10, True, EVERYWHERE)
    (allocation,) = allocations(site(pool("p", 1, [rule])))
    assert allocation.unbounded == (rule,)

    (allocation,) = allocations(site(pool("p", 1, [rule], given=(Range(1, 4),))))
    assert allocation.unbounded == ()
    assert allocation.demand == 4


def test_disabled_pools_claim_nothing():
    off = pool("off", 1, [acl_rule(10, True, Range(0, 9))])._replace(enable=False)
    on = pool("on", 2, [acl_rule(10, True, Range(0, 9))])
    (allocation,) = allocations(site(off, on))

    assert allocation.pool.name == "on"
    assert allocation.demand == 10


@given(st.integers(1, 64512), st.integers(2, 2048))
def test_limits_are_rounded_up_to_blocks(limit, block_size):
    size = rounded(limit, block_size)

    assert size % block_size == 0
    assert 0 <= size - limit < block_size


@given(st.integers(1, 4096), st.integers(1, 4096), st.sampled_from((16, 64, 128, 200)))
def test_no_protocol_leaves_its_block(tcp, udp, unit):
    """Where limits differ the block is the larger one, and every protocol's ports lie in it."""
    limits = f"{{portlimit_tcp: {tcp}, portlimit_udp: {udp}}}"
    text = f"""
version: 1
interfaces: {{inside: [lan0], outside: [wan0]}}
nat_defaults: {{port_block_size: {unit}, portlimit_low: 64}}
acls: {{a: {{10: allow ip 10.0.0.0/30}}}}
pools: {{p: {{type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/29], limits_peruser: {limits}}}}}
"""
    (allocation,) = allocations(pipeline.read(pipeline.parse(text.encode(), "site.yaml")))
    block = allocation.layout().binding(0x0A000001)

    for _, part in allocation.protocol_blocks(block):
        assert block.first == part.first <= part.last <= block.last
    assert allocation.stock.block_size - max(tcp, udp) in range(unit)
    low = allocation.low_block(block)
    assert low is not None
    assert low.first % 64 == 0
    assert 64 <= low.first <= low.last <= 1023


def test_a_subscriber_has_no_more_blocks_than_its_address() -> None:
    """A limit of 1,008 blocks, where an address has 16, made a ruleset of 5.6 MB instead of 144 KB."""
    limits = "{portlimit_tcp: 100, portlimit_udp: 64512}"
    text = f"""
version: 1
interfaces: {{inside: [lan0], outside: [wan0]}}
acls: {{a: {{10: allow ip 10.0.0.0/30}}}}
pools: {{p: {{type: cgnat, acl: a, priority: 1, allocation: dynamic, global_ip: [203.0.113.0/29],
            port_range: 1024-2047, port_block_size: 64, limits_peruser: {limits}}}}}
"""
    (allocation,) = allocations(pipeline.read(pipeline.parse(text.encode(), "site.yaml")))

    assert allocation.blocks_each == 16
    assert dict(allocation.protocol_blocks_each) == {"tcp": 2, "udp": 16, "icmp": 16}
