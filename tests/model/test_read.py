"""Text of one value -> the value; and that no text of a site ever becomes nft syntax."""

import json
import re
from itertools import pairwise

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nfcompile import pipeline, report
from nfcompile.diagnostics import SiteError
from nfcompile.model import parse
from nfcompile.model.acl import read_rule
from nfcompile.model.parse import Fault
from nfcompile.model.ranges import (
    EVERYWHERE,
    Cover,
    Range,
    address_text,
    cidrs,
    intersect,
    port_text,
    range_text,
    subtract,
    union,
)
from nfcompile.model.rules import Mark
from nfcompile.source import schema
from support.sites import ROOT

# The ACL grammar


def spelt(rule):
    """A rule as one line, so that a table can be read."""
    words = ["allow" if rule.allow else "deny", str(rule.protocol)]
    for side, vid, ports in (
        (rule.source, rule.vid, rule.source_ports),
        (rule.destination, None, rule.destination_ports),
    ):
        word = "any" if side == EVERYWHERE else range_text(side)
        word += "" if vid is None else f"~{vid}"
        words.append(word + (":" + ",".join(map(port_text, ports)) if ports else ""))
    return " ".join(words)


ACL_RULES = [
    # the manual's own examples
    ("allow ip 194.85.16.0/24 any", "allow -1 194.85.16.0/24 any"),
    ("permit ip src net 194.85.16.0/24 dst any", "allow -1 194.85.16.0/24 any"),
    ("allow ip 10.0.0.1", "allow -1 10.0.0.1 any"),
    ("permit ip src host 10.0.0.1 dst any", "allow -1 10.0.0.1 any"),
    ("allow dst 40.0.0.1", "allow -1 any 40.0.0.1"),
    ("permit ip src any dst host 40.0.0.1", "allow -1 any 40.0.0.1"),
    ("allow any any", "allow -1 any any"),
    ("permit any any", "allow -1 any any"),
    # actions and protocols
    ("deny ip any", "deny -1 any any"),
    ("deny any", "deny -1 any any"),
    ("allow tcp any", "allow 6 any any"),
    ("allow udp any", "allow 17 any any"),
    ("allow icmp any", "allow 1 any any"),
    ("allow gre any", "allow 47 any any"),
    ("allow 47 any", "allow 47 any any"),
    ("allow 0 any", "allow 0 any any"),
    ("allow 255 any any", "allow 255 any any"),
    # sides
    ("allow ip src 10.0.0.0/8", "allow -1 10.0.0.0/8 any"),
    ("allow ip 10.0.0.1 10.0.0.2", "allow -1 10.0.0.1 10.0.0.2"),
    ("allow ip src range 10.1.0.5-10.1.0.9 dst net 1.0.0.0/8", "allow -1 10.1.0.5-10.1.0.9 1.0.0.0/8"),
    ("allow ip 10.1.0.5-10.1.0.9", "allow -1 10.1.0.5-10.1.0.9 any"),
    ("allow ip net 10.0.0.1/32", "allow -1 10.0.0.1 any"),
    ("allow ip 0.0.0.0/0 any", "allow -1 any any"),
    ("allow ip dst any", "allow -1 any any"),
    # VLANs
    ("allow ip src host 10.0.0.1~102 dst any", "allow -1 10.0.0.1~102 any"),
    ("allow ip any~0 any", "allow -1 any~0 any"),
    ("deny tcp 10.0.0.0/8~4094 any", "deny 6 10.0.0.0/8~4094 any"),
    # ports
    ("allow tcp any any dport 443", "allow 6 any any:443"),
    ("allow tcp any any dport 443,8000:8080", "allow 6 any any:443,8000-8080"),
    ("allow tcp any dst net 1.0.0.0/8 dport 443,8000-8080", "allow 6 any 1.0.0.0/8:443,8000-8080"),
    ("allow udp 10.0.0.1 sport 53 any dport 1-65535", "allow 17 10.0.0.1:53 any:1-65535"),
    ("allow tcp dport 80", "allow 6 any any:80"),
    ("allow tcp sport 80", "allow 6 any:80 any"),
    ("allow tcp 10.0.0.1 dport 80", "allow 6 10.0.0.1 any:80"),
    # spaces
    ("  allow   ip  any  any  ", "allow -1 any any"),
]


@pytest.mark.parametrize(("text", "expected"), ACL_RULES, ids=[text.strip() for text, _ in ACL_RULES])
def test_acl_rule(text, expected):
    assert spelt(read_rule(text, 10, ("acls", "a", "10"))) == expected


