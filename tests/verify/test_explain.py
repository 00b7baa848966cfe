"""`explain`: the facts of CONTRACT's JSON, and that every deciding line of the site has its step."""

from __future__ import annotations

from typing import Any

import pytest

from nfcompile.allocation.lookup import lookups
from nfcompile.diagnostics import dotted
from nfcompile.model.parse import address
from nfcompile.model.protocols import NUMBERS
from nfcompile.pipeline import Compiled, parse
from nfcompile.verify.explain import Explanation, Question, Undecided, explain
from support.explain_site import SITE
from support.sites import site


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return site(SITE)


def asked(compiled: Compiled, text: str, **more: Any) -> Explanation:
    """Explain 'udp 100.64.0.1:5000 > 198.18.0.1:53'."""
    proto, source, _, destination = text.split()
    ends: list[int | None] = []
    for end in (source, destination):
        host, _, port = end.partition(":")
        ends += [address(host), int(port) if port else None]
    source_address, source_port, destination_address, destination_port = ends
    assert source_address is not None
    assert destination_address is not None
    number = NUMBERS.get(proto, 0) or int(proto)
    question = Question(number, source_address, destination_address, source_port, destination_port, **more)
    return explain(compiled, question)


def facts(answer: Explanation) -> tuple[object, ...]:
    return answer[:8]


def paths(answer: Explanation) -> list[str]:
    return [dotted(step.path) for step in answer.steps]


def said(answer: Explanation, path: str) -> str:
    return "\n".join(step.text for step in answer.steps if dotted(step.path) == path)


@pytest.mark.parametrize(
    ("packet", "more", "expected"),
    [
        (
            "udp 100.64.0.7:5000 > 198.18.0.1:53",
            {},
            ("translate", "residential", "100.64.0.7", "203.0.113.7", 1024, 2047, None, "198.18.0.1:53"),
        ),
        (
            "47 100.64.0.7 > 198.18.0.1",
            {},
            ("translate", "residential", "100.64.0.7", "203.0.113.7", None, None, None, "198.18.0.1"),
        ),
        (
            "icmp 100.64.9.7 > 198.51.100.1",
            {},
            ("translate", "residential", "100.64.9.7", "203.0.113.7", 19456, 20479, None, "198.51.100.1"),
        ),
        (
            "tcp 100.64.0.7:5000 > 198.51.100.1:80",
            {},
            ("translate", "partners", "100.64.0.7", None, None, None, None, "198.51.100.1:80"),
        ),
        (
            "udp 10.50.0.1:5000 > 198.18.0.1:53",
            {},
            ("translate", "mobile", "10.50.0.1", None, None, None, None, "198.18.0.1:53"),
        ),
        (
            "udp 192.168.0.5:5000 > 198.18.0.1:53",
            {},
            ("translate", "servers", "192.168.0.5", "200.0.0.3", None, None, None, "198.18.0.1:53"),
        ),
        (
            "udp 192.168.0.6:5000 > 198.18.0.1:53",
            {"interface": "lan0.102"},
            ("translate", "servers", "192.168.0.6~102", "200.0.0.4", None, None, None, "198.18.0.1:53"),
        ),
        (
            "udp 192.168.0.6:5000 > 198.18.0.1:53",
            {},
            ("untranslated", None, None, None, None, None, None, "198.18.0.1:53"),
        ),
        (
            "udp 10.30.0.1:5 > 10.40.0.1:6",
            {},
            ("pass", "campus", "10.30.0.1", None, None, None, None, "10.40.0.1:6"),
        ),
        (
            "tcp 100.64.0.7:5000 > 198.18.0.1:8001",
            {},
            ("translate", None, "100.64.0.7", "172.32.0.201", None, None, 10, "198.18.0.1:8080"),
        ),
        (
            "tcp 100.64.0.7:5000 > 198.18.0.1:8002",
            {},
            ("translate", None, "100.64.0.7", "172.32.0.203-172.32.0.206", None, None, 11, "192.0.2.9:8443"),
        ),
        (
            "udp 100.64.0.7:5000 > 198.18.0.1:514",
            {},
            ("translate", "residential", "100.64.0.7", "203.0.113.7", 1024, 2047, 12, "198.18.0.1:514"),
        ),
        (
            "tcp 10.60.0.7:5000 > 198.18.0.1:80",
            {},
            ("translate", None, "10.60.0.7", "172.32.0.207", 30000, 31000, None, "198.18.0.1:80"),
        ),
        (
            "tcp 198.18.0.1:5 > 200.0.0.3:80",
            {"interface": "wan0"},
            ("translate", "servers", "192.168.0.5", "200.0.0.3", None, None, None, "192.168.0.5:80"),
        ),
        (
            "udp 198.18.0.1:5 > 203.0.113.7:2000",
            {"interface": "wan0"},
            ("drop", None, None, None, None, None, None, "203.0.113.7:2000"),
        ),
        (
            "tcp 100.64.0.7:5000 > 200.0.0.3:80",
            {},
            ("translate", "residential", "100.64.0.7", "203.0.113.7", 1024, 2047, None, "192.168.0.5:80"),
        ),
        (
            "udp 10.50.0.1:5000 > 200.0.0.3:80",
            {},
            ("drop", "mobile", "10.50.0.1", None, None, None, None, "192.168.0.5:80"),
        ),
        (
            "udp 100.64.0.7:5000 > 100.64.0.8:53",
            {},
            ("untranslated", None, None, None, None, None, None, "100.64.0.8:53"),
        ),
        (
            "icmp 100.64.0.7 > 172.32.0.10",
            {},
            ("untranslated", None, None, None, None, None, None, "172.32.0.10"),
        ),
        (
            "tcp 10.99.0.1:5000 > 198.18.0.1:80",
            {},
            ("untranslated", None, None, None, None, None, None, "198.18.0.1:80"),
        ),
    ],
)
def test_facts(compiled: Compiled, packet: str, more: dict[str, str], expected: tuple[object, ...]) -> None:
    assert facts(asked(compiled, packet, **more)) == expected


