"""`timeouts_by: host`: on which protocols everything agrees, so that sysctls can hold their timeouts."""

import pytest

from nfcompile.model.timeout_policies import held_by_host, sysctls_of_host
from support.sites import site

SITE = """
nat_defaults: {DEFAULTS}
acls: {a: {10: allow ip 100.64.0.0/28}, b: {10: allow ip 100.65.0.0/28}}
pools:
  a: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/28], hairpin: off, A}
  b: {type: nat, acl: b, priority: 2, global_ip: [203.0.113.32/28], hairpin: off, B}
"""
SNAT = "snat: {s: {src_cidr: 10.0.0.0/8, snat_ip: 203.0.113.99}}\n"


def held(
    defaults: str = "l2mtu: 1522", a: str = "", b: str = "", more: str = "", by: str = "host"
) -> list[str]:
    text = (
        SITE.replace("DEFAULTS", f"timeouts_by: {by}, {defaults}")
        .replace(", A}", f", {a}}}")
        .replace(", B}", f", {b}}}")
    )
    return sorted(held_by_host(site(text + more).site))


def test_pools_that_agree_leave_both_to_the_host():
    assert held() == ["tcp", "udp"]
    assert held(defaults="timeouts_inactivity: {udp: 77}", b="timeouts_inactivity: {udp: 77}") == [
        "tcp",
        "udp",
    ]


@pytest.mark.parametrize(
    ("b", "left"),
    [
        ("timeouts_inactivity: {udp: 60}", ["tcp"]),
        ("timeouts_inactivity: {tcp_reset: 5}", ["udp"]),
        ("timeouts_inactivity: {tcp_reset: 5, udp: 60}", []),
        ("enable: off, timeouts_inactivity: {tcp_reset: 5, udp: 60}", ["tcp", "udp"]),
        ("timeouts_inactivity: {icmp: 5, other: 6, special: 7}", ["tcp", "udp"]),
    ],
)
def test_a_pool_that_differs_keeps_its_protocol_in_the_ruleset(b: str, left: list[str]):
    assert held(b=b) == left


def test_mapping_entries_have_the_timeouts_of_sessions():
    assert held(a="filtering: endpoint_independent") == []  # 120 s instead of 300 s, of both


def test_special_ports_do_not_concern_the_host_but_where_a_policy_is_lost():
    special = "timeouts_inactivity: {special_tcp_ports: [22], special: 9000}"
    assert held(special) == ["tcp", "udp"]
    assert held(f"flowtable: on, {special}") == ["udp"]
    assert held("flowtable: on") == ["tcp", "udp"]


def test_rules_with_timeouts_of_their_own():
    """An snat rule has what is written in `nat_defaults`; the pools below have something else."""
    other = "timeouts_inactivity: {udp: 77}"
    assert held(other, other.replace("77", "60"), other.replace("77", "60"), SNAT) == ["tcp"]
    assert held(other, more=SNAT) == ["tcp", "udp"]


def test_without_the_option_or_without_pools_nothing_is_the_hosts():
    assert held(by="ruleset") == []
    assert held_by_host(site("nat_defaults: {timeouts_by: host}\n").site) == {}


def test_the_sysctls():
    plain = SITE.replace("DEFAULTS", "timeouts_by: host").replace(", A}", "}").replace(", B}", "}")
    found = sysctls_of_host(site(plain).site)
    names = {name.removeprefix("net.netfilter.nf_conntrack_"): seconds for name, seconds in found.items()}
    assert names == {
        "tcp_timeout_syn_sent": 4,
        "tcp_timeout_syn_recv": 4,
        "tcp_timeout_established": 300,
        "tcp_timeout_fin_wait": 240,
        "tcp_timeout_close_wait": 240,
        "tcp_timeout_last_ack": 240,
        "tcp_timeout_time_wait": 240,
        "tcp_timeout_close": 4,
        "udp_timeout": 300,
        "udp_timeout_stream": 300,
    }
