"""What connections renew, and when: mapping entries, blocks and addresses; and that no mark leaves with them.

A token that is young spares every connection that takes it the renewal. What such a connection renews, its
first packet renews by itself.
"""

from __future__ import annotations

import time

import pytest

from nfcompile.lower.tokens import FIRST_TOKEN
from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.dynamic_pools import BLOCKS, expires, home
from support.frames import SYN, TCP, UDP, Packet
from support.lab import Lab
from support.lifetimes import RENEWED, age, forget_tokens
from support.mapping_pools import CGNAT, HOME, SERVERS, entries, outside, packet
from support.sites import site
from support.wires import route

DYNAMIC = BLOCKS.replace("TCP", "8").replace("HAIRPIN", "off")
DYNAMIC_WITH_ENTRIES = DYNAMIC.replace("hairpin: off", "hairpin: on")
EIM, EIF = "eim_homes", "eif_homes"
HOMES = [address("100.64.0.20") + n for n in range(30)]


def mapping(filtering: str = "address_and_port_dependent", keys: str = "", head: str = "") -> str:
    """A pool with mapping entries: `keys` are added to the pool, `head` to the site."""
    text = CGNAT.replace("HAIRPIN", "on").replace("FILTERING", filtering)
    return site(head + text + (f"    {keys}\n" if keys else "")).text.text


def busy(lab: Lab) -> None:
    """Whoever takes a token from now on takes one that is young, and stays so."""
    token = f"0x{FIRST_TOKEN:x}"
    forget_tokens(lab)
    lab.must("nft", "add", "element", "ip", "nfcompile", "recent_tokens", f"{{ {token} timeout 900s }}")
    lab.must("nft", "add", "element", "ip", "nfcompile", "now", f"{{ ip timeout 900s : {token} }}")


def only(lab: Lab, name: str, protocol: str = "udp") -> float:
    """Seconds that the only entry of a map still has."""
    (left,) = entries(lab, name, protocol).values()
    return left


def test_a_new_connection_renews_the_block_also_when_tokens_are_young(lab: Lab) -> None:
    """Its number too: a subscriber of whom every connection is one packet would lose his block otherwise."""
    lab.load(site(DYNAMIC).text.text)
    lab.flight([packet(UDP, (home(1), 5000), (SERVERS[0], 53))])
    kept = ("map", "assigned1_homes"), ("set", "taken_homes")
    busy(lab)
    age(lab, *map(" ".join, kept))
    lab.flight([packet(UDP, (home(1), 5001), (SERVERS[0], 53))])
    for one in kept:
        assert expires(lab, *one) > RENEWED, one


def test_a_new_connection_of_a_known_socket_renews_its_entries(lab: Lab) -> None:
    lab.load(mapping())
    lab.flight([packet(UDP, (HOME, 5000), (SERVERS[0], 53))])
    busy(lab)
    age(lab, f"map {EIM}", f"map {EIF}")
    lab.flight([packet(UDP, (HOME, 5000), (SERVERS[1], 53))])
    assert only(lab, EIM) > RENEWED
    assert only(lab, EIF) > RENEWED


def test_an_entry_has_its_whole_time_after_every_packet(lab: Lab) -> None:
    """`udp` and `tcp_active` count from the last packet, which a young token spares the renewal."""
    lab.load(mapping(keys="timeouts_inactivity: {udp: 160, tcp_active: 400}"))
    conversation = [packet(protocol, (HOME, 5000), (SERVERS[0], 53)) for protocol in (UDP, TCP)]
    for _ in range(2):  # the second packet renews, and makes its token young
        lab.flight(conversation)
    time.sleep(1.2)
    began = time.monotonic()
    lab.flight(conversation)
    ended = time.monotonic()
    for protocol, least in (("udp", 160), ("tcp", 400)):
        asked = time.monotonic()
        left = [only(lab, name, protocol) for name in (EIM, EIF)]
        answered = time.monotonic()
        assert least <= min(left) + answered - began, protocol
        assert max(left) + asked - ended <= least * 5 / 4, protocol