ACL_FAULTS = [
    # text, code, the characters that are wrong
    ("", "acl-syntax", ""),
    ("allow", "acl-syntax", "w"),
    ("allow ip", "acl-syntax", "p"),
    ("allow tcp src", "acl-syntax", "c"),
    ("allow ip any dst", "acl-syntax", "t"),
    ("accept ip any", "acl-syntax", "accept"),
    ("10 allow ip any", "acl-syntax", "10"),
    ("allow quic any", "acl-syntax", "quic"),
    ("allow 256 any", "acl-syntax", "256"),
    ("allow TCP any", "acl-syntax", "TCP"),
    ("allow ip any any any", "acl-syntax", "any"),
    ("allow ip any; drop", "bad-address", "any;"),
    ("allow ip src net 10.0.0.1", "acl-syntax", "10.0.0.1"),
    ("allow ip src host 10.0.0.0/8", "acl-syntax", "10.0.0.0/8"),
    ("allow ip src range 10.0.0.0", "acl-syntax", "10.0.0.0"),
    ("allow ip any dst any~7", "acl-syntax", "~7"),
    ("allow ip 10.0.0", "bad-address", "10.0.0"),
    ("allow ip 10.0.0.256", "bad-address", "10.0.0.256"),
    ("allow ip 10.0.0.1 10.0.0.01", "bad-address", "10.0.0.01"),
    ("allow ip 2001:db8::1", "bad-address", "2001:db8::1"),
    ("allow ip 10.0.0.0/33", "bad-address", "33"),
    ("allow ip 10.0.0.0/", "bad-address", ""),
    ("allow ip 10.0.0.1/8", "host-bits", "10.0.0.1/8"),
    ("allow ip 10.0.0.9-10.0.0.1", "reversed-range", "10.0.0.9-10.0.0.1"),
    ("allow ip 10.0.0.1~4095", "bad-vlan", "4095"),
    ("allow ip 10.0.0.1~", "bad-vlan", ""),
    ("allow tcp any any dport", "acl-syntax", "t"),
    ("allow tcp any any dport 0", "bad-port", "0"),
    ("allow tcp any any dport 80,65536", "bad-port", "65536"),
    ("allow tcp any any dport 80,,81", "bad-port", ","),
    ("allow tcp any any dport 90-80", "reversed-range", "90-80"),
    ("allow ip any any dport 80", "port-without-protocol", "dport 80"),
    ("allow icmp any sport 80 any", "port-without-protocol", "sport 80"),
    ("allow any any dport 80", "port-without-protocol", "dport 80"),
]


@pytest.mark.parametrize(
    ("text", "code", "wrong"), ACL_FAULTS, ids=[text or "(empty)" for text, *_ in ACL_FAULTS]
)
def test_acl_fault(text, code, wrong):
    with pytest.raises(Fault) as caught:
        read_rule(text, 10, ())
    fault = caught.value

    assert fault.code == code
    assert text[fault.start : fault.end] == wrong
    assert fault.start < fault.end, "carets must show something"


@given(st.text(alphabet="alowdenyipsrctudghbf 0123456789./-~,;\"'{}#", max_size=60))
def test_acl_never_raises_anything_else(text):
    try:
        read_rule(text, 10, ())
    except Fault as raised:
        fault = raised
    else:
        return
    assert 0 <= fault.start < fault.end <= max(len(text), 1) + 1


# Addresses, ports, marks

octets = st.integers(0, 255)
addresses = st.integers(0, 2**32 - 1)


@given(addresses)
def test_address_is_read_as_it_is_written(value):
    assert parse.address(address_text(value)) == value


@given(addresses, addresses)
def test_range_is_read_as_it_is_written(one, other):
    value = Range(min(one, other), max(one, other))

    assert parse.addresses(range_text(value)) == value
    assert parse.addresses(f"{address_text(value.first)} - {address_text(value.last)}") == value


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_ports_are_read_as_they_are_written(one, other):
    value = Range(min(one, other), max(one, other))

    assert parse.ports(port_text(value)) == value
    assert parse.ports(f"{value.first}:{value.last}") == value


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("1", Mark(1)),
        ("4294967295", Mark(0xFFFFFFFF)),
        ("0x10", Mark(16)),
        ("0x10/0xff", Mark(16, 255)),
        ("16/240", Mark(16, 240)),
        ("0X1F", Mark(31)),
    ],
)
def test_mark(text, mark):
    assert parse.mark(text) == mark


@pytest.mark.parametrize("text", ["0", "-1", "4294967296", "ten", "", "1/0", "0x100/0xff", "1_0", " 1", "1/"])
def test_mark_fault(text):
    with pytest.raises(Fault) as caught:
        parse.mark(text)
    assert caught.value.code == "bad-mark"


