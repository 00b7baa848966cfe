"""Pools of type npt: IPv6 packets in every direction; apply, diff and rollback know the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nfcompile.model.parse import address
from support.bare_gateway import SITE
from support.command import NFCOMPILE
from support.frames import ACK, TCP, UDP, Packet
from support.frames6 import ICMP6, Packet6, Seen6, flight
from support.lab import Lab
from support.operator import Operator
from support.sites import site

POOLS = """
interfaces: {inside: [lan0, lan1], outside: [wan0]}
pools:
  v6: {type: npt, priority: 40, stateless: STATELESS, hairpin: HAIRPIN,
       global_map: {"fd00:1::/48": "2001:db8:a1::/48", "fd00:8::/45": "2001:db8:a8::/45"}}
"""
ROUTES = (
    "fd00:1::/48 via 2001:db8:1::2 dev lan0",
    "fd00:8::/45 via 2001:db8:2::2 dev lan1",
    "default via 2001:db8:4::2 dev wan0",
)
HOME, OFFICE, FAR = "fd00:1::10", "fd00:8:2::7", "2001:db8:ffff::1"
HOME_GLOBAL, OFFICE_GLOBAL = "2001:db8:a1::10", "2001:db8:aa::7"
PROTOCOLS = [TCP, UDP, ICMP6]
BOTH = pytest.mark.parametrize("stateless", ["off", "on"])


@pytest.fixture
def routed(lab: Lab) -> Iterator[Lab]:
    """The lab with routes to the prefixes."""
    for route in ROUTES:
        lab.must("ip", "-6", "route", "add", *route.split())
    yield lab
    for route in ROUTES:
        lab.must("ip", "-6", "route", "del", *route.split())
    lab.must("nft", "flush", "ruleset")


def load(lab: Lab, stateless: str, hairpin: str = "on") -> None:
    lab.load(site(POOLS.replace("STATELESS", stateless).replace("HAIRPIN", hairpin)).text.text)


def sent(lab: Lab, wire: str, packet: Packet6) -> Seen6 | None:
    """Where one packet comes out, with a sound checksum."""
    seen = flight(lab, [(wire, packet)])
    assert len(seen) <= 1
    assert all(one.sound for one in seen)
    return seen[0] if seen else None


@BOTH
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_out_and_back(routed: Lab, stateless: str, protocol: int) -> None:
    load(routed, stateless)
    out = sent(routed, "lan0", Packet6(protocol, HOME, 5000, FAR, 0 if protocol == ICMP6 else 443))
    assert out is not None
    assert (out.wire, out.packet.source, out.packet.source_port) == ("wan0", HOME_GLOBAL, 5000)
    if protocol == UDP:
        back = sent(routed, "wan0", Packet6(protocol, FAR, 443, HOME_GLOBAL, 5000))
        assert back is not None
        assert (back.wire, back.packet.source, back.packet.destination) == ("lan0", FAR, HOME)


@BOTH
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_outside_opens_connections(routed: Lab, stateless: str, protocol: int) -> None:
    """A prefix of 45 bits, in the middle of a group; the answer has the global address."""
    load(routed, stateless)
    port = 0 if protocol == ICMP6 else 80
    into = sent(routed, "wan0", Packet6(protocol, FAR, 999, OFFICE_GLOBAL, port))
    assert into is not None
    assert (into.wire, into.packet.destination, into.packet.source) == ("lan1", OFFICE, FAR)
    if protocol == UDP:
        answer = sent(routed, "lan1", Packet6(protocol, OFFICE, 80, FAR, 999))
        assert answer is not None
        assert (answer.wire, answer.packet.source) == ("wan0", OFFICE_GLOBAL)


@BOTH
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_hairpin(routed: Lab, stateless: str, protocol: int) -> None:
    """Each sees the other's global address only; off, nobody gets there."""
    port = 0 if protocol == ICMP6 else 80
    load(routed, stateless)
    across = sent(routed, "lan0", Packet6(protocol, HOME, 700, OFFICE_GLOBAL, port))
    assert across is not None
    assert across.wire == "lan1"
    assert (across.packet.source, across.packet.destination) == (HOME_GLOBAL, OFFICE)
    if protocol == UDP:
        back = sent(routed, "lan1", Packet6(protocol, OFFICE, 80, HOME_GLOBAL, 700))
        assert back is not None
        assert (back.wire, back.packet.source, back.packet.destination) == ("lan0", OFFICE_GLOBAL, HOME)
    load(routed, stateless, hairpin="off")
    assert sent(routed, "lan0", Packet6(protocol, HOME, 701, OFFICE_GLOBAL, port)) is None