def test_the_binding_is_that_of_lookup(compiled: Compiled) -> None:
    """A million packets would be the same arithmetic: first, last and some between."""
    for host in ("100.64.0.0", "100.64.0.127", "100.64.0.128", "100.64.7.255", "100.64.8.0", "100.64.15.255"):
        answer = asked(compiled, f"udp {host}:5000 > 198.18.0.1:53")
        assert lookups(compiled.allocations, address(host), None, "udp")[-1] == (*answer[1:6], answer.action)


def test_every_pool_that_is_asked_has_its_step(compiled: Compiled) -> None:
    answer = asked(compiled, "tcp 100.64.9.1:5000 > 198.51.100.1:21")

    assert said(answer, "acls.partners.10") == (
        "acl 'partners' rule 10 denies: pool 'partners' is skipped, the next pool is asked"
    )
    assert said(answer, "pools.campus.acl").startswith("pool 'campus': no rule of acl 'campus' hits")
    assert said(answer, "pools.servers") == (
        "pool 'servers': global_map has no 100.64.9.1; the next pool is asked"
    )
    assert said(answer, "acls.residential.20").endswith("allows: pool 'residential' takes the packet")
    wanted = ["dnat", "snat", "acls.partners.10", "pools.campus.acl", "pools.servers", "acls.residential.20"]
    assert [path for path in paths(answer) if path in wanted] == wanted