# Arithmetic of ranges, against sets of integers

small = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=6).map(
    lambda pairs: [Range(first, first + size) for first, size in pairs]
)


def members(ranges):
    return {n for one in ranges for n in range(one.first, one.last + 1)}


@given(small, small)
def test_set_arithmetic(left, right):
    assert members(union(left)) == members(left)
    assert members(intersect(left, right)) == members(left) & members(right)
    assert members(subtract(left, right)) == members(left) - members(right)
    joined = union(left)
    assert all(a.last + 1 < b.first for a, b in pairwise(joined))


@given(small, st.integers(0, 60), st.integers(0, 12))
def test_cover(ranges, first, size):
    cover = Cover()
    for one in ranges:
        cover.add(one, one)
    asked = Range(first, first + size)

    assert cover.covers(asked) == (members([asked]) <= members(ranges))


@given(st.integers(0, 2**32 - 1), st.integers(0, 5000))
def test_cidrs(first, size):
    value = Range(first, min(first + size, 2**32 - 1))
    parts = list(cidrs(value))

    assert all(base % (1 << bits) == 0 for base, bits in parts)
    assert [base for base, _ in parts] == sorted(base for base, _ in parts)
    assert sum(1 << bits for _, bits in parts) == value.size
    assert parts[0][0] == value.first
    assert parts[-1][0] + (1 << parts[-1][1]) - 1 == value.last


# The schema: our walker and jsonschema give the same answer

