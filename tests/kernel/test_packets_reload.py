"""A new ruleset cuts no session: connections keep their address and port, whatever the new text says."""

from __future__ import annotations

from nfcompile.model.parse import address
from support.frames import UDP, Packet
from support.lab import Lab
from support.packet_table import send
from support.sites import site

BEFORE = """
nat_defaults: {port_block_size: 64}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools:
  servers: {type: static, priority: 1, global_map: {192.168.0.5: 200.0.0.3}}
  homes: {type: cgnat, acl: homes, priority: 3, global_ip: [203.0.113.0/28],
          limits_peruser: {portlimit_tcp: 512, portlimit_udp: 512}}
dnat: {web: {protocol: tcp, dst_port: 8001, dnat_port: 8080, mark: 10}}
snat: {web: {mark: 10, snat_ip: 172.32.0.201}}
"""
MOVED = BEFORE.replace("203.0.113.0/28", "198.51.100.0/28").replace("172.32.0.201", "172.32.0.202")


def test_a_tcp_connection_survives(lab: Lab) -> None:
    """The same text again, a site where its subscriber has another address, the first one again."""
    lab.load(site(BEFORE).text.text)
    with lab.connection("100.64.0.9", "198.18.0.200") as (near, far):
        peer = far.getpeername()
        assert peer[0] == "203.0.113.9"
        for text in (BEFORE, BEFORE, MOVED, MOVED, BEFORE):
            lab.reload(site(text).text.text)
            near.sendall(b"ping")
            assert far.recv(100) == b"ping"
            far.sendall(b"pong")
            assert near.recv(100) == b"pong"
    lab.reload(site(MOVED).text.text)
    send(lab, site(MOVED), "udp 100.64.0.9:1 > 198.18.0.200:53 -> from 198.51.100.9")


def test_a_marked_connection_survives(lab: Lab) -> None:
    lab.load(site(BEFORE).text.text)
    with lab.connection("10.0.0.9", "198.18.0.200", 8001) as (near, far):
        assert far.getpeername()[0] == "172.32.0.201"
        for text in (MOVED, BEFORE):
            lab.reload(site(text).text.text)
            near.sendall(b"ping")
            assert far.recv(100) == b"ping"


def test_sessions_keep_their_ports_and_new_ones_get_new(lab: Lab) -> None:
    """UDP sessions of all pools at once; a server that was asked before may still answer."""
    first = send_all(lab, site(BEFORE).text.text, lab.load)
    again = send_all(lab, site(BEFORE).text.text, lab.reload)
    moved = send_all(lab, site(MOVED).text.text, lab.reload)
    assert first == again == moved
    lab.forget()
    fresh = send_all(lab, site(MOVED).text.text, lab.reload)
    assert fresh[0][0] == address("198.51.100.9")
    assert fresh[1] == first[1]


def send_all(lab: Lab, text: str, load) -> list[tuple[int, int]]:  # type: ignore[no-untyped-def]
    """Where two subscribers' sessions come out under a ruleset; the answers have to come back."""
    load(text)
    packets = [
        ("lan0", Packet(UDP, address(subscriber), 5000, address("198.18.0.1"), 53))
        for subscriber in ("100.64.0.9", "192.168.0.5")
    ]
    outcomes = lab.exchange(packets)
    assert all(len(one.out) == 1 and len(one.back) == 1 for one in outcomes)
    return [one.out[0].packet[1:3] for one in outcomes]


def test_a_refused_text_changes_nothing(lab: Lab) -> None:
    """One bad line anywhere: the old ruleset stands as it was, in one piece."""
    lab.load(site(BEFORE).text.text)
    before = lab.listing()
    broken = site(MOVED).text.text.replace("198.51.100.0/28 .", "198.51.100.0/28 . 70000-80000 .", 1)
    assert lab.run("nft", "-f", "-", stdin=broken).returncode != 0
    assert lab.listing() == before
    send(lab, site(BEFORE), "udp 100.64.0.9:1 > 198.18.0.200:53 -> pool homes")


def test_other_tables_stay(lab: Lab) -> None:
    lab.load("table ip somebody_else {\n chain c {\n type filter hook forward priority 0\n counter\n }\n}\n")
    before = lab.listing()
    lab.reload(site(BEFORE).text.text)
    lab.reload(site(MOVED).text.text)
    assert before.strip() in lab.listing()
