"""lookup, mappings and the ruleset say the same of every subscriber, forwards and backwards."""

import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nfcompile.allocation.lookup import NOBODY, lookups
from nfcompile.allocation.mappings import mappings
from nfcompile.emit import Map
from nfcompile.model import parse
from nfcompile.model.ranges import ADDRESS_LAST, Range, address_text, range_text
from support.sites import site

INSIDE = {"homes": 0x64400000, "office": 0x0A000000, "servers": 0xC0A80000}
OUTSIDE = {"homes": 0xCB007100, "office": 0xC6336400, "servers": 0xC8000000}


@st.composite
def runs(draw, start, count, longest):
    """Disjoint ranges in any order."""
    found, at = [], start
    for _ in range(draw(st.integers(1, count))):
        at += draw(st.integers(0, 9))
        last = at + draw(st.integers(0, longest))
        found.append(Range(at, last))
        at = last + 1
    return draw(st.permutations(found))


def size(ranges):
    return sum(one.size for one in ranges)


@st.composite
def sites(draw):
    """A site with up to a cgnat, a nat and a static pool, whose addresses suffice."""
    acls, pools = {}, {}
    if draw(st.booleans()):
        local = draw(runs(INSIDE["homes"], 4, 20))
        globals_ = draw(runs(OUTSIDE["homes"], 3, 6))
        low = draw(st.sampled_from(["nolimit", 64, 256]))
        each = -(-size(local) // size(globals_))
        first = draw(st.sampled_from([1024, 2000, 40000]))
        limit = draw(st.integers(1, (65536 - first) // each // 64 * 64 or 64))
        pools["homes"] = {
            "type": "cgnat",
            "priority": 10,
            "hairpin": "off",
            "port_range": f"{first}-65535",
            "limits_peruser": {
                "portlimit_tcp": limit,
                "portlimit_udp": draw(st.integers(1, limit)),
                "portlimit_icmp": draw(st.integers(1, 2048)),
            },
            **told(draw, acls, "homes", local, globals_),
        }
    if draw(st.booleans()):
        globals_ = draw(runs(OUTSIDE["office"], 3, 12))
        local = draw(runs(INSIDE["office"], 3, 12))
        while size(local) > size(globals_):
            local = local[:-1] or [Range(local[0].first, local[0].first)]
        pools["office"] = {
            "type": "nat",
            "priority": 20,
            "allocation": "deterministic",
            **told(draw, acls, "office", local, globals_),
        }
    if draw(st.booleans()) or not pools:
        bits = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
        pairs = {}
        for index, width in enumerate(bits):
            local, global_ = (base + 64 * index for base in (INSIDE["servers"], OUTSIDE["servers"]))
            spell = lambda base, width=width: range_text(Range(base, base + (1 << width) - 1))  # noqa: E731
            pairs[spell(local)] = spell(global_)
        pools["servers"] = {"type": "static", "priority": 5, "global_map": pairs}
    defaults = {"port_block_size": 64}
    if "homes" in pools:
        defaults["portlimit_low"] = low
    data = {
        "version": 1,
        "interfaces": {"inside": ["lan0"], "outside": ["wan0"]},
        "nat_defaults": defaults,
        "acls": acls,
        "pools": pools,
    }
    text = yaml.safe_dump(data, sort_keys=False)
    return site(text)


def told(draw, acls, name, local, globals_):
    """Whom the pool serves, said in its acl or in `subscribers`; and what it has."""
    found = {"acl": name, "global_ip": [range_text(one) for one in globals_]}
    if draw(st.booleans()):
        acls[name] = {"10": "allow ip any"}
        found["subscribers"] = [range_text(one) for one in local]
    else:
        acls[name] = {str(10 * n): f"allow ip {range_text(one)}" for n, one in enumerate(local, 1)}
    return found


def address(text):
    return parse.address(text.partition("~")[0])


settings_ = settings(max_examples=60, deadline=None)


@settings_
@given(sites())
def test_every_row_is_found_backwards(compiled):
    for row in mappings(compiled.allocations):
        proto = None if row.protocols == "all" else row.protocols.split("+")[0]
        ports = [None] if row.port_first == "" else [row.port_first, row.port_last]
        for port in ports:
            (answer,) = lookups(compiled.allocations, address(row.global_ip), port, proto)
            assert (answer.pool, answer.subscriber, answer.global_ip) == row[:3]
            if port is not None:
                assert answer[3:5] == (row.port_first, row.port_last)


@settings_
@given(sites())
def test_every_row_is_found_forwards(compiled):
    for row in mappings(compiled.allocations):
        proto = None if row.protocols == "all" else row.protocols.split("+")[0]
        found = lookups(compiled.allocations, address(row.subscriber), None, proto)
        assert row[:3] in [answer[:3] for answer in found]
        assert all(answer.action == "translate" for answer in found)


@settings_
@given(sites())
def test_nobody_has_what_no_row_gives(compiled):
    """Each port beside a row's ports belongs to another row or to nobody."""
    rows = [row for row in mappings(compiled.allocations) if row.port_first != "" and "tcp" in row.protocols]
    owners = {}
    for row in rows:
        for port in range(row.port_first, row.port_last + 1, 1):
            assert owners.setdefault((row.global_ip, port), row.subscriber) == row.subscriber
    for row in rows:
        for port in (row.port_first - 1, row.port_last + 1):
            if 0 < port < 65536:
                found = lookups(compiled.allocations, address(row.global_ip), port, "tcp")
                expected = owners.get((row.global_ip, port))
                assert [answer.subscriber for answer in found] == ([expected] if expected else [])


@settings_
@given(sites())
def test_every_subscriber_has_one_row_a_protocol(compiled):
    seen = set()
    for row in mappings(compiled.allocations):
        low = row.port_first != "" and row.port_first < 1024
        for word in row.protocols.split("+"):
            assert (row.pool, row.subscriber, word, low) not in seen
            seen.add((row.pool, row.subscriber, word, low))
    for allocation in compiled.allocations:
        served = {subscriber for pool, subscriber, _, low in seen if pool == allocation.pool.name and not low}
        assert len(served) == allocation.demand


@settings_
@given(sites())
def test_rows_ascend_in_each_pool(compiled):
    pools = [row.pool for row in mappings(compiled.allocations)]
    assert pools == sorted(pools, key=[allocation.pool.name for allocation in compiled.allocations].index)
    for name in set(pools):
        found = [address(row.subscriber) for row in mappings(compiled.allocations) if row.pool == name]
        assert found == sorted(found)


@settings_
@given(sites())
def test_compact_rows_are_the_same_rows(compiled):
    """A prefix row keeps the low bits of the subscriber in the global prefix."""
    opened = []
    for row in mappings(compiled.allocations, compact=True):
        local, global_ = (parse.addresses(text) for text in (row.subscriber, row.global_ip))
        assert local.size == global_.size
        for offset in range(local.size):
            subscriber = local.first + offset
            target = global_.first | (subscriber & (global_.size - 1))
            opened.append((row.pool, address_text(subscriber), address_text(target), *row[3:]))

    assert sorted(opened, key=str) == sorted(map(tuple, mappings(compiled.allocations)), key=str)


def netmap(element, subscriber):
    """What `snat ip prefix` makes of a source: the datum's prefix with the low bits of the source."""
    target, *ports = element.data
    return target.first | (subscriber & (target.size - 1)), *ports


@settings_
@given(sites())
def test_ruleset_says_the_same(compiled):
    """Every row is what the map of its pool and protocol gives."""
    maps = {str(thing.name): thing for thing in compiled.table.objects if isinstance(thing, Map)}
    masked = re.findall(r"ip saddr & (\S+) map @(\S+)", compiled.text.text)
    masks = {name: address(mask) for mask, name in masked}
    for row in mappings(compiled.allocations):
        words = row.protocols.replace("+", "-")
        names = [f"blocksof-{words}_{row.pool}", f"blocks_{row.pool}"]
        if row.protocols == "all":
            names = [f"addresses_{row.pool}", f"outward_{row.pool}"]
        elif row.port_first < 1024:
            names = [f"lowblocks_{row.pool}"]
        first = next(name for name in names if name in maps)
        subscriber = address(row.subscriber)
        hits = [
            element
            for name in (first, f"more{first}")
            if name in maps
            for element in maps[name].elements
            if within(subscriber & masks.get(name, ADDRESS_LAST), element.key[0])
        ]
        assert len(hits) == 1, "overlapping elements are for the kernel to refuse"
        target, *ports = netmap(hits[0], subscriber)
        assert address_text(target) == row.global_ip
        if any(name.startswith("pieces") and name.endswith(f"_{row.pool}") for name in maps):
            # Computed ports: the map is for the ids of ICMP alone, `prove` compares the rest.
            assert not ports or ports[0].first == row.port_first
        else:
            assert ports == ([] if row.port_first == "" else [Range(row.port_first, row.port_last)])


def within(number, one):
    return one.first <= number <= one.last


FAKE_AND_DYNAMIC = """\
acls: {all: {10: allow ip 10.0.0.0/29}, some: {10: allow ip 10.0.0.0/29 dst net 198.51.100.0/24}}
pools:
  partner: {type: fake, acl: some, priority: 1}
  rest: {type: cgnat, allocation: dynamic, acl: all, priority: 2, hairpin: off, global_ip: [203.0.113.1]}
"""


def test_pools_without_a_table_of_their_own():
    """Fake pools have no mapping; dynamic ones are the kernel's to tell."""
    compiled = site(FAKE_AND_DYNAMIC)

    assert list(mappings(compiled.allocations)) == []
    found = lookups(compiled.allocations, address("10.0.0.3"))
    assert [(answer.pool, answer.global_ip, answer.action) for answer in found] == [
        ("partner", None, "pass"),
        ("rest", None, "translate"),
    ]
    assert lookups(compiled.allocations, address("10.0.0.8")) == []
    assert NOBODY.action == "none"


SAME_ADDRESS = """\
pools:
  a: {type: static, priority: 1, global_map: {10.0.0.1: 10.0.0.2}}
"""


def test_an_address_alone_is_a_subscriber_first():
    found = lookups(site(SAME_ADDRESS).allocations, address("10.0.0.2"))

    assert [(answer.subscriber, answer.global_ip) for answer in found] == [("10.0.0.1", "10.0.0.2")]


INTERFACE = """\
acls: {homes: {10: allow ip 10.0.0.0/28}}
pools: {homes: {type: nat, allocation: deterministic, acl: homes, priority: 1, global_ip: [203.0.113.0/28]}}
snat:
  keep: {src_cidr: 10.0.0.9, exclude: on}
  some: {src_cidr: 10.0.0.0/30, snat_ip: interface}
  web: {protocol: tcp, dst_port: 443, src_cidr: 10.0.0.0/29, snat_ip: interface}
"""


@pytest.mark.parametrize(
    ("asked", "port", "actions"),
    [
        ("10.0.0.1", None, ["interface", "translate"]),
        ("10.0.0.5", None, ["translate", "interface"]),
        ("10.0.0.9", None, ["translate"]),
        ("10.0.0.1", 80, ["interface", "translate"]),
        ("203.0.113.2", None, ["translate"]),
        ("192.168.0.1", None, []),
    ],
)
def test_the_address_of_the_interface_is_an_answer(asked, port, actions):
    """Before the pools where the source alone decides, after them where more is asked."""
    compiled = site(INTERFACE)

    found = lookups(compiled.allocations, address(asked), port, None, compiled.site.snat)

    assert [one.action for one in found] == actions


ONE_TO_ONE = """\
acls: {homes: {10: allow ip 10.0.0.0/28}}
pools: {homes: {type: nat, allocation: deterministic, acl: homes, priority: 1, global_ip: [203.0.113.0/28]}}
snat:
  keep: {src_cidr: 10.1.0.9, exclude: on}
  lines: {src_cidr: 10.1.0.0/24, snat_prefix: 198.51.100.0/24}
  host: {src_cidr: 10.0.0.7, protocol: tcp, snat_ip: 192.0.2.7, snat_port: 5000-6000}
  many: {src_cidr: 10.2.0.0/24, snat_ip: 192.0.2.8}
"""


@pytest.mark.parametrize(
    ("asked", "port", "expected"),
    [
        ("10.1.0.77", None, [("10.1.0.77", "198.51.100.77", None, None)]),
        ("198.51.100.77", None, [("10.1.0.77", "198.51.100.77", None, None)]),
        ("198.51.100.77", 80, [("10.1.0.77", "198.51.100.77", None, None)]),
        ("10.1.0.9", None, []),
        ("198.51.100.9", 80, []),
        ("10.0.0.7", None, [("10.0.0.7", "203.0.113.7", None, None), ("10.0.0.7", "192.0.2.7", 5000, 6000)]),
        ("192.0.2.7", 5500, [("10.0.0.7", "192.0.2.7", 5000, 6000)]),
        ("192.0.2.7", 80, []),
        ("10.2.0.1", None, []),
        ("192.0.2.8", 80, []),
    ],
)
def test_a_rule_that_maps_one_to_one_is_an_answer_both_ways(asked, port, expected):
    """Not where an earlier rule takes the source, and not where several sources share the address."""
    compiled = site(ONE_TO_ONE)

    found = lookups(compiled.allocations, address(asked), port, None, compiled.site.snat)

    assert [one[1:5] for one in found] == expected
    assert {one.action for one in found} <= {"translate"}


def test_a_rule_for_any_source_answers_only_for_a_subscriber():
    """A question with a port asks for a global address, which such a rule does not know."""
    rules = site("snat: {all: {snat_ip: interface}}").site.snat

    assert [one.action for one in lookups((), address("10.0.0.1"), None, None, rules)] == ["interface"]
    assert lookups((), address("203.0.113.1"), 4000, None, rules) == []