RULE = json.loads((ROOT / "schemas" / "site.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(RULE)


def keywords(rule):
    """Every keyword of the schema, wherever it stands."""
    for key, value in rule.items():
        yield key
        inner = []
        if key in ("properties", "$defs"):
            inner = value.values()
        elif key in ("items", "additionalProperties", "propertyNames") and isinstance(value, dict):
            inner = [value]
        for one in inner:
            yield from keywords(one)


def test_schema_has_no_keyword_that_the_walker_overlooks():
    assert set(keywords(RULE)) <= {*schema.KEYWORDS, *schema.ANNOTATIONS}


FULL_SITE = """\
version: 1
site: metro
interfaces: {inside: [lan0], outside: [wan0], vlans: {102: lan0.102}}
gateway: {primary_ip: 172.32.0.10, secondary_ips: [172.32.0.201-172.32.0.210]}
nat_defaults:
  vlan_mode: vlan
  alg: {ftp: on, sip: off}
  sessions_per_translation: 64
  port_block_size: 128
  portlimit_low: nolimit
  lldp_hostname: nat-1
  timeouts_inactivity: {udp: 120, special_tcp_ports: [22]}
  limits_peruser: {portlimit_tcp: 2048}
acls:
  homes: {10: deny ip 100.64.0.9, 20: allow ip 100.64.0.0/28 any}
  office: {10: allow tcp src host 10.0.0.1~102 dst any dport 443}
pools:
  homes:
    {type: cgnat, enable: on, acl: homes, priority: 100, global_ip: [203.0.113.0/29], port_range: 1024-65535,
     allocation: deterministic, subscribers: [100.64.0.0/28], filtering: endpoint_independent, hairpin: on}
  servers: {type: static, priority: 50, global_map: {192.168.0.5: 200.0.0.3, 192.168.1.2~102: 200.0.0.4}}
  office: {type: nat, acl: office, priority: 60, global_ip: [200.0.2.0/30], allow_external_connect: off}
  none: {type: fake, acl: none, priority: 200, enable: off}
dnat:
  web:
    {protocol: tcp, src_cidr: 10.0.0.0/8, dst_port: 81, dnat_ip: 192.0.2.9, dnat_port: 8080, mark: 0x1/0xff}
  api: {interface: lan1, dst_cidr: 192.0.2.0/24, dnat_ip: 192.0.2.9}
snat:
  web: {mark: 0x1/0xff, snat_ip: 172.32.0.201}
  rest: {protocol: udp, src_port: 1-1023, interface: wan0, snat_ip: 172.32.0.2-172.32.0.3, snat_port: 1-99}
"""


def plain(text):
    return pipeline.parse(text.encode(), "site.yaml").data


def spots(value, path=()):
    """Every place of a site, sections and values alike."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from spots(value[key], (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from spots(one, (*path, index))


SPOTS = list(spots(plain(FULL_SITE)))


def changed(path, make):
    """The full site with another value at a path; `make` gets the old one."""
    data = plain(FULL_SITE)
    if not path:
        return make(data)
    spot = data
    for step in path[:-1]:
        spot = spot[step]
    spot[path[-1]] = make(spot[path[-1]])
    return data


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.text(max_size=6) | st.just("nolimit"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def test_full_site_is_one():
    assert VALIDATOR.is_valid(plain(FULL_SITE))
    assert pipeline.compile_site(pipeline.parse(FULL_SITE.encode(), "site.yaml")).text.text


@given(st.sampled_from(SPOTS), values)
def test_walker_and_jsonschema_agree(path, value):
    data = changed(path, lambda _: value)

    assert schema.is_valid(RULE, data, RULE["$defs"]) == VALIDATOR.is_valid(data)


# No text of a site becomes nft syntax

HOSTILE = [
    'lan0" ; flush ruleset ; #',
    "a\nflush ruleset",
    "a; drop",
    "a } chain b { ",
    "$x",
    "@globals",
    "a#b",
    "a b",
    'a"b',
    "a'b",
    "a\\b",
    "a`b",
    "10.0.0.1, 10.0.0.2",
    "10.0.0.1 } ; #",
    "{ 10.0.0.1 }",
    "10.0.0.1\t",
    "0x10; drop",
    "1-2; drop",
]
ODD = "\"'`{};#\n\t\\$&|!"
"""Characters that stand in no value which reaches a ruleset (an interface may be called `eth0@if7`)."""
hostile = st.sampled_from(HOSTILE) | st.text(alphabet=f"{ODD}az09.-/ ", min_size=1, max_size=20).filter(
    lambda text: any(one in ODD for one in text)
)
OUTSIDE_QUOTES = re.compile(r"[A-Za-z0-9_.,:;{}()|&^!=<>@/+\-\s]*")
INSIDE_QUOTES = re.compile(r"[A-Za-z0-9_.@~\[\] -]*")


def compiled(data):
    """The ruleset of a site given as data, or None where it is refused."""
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    try:
        return pipeline.compile_site(pipeline.parse(text.encode(), "site.yaml")).text.text
    except SiteError:
        return None


HARMLESS = compiled(plain(FULL_SITE))


def test_ruleset_has_quotes_around_names_only():
    """An nft string has no escapes: what stands in quotes must never hold one."""
    for line in HARMLESS.splitlines():
        parts = line.removeprefix("# ").split('"')
        assert len(parts) % 2 == 1, line
        assert all(OUTSIDE_QUOTES.fullmatch(part) for part in parts[::2]), line
        assert all(INSIDE_QUOTES.fullmatch(part) for part in parts[1::2]), line


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([path for path in SPOTS if path]), hostile)
def test_hostile_value_is_refused_or_left_out(path, text):
    """Accepted where it is free text, and then the ruleset is the one without it."""
    assert compiled(changed(path, lambda _: text)) in (None, HARMLESS)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([path for path in SPOTS if path and isinstance(path[-1], str)]),
    hostile,
)
def test_hostile_key_is_refused(path, text):
    data = changed(path[:-1], lambda old: {text if key == path[-1] else key: v for key, v in old.items()})

    assert compiled(data) is None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SPOTS), st.text(alphabet=ODD, min_size=1, max_size=3), st.booleans())
def test_odd_characters_beside_a_value_are_refused_or_left_out(path, odd, before):
    assume(not (before and odd == "!" and path[:1] in (("dnat",), ("snat",))))  # that is a negation
    data = changed(path, lambda old: f"{odd}{old}" if before else f"{old}{odd}")

    assert compiled(data) in (None, HARMLESS)


# Whatever the bytes, there is a ruleset or there are diagnostics


def survives(data):
    """Anything but SiteError fails the test; a refusal says why, and where, in each of its forms."""
    document = None
    try:
        document = pipeline.parse(data, "site.yaml")
        pipeline.compile_site(document)
    except SiteError as error:
        refusal = error
    else:
        return
    assert refusal.diagnostics
    document = document or refusal.document
    for form in ("text", "json", "github", "sarif"):
        assert report.render(refusal.diagnostics, document, "site.yaml", form)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data):
    survives(data)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="versionacl:1 \n-[]{},&*!|>'\"#%@?<~0", max_size=120))
def test_any_yaml(text):
    survives(text.encode())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, len(FULL_SITE)),
    st.integers(0, 12),
    st.text(alphabet="abc019.:-/~,[]{}'\"\n \t*&!", max_size=6),
)
def test_any_slip_of_the_pen(at, deleted, typed):
    survives((FULL_SITE[:at] + typed + FULL_SITE[at + deleted :]).encode())


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SPOTS), values)
def test_any_value_anywhere(path, value):
    text = yaml.safe_dump(changed(path, lambda _: value), allow_unicode=True, sort_keys=False)
    survives(text.encode("utf-8", "surrogatepass"))
