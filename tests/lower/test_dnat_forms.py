"""Which dnat rules become one look-up, and what they pass on the way to it."""

from __future__ import annotations

import pytest

from nfcompile.lower.dnat_forms import PASSED, grouped
from nfcompile.verify import proof
from support.sites import site


def server(number: int, more: str = "") -> str:
    """A rule of the most usual form."""
    return (
        f"s{number}: {{interface: wan0, protocol: tcp, dst_cidr: 203.0.113.1, dst_port: {number}, "
        f"dnat_ip: 10.0.0.{number}, dnat_port: 80{more}}}"
    )


FIVE = [server(number) for number in range(1, 6)]
SPOTS = {
    "an address apart": ("x: {interface: wan0, dst_cidr: 203.0.113.2, dnat_ip: 10.0.0.99}", True),
    "ports apart": (
        "x: {interface: wan0, protocol: tcp, dst_cidr: 203.0.113.1, dst_port: 100-200, dnat_ip: 10.0.0.99}",
        True,
    ),
    "a protocol apart": (
        "x: {interface: wan0, protocol: [udp, gre], dst_cidr: 203.0.113.1, dnat_ip: 10.0.0.99}",
        True,
    ),
    "its own port": (server(5, ", src_cidr: 198.51.100.0/24").replace("s5", "x"), False),
    "a network around": ("x: {dst_cidr: 203.0.113.0/24, src_port: 9, protocol: tcp, exclude: on}", False),
    "what is not another address": (
        'x: {interface: wan0, dst_cidr: "!203.0.113.2", dnat_ip: 10.0.0.99}',
        False,
    ),
    "what is not another protocol": ('x: {interface: wan0, protocol: "!udp", dnat_ip: 10.0.0.99}', False),
    "what is not another port": (
        'x: {protocol: tcp, dst_cidr: 203.0.113.1, dst_port: "!80", dnat_ip: 10.0.0.9}',
        False,
    ),
}


def names(rules: list[str]) -> list[list[str]]:
    found = site("dnat:\n" + "".join(f"  {rule}\n" for rule in rules)).site
    return [[rule.name for rule in group.rules] for group in grouped(found.dnat)]


@pytest.mark.parametrize("spot", SPOTS)
def test_a_rule_passes_what_is_apart_from_it(spot: str) -> None:
    """And nothing else: the first match stays the first."""
    between, is_apart = SPOTS[spot]
    rules = [*FIVE[:4], between, FIVE[4]]
    together = [["s1", "s2", "s3", "s4", "s5"], ["x"]]

    assert names(rules) == (together if is_apart else [["s1", "s2", "s3", "s4"], ["x"], ["s5"]])
    assert proof.prove(site("dnat:\n" + "".join(f"  {rule}\n" for rule in rules))).holds


def test_two_forms_that_take_turns_are_two_look_ups() -> None:
    """Each rule stays behind the one of the other form that has its port, and passes the others."""
    marked = [server(number, ", mark: 1").replace("s", "m", 1) for number in range(1, 6)]
    rules = [rule for pair in zip(FIVE, marked, strict=True) for rule in pair]

    assert names(rules) == [["s1", "s2", "s3", "s4", "s5"], ["m1", "m2", "m3", "m4", "m5"]]
    assert proof.prove(site("dnat:\n" + "".join(f"  {rule}\n" for rule in rules))).holds


def test_no_rule_passes_one_of_another_form_with_its_key() -> None:
    marked = server(2, ", mark: 1").replace("s", "m", 1)
    rules = [FIVE[0], marked, FIVE[1], FIVE[2], FIVE[3], FIVE[4]]

    assert names(rules) == [["s1"], ["m2"], ["s2", "s3", "s4", "s5"]]
    assert proof.prove(site("dnat:\n" + "".join(f"  {rule}\n" for rule in rules))).holds


def test_a_rule_passes_so_many_others_at_most() -> None:
    others = [
        f"x{number}: {{dst_cidr: 203.0.114.{number}, src_port: 9, protocol: tcp, exclude: on}}"
        for number in range(PASSED + 1)
    ]
    assert len(names([*FIVE[:4], *others[:PASSED], FIVE[4]])) == PASSED + 1
    assert len(names([*FIVE[:4], *others, FIVE[4]])) == PASSED + 3