def test_limits_timeouts_helper_and_log_have_their_steps(compiled: Compiled) -> None:
    ftp = asked(compiled, "tcp 100.64.9.1:5000 > 198.18.0.1:21")
    udp = asked(compiled, "udp 100.64.9.1:5000 > 198.18.0.1:53")
    icmp = asked(compiled, "icmp 100.64.9.1 > 198.18.0.1")
    dynamic = asked(compiled, "udp 10.50.0.1:5000 > 198.18.0.1:53")

    assert said(ftp, "nat_defaults.alg.ftp") == "the kernel's ftp helper follows the connection"
    assert "helper" not in "".join(step.text for step in udp.steps)
    assert said(ftp, "nat_defaults.sessions_per_translation").startswith(
        "500 sessions of one address and port"
    )
    assert said(udp, "pools.residential.timeouts_inactivity") == (
        "timeouts of udp: without an answer 90 s, answered 90 s\n"
        "the mapping is kept for at least 120 s after its last packet"
    )
    assert said(udp, "pools.residential.limits_peruser.portlimit_udp") == (
        "100.64.9.1 has 1024 ports for udp at most"
    )
    assert said(icmp, "pools.residential.limits_peruser.portlimit_icmp").startswith("512 icmp sessions")
    assert "nf_conntrack_icmp_timeout" in said(icmp, "pools.residential.timeouts_inactivity")
    assert said(udp, "pools.residential.connection_logging").startswith("the connection is reported")
    assert "NFLOG group 5" in said(dynamic, "pools.mobile.connection_logging")
    assert "the kernel picks the block" in said(dynamic, "pools.mobile.global_ip")


@pytest.mark.parametrize("protocol", ["tcp", "udp", "icmp"])
def test_a_block_that_is_not_picked_yet_is_not_the_whole_address(protocol: str) -> None:
    """A dynamic pool of one address: the address is known, the block is not."""
    single = site(SITE.replace("203.0.115.0/29", "203.0.115.0"))
    ports = ("", "") if protocol == "icmp" else (":5000", ":53")

    found = asked(single, f"{protocol} 10.50.0.1{ports[0]} > 198.18.0.1{ports[1]}")

    assert (found.action, found.pool, found.global_ip) == ("translate", "mobile", "203.0.115.0")
    assert (found.port_first, found.port_last) == (None, None)
    assert "the kernel picks the block" in said(found, "pools.mobile.global_ip")


@pytest.mark.parametrize("size", [64, 128])
def test_a_socket_without_a_block_has_one_answer(size: int) -> None:
    """Its port is computed in whichever block it will get: not an answer for each of them."""
    text = f"""
nat_defaults: {{port_block_size: {size}}}
acls: {{homes: {{10: allow ip 100.64.0.0/28}}}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 1
    allocation: dynamic
    global_ip: [203.0.113.0/30]
    port_range: 1024-2047
    filtering: endpoint_independent
    limits_peruser: {{portlimit_tcp: 64, portlimit_udp: 64}}
"""
    found = asked(site(text), "udp 100.64.0.1:5000 > 198.18.0.1:53")

    assert (found.action, found.pool, found.global_ip, found.port_first) == ("translate", "homes", None, None)


def test_marks_and_drops_have_their_steps(compiled: Compiled) -> None:
    marked = asked(compiled, "tcp 100.64.0.7:5000 > 198.18.0.1:8002")
    unsolicited = asked(compiled, "udp 198.18.0.1:5 > 203.0.113.7:2000", interface="wan0")
    hairpin = asked(compiled, "udp 10.50.0.1:5000 > 200.0.0.3:80")

    assert said(marked, "dnat.api") == (
        "dnat rule 'api' sets mark 11\ndnat rule 'api': the destination becomes 192.0.2.9:8443"
    )
    assert said(marked, "snat.by-mark-11").startswith(
        "snat rule 'by-mark-11': the source becomes 172.32.0.203"
    )
    assert "no mapping for the global address" in said(unsolicited, "pools")
    assert said(hairpin, "pools.servers.global_map.192.168.0.5").endswith(
        "the destination becomes 192.168.0.5:80"
    )
    assert said(hairpin, "pools.mobile.hairpin") == "hairpin is off in pool 'mobile': the packet is dropped"


@pytest.mark.parametrize(
    ("source", "rule"),
    [("198.18.0.9:443", "acl 'office' rule 20"), ("198.18.0.9:25", ""), ("198.19.0.9:443", "")],
)
def test_the_acl_that_closes_a_subscriber_has_its_step(source: str, rule: str) -> None:
    """Where a pool translates some destinations only: what is opened from there, and not from elsewhere."""
    acls = "acls: {office: {10: deny tcp any dst any dport 25, 20: allow ip 10.0.0.0/28 198.18.0.0/16}}\n"
    pools = "pools: {office: {type: nat, acl: office, priority: 1, global_ip: [203.0.113.0/28]}}\n"
    answer = asked(site(acls + pools), f"tcp {source} > 10.0.0.5:22", interface="wan0", out="lan0")

    assert answer.action == ("drop" if rule else "untranslated")
    steps = said(answer, "acls.office.20").partition("\n")[0]
    assert steps == (f"{rule}: pool 'office' translates what 10.0.0.5 sends to 198.18.0.9" if rule else "")