@BOTH
def test_an_interface_of_one_side_decides_alone_beside_one_of_both(routed: Lab, stateless: str) -> None:
    """On wan0, which is on both sides, the source decides; on lan0 and lan1 it does not matter."""
    text = POOLS.replace("[lan0, lan1]", "[lan0, lan1, wan0]").replace("HAIRPIN", "on")
    routed.load(site(text.replace("STATELESS", stateless)).text.text)
    probes = (
        ("lan0", HOME, FAR),
        ("wan0", FAR, OFFICE_GLOBAL),
        ("lan0", HOME, OFFICE_GLOBAL),
        ("wan0", "fd00:1::20", OFFICE_GLOBAL),
        ("lan0", "fd99::9", OFFICE_GLOBAL),
    )
    seen = [sent(routed, wire, Packet6(UDP, source, 700, to, 80)) for wire, source, to in probes]
    *ends, guest = [one and (one.wire, one.packet.source, one.packet.destination) for one in seen]
    assert ends == [
        ("wan0", HOME_GLOBAL, FAR),
        ("lan1", FAR, OFFICE),
        ("lan1", HOME_GLOBAL, OFFICE),
        ("lan1", "2001:db8:a1::20", OFFICE),
    ]
    # As on a gateway with two sides: without connection tracking only a source with a global prefix is led.
    assert guest == (("lan1", "fd99::9", OFFICE) if stateless == "off" else None)


@BOTH
def test_what_is_left_alone(routed: Lab, stateless: str) -> None:
    load(routed, stateless)
    for wire, source, destination, out in (
        ("lan0", HOME, OFFICE, "lan1"),
        ("lan0", "2001:db8:77::1", FAR, "wan0"),
        ("wan0", FAR, OFFICE, "lan1"),
    ):
        seen = sent(routed, wire, Packet6(UDP, source, 600, destination, 53))
        assert seen is not None
        assert (seen.wire, seen.packet.source, seen.packet.destination) == (out, source, destination)


@BOTH
def test_an_address_of_the_gateway_in_a_global_prefix_stays_the_gateways(routed: Lab, stateless: str) -> None:
    routed.must("ip", "-6", "address", "add", "2001:db8:a1::1/128", "dev", "lo")
    load(routed, stateless)
    try:
        assert sent(routed, "wan0", Packet6(UDP, FAR, 600, "2001:db8:a1::1", 53)) is None
    finally:
        routed.must("ip", "-6", "address", "del", "2001:db8:a1::1/128", "dev", "lo")


def test_nothing_leaves_with_a_local_source(routed: Lab) -> None:
    """What connection tracking calls invalid meets no nat chain."""
    load(routed, "off")
    assert sent(routed, "lan0", Packet6(TCP, HOME, 5001, FAR, 443, 0x03)) is None
    assert "packets 1" in routed.must(
        "nft", "list", "counter", "ip6", "nfcompile", "npt_dropped_untranslated"
    )


def test_stateless_packets_are_not_tracked(routed: Lab) -> None:
    load(routed, "on")
    routed.forget()
    for flags in (ACK, 0x03):  # the middle of a connection, and a packet that no connection has
        seen = sent(routed, "lan0", Packet6(TCP, HOME, 5002, FAR, 443, flags))
        assert seen is not None
        assert seen.packet.source == HOME_GLOBAL
    assert routed.must("cat", "/proc/sys/net/netfilter/nf_conntrack_count").strip() in ("0", "1")


NPT = (
    SITE
    + """  v6: {type: npt, priority: 40, global_map: {"fd00:1::/48": "2001:db8:a1::/48"}}
"""
)
OTHER_NPT = NPT.replace("a1::/48", "a2::/48")


def tables(operator: Operator) -> list[str]:
    return sorted(operator.gateway.tables())


