"""Which sessions an apply ends: those whose subscriber has another translation now, and nobody else's."""

from __future__ import annotations

import os
import signal

from nfcompile.kernel import orphans
from nfcompile.kernel.conntrack import Flow
from nfcompile.model.parse import address
from support.applied_site import bring, bring_here, elements, empty, flows, in_gateway, listing
from support.frames import ACK, ICMP, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.wires import GATEWAY_ADDRESS

FAR = address("198.18.0.1")
SITE = """
nat_defaults:
  port_block_size: 64
  assignment_trial: 86400
  timeouts_inactivity:
    {tcp_handshake: 6000, udp: 6000, tcp_session_active: 6000, udp_session: 6000,
     icmp: 6000, icmp_session: 6000}
acls:
  homes: {10: allow ip 100.64.0.0/24}
  flats: {10: allow ip 100.64.1.0/24}
  shops: {10: allow ip 100.64.2.0/24}
  office: {10: allow ip 10.9.0.0/24}
pools:
  servers: {type: static, priority: 1, global_map: {192.168.0.5: 200.0.0.3, 192.168.0.6: 200.0.0.4}}
  homes: {type: cgnat, acl: homes, priority: 3, global_ip: [203.0.113.0/28], hairpin: off,
          limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
  flats: {type: cgnat, acl: flats, priority: 4, global_ip: [203.0.113.16/28],
          limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
  shops: {type: cgnat, allocation: dynamic, acl: shops, priority: 5, global_ip: [198.51.100.0/29],
          limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
  office: {type: nat, allocation: deterministic, acl: office, priority: 6, global_ip: [200.0.2.0/24]}
"""
NO_POOL = "dnat: {web: {protocol: tcp, dst_port: 8001, dnat_port: 8080, mark: 10}}\n"


def udp(source: str, port: int = 5000, destination: int = FAR) -> tuple[str, Packet]:
    return "lan0", Packet(UDP, address(source), port, destination, 53)


EVERYBODY = [
    udp("192.168.0.5"),
    udp("192.168.0.6"),
    *(udp(f"100.64.0.{n}") for n in (1, 2, 20)),
    *(udp(f"100.64.1.{n}") for n in (1, 2, 20)),
    *(udp(f"100.64.2.{n}") for n in (1, 2, 20)),
    *(udp(f"10.9.0.{n}") for n in (1, 2)),
    ("lan0", Packet(ICMP, address("100.64.0.3"), 77, FAR, 0, 8)),
    ("wan0", Packet(UDP, FAR, 9000, address("200.0.0.3"), 53)),
]


def start(lab: Lab, text: str = SITE) -> dict[int, Flow]:
    """Load a site afresh and let everybody have a session; all of them by their ids."""
    empty(lab)
    bring(lab, text)
    assert all(len(one.out) == 1 and len(one.back) == 1 for one in lab.exchange(EVERYBODY))
    return sessions(lab)


def sessions(lab: Lab) -> dict[int, Flow]:
    return {flow.id: flow for flow in flows(lab) if FAR in (flow.src, flow.dst)}


def gone(before: dict[int, Flow], lab: Lab) -> set[int]:
    """The inside addresses whose sessions have ended."""
    now = sessions(lab)
    lost = [flow for identity, flow in before.items() if identity not in now]
    return {flow.reply_src if flow.src == FAR else flow.src for flow in lost}


def addresses(*texts: str) -> set[int]:
    return {address(text) for text in texts}


def test_a_thousand_flows_survive_twenty_applies(lab: Lab) -> None:
    """TCP and UDP; the sites change pools, lifetimes, ACLs, helpers and marks, but nobody's translation."""
    subscribers = [f"100.64.{net}.{host}" for net in range(3) for host in range(1, 51)]
    packets = [
        ("lan0", Packet(protocol, address(one), 5000 + port, FAR, 443, SYN if protocol == TCP else 0))
        for one in subscribers
        for protocol in (TCP, UDP)
        for port in range(4)
    ]
    assert len(packets) >= 1000
    variants = [
        SITE,
        SITE.replace("200.0.0.4", "200.0.0.9"),
        SITE.replace("nat_defaults:", "nat_defaults:\n  alg: {ftp: on}"),
        SITE.replace("udp: 6000", "udp: 7000"),
        SITE.replace("hairpin: off, ", "hairpin: off, filtering: endpoint_independent, "),
        SITE.replace("allow ip 10.9.0.0/24", "allow tcp 10.9.0.0/24 any"),
        SITE + NO_POOL + "snat: {web: {mark: 10, snat_ip: 172.32.0.201}}\n",
        SITE.replace("office: {type: nat", "office: {enable: off, type: nat"),
        SITE.replace("[203.0.113.0/28]", "[203.0.113.0/28, 203.0.113.99]"),
        SITE.replace("[198.51.100.0/29]", "[198.51.100.0/29, 198.51.100.77]"),
    ]
    with lab.sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "1"):
        empty(lab)
        bring(lab, SITE)
        first = lab.exchange(packets)
        assert all(len(one.out) == 1 and len(one.back) == 1 for one in first)
        ends = [one.out[0].packet[:5] for one in first]
        before = sessions(lab)
        assert len(before) == len(packets)
        for number in range(20):
            result = bring(lab, variants[(number + 1) % len(variants)])
            assert result.objects.all, number
            assert result.flushed == 0, number
        again = [(wire, one._replace(flags=ACK if one.protocol == TCP else 0)) for wire, one in packets]
        later = lab.exchange(again)
    assert gone(before, lab) == set()
    assert [one.out[0].packet[:5] for one in later] == ends
    assert all(len(one.back) == 1 for one in later)


