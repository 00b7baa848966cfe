"""What `status` and `sessions` make of the kernel's numbers, without a kernel."""

from __future__ import annotations

import re
import sys

import pytest

from nfcompile.cli import exporter, metrics
from nfcompile.cli import sessions as cli
from nfcompile.cli.exit_status import UsageProblem
from nfcompile.kernel.conntrack import DESTINATION_NAT, SEEN_REPLY, SOURCE_NAT, Flow, Statistics
from nfcompile.live import usage
from nfcompile.live.session_counts import count_sessions
from nfcompile.live.sessions import Session, SessionFilter, sessions
from nfcompile.lower.drop_reasons import DROP_REASONS, NOT_DROPS
from nfcompile.model.parse import address
from nfcompile.model.protocols import GRE, ICMP, TCP, UDP
from support.sites import ROOT, RULESETS, site

SITE = """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
acls:
  homes: {10: allow ip 100.64.0.0/24}
  first: {10: allow ip 192.168.7.0/24}
  second: {10: allow tcp 192.168.7.0/24, 20: allow ip 192.168.8.0/24}
  any: {10: allow ip any}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/31, 203.0.113.8],
          limits_peruser: {portlimit_tcp: 128, portlimit_udp: 128}}
  servers: {type: static, priority: 2, global_map: {192.168.0.0/28: 203.0.113.16/28}}
  first: {type: fake, acl: first, priority: 3}
  second: {type: fake, acl: second, priority: 4}
  any: {type: fake, acl: any, priority: 5}
dnat:
  mark: {protocol: tcp, dst_port: 8001, mark: 5}
snat:
  marked: {mark: 5, protocol: tcp, snat_ip: 172.32.0.9}
  plain: {src_cidr: 10.0.0.0/8, snat_ip: 172.32.0.8-172.32.0.9}
"""
COMPILED = site(SITE)
FAR = address("198.18.0.1")


def outward(source: str, as_: str, protocol: int = UDP, mark: int = 0, port: int = 5000) -> Flow:
    """A connection from inside that leaves as another address."""
    there = address(as_)
    status = SOURCE_NAT if as_ != source else 0
    return Flow(
        protocol, address(source), port, FAR, 443, FAR, 443, there, port, mark, 0, status, 9, 0, (0, 0), 1,
        False,
    )  # fmt: skip


def inward(to: str, home: str, status: int = DESTINATION_NAT) -> Flow:
    """A connection from outside to an address that leads to a subscriber."""
    there = address(home)
    return Flow(TCP, FAR, 999, address(to), 25, there, 26, FAR, 999, 0, 0, status, 9, 1, (0, 0), 1, False)


def only(flow: Flow) -> Session | None:
    return next(sessions(COMPILED, [flow], SessionFilter()), None)


@pytest.mark.parametrize(
    ("flow", "owner"),
    [
        (outward("100.64.0.1", "203.0.113.1"), "pools.homes"),
        (outward("100.64.0.1", "203.0.113.8"), "pools.homes"),
        (outward("100.64.0.1", "203.0.113.2"), None),
        (outward("192.168.0.5", "203.0.113.21"), "pools.servers"),
        (inward("203.0.113.21", "192.168.0.5"), "pools.servers"),
        (outward("192.168.7.1", "192.168.7.1"), "pools.first"),
        (inward("192.168.7.1", "192.168.7.1", 0), "pools.first"),
        (outward("192.168.8.1", "192.168.8.1"), "pools.second"),
        (outward("192.168.9.1", "192.168.9.1"), None),
        (outward("10.0.0.1", "172.32.0.9", TCP, 5), "snat.marked"),
        (outward("10.0.0.1", "172.32.0.9", UDP, 5), "snat.plain"),
        (outward("10.0.0.1", "172.32.0.9", TCP, 6), "snat.plain"),
        (outward("10.0.0.1", "172.32.0.10", TCP, 6), None),
    ],
)
def test_whose_a_session_is(flow: Flow, owner: str | None) -> None:
    session = only(flow)

    assert (".".join(map(str, session.path)) if session else None) == owner


