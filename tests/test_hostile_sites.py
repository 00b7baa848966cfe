"""Whatever stands in a site, there is a ruleset or diagnostics, and its text becomes no nft syntax."""

import re

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nfcompile import pipeline, report
from nfcompile.diagnostics import SiteError

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
    assert pipeline.compile_site(pipeline.parse(FULL_SITE.encode(), "site.yaml")).text.text


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