def test_one_server_moves(lab: Lab) -> None:
    """Its session goes, and so would one opened from outside; the other server keeps both."""
    before = start(lab)

    result = bring(lab, SITE.replace("200.0.0.4", "200.0.0.9"))

    assert gone(before, lab) == addresses("192.168.0.6")
    assert result.flushed == 1
    result = bring(lab, SITE.replace("200.0.0.3", "200.0.0.9"))
    assert gone(before, lab) == addresses("192.168.0.5", "192.168.0.6")
    assert result.flushed == 2


def test_one_pool_moves(lab: Lab) -> None:
    before = start(lab)

    result = bring(lab, SITE.replace("203.0.113.0/28", "203.0.113.32/28"))

    assert gone(before, lab) == addresses("100.64.0.1", "100.64.0.2", "100.64.0.20", "100.64.0.3")
    assert result.flushed == 4
    ((seen,),) = lab.flight([udp("100.64.0.1")])
    assert seen.packet.source == address("203.0.113.33")


def test_some_subscribers_of_a_pool_move(lab: Lab) -> None:
    """The second half gets other addresses, the first half keeps what it has, mapping entries too."""
    before = start(lab)
    entries = elements(lab, "map eim_flats").keys()

    result = bring(lab, SITE.replace("allow ip 100.64.1.0/24", "allow ip 100.64.1.0/28"))

    assert gone(before, lab) == addresses("100.64.1.20")
    assert result.flushed == 1
    assert elements(lab, "map eim_flats").keys() == entries - {"udp . 100.64.1.20 . 5000"}


def test_a_pool_goes(lab: Lab) -> None:
    """The addresses are no pool's any more, but its sessions are known by what the old table had."""
    before = start(lab)
    head, _, tail = SITE.partition("  office: {type")
    text = head.replace("  office: {10: allow ip 10.9.0.0/24}\n", "") + tail.partition("\n")[2]

    result = bring(lab, text)

    assert gone(before, lab) == addresses("10.9.0.1", "10.9.0.2")
    assert result.flushed == 2


def test_who_was_assigned_a_block_keeps_it(lab: Lab) -> None:
    """A dynamic pool whose neighbours change, and that then loses its last addresses."""
    before = start(lab)
    owner = {
        flow.src: flow.reply_dst for flow in before.values() if flow.src >> 8 == address("100.64.2.0") >> 8
    }

    assert bring(lab, SITE.replace("200.0.0.4", "200.0.0.9").replace("10.9.0.0", "10.9.9.0")).flushed == 3
    result = bring(lab, SITE.replace("198.51.100.0/29", "198.51.100.0-198.51.100.1"))

    moved = {source for source, global_ip in owner.items() if global_ip > address("198.51.100.1")}
    assert moved
    assert not moved & {flow.src for flow in sessions(lab).values()}
    assert set(owner) - moved <= {flow.src for flow in sessions(lab).values()}
    assert result.flushed == len(moved)


def test_a_pool_that_is_asked_first_now(lab: Lab) -> None:
    """It takes a subscriber of a dynamic pool: his session, block and mapping entries there go."""
    text = """
acls: {few: {10: allow ip 100.64.0.0/28}, all: {10: allow ip 100.64.0.0/24}}
pools:
  all: {type: cgnat, allocation: dynamic, acl: all, priority: 5, global_ip: [203.0.113.0/30]}
  few: {type: cgnat, acl: few, priority: 9, global_ip: [203.0.113.16/28], hairpin: off}
"""
    empty(lab)
    bring(lab, text)
    lab.exchange([udp("100.64.0.1"), udp("100.64.0.20")])
    before = sessions(lab)

    bring(lab, text.replace("priority: 9", "priority: 3"))

    assert gone(before, lab) == addresses("100.64.0.1")
    assert elements(lab, "map assigned1_all").keys() == {"100.64.0.20"}
    assert elements(lab, "map eim_all").keys() == {"udp . 100.64.0.20 . 5000"}
    assert len(elements(lab, "map eif_all")) == 1


