"""What a pool's connections get: timeouts, helpers, events, limits; read from conntrack itself."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from nfcompile.model.parse import address
from nfcompile.model.ranges import Range, address_text
from support.conntrack_entries import is_timeout, seconds
from support.frames import ACK, ECHO, ICMP, RST, SYN, TCP, UDP, UNREACHABLE, Packet
from support.lab import Lab
from support.packet_table import predicted
from support.sites import site
from support.waiting import until
from support.wires import route

HOME, FAR = address("100.64.0.5"), address("198.18.0.1")

POOL = """
nat_defaults: {NATDEFAULTS}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    global_ip: [203.0.113.0/28]
    POOLKEYS
"""


def ruleset(defaults: str = "vlan_mode: untagged", keys: str = "hairpin: off") -> str:
    return site(POOL.replace("NATDEFAULTS", defaults).replace("POOLKEYS", keys)).text.text


def packet(protocol: int, port: int, far_port: int = 443, source: int = HOME) -> tuple[str, Packet]:
    flags = {TCP: SYN, ICMP: ECHO}.get(protocol, 0)
    return route(source), Packet(protocol, source, port, FAR, 0 if protocol == ICMP else far_port, flags)


TIMES = """
    timeouts_inactivity: {tcp_handshake: 2000, tcp_active: 40000, tcp_session_active: 30000, tcp_final: 200,
      tcp_reset: 9, udp: 2500, udp_session: 1500, special: 60000, special_tcp_ports: [22, 179]}"""


@pytest.mark.parametrize(("hairpin", "established", "udp"), [("off", 40000, 2500), ("on", 30000, 1500)])
def test_timeouts(lab: Lab, hairpin: str, established: int, udp: int) -> None:
    """Without mapping entries the translation's timeouts hold, with them the session's."""
    lab.load(ruleset(keys=f"hairpin: {hairpin}{TIMES}"))
    lab.exchange([packet(UDP, 5000)])
    assert is_timeout(seconds(lab, "udp", 5000), udp)
    lab.flight([packet(TCP, 5001)])
    assert is_timeout(seconds(lab, "tcp", 5001), 2000)
    for port, far_port, expected in ((5002, 443, established), (5003, 22, 60000)):
        _, syn = packet(TCP, port, far_port)
        (met,) = lab.exchange([("lan0", syn)])
        sent, answer = met.out[0].packet.token, met.back[0].packet.token
        lab.flight([("lan0", syn._replace(flags=ACK, token=sent + 1, acknowledged=answer + 1))])
        assert "ESTABLISHED" in lab.must("conntrack", "-L", "-p", "tcp", "--orig-port-src", str(port))
        assert is_timeout(seconds(lab, "tcp", port), expected)


OPEN_POOLS = """
nat_defaults:
  alg: {ftp: on, alg_on_bnat: on}
  timeouts_inactivity: {udp: 2500, tcp_handshake: 2000, udp_session: 1500}
acls:
  lines: {10: allow ip 10.0.0.0/28}
  plain: {10: allow ip 10.0.1.0/30}
  games: {10: allow ip 100.64.0.0/28}
pools:
  hosts:
    {type: static, priority: 1, global_map: {192.168.0.5: 200.0.0.3, 192.168.8.0/28: 200.0.8.0/28}}
  lines: {type: nat, acl: lines, priority: 2, global_ip: [200.0.2.0/28]}
  plain: {type: nat, acl: plain, priority: 3, global_ip: [200.0.3.0/28], allocation: deterministic}
  games:
    type: cgnat
    acl: games
    priority: 4
    global_ip: [203.0.113.0/28]
    filtering: endpoint_independent