@pytest.mark.parametrize(
    ("flow", "owner"),
    [
        (outward("10.0.0.1", "192.0.2.7"), "snat.home"),
        (outward("10.0.0.1", "192.0.2.8", GRE), "snat.home"),
        (outward("172.16.0.1", "192.0.2.7", TCP), "snat.web"),
        (outward("172.16.0.1", "192.0.2.7", UDP), None),
        (outward("10.9.0.1", "10.9.0.1", UDP), None),
        (outward("10.9.0.1", "192.0.2.7", UDP), "snat.home"),
        (outward("100.64.0.1", "203.0.113.1", UDP), "pools.homes"),
        (outward("10.0.0.1", "172.32.0.9", UDP, 5), "snat.fixed"),
    ],
)
def test_whose_a_session_with_the_interfaces_address_is(flow: Flow, owner: str | None) -> None:
    """The address tells nothing; all qualifiers that conntrack knows do."""
    text = """
  fixed: {mark: 5, snat_ip: 172.32.0.9}
  vpn: {src_cidr: 10.9.0.0/16, dst_cidr: 198.18.9.0/24, exclude: on}
  home: {src_cidr: 10.0.0.0/8, snat_ip: interface}
  web: {protocol: tcp, dst_port: [80, 443], snat_ip: interface}
"""
    compiled = site(SITE[: SITE.index("  marked:")].rstrip() + text)
    session = next(sessions(compiled, [flow], SessionFilter()), None)

    assert (".".join(map(str, session.path)) if session else None) == owner


def test_ends_of_a_session_by_direction() -> None:
    out, back = only(outward("100.64.0.1", "203.0.113.1")), only(inward("203.0.113.21", "192.168.0.5"))

    assert out is not None
    assert back is not None
    assert out.subscriber == (address("100.64.0.1"), 5000)
    assert out.translated == (address("203.0.113.1"), 5000)
    assert out.remote == (FAR, 443)
    assert back.subscriber == (address("192.168.0.5"), 26)
    assert back.translated == (address("203.0.113.21"), 25)
    assert back.remote == (FAR, 999)


def test_a_row_spells_vlans_and_what_has_no_port() -> None:
    flow = outward("100.64.0.1", "203.0.113.1", GRE)
    ported = only(flow._replace(protocol=UDP, zone=102, zone_one_way=True))
    portless = only(flow._replace(protocol=99, status=flow.status | SEEN_REPLY))

    assert ported is not None
    assert portless is not None
    assert cli._row(ported)[3:6] == ("udp", "100.64.0.1~102", 5000)
    assert cli._row(portless)[3:11] == (
        "99", "100.64.0.1", None, "203.0.113.1", None, "198.18.0.1", None, "replied",
    )  # fmt: skip


def test_a_walk_counts_subscribers_addresses_and_the_busiest() -> None:
    flows = [
        *(outward("100.64.0.1", "203.0.113.1", UDP, port=port) for port in range(1000, 1005)),
        outward("100.64.0.1", "203.0.113.1", TCP),
        outward("100.64.0.2", "203.0.113.0", ICMP),
        outward("100.64.0.2", "203.0.113.0", GRE),
        outward("100.64.0.3", "203.0.113.0", TCP),
        outward("192.168.9.1", "192.168.9.1"),
    ]
    walk = count_sessions(COMPILED, flows, top=2)

    assert walk.sessions == {("pools", "homes"): 9}
    assert walk.active == {("pools", "homes"): 3}
    assert walk.addresses == {("pools", "homes"): 2}
    assert [one[2:] for one in walk.top] == [
        (address("100.64.0.1"), 6, 1, 5, 0),
        (address("100.64.0.2"), 2, 0, 0, 1),
    ]


def test_every_counter_of_a_ruleset_has_a_reason() -> None:
    named = set()
    for file in RULESETS:
        named |= set(re.findall(r"^\tcounter (\S+) ", file.read_text(), re.MULTILINE))
    words = {re.sub(r"_count_.*", "", re.sub(r"^dropped_pool_.*", "dropped_pool", name)) for name in named}

    assert len(words) > 8
    assert words - NOT_DROPS - set(DROP_REASONS) == set()


def test_reasons_are_told_apart_and_documented() -> None:
    words = [reason.word for reason in DROP_REASONS.values()]
    text = (ROOT / "docs" / "status.md").read_text()

    assert len(set(words)) == len(words)
    assert [word for word in words if f"`{word}`" not in text] == []


def test_a_missing_client_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.registry", None)

    with pytest.raises(UsageProblem, match=r"'prometheus-client' is missing; install nfcompile\[exporter\]"):
        metrics.registry(lambda: pytest.fail("nobody has asked"))


@pytest.mark.parametrize("listen", ["9911", "host:", "host:x", "host:65536", ""])
def test_an_address_to_listen_at_is_host_and_port(listen: str) -> None:
    with pytest.raises(UsageProblem, match="is not HOST:PORT"):
        exporter.address(listen)


def test_a_full_table_is_what_conntrack_dropped_besides_taken_ports():
    found = {one.reason.word: one.packets for one in usage._of_conntrack(Statistics(5, 12, 3))}

    assert found == {"ports_taken": 5, "connections_full": 7, "early_drop": 3}
    assert [one.packets for one in usage._of_conntrack(Statistics(5, 4, 0))] == [5, 0, 0]