@pytest.mark.parametrize("refresh", ["on", "off"])
def test_a_connection_from_outside_renews_the_entry(lab: Lab, refresh: str) -> None:
    """With its answers alone where `udp_inbound_refresh` is off."""
    defaults = f"port_block_size: 128, udp_inbound_refresh: {refresh}"
    text = CGNAT.replace("HAIRPIN", "off").replace("FILTERING", "endpoint_independent")
    lab.load(site(text.replace("port_block_size: 128", defaults)).text.text)
    end = outside(lab, UDP, (HOME, 5000), SERVERS[0])
    call = Packet(UDP, SERVERS[1], 99, *end)
    (seen,) = lab.flight([("wan0", call)])
    answer = seen[0].packet.reply(0)
    lab.flight([("lan0", answer)])
    forget_tokens(lab)
    age(lab, f"map {EIM}", f"map {EIF}")
    lab.flight([("wan0", call)])
    assert (only(lab, EIM) > RENEWED) == (refresh == "on")
    lab.flight([("lan0", answer)])
    assert only(lab, EIM) > RENEWED
    assert only(lab, EIF) > RENEWED


def test_an_operators_mark_stays_and_its_connection_renews(lab: Lab) -> None:
    """Such a connection has no token: one of its packets in sixteen renews."""
    head = "dnat: {web: {protocol: udp, dst_port: 8001, dnat_port: 8080, mark: 10}}\n"
    lab.load(mapping(head=head))
    sent = packet(UDP, (HOME, 5000), (SERVERS[0], 8001))
    lab.flight([sent])
    assert "mark=10 " in lab.must("conntrack", "-L", "-p", "udp")
    age(lab, f"map {EIM}")
    lab.flight([sent] * 16)
    assert only(lab, EIM) > RENEWED
    assert "mark=10 " in lab.must("conntrack", "-L", "-p", "udp")


def test_who_renews_takes_another_token(lab: Lab) -> None:
    """Or it would renew with every packet from then on."""
    lab.load(mapping())
    tokens = set()
    for _ in range(5):
        lab.flight([packet(UDP, (HOME, 5000), (SERVERS[0], 53))])
        tokens.add(lab.must("conntrack", "-L", "-p", "udp").split("mark=")[1].split()[0])
        forget_tokens(lab)
    assert len(tokens) == 5


def test_entries_in_use_stay_while_others_are_busy(lab: Lab) -> None:
    """A token that has run out stays so, however many connections take and renew theirs: the entries of who
    sends a packet now and then never end."""
    lab.load(mapping())
    sparse = [packet(UDP, (HOME, 5000 + n), (SERVERS[0], 53)) for n in range(20)]
    others = [packet(UDP, (home, 9000 + n), (SERVERS[0], 53)) for home in HOMES for n in range(60)]
    lab.flight(sparse)
    forget_tokens(lab)
    for _ in range(3):
        lab.flight(others)
    age(lab, f"map {EIM}")
    lab.flight(sparse)
    left = entries(lab, EIM)
    mine = [f"{address_text(HOME)} . {5000 + n}" for n in range(20)]
    assert [socket for socket in mine if left[socket] <= RENEWED] == []


def test_a_running_connection_keeps_the_number_as_long_as_the_block(lab: Lab) -> None:
    lab.load(site(DYNAMIC).text.text)
    talk = packet(UDP, (home(1), 5000), (SERVERS[0], 53))
    assert lab.flight([talk])[0]
    forget_tokens(lab)
    age(lab, "map assigned1_homes", "set taken_homes")
    assert lab.flight([talk])[0]
    assert expires(lab, "map", "assigned1_homes") > RENEWED
    assert expires(lab, "set", "taken_homes") - expires(lab, "map", "assigned1_homes") >= 299


LINES = """
nat_defaults: {assignment_trial: 86400}
acls: {lines: {10: allow ip 10.0.0.0/24}}
pools:
  lines: {type: nat, acl: lines, priority: 1, global_ip: [203.0.113.0/29]}
"""
LINE = 10 << 24 | 7
TALK = (route(LINE), Packet(UDP, LINE, 5000, SERVERS[0], 53))


def called(lab: Lab, global_ip: int) -> list[tuple[str, int]]:
    """Where a connection from outside to an address comes out."""
    (places,) = lab.flight([("wan0", Packet(TCP, SERVERS[1], 99, global_ip, 22, SYN))])
    return [(seen.wire, seen.packet.destination) for seen in places]