"""


def test_what_the_outside_opens_gets_the_pools_policy(lab: Lab) -> None:
    """Static hosts and prefixes, nat of both kinds, endpoint-independent filtering: timeouts and helper."""
    lab.load(site(OPEN_POOLS).text.text)
    insides = [("10.0.0.3", 4000), ("100.64.0.3", 4001)]
    probes = [
        (route(address(a)), Packet(protocol, address(a), p, FAR, 53, SYN if protocol == TCP else 0))
        for a, p in insides
        for protocol in (TCP, UDP)
    ]
    line, _, game_tcp, game = [one.out[0].packet for one in lab.exchange(probes)]
    targets = [
        (address("200.0.0.3"), 21),
        (address("200.0.8.7"), 21),
        (line.source, 21),
        (address("200.0.3.2"), 21),
    ]
    caller = address("198.18.0.77")
    for number, (to, port) in enumerate([*targets, (game_tcp.source, game_tcp.source_port)]):
        (seen,) = lab.flight([("wan0", Packet(TCP, caller, 6000 + number, to, port, SYN))])
        assert seen, f"{number}: the outside may open it"
        assert is_timeout(seconds(lab, "tcp", 6000 + number), 2000)
    for number, (to, port, most) in enumerate(
        [*((to, 99, 2500) for to, _ in targets), (game.source, game.source_port, 1500)]
    ):
        (seen,) = lab.flight([("wan0", Packet(UDP, caller, 7000 + number, to, port))])
        assert seen
        assert is_timeout(seconds(lab, "udp", 7000 + number), most)
    assert lab.must("conntrack", "-L", "-p", "tcp", "--orig-port-dst", "21").count("helper=ftp") == 4


FAKE = """
acls: {homes: {10: allow ip 100.64.0.0/28}, partners: {10: allow ip 10.0.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 2, global_ip: [203.0.113.0/28], hairpin: on}
  partners:
    type: fake
    acl: partners
    priority: 1
    hairpin: SWITCH
    timeouts_inactivity: {udp: 3000, tcp_handshake: 4000}
"""


def test_the_address_that_was_asked_for_says_whose_policy(lab: Lab) -> None:
    """A host of a static pool that another pool translates for some packets: that pool's timeout."""
    text = """
acls: {mail: {10: deny udp 100.64.0.5 any dport 53}, web: {10: allow ip 100.64.0.0/24}}
pools:
  mail: {type: static, acl: mail, priority: 1, global_map: {100.64.0.5: 203.0.113.1},
         timeouts_inactivity: {udp: 7000}}
  web: {type: cgnat, acl: web, priority: 2, global_ip: [203.0.113.16/28], filtering: endpoint_independent,
        timeouts_inactivity: {udp: 9000, udp_session: 8000}}
"""
    lab.load(site(text).text.text)
    far = address("198.18.0.1")
    ((seen,),) = lab.flight([("lan0", Packet(UDP, address("100.64.0.5"), 4000, far, 53))])
    for global_ip, port, expected in (
        (seen.packet.source, seen.packet.source_port, 8000),
        (address("203.0.113.1"), 9, 7000),
    ):
        ((_,),) = lab.flight([("wan0", Packet(UDP, far + 1, 999, global_ip, port))])
        listed = lab.must("conntrack", "-L", "-p", "udp", "--orig-dst", address_text(global_ip)).split()
        assert is_timeout(int(listed[2]), expected)


def test_a_fake_pool_has_timeouts_and_hairpin_of_its_own(lab: Lab) -> None:
    """Nothing of it is translated; its table of parameters has both all the same."""
    home, partner = address("100.64.0.5"), address("10.0.0.5")
    for switch in ("on", "off"):
        lab.load(site(FAKE.replace("SWITCH", switch)).text.text)
        (mapping,) = lab.exchange([("lan0", Packet(UDP, home, 5000, FAR, 53))])
        end = mapping.out[0].packet
        there = Packet(UDP, partner, 6000, end.source, end.source_port)
        (seen,) = lab.flight([("lan0", there)])
        assert [(s.wire, s.packet.source) for s in seen] == [("lan0", partner)] * (switch == "on")
        lab.flight([("lan0", Packet(UDP, partner, 5001, FAR, 53))])
        assert is_timeout(seconds(lab, "udp", 5001), 3000)
        lab.flight([("lan0", Packet(TCP, partner, 5002, FAR, 53, SYN))])
        assert is_timeout(seconds(lab, "tcp", 5002), 4000)


def test_helpers(lab: Lab) -> None:
    """The helper stands on connections to its port, and only where it is on."""
    for defaults, helped in (("alg: {ftp: on, sip: on}", True), ("alg: {ftp: off}", False)):
        lab.load(ruleset(defaults))
        probes = (TCP, 5000, 21), (UDP, 5001, 5060), (TCP, 5002, 22), (TCP, 5003, 5060)
        lab.exchange([packet(*probe) for probe in probes])
        listing = lab.must("conntrack", "-L")
        assert listing.count("helper=ftp") == (1 if helped else 0)
        assert listing.count("helper=sip") == (2 if helped else 0)
        assert listing.count("helper=") == (3 if helped else 0)


def test_sessions_of_a_socket_are_limited(lab: Lab) -> None:
    """The session too many is refused at once with ICMP admin-prohibited, others are free."""
    lab.load(ruleset("sessions_per_translation: 2"))
    fars = [address(f"198.18.0.{n}") for n in range(1, 4)]
    probes = [("lan0", Packet(UDP, HOME, 5000, far, 53)) for far in fars]
    outcomes = lab.flight(probes)
    assert [bool(seen and seen[0].wire == "wan0") for seen in outcomes] == [True, True, False]
    (other,) = lab.flight([packet(UDP, 5001)])
    assert other
    assert "packets 1" in lab.must("nft", "list", "counter", "ip", "nfcompile", "refused_sessions")


def counted(lab: Lab, counter: str) -> int:
    said = lab.must("nft", "list", "counter", "ip", "nfcompile", counter)
    return int(re.findall(r"packets (\d+)", said)[0])


def test_icmp_sessions_are_limited(lab: Lab) -> None:
    """The first one too many is dropped, what follows it is refused with ICMP admin-prohibited."""
    lab.load(ruleset(keys="hairpin: off\n    limits_peruser: {portlimit_icmp: 5}"))
    outcomes = lab.flight([packet(ICMP, 100 + n) for n in range(9)])
    assert [[seen.wire for seen in one] for one in outcomes] == [["wan0"]] * 5 + [[]] + [["lan0"]] * 3
    assert outcomes[-1][0].packet.flags == UNREACHABLE
    assert counted(lab, "icmp_limit_count_homes") == 1
    assert counted(lab, "refused") == 3
    (other,) = lab.flight([packet(ICMP, 100, source=HOME + 1)])
    assert [seen.wire for seen in other] == ["wan0"], "others are free"


@pytest.mark.parametrize("fill", ["", "\n    port_range: 1024-5119\n    fill: address"])
@pytest.mark.parametrize("all_udp", ["on", "off"])
def test_low_ports(lab: Lab, all_udp: str, fill: str) -> None:
    """Source ports below 1024 keep below 1024, 64 for each; more udp goes on in the block if allowed."""
    text = ruleset(f"portlimit_low: 64, low_to_all_udp: {all_udp}", f"hairpin: off{fill}")
    assert ("map cells_" in text) == bool(fill)
    lab.load(text)
    for protocol in (TCP, UDP):
        outs = lab.flight([packet(protocol, 500 + n) for n in range(80)])
        ports = {seen[0].packet.source_port for seen in outs if seen}
        low = {port for port in ports if port < 1024}
        assert len(low) <= 64
        assert len(low) >= 60
        spills = protocol == UDP and all_udp == "on"
        assert bool(ports - low) == spills
    for port in (1024, 5000):
        (high,) = lab.flight([packet(UDP, port)])
        assert high[0].packet.source_port >= 1024


def test_who_has_no_low_ports_keeps_to_the_block(lab: Lab) -> None:
    """An address has low ports for its first block only when portlimit_low is 512."""
    compiled = site("""
nat_defaults: {port_block_size: 512, portlimit_low: 512}
acls: {a: {10: allow ip 100.64.0.0/30}}
pools:
  p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/31],
      limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
""")
    lab.load(compiled.text.text)
    for number in range(4):
        source = address("100.64.0.0") + number
        for protocol in (TCP, UDP):
            ((seen,),) = lab.flight([packet(protocol, 700, source=source)])
            own = predicted(compiled, "p", seen.packet._replace(source=source)).ports
            ports = Range(512, 1023) if number < 2 else own
            assert ports.first <= seen.packet.source_port <= ports.last


TWO_POOLS = """
acls: {loud: {10: allow ip 100.64.0.0/26}, silent: {10: allow ip 100.64.1.0/26}}
pools:
  loud: {type: cgnat, acl: loud, priority: 1, global_ip: [203.0.113.0/28], connection_logging: on}
  silent: {type: cgnat, acl: silent, priority: 2, global_ip: [203.0.113.16/28], connection_logging: off}
"""


def test_events(lab: Lab, tmp_path: Path) -> None:
    """Listeners of conntrack events hear of logging pools only: new and destroy, with both tuples."""
    lab.load(site(TWO_POOLS).text.text)
    heard = tmp_path / "events"
    lab.must("sh", "-c", f"conntrack -E >{heard} 2>/dev/null & echo $! >{tmp_path}/pid")
    silent, ports = address("100.64.1.5"), itertools.count(5000)

    def one_more() -> bool:
        port = next(ports)
        lab.flight([packet(UDP, port, source=silent), packet(UDP, port)])
        return "NEW" in heard.read_text()

    try:
        until(one_more)
        lab.forget()
        until(lambda: "DESTROY" in heard.read_text())
        text = heard.read_text()
    finally:
        lab.run("sh", "-c", f"kill $(cat {tmp_path}/pid)")
    assert "src=100.64.0.5" in text
    assert "dst=203.0.113.5" in text
    assert "src=100.64.1.5" not in text


def test_invalid_never_leaves(lab: Lab) -> None:
    lab.load(ruleset("permit_invalid_flow: on"))
    (seen,) = lab.flight([("lan0", Packet(TCP, HOME, 5000, FAR, 443, RST))])
    assert not seen


def test_every_state_has_the_timeout_of_its_name(lab: Lab) -> None:
    """The established one is the session's where mapping entries keep the port, else the translation's."""
    times = "tcp_handshake: 11, tcp_active: 12, tcp_final: 13, tcp_reset: 14, tcp_session_active: 15"
    for hairpin, established in (("on", 15), ("off", 12)):
        lab.load(
            site(f"""
acls: {{a: {{10: allow ip 100.64.0.0/30}}}}
pools:
  p: {{type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/31], hairpin: {hairpin},
      timeouts_inactivity: {{{times}}}}}
""").text.text
        )
        (listed,) = re.findall(r"ct timeout timeout_tcp_\S+ \{.*?\n\t\}", lab.listing(), re.DOTALL)
        found = dict(re.findall(r"(\w+) ?: (\d+)s?[,\s]", listed))
        opening = {"syn_sent": "11", "syn_recv": "11", "established": str(established), "close": "14"}
        assert found == opening | dict.fromkeys(("fin_wait", "close_wait", "last_ack", "time_wait"), "13")