def test_apply_and_rollback_know_the_table(operator: Operator) -> None:
    operator.applies(SITE)
    assert tables(operator) == ["table ip nfcompile"]
    operator.applies(NPT)
    assert tables(operator) == ["table ip nfcompile", "table ip6 nfcompile"]
    again = operator.must("apply", "-", site=NPT)
    assert "nothing to change" in again.stdout
    found = json.loads(operator.must("diff", "-", "--format", "json", site=OTHER_NPT).stdout)
    assert [one["kind"] for one in found["objects"]["changed"]] == ["table ip6"]
    assert any(line.startswith("+") and "2001:db8:a2::/48" in line for line in found["diff"])
    operator.applies(OTHER_NPT)
    assert "2001:db8:a2::/48" in operator.gateway.nft("list", "table", "ip6", "nfcompile")
    operator.must("rollback", "--yes")
    assert "2001:db8:a1::/48" in operator.gateway.nft("list", "table", "ip6", "nfcompile")
    operator.applies(SITE)
    assert tables(operator) == ["table ip nfcompile"]


def test_a_trial_without_a_site_before_takes_both_tables_away(operator: Operator) -> None:
    operator.applies(NPT, "--confirm", "60")
    assert len(tables(operator)) == 2
    operator.must("rollback", "--trial", "--yes")
    assert tables(operator) == []


def test_status_counts_what_the_table_drops(operator: Operator) -> None:
    operator.applies(NPT)
    found = json.loads(operator.must("status", "-", "--format", "json", site=NPT).stdout)
    drops = {one["reason"]: one["packets"] for one in found["drops"]}
    assert {word: drops[word] for word in ("npt_untranslated", "npt_unsolicited", "untranslated")} == {
        "npt_untranslated": 0,
        "npt_unsolicited": 0,
        "untranslated": 0,
    }
    assert "lacks" not in json.dumps(found)


# ---- sessions and explain --live

TWO = """version: 1
interfaces: {inside: [lan0, lan1], outside: [wan0]}
acls: {a: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: a, priority: 10, global_ip: [203.0.113.0/30]}
  v6: {type: npt, priority: 40, global_map: {"fd00:1::/48": "2001:db8:a1::/48"}}
  office: {type: npt, priority: 50, global_map: {"fd00:8::/45": "2001:db8:a8::/45"}}
  flat: {type: npt, priority: 60, stateless: on, global_map: {"fd00:77::/64": "2001:db8:77::/64"}}
"""


LIFETIMES = ("udp_timeout", "icmpv6_timeout", "tcp_timeout_syn_sent")


@pytest.fixture
def connected(routed: Lab, tmp_path: Path) -> Iterator[Path]:
    """A site, and connections of both IP versions: out, in, across, and of nobody's. They last as long as a
    slow machine needs."""
    path = tmp_path / "site.yaml"
    path.write_text(TWO)
    with ExitStack() as changed:
        for word in LIFETIMES:
            changed.enter_context(routed.sysctl(f"net/netfilter/nf_conntrack_{word}", "3600"))
        routed.load(site(TWO).text.text)
        flight(
            routed,
            [
                ("lan0", Packet6(TCP, HOME, 5001, FAR, 443)),
                ("lan0", Packet6(UDP, HOME, 5002, FAR, 53)),
                ("lan0", Packet6(ICMP6, HOME, 77, FAR, 0)),
                ("wan0", Packet6(UDP, FAR, 999, OFFICE_GLOBAL, 80)),
                ("lan0", Packet6(UDP, HOME, 700, OFFICE_GLOBAL, 80)),
                ("lan0", Packet6(UDP, "2001:db8:99::1", 1, FAR, 53)),
            ],
        )
        routed.exchange([("lan0", Packet(UDP, address("100.64.0.1"), 5000, address("198.18.0.1"), 53))])
        yield path


def asked(lab: Lab, *arguments: object) -> Any:
    return lab.run(*NFCOMPILE, *map(str, arguments))