def test_a_running_connection_keeps_the_way_in(lab: Lab) -> None:
    """Who has an address of a dynamic nat pool can be reached for as long as he talks."""
    lab.load(site(LINES).text.text)
    kept = ("map", "owners_lines"), ("map", "assigned1_lines"), ("set", "taken_lines")
    lab.flight([TALK])
    forget_tokens(lab)
    age(lab, *map(" ".join, kept))
    ((seen,),) = lab.flight([TALK])
    assert all(expires(lab, *one) > RENEWED for one in kept)
    assert called(lab, seen.packet.source) == [("lan0", LINE)]


def test_the_first_packet_opens_the_way_in_also_when_tokens_are_young(lab: Lab) -> None:
    lab.load(site(LINES).text.text)
    busy(lab)
    ((seen,),) = lab.flight([TALK])
    assert called(lab, seen.packet.source) == [("lan0", LINE)]


WATCH = """
table ip watch {
	counter marked { }
	counter left { }
	chain last {
		type filter hook postrouting priority 300
		counter name left
		meta mark != 0 counter name marked
	}
}
"""


@pytest.mark.parametrize(
    "text",
    [mapping, lambda: mapping(keys="randomize_ports: off"), lambda: site(DYNAMIC_WITH_ENTRIES).text.text],
    ids=["the kernel's ports", "ports in order", "dynamic"],
)
def test_no_packet_leaves_with_a_mark_of_ours(lab: Lab, text) -> None:  # type: ignore[no-untyped-def]
    """A later table, or a queue with a classifier, would take it for its own: first packets of a new socket
    and of a known one, and one that renews."""
    lab.load(text() + WATCH)
    for far in (SERVERS[0], SERVERS[1]):
        for protocol in (UDP, TCP):
            outside(lab, protocol, (HOME, 5000), far)
    forget_tokens(lab)
    outside(lab, UDP, (HOME, 5000), SERVERS[0])
    counted = {name: lab.must("nft", "list", "counter", "ip", "watch", name) for name in ("left", "marked")}
    assert "packets 10 " in counted["left"], "five questions and their answers"
    assert "packets 0 " in counted["marked"]


def many_pools() -> str:
    """Six pools, so that one look-up finds the pool of an address; the last two share theirs by ports."""
    last = "p4: {PORTS1024-32767", "p5: {PORTS32768-65535"
    pools = [f"p{n}: {{PORTS1024-65535" for n in range(4)]
    rest = "type: cgnat, acl: aN, priority: N, global_ip: [203.0.113.G], hairpin: on"
    lines = [
        "  "
        + pool.replace("PORTS", "port_range: ")
        + f", {rest.replace('N', str(n)).replace('G', str(min(n, 4) + 1))}}}"
        for n, pool in enumerate([*pools, *last])
    ]
    acls = [f"  a{n}: {{10: allow ip 100.64.{n}.0/28}}" for n in range(6)]
    return site("\n".join(["acls:", *acls, "pools:", *lines, ""])).text.text


def test_each_of_many_pools_renews_its_own_entries_and_no_other(lab: Lab) -> None:
    lab.load(many_pools())
    sockets = [(address(f"100.64.{n}.1"), 5000) for n in range(6)]
    conversation = [packet(UDP, socket, (SERVERS[0], 53)) for socket in sockets]
    ends = [seen[0].packet for seen in lab.flight(conversation)]
    called = packet(UDP, (sockets[0][0], 5001), (ends[5].source, ends[5].source_port))
    assert lab.flight([called])[0]
    maps = [f"map {name}_p{n}" for n in range(6) for name in ("eim", "eif")]
    for sent, renewed in ((conversation, range(6)), ([called], (0, 5))):
        forget_tokens(lab)
        age(lab, *maps)
        lab.flight(sent)
        for n in range(6):
            for name in ("eim", "eif"):
                left = entries(lab, f"{name}_p{n}")
                assert len(left) == (2 if n == 0 else 1), (n, left)
                assert (max(left.values()) > RENEWED) == (n in renewed), (name, n)