FORWARDS = {
    "ports of an interface": (
        "interface: wan0, protocol: tcp, dst_port: {n}, dnat_ip: 10.0.0.{n}, dnat_port: 80",
        5,
    ),
    "with a mark": ("interface: wan0, protocol: tcp, dst_port: {n}, dnat_ip: 10.0.0.{n}, mark: {n}", 5),
    "an address for a port": ("protocol: udp, dst_port: {n}, dnat_ip: 10.0.0.{n}", 5),
    "a port for a port": ("protocol: tcp, dst_port: {n}, dnat_port: 8{n}", 2),
    "an address and a port for a port": (
        "protocol: tcp, dst_port: {n}, dnat_ip: 10.0.0.{n}, dnat_port: 80",
        2,
    ),
}


@pytest.mark.parametrize("form", FORWARDS)
def test_so_many_rules_by_port_are_one_look_up(form: str) -> None:
    words, needed = FORWARDS[form]
    for count in (needed - 1, needed):
        found = site("dnat:\n" + "".join(f"  r{n}: {{{words.format(n=n)}}}\n" for n in range(1, count + 1)))
        assert ("dport map @dnat_ports_" in found.text.text) is (count == needed)
        assert proof.prove(found).holds


def test_few_rules_stay_where_they_are() -> None:
    other = "x: {dst_cidr: 203.0.114.1, src_port: 9, protocol: tcp, exclude: on}"
    assert names([FIVE[0], other, *FIVE[1:4]]) == [["s1"], ["x"], ["s2"], ["s3"], ["s4"]]


LIKE = "interface: wan0, protocol: tcp, dst_cidr: 203.0.113.1, dst_port: 9, dnat_ip: 10.0.0.9, dnat_port: 80"
OTHERS = {
    "several ports": ("dst_port: 9", "dst_port: 9-10"),
    "no ports": ("protocol: tcp, dst_cidr: 203.0.113.1, dst_port: 9", "dst_cidr: 203.0.113.1"),
    "no address given": ("dnat_ip: 10.0.0.9, ", ""),
    "no port given": (", dnat_port: 80", ""),
    "several addresses given": ("dnat_ip: 10.0.0.9", "dnat_ip: 10.0.0.8/31"),
    "another interface": ("wan0", "wan1"),
    "a network": ("203.0.113.1", "203.0.113.0/30"),
    "a source": ("protocol", "src_port: 1-9, protocol"),
    "some bits of a mark": ("protocol", "mark: 1/3, protocol"),
    "a mark": ("protocol", "mark: 1, protocol"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_has_another_form_is_another_rule(other: str) -> None:
    changed = LIKE.replace(*OTHERS[other])
    if other == "no ports":
        changed = changed.replace(", dnat_port: 80", "")
    found = site(
        "interfaces: {inside: [lan0], outside: [wan0, wan1]}\ndnat:\n"
        + "".join(f"  {rule}\n" for rule in (*FIVE, f"x: {{{changed}}}"))
    )
    assert changed != LIKE
    assert [len(group.rules) for group in grouped(found.site.dnat)] == [5, 1]


def test_rules_for_a_protocol_without_ports_are_looked_up_by_address() -> None:
    rules = [f"r{at}: {{protocol: icmp, dst_cidr: 203.0.113.{at}, dnat_ip: 10.0.0.{at}}}" for at in range(5)]
    found = site("dnat:\n" + "".join(f"  {rule}\n" for rule in rules))

    assert "dnat_addresses_icmp" in found.text.text
    assert proof.prove(found).holds


@pytest.mark.parametrize("fifth", ['"!10.0.4.0/24"', "[10.0.4.0/24, 10.0.0.0/23]"])
def test_snat_rules_by_source_are_one_look_up(fifth: str) -> None:
    """What several of them name belongs to the first; one for all other sources is a rule of its own."""
    networks = ("10.0.0.0/24", "10.0.1.0/24", "10.0.0.0/16", "10.0.3.0/24", fifth, "10.1.0.0/16")
    rules = (f"  n{at}: {{src_cidr: {one}, snat_ip: 203.0.113.{at}}}\n" for at, one in enumerate(networks))
    found = site("snat:\n" + "".join(rules))

    assert ("map @snat_sources" in found.text.text) is (fifth[0] == "[")
    assert proof.prove(found).holds
