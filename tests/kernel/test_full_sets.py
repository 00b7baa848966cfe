"""Sets that are full, and limits that are reached: what finds no place is dropped and counted under its own
reason; nothing leaves untranslated, and no limit ends."""

from __future__ import annotations

import re

import pytest

from nfcompile.model.parse import address
from support.frames import ICMP, SYN, TCP, UDP, UNREACHABLE, Packet
from support.lab import Lab
from support.packet_table import probe
from support.sites import site

SITE = """
nat_defaults: {port_block_size: 1024}
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/30], allocation: ALLOCATION,
          filtering: endpoint_independent, limits_peruser: {portlimit_icmp: 4KEYS}}
"""
HOME, FAR = address("100.64.0.1"), address("198.18.0.1")
BOTH = pytest.mark.parametrize("allocation", ["deterministic", "dynamic"])


def ruleset(allocation: str, keys: str = "", ports: str = "", **sizes: int) -> str:
    """The ruleset, with other sizes of its sets."""
    filtering = f"{ports}filtering"
    written = SITE.replace("ALLOCATION", allocation).replace("KEYS", keys).replace("filtering", filtering)
    text = site(written).text.text
    for name, size in sizes.items():
        text, changed = re.subn(rf"((?:set|map) {name}_homes {{[^}}]*?size )\d+", rf"\g<1>{size}", text)
        assert changed == 1
    return text


def counted(lab: Lab, name: str) -> int:
    listing = lab.must("nft", "list", "counter", "ip", "nfcompile", name)
    return int(re.search(r"packets (\d+)", listing)[1])  # type: ignore[index]


def left(lab: Lab, packets: list[tuple[str, Packet]]) -> list[int]:
    """Which packets came out; none with its own address."""
    found = lab.flight(packets)
    out = [number for number, places in enumerate(found) if any(seen.wire == "wan0" for seen in places)]
    private = [
        seen for places in found for seen in places if seen.wire == "wan0" and seen.packet.source < FAR
    ]
    assert private == []
    return out


@BOTH
def test_full_mapping_entries(lab: Lab, allocation: str) -> None:
    """Sockets that have entries go on; a new one is dropped, and told apart from a conflict."""
    lab.load(ruleset(allocation, eim=64, eif=128))
    sockets = [probe(UDP, HOME, FAR, 53) for _ in range(100)]
    first = left(lab, sockets)
    assert len(first) == 64
    conflicts = counted(lab, "conflict_count_homes")
    assert counted(lab, "full_count_homes") == 36 - conflicts
    assert conflicts < 10
    again = [(wire, packet._replace(destination_port=54)) for wire, packet in sockets]
    assert left(lab, again) == first


def test_a_full_set_of_tokens(lab: Lab) -> None:
    """Of a pool that leaves the port to the kernel."""
    lab.load(ruleset("dynamic", ports="randomize_ports: off, ", asking=4))
    out = left(lab, [probe(UDP, HOME, FAR, 53) for _ in range(20)])
    assert len(out) < 20
    assert counted(lab, "full_count_homes") == 20 - len(out)
    assert counted(lab, "race_count_homes") == 0


@BOTH
@pytest.mark.parametrize(("name", "keys"), [("icmp", ""), ("sessions", ", sessions: 100")])
def test_a_limit_does_not_end_where_its_set_is_full(lab: Lab, allocation: str, name: str, keys: str) -> None:
    lab.load(ruleset(allocation, keys, **{name: 2}))
    out = left(lab, [probe(ICMP, HOME + number, FAR) for number in range(5)])
    assert out == [0, 1]
    assert counted(lab, "full_count_homes") == 3


@BOTH
def test_all_sessions_of_a_subscriber_are_limited(lab: Lab, allocation: str) -> None:
    """Of all protocols together; the second packet too many is told, and others are free."""
    lab.load(ruleset(allocation, ", sessions: 10"))
    udp = [("lan0", Packet(UDP, HOME, 5000, FAR + n, 53)) for n in range(4)]
    tcp = [("lan0", Packet(TCP, HOME, 5000, FAR + n, 80, SYN)) for n in range(4)]
    icmp = [probe(ICMP, HOME, FAR) for _ in range(2)]
    assert len(left(lab, [*udp, *tcp, *icmp])) == 10
    more = ("lan0", Packet(TCP, HOME, 5001, FAR, 80, SYN))
    assert lab.flight([more]) == [()]
    ((told,),) = lab.flight([more])
    assert (told.wire, told.packet.protocol, told.packet.flags) == ("lan0", ICMP, UNREACHABLE)
    assert counted(lab, "sessions_count_homes") == 1
    assert left(lab, udp) == [0, 1, 2, 3]
    assert len(left(lab, [probe(TCP, HOME + 1, FAR, 80)])) == 1


def test_what_the_outside_opens_counts_as_the_subscribers(lab: Lab) -> None:
    """One socket that anybody may reach does not fill the table of connections."""
    lab.load(ruleset("deterministic", ", sessions: 10"))
    ((out,),) = lab.flight([("lan0", Packet(UDP, HOME, 5000, FAR, 53))])
    mapped = out.packet.source, out.packet.source_port
    arrived = lab.flight(("wan0", Packet(UDP, FAR + 1 + n, 999, *mapped)) for n in range(20))
    assert [bool(one) for one in arrived] == [True] * 9 + [False] * 11
    assert counted(lab, "sessions_count_homes") == 11


INBOUND = SITE.replace("filtering", "inbound: subscriber, filtering").replace("ALLOCATION", "deterministic")


def arriving(subscriber: int, count: int) -> list[tuple[str, Packet]]:
    """Datagrams of so many strangers to the block of a subscriber, of which each address has one here."""
    block = address("203.0.113.0") + subscriber % 4
    return [("wan0", Packet(UDP, FAR + 1 + n, 999, block, 1024)) for n in range(count)]


def test_what_the_outside_opens_first_counts_too(lab: Lab) -> None:
    lab.load(site(INBOUND.replace("KEYS", ", sessions: 10")).text.text)
    arrived = lab.flight(arriving(0, 12))
    assert [bool(one) for one in arrived] == [True] * 10 + [False] * 2
    assert counted(lab, "sessions_count_homes") == 2


def test_what_the_outside_opens_has_a_place_in_the_set_or_is_dropped(lab: Lab) -> None:
    text = site(INBOUND.replace("KEYS", ", sessions: 10")).text.text
    text, changed = re.subn(r"(set sessions_homes \{[^}]*?size )\d+", r"\g<1>2", text)
    assert changed == 1
    lab.load(text)
    arrived = lab.flight([*arriving(0, 1), *arriving(1, 1), *arriving(2, 1), *arriving(1, 2)[1:]])
    assert [bool(one) for one in arrived] == [True, True, False, True]
    assert counted(lab, "full_count_homes") == 1


def test_a_socket_that_the_set_has_no_place_for_is_refused(lab: Lab) -> None:
    """`sessions_per_translation`: or the limit would end where the set is full."""
    text = site(
        SITE.replace("{port_block_size", "{sessions_per_translation: 5, port_block_size")
        .replace("ALLOCATION", "deterministic")
        .replace("KEYS", "")
    ).text.text
    text, changed = re.subn(r"(set sessions \{[^}]*?size )\d+", r"\g<1>2", text)
    assert changed == 1
    lab.load(text)
    sockets = [("lan0", Packet(UDP, HOME, 5000 + n, FAR, 53)) for n in range(4)]
    assert left(lab, sockets) == [0, 1]
    assert counted(lab, "full_sessions") == 2