def listed(lab: Lab, *arguments: object) -> list[dict[str, Any]]:
    done = asked(lab, "sessions", "list", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


KEYS = (
    "pool",
    "direction",
    "protocol",
    "subscriber",
    "subscriber_port",
    "global_ip",
    "remote_ip",
    "remote_port",
)


def test_sessions_of_ipv6_are_listed_with_their_pools(routed: Lab, connected: Path) -> None:
    rows = [tuple(row[key] for key in KEYS) for row in listed(routed, connected) if row["pool"] != "homes"]

    assert sorted(rows, key=str) == sorted(
        [
            ("v6", "out", "tcp", HOME, 5001, HOME_GLOBAL, FAR, 443),
            ("v6", "out", "udp", HOME, 5002, HOME_GLOBAL, FAR, 53),
            ("v6", "out", "icmpv6", HOME, 77, HOME_GLOBAL, FAR, None),
            ("office", "in", "udp", OFFICE, 80, OFFICE_GLOBAL, FAR, 999),
            ("v6", "out", "udp", HOME, 700, HOME_GLOBAL, OFFICE_GLOBAL, 80),
        ],
        key=str,
    )
    text = asked(routed, "sessions", connected).stdout
    assert f"tcp [{HOME}]:5001 [{HOME_GLOBAL}]:5001 [{FAR}]:443" in " ".join(text.split())
    assert len(listed(routed, connected)) == 6


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (("--pool", "v6"), 4),
        (("--pool", "office"), 1),
        (("--proto", "icmpv6"), 1),
        (("--proto", "udp"), 4),
        (("--subscriber", HOME), 4),
        (("--subscriber", "fd00:1::/48"), 4),
        (("--subscriber", "fd00:1::-fd00:1::f"), 0),
        (("--subscriber", "100.64.0.0/24"), 1),
        (("--subscriber", "::/3"), 0),
        (("--global", f"[{HOME_GLOBAL}]:5002"), 1),
        (("--global", OFFICE_GLOBAL), 2),
    ],
)
def test_sessions_are_filtered(routed: Lab, connected: Path, filters: tuple[str, ...], count: int) -> None:
    assert len(listed(routed, connected, *filters)) == count


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        (("--pool", "flat"), "pool 'flat' is stateless: the kernel tracks no connection of it"),
        (("--pool", "v7"), "there are: homes, v6, office, flat"),
        (("--subscriber", "fd00:1::1", "--global", "203.0.113.1"), "different IP versions"),
        (("--subscriber", "fd00:1::1/64"), "host bits"),
        (("--subscriber", "fd00:2::-fd00:1::"), "ends before it starts"),
        (("--subscriber", "fd00:::1"), "is not an IPv6 address"),
    ],
)
def test_sessions_refuse_filters_that_mean_nothing(
    routed: Lab, connected: Path, filters: tuple[str, ...], why: str
) -> None:
    ran = asked(routed, "sessions", "list", connected, *filters)
    assert (ran.returncode, why in ran.stderr) == (2, True), ran.stderr


def test_clear_ends_connections_of_ipv6_and_no_others(routed: Lab, connected: Path) -> None:
    cleared = asked(
        routed, "sessions", "clear", connected, "--subscriber", "fd00:1::/48", "--proto", "icmpv6"
    )
    assert cleared.stdout == "cleared 1 session\n"
    cleared = asked(routed, "sessions", "clear", connected, "--subscriber", HOME, "--mappings")
    assert cleared.stdout == "cleared 3 sessions, 0 mappings, 0 assignments\n", cleared.stderr
    assert sorted(row["pool"] for row in listed(routed, connected)) == ["homes", "office"]
    assert "2001:db8:99::1" in routed.must("conntrack", "-L", "-f", "ipv6")
    assert asked(routed, "sessions", "clear", connected, "-y").stdout == "cleared 2 sessions\n"
    assert listed(routed, connected) == []


def test_explain_shows_the_connection_of_the_kernel(routed: Lab, connected: Path) -> None:
    ends = "--proto", "tcp", "--src", f"[{HOME}]:5001", "--dst", f"[{FAR}]:443"
    found = json.loads(asked(routed, "explain", connected, *ends, "--live", "--format", "json").stdout)
    (live,) = [one["text"] for one in found["steps"] if one["text"].startswith("live: ")]

    assert found["global_ip"] == HOME_GLOBAL
    assert f"[{HOME}]:5001 > [{FAR}]:443 goes out as [{HOME_GLOBAL}]:5001 > [{FAR}]:443, " in live
