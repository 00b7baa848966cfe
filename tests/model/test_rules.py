"""Qualifiers of dnat and snat rules: text -> values, and how checks compare them."""

import pytest

from nfcompile import pipeline
from nfcompile.model.ranges import Range
from nfcompile.model.rules import Mark, Qualifier

HEAD = "version: 1\ninterfaces: {inside: [lan0, lan1], outside: [wan0]}\n"


def checked(text):
    return pipeline.check(pipeline.parse((HEAD + text).encode(), "site.yaml"))


def snat(qualifiers):
    """The only snat rule with these qualifiers."""
    found = checked(f"snat: {{a: {{{qualifiers}, snat_ip: 203.0.113.1}}}}\n")
    (rule,) = found.checked.site.snat
    return rule


@pytest.mark.parametrize(
    ("written", "protocol"),
    [
        ("protocol: tcp", Qualifier((6,))),
        ("protocol: [udp, tcp, udplite]", Qualifier((6, 17, 136))),
        ("protocol: '!icmp'", Qualifier((1,), True)),
        ("protocol: [47, '50']", Qualifier((47, 50))),
        ("protocol: all", None),
        ("protocol: [tcp, all]", None),
    ],
)
def test_protocols_are_sorted_numbers(written, protocol):
    assert snat(written).match.protocol == protocol


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ("src_cidr: 10.0.0.0/8", Qualifier((Range(0x0A000000, 0x0AFFFFFF),))),
        ("src_cidr: [10.0.0.128/25, 10.0.0.0/25]", Qualifier((Range(0x0A000000, 0x0A0000FF),))),
        ("src_cidr: '!10.0.0.0/8'", Qualifier((Range(0x0A000000, 0x0AFFFFFF),), True)),
        ("src_cidr: 0.0.0.0/0", None),
        ("src_cidr: [0.0.0.0/1, 128.0.0.0/1]", None),
    ],
)
def test_addresses_are_sorted_and_joined(written, source):
    assert snat(written).match.src_cidr == source


@pytest.mark.parametrize("written", ["8000-8080", "8000:8080", "'8000 : 8080'"])
def test_a_range_of_ports_has_a_dash_or_econat_s_colon(written):
    rule = snat(f"protocol: tcp, dst_port: ['!{written.strip(chr(39))}', '!25'], snat_port: {written}")

    assert rule.match.dst_port == Qualifier((Range(25, 25), Range(8000, 8080)), negated=True)
    assert rule.snat_port == Range(8000, 8080)


def test_ports_and_marks():
    rule = snat("protocol: [tcp, udp], dst_port: [443, 80, 8000-8080, 8080-8090], mark: ['!10', '!11']")

    assert rule.match.dst_port == Qualifier((Range(80, 80), Range(443, 443), Range(8000, 8090)))
    assert rule.mark == Qualifier((Mark(10), Mark(11)), True)


@pytest.mark.parametrize(
    ("written", "interfaces"),
    [
        ("src_port: 1-9, protocol: tcp", ("wan0", "wan1")),
        ("interface: wan1", ("wan1",)),
        ("interface: [tun0, wan0]", ("tun0", "wan0")),
        ("interface: '!wan1'", ("wan0",)),
        ("interface: ['!wan0', '!wan1']", ()),
    ],
)
def test_interfaces(written, interfaces):
    assert snat(written).match.interfaces(("wan0", "wan1")) == interfaces


@pytest.mark.parametrize(
    ("text", "code", "path", "span"),
    [
        ("snat: {a: {src_cidr: '!10.0.0.1/8', snat_ip: 192.0.2.1}}", "host-bits", ("src_cidr",), (1, 11)),
        ("snat: {a: {src_cidr: [10.0.0.1, x], snat_ip: 192.0.2.1}}", "bad-address", ("src_cidr", 1), (0, 1)),
        ("snat: {a: {protocol: '!tpc', snat_ip: 203.0.113.1}}", "bad-value", ("protocol",), (1, 4)),
        ("snat: {a: {mark: [10, 0x1/0xf], snat_ip: 203.0.113.1}}", "bad-mark", ("mark",), None),
        ("snat: {a: {protocol: [tcp, gre], dst_port: 80, snat_ip: 203.0.113.1}}", "port-without-protocol",
         ("dst_port",), None),
        ("snat: {a: {protocol: '!gre', dst_port: 80, snat_ip: 203.0.113.1}}", "port-without-protocol",
         ("dst_port",), None),
    ],
)  # fmt: skip
def test_faults_are_at_the_value(text, code, path, span):
    errors = [one for one in checked(text + "\n").diagnostics if one.severity == "error"]

    assert [(one.code, one.path[2:], one.span) for one in errors] == [(code, path, span)]


def test_a_rule_with_a_fault_is_left_out_and_shadows_nothing():
    """Without the wrong qualifier the first rule would match everything."""
    text = "snat:\n  a: {src_cidr: 10.0.0.0/33, snat_ip: 203.0.113.1}\n  b: {snat_ip: 203.0.113.2}\n"
    found = checked(text)

    assert [one.code for one in found.diagnostics] == ["bad-address"]
    assert [rule.name for rule in found.checked.site.snat] == ["b"]


@pytest.mark.parametrize(
    ("first", "second", "shadowed"),
    [
        ("src_cidr: [10.0.0.0/8, 11.0.0.0/8]", "src_cidr: 10.5.0.0-11.1.0.0", True),
        ("src_cidr: '!10.0.0.0/8'", "src_cidr: 11.0.0.0/8", True),
        ("src_cidr: '!10.0.0.0/8'", "src_cidr: '!10.0.0.0/7'", True),
        ("src_cidr: '!10.0.0.0/8'", "src_cidr: '!10.0.0.0/9'", False),
        ("src_cidr: 11.0.0.0/8", "src_cidr: '!10.0.0.0/8'", False),
        ("protocol: [tcp, udp]", "protocol: udp", True),
        ("protocol: '!icmp'", "protocol: [tcp, gre]", True),
        ("protocol: '!icmp'", "protocol: [tcp, icmp]", False),
        ("protocol: '!icmp'", "protocol: ['!icmp', '!gre']", True),
        ("interface: [wan0, wan1]", "interface: wan1", True),
        ("mark: [1, 2]", "mark: 2", True),
        ("mark: [1, 2]", "mark: [2, 3]", False),
        ("mark: 1/1", "mark: [1, 3]", True),
    ],
)
def test_shadowing_compares_sets(first, second, shadowed):
    text = f"snat:\n  a: {{{first}, snat_ip: 203.0.113.1}}\n  b: {{{second}, snat_ip: 203.0.113.2}}\n"

    assert ("rule-shadowed" in {one.code for one in checked(text).diagnostics}) == shadowed