def test_untranslated_sessions_of_who_is_translated_now(lab: Lab) -> None:
    """The guard would drop them for ever; what stays inside or comes from elsewhere is not touched."""
    empty(lab)
    bring(lab, NO_POOL)
    inside = udp("100.64.0.1", 6000, address("10.9.0.9"))
    elsewhere = ("lan1", Packet(UDP, address("10.1.0.1"), 5000, FAR, 53))
    own = udp("192.168.7.7")
    lab.exchange([udp("100.64.0.1"), inside, elsewhere, own])
    before = {flow.id: flow for flow in flows(lab)}

    result = bring(lab, SITE)

    now = {flow.id for flow in flows(lab)}
    assert [(one.src, one.dst) for identity, one in before.items() if identity not in now] == [
        (address("100.64.0.1"), FAR)
    ]
    assert result.flushed == 1
    ((seen,),) = lab.flight([udp("100.64.0.1")])
    assert seen.packet.source == address("203.0.113.1")


def test_what_a_rule_by_mark_translated_stays(lab: Lab) -> None:
    text = SITE + NO_POOL + "snat: {web: {mark: 10, snat_ip: 172.32.0.201}}\n"
    empty(lab)
    bring(lab, text)
    lab.exchange([("lan0", Packet(TCP, address("10.0.0.9"), 5000, FAR, 8001, SYN))])
    before = sessions(lab)
    assert {flow.reply_dst for flow in before.values()} == addresses("172.32.0.201")

    assert bring(lab, text.replace("172.32.0.201", "172.32.0.202")).flushed == 0
    assert bring(lab, SITE).flushed == 0

    assert gone(before, lab) == set()


def test_killed_before_the_flush_the_next_apply_does_it(lab: Lab) -> None:
    """The table says that sessions have still to be looked at, with the addresses they may have."""
    before = start(lab)
    moved = SITE.replace("203.0.113.0/28", "203.0.113.32/28")

    assert in_gateway(lab, killed_before_the_flush, moved) == -signal.SIGKILL

    assert gone(before, lab) == set()
    assert "set unflushed" in listing(lab)
    assert "203.0.113.0/27" in str(listing(lab)["set unflushed"][1])
    result = bring(lab, moved)
    assert (result.objects.all, result.flushed) == ((), 4)
    assert gone(before, lab) == addresses("100.64.0.1", "100.64.0.2", "100.64.0.20", "100.64.0.3")
    assert "set unflushed" not in listing(lab)


def killed_before_the_flush(text: str) -> int:
    child = os.fork()
    if child == 0:
        orphans.settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        try:
            bring_here(text)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_what_an_snat_rule_excludes_stays(lab: Lab) -> None:
    """It runs with the subscriber's own source, and the guard lets it out; without the rule it ends."""
    keep = "snat: {keep: {protocol: udp, dst_port: 99, exclude: on}}\n"
    empty(lab)
    bring(lab, SITE + keep)
    vpn = Packet(UDP, address("100.64.0.1"), 5000, FAR, 99, 0)
    assert lab.exchange([("lan0", vpn)])[0].out[0].packet.source == address("100.64.0.1")
    before = sessions(lab)

    assert bring(lab, SITE.replace("udp: 6000", "udp: 7000") + keep).flushed == 0
    assert gone(before, lab) == set()
    assert lab.exchange([("lan0", vpn)])[0].out[0].packet.source == address("100.64.0.1")

    assert bring(lab, SITE).flushed == 1
    assert gone(before, lab) == addresses("100.64.0.1")


def test_a_masqueraded_connection_stays(lab: Lab) -> None:
    text = SITE + "snat: {home: {src_cidr: 10.0.0.0/24, snat_ip: interface}}\n"
    empty(lab)
    bring(lab, text)
    packet = Packet(UDP, address("10.0.0.9"), 5000, FAR, 53, 0)
    assert lab.exchange([("lan0", packet)])[0].out[0].packet.source == address(GATEWAY_ADDRESS)
    before = sessions(lab)

    assert bring(lab, text.replace("udp: 6000", "udp: 7000")).flushed == 0
    assert bring(lab, SITE).flushed == 0

    assert gone(before, lab) == set()