def test_no_step_speaks_of_the_inside_of_the_ruleset(compiled: Compiled) -> None:
    texts = "\n".join(
        step.text
        for packet in ("tcp 100.64.9.1:5 > 198.51.100.1:21", "udp 10.50.0.1:5 > 198.18.0.1:5")
        for step in asked(compiled, packet).steps
    )
    assert "0x" not in texts
    assert not [word for word in ("chain", "jump", "verdict", "map @", "meta", "translate_") if word in texts]


def test_every_step_has_a_line(compiled: Compiled) -> None:
    document = parse(SITE.encode(), "site.yaml")
    for packet in ("tcp 100.64.9.1:5 > 198.51.100.1:21", "udp 10.50.0.1:5 > 198.18.0.1:5"):
        for step in asked(compiled, packet).steps:
            assert document.place(step.path, key=True), step


def test_a_port_that_decides_has_to_be_said(compiled: Compiled) -> None:
    assert asked(compiled, "tcp 100.64.0.7 > 198.51.100.1:80").pool == "partners"
    with pytest.raises(Undecided, match="port that is not given"):
        asked(compiled, "tcp 100.64.0.7 > 198.18.0.1")


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_source_port_that_is_left_out_is_that_of_a_socket(compiled: Compiled, proto: str) -> None:
    """A mapping entry is of one socket: any port at once finds no free one, and no packet has that."""
    left_out = asked(compiled, f"{proto} 100.64.0.7 > 198.18.0.1:53")

    assert left_out == asked(compiled, f"{proto} 100.64.0.7:5000 > 198.18.0.1:53")
    assert (left_out.action, left_out.port_first, left_out.port_last) == ("translate", 1024, 2047)
    assert asked(compiled, f"{proto} 198.18.0.9 > 100.64.0.7:53", interface="wan0").action == "drop"


def test_where_a_packet_goes_can_be_said(compiled: Compiled) -> None:
    answer = asked(compiled, "udp 100.64.0.7:5000 > 198.18.0.1:53", out="lan0")

    assert answer.action == "untranslated"


def test_an_interface_of_another_site_is_told(compiled: Compiled) -> None:
    answer = asked(compiled, "udp 100.64.0.7:5000 > 198.18.0.1:53", interface="eth9")

    assert answer.action == "untranslated"
    assert said(answer, "interfaces.inside").startswith("'eth9' is not an inside interface")


MANY_WAYS = """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {timeouts_inactivity: {special_tcp_ports: [22, 5222]}}
acls: {homes: {10: allow ip src 10.0.0.8-10.0.0.33}}
pools:
  homes: {type: cgnat, acl: homes, priority: 2, allocation: dynamic, port_range: 1024-32767,
          global_ip: [203.0.113.0/30, 203.0.113.7], timeouts_inactivity: {tcp_handshake: 2147483}}
  others: {type: cgnat, priority: 1, port_range: 32768-65535, global_ip: [203.0.113.0/30, 203.0.113.7]}
"""


def test_ways_that_end_alike_are_one_answer_however_many() -> None:
    """Found by the fuzzer: 688 ways, by block and by the candidate that was free; a traceback once."""
    answer = asked(site(MANY_WAYS), "tcp 10.0.0.9 > 198.18.0.5")

    assert facts(answer)[:3] == ("translate", "homes", "10.0.0.9")


def test_ways_that_nobody_waits_for_are_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nfcompile.verify.explain.answer.MANY", 3)

    with pytest.raises(Undecided, match="port that is not given"):
        asked(site(MANY_WAYS), "tcp 10.0.0.9 > 198.18.0.5")
