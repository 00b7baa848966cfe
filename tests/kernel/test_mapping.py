"""Mapping entries: endpoint-independent mapping and filtering, hairpin, against RFC 4787's words."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from nfcompile.allocation.lookup import lookups
from nfcompile.lower.computed_ports import port_plan
from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from nfcompile.pipeline import Compiled
from support.frames import TCP, UDP, Packet
from support.lab import Lab
from support.lifetimes import RENEWED, age, forget_tokens
from support.mapping_pools import CGNAT, HOME, OTHER, SERVERS, entries, homes, outside, packet
from support.sites import site


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_a_socket_has_one_global_port(lab: Lab, protocol: int) -> None:
    """RFC 4787 REQ-1: the same mapping towards every server, also when others crowd the block."""
    compiled = homes()
    lab.load(compiled.text.text)
    seen: dict[int, set[tuple[int, int]]] = {}
    for far in SERVERS:
        for port in range(40000, 40064):
            seen.setdefault(port, set()).add(outside(lab, protocol, (HOME, port), far))

    assert all(len(ends) == 1 for ends in seen.values())
    ends = [next(iter(found)) for found in seen.values()]
    assert len(set(ends)) == len(ends)
    block = lookups(compiled.allocations, HOME)[0]
    assert {address_text(a) for a, _ in ends} == {block.global_ip}
    assert all(block.port_first <= port <= block.port_last for _, port in ends)


def crowd(lab: Lab, text: str) -> int:
    """How many of a household's 600 live sockets get through, each to a server of its own; who does has a
    port of its own, towards a second server too."""
    lab.load(text)
    ports = random.Random(7).sample(range(32768, 61000), 600)
    far = [SERVERS[0] + n % 200 for n in range(600)]
    seen = lab.flight(packet(UDP, (HOME, port), (to, 53)) for port, to in zip(ports, far, strict=True))
    ends = [places[0].packet.source_port for places in seen if places]
    assert len(ends) == len(set(ends))
    known = {entry: ends for entry, ends in zip(ports, seen, strict=True) if ends}
    again = lab.flight(packet(UDP, (HOME, port), (SERVERS[0] + 220, 53)) for port in known)
    assert [one[0].packet.source_port for one in again] == [
        one[0].packet.source_port for one in known.values()
    ]
    return len(known)


@pytest.mark.parametrize(("size", "least"), [(1024, 600), (1008, 599)])
@pytest.mark.parametrize("more", ["", "randomize_ports: on", "allocation: dynamic"])
def test_no_first_packet_is_lost_to_a_port_of_another_socket(
    lab: Lab, size: int, least: int, more: str
) -> None:
    """The kernel's choice alone loses about 150 of 600."""
    block = f"{{port_block_size: {size}}}\nacls"
    text = CGNAT.replace("HAIRPIN", "on").replace("filtering: FILTERING", more)
    text = text.replace("{port_block_size: 128}\nacls", block).replace(": 128", f": {size}")
    assert crowd(lab, site(text).text.text) >= least


def by_address(
    size: int, subscribers: str, globals_: str, more: str = "", udp: int = 0, unit: int = 0
) -> Compiled:
    """A pool that fills one address before the next, with two short look-ups to the block of a subscriber."""
    text = CGNAT.replace("HAIRPIN", "on").replace(
        "FILTERING", f"endpoint_independent\n    fill: address{more}"
    )
    text = text.replace("{port_block_size: 128}", f"{{port_block_size: {unit or size}}}")
    text = text.replace("_udp: 128", f"_udp: {udp or size}").replace("_tcp: 128", f"_tcp: {size}")
    compiled = site(text.replace("100.64.0.0/26", subscribers).replace("203.0.113.0/28", globals_))
    plan = port_plan(compiled.allocations[0])
    assert plan is not None
    assert plan.shape is not None
    return compiled


@pytest.mark.parametrize(("size", "least"), [(1024, 600), (1008, 599)])
@pytest.mark.parametrize("more", ["", "\n    randomize_ports: on"])
def test_nor_where_one_address_is_filled_before_the_next(lab: Lab, size: int, least: int, more: str) -> None:
    assert crowd(lab, by_address(size, "100.64.0.0/20", "203.0.113.0/25", more).text.text) >= least


@pytest.mark.parametrize("protocol", [TCP, UDP])
@pytest.mark.parametrize("udp", [1000, 500])
def test_ports_are_computed_in_every_block_of_an_address(lab: Lab, protocol: int, udp: int) -> None:
    """The first packet of a subscriber comes out with the block that `lookup` says, and the answer comes
    back; so does a datagram of another subscriber. Protocols may have different limits."""
    compiled = by_address(1000, "100.64.0.0/21", "203.0.113.0/25", udp=udp, unit=500)
    lab.load(compiled.text.text)
    first = address("100.64.0.0")
    for subscriber in (first, first + 1, first + 63, first + 64, first + 700, first + 2047):
        block = lookups(compiled.allocations, subscriber)[0]
        assert block.port_first is not None
        last = block.port_first + (udp if protocol == UDP else 1000) - 1
        for port in (40001, 500):
            end = outside(lab, protocol, (subscriber, port), SERVERS[0], 1)
            assert address_text(end[0]) == block.global_ip
            assert block.port_first <= end[1] <= last
            (seen,) = lab.exchange([packet(protocol, (HOME, 41000), end)])
            assert seen.out[0].packet[3:5] == (subscriber, port)


GLOBALS = "203.0.113.0/30, 203.0.113.9, 203.0.113.16-203.0.113.18"


@pytest.mark.parametrize("protocol", [TCP, UDP])
@pytest.mark.parametrize(
    ("globals_", "last", "prefixes"),
    [
        (GLOBALS, 1535, 4),
        ("203.0.113.0/30, 203.0.113.9", 1855, 2),
        ("203.0.113.9, 203.0.113.17", 3071, 2),
        ("203.0.113.9", 65535, 1),
    ],
)
def test_ports_are_computed_on_every_prefix(
    lab: Lab, protocol: int, globals_: str, last: int, prefixes: int
) -> None:
    """The first packet of every subscriber comes out with the block that `lookup` says, and the answer comes
    back; so does a datagram of another subscriber (hairpin)."""
    text = CGNAT.replace("HAIRPIN", "on").replace("FILTERING", "endpoint_independent")
    text = text.replace("[203.0.113.0/28]", f"[{globals_}]\n    port_range: 1024-{last}")
    text = text.replace(": 128", ": 64")
    compiled = site(text)
    plan = port_plan(compiled.allocations[0])
    assert plan is not None
    assert len(plan.prefixes) == prefixes
    lab.load(compiled.text.text)
    for subscriber in range(address("100.64.0.0"), address("100.64.0.0") + 64, 5):
        block = lookups(compiled.allocations, subscriber)[0]
        for port in (40001, 500):
            end = outside(lab, protocol, (subscriber, port), SERVERS[0], 1)
            assert address_text(end[0]) == block.global_ip
            assert block.port_first <= end[1] <= block.port_last
            (seen,) = lab.exchange([packet(protocol, (HOME, 41000), end)])
            assert seen.out[0].packet[3:5] == (subscriber, port)


@pytest.mark.parametrize(("size", "addresses"), [(1024, 4200), (1024, 700), (256, 64), (128, 40), (63, 4)])
def test_default_pools_load_without_privileges(tmp_path: Path, size: int, addresses: int) -> None:
    """One batch of netlink messages has to fit the buffer of a user without privileges, whatever the number
    of blocks; up to 256 of them have a chain each."""
    last = address_text(address("203.0.0.0") + addresses - 1)
    text = CGNAT.replace("HAIRPIN", "on").replace("FILTERING", "endpoint_independent")
    text = text.replace("203.0.113.0/28", f"203.0.0.0-{last}").replace(": 128", f": {size}")
    most = min(64000, addresses * (64512 // size))
    text = text.replace("100.64.0.0/26", f"100.64.0.0-{address_text(address('100.64.0.0') + most - 1)}")
    _loaded_by_a_user(site(text), tmp_path)


@pytest.mark.parametrize(("size", "addresses"), [(1024, 60), (1008, 30)])
def test_so_do_those_that_fill_one_address_before_the_next(tmp_path: Path, size: int, addresses: int) -> None:
    last = address_text(address("203.0.0.0") + addresses - 1)
    most = addresses * (64512 // size)
    subscribers = f"100.64.0.0-{address_text(address('100.64.0.0') + most - 1)}"
    _loaded_by_a_user(by_address(size, subscribers, f"203.0.0.0-{last}"), tmp_path)


def _loaded_by_a_user(compiled: Compiled, folder: Path) -> None:
    ruleset = folder / "ruleset.nft"
    ruleset.write_text(compiled.text.text)
    subprocess.run(["unshare", "-Urn", "nft", "-f", str(ruleset)], check=True, timeout=60)


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_the_block_is_the_limit(lab: Lab, protocol: int) -> None:
    """Ports are counted, not sessions: 128 sockets get a port each, to whatever server; no more do."""
    lab.load(homes().text.text)
    ends = {outside(lab, protocol, (HOME, 20000 + n), SERVERS[n % 4], 400) for n in range(120)}
    assert len(ends) == 120
    more = [packet(protocol, (HOME, 30000 + n), (SERVERS[n % 4], 443)) for n in range(300)]
    ends |= {(o.out[0].packet.source, o.out[0].packet.source_port) for o in lab.exchange(more) if o.out}
    assert len(ends) <= 128


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_endpoint_independent_filtering(lab: Lab, protocol: int) -> None:
    """RFC 4787 REQ-8: whoever knows the mapping may answer, if the pool says so; nobody else if not."""
    for filtering, open_to_all in (("endpoint_independent", True), ("address_and_port_dependent", False)):
        lab.load(homes(filtering=filtering).text.text)
        mapped = outside(lab, protocol, (HOME, 41000), SERVERS[0])
        stranger = packet(protocol, (SERVERS[3], 999), mapped)
        nobody = packet(protocol, (SERVERS[3], 999), (mapped[0], mapped[1] ^ 1))
        reached, dropped = lab.exchange([stranger, nobody])
        assert not dropped.out
        assert bool(reached.out) == open_to_all
        if open_to_all:
            assert reached.out[0].packet[3:5] == (HOME, 41000)
            assert reached.back[0].packet[1:3] == mapped


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_hairpin(lab: Lab, protocol: int) -> None:
    """RFC 4787 REQ-9: each subscriber sees the other's global address and port; himself too."""
    lab.load(homes().text.text)
    theirs = outside(lab, protocol, (OTHER, 42000), SERVERS[0])
    mine = outside(lab, protocol, (HOME, 41000), SERVERS[0])
    for source, seen_as in (((HOME, 41000), mine), ((OTHER, 42000), theirs)):
        (outcome,) = lab.exchange([packet(protocol, source, theirs)])
        assert outcome.out[0].packet[1:5] == (*seen_as, OTHER, 42000)
        assert outcome.out[0].wire == "lan0"
        assert outcome.back[0].packet[1:5] == (*theirs, *source)


@pytest.mark.parametrize(("mark", "takes"), [("0x2/0xf", False), ('"!0x2/0xf"', True), ("10", False)])
def test_a_token_is_no_mark_of_a_rule(lab: Lab, mark: str, takes: bool) -> None:
    """Connections to a mapping have a token as mark, of which a rule may ask for some bits: it is mark 0."""
    rule = f"snat: {{back: {{interface: lan0, mark: {mark}, snat_ip: 198.51.100.9}}}}\n"
    dnat = (
        "dnat: {two: {protocol: tcp, dst_port: 9, mark: 2}, ten: {protocol: tcp, dst_port: 10, mark: 10}}\n"
    )
    lab.load(
        site(
            CGNAT.replace("HAIRPIN", "on").replace("FILTERING", "endpoint_independent") + rule + dnat
        ).text.text
    )
    theirs = outside(lab, UDP, (OTHER, 42000), SERVERS[0])
    lab.must("nft", "flush map ip nfcompile now; add element ip nfcompile now { ip : 0x1000002 }")
    (outcome,) = lab.exchange([packet(UDP, (HOME, 41000), theirs)])
    assert outcome.out[0].packet.destination == OTHER
    assert (outcome.out[0].packet.source == address("198.51.100.9")) is takes


def test_hairpin_off(lab: Lab) -> None:
    lab.load(homes(hairpin="off", filtering="endpoint_independent").text.text)
    theirs = outside(lab, UDP, (OTHER, 42000), SERVERS[0])
    (outcome,) = lab.exchange([packet(UDP, (HOME, 41000), theirs)])
    assert not outcome.out


def test_an_idle_mapping_keeps_its_port(lab: Lab) -> None:
    """The session has ended, the mapping has not: its port goes to nobody else, and comes back to it."""
    lab.load(homes().text.text)
    mine = outside(lab, UDP, (HOME, 41000), SERVERS[0])
    lab.forget()
    others = {outside(lab, UDP, (HOME, 50000 + n), SERVERS[0], 400) for n in range(100)}
    assert mine not in others
    lab.forget()
    assert outside(lab, UDP, (HOME, 41000), SERVERS[1]) == mine


def test_ports_in_order(lab: Lab) -> None:
    """`randomize_ports: off`: the ports of the block one by one."""
    compiled = site(
        CGNAT.replace("HAIRPIN", "on\n    randomize_ports: off").replace("    filtering: FILTERING\n", "")
    )
    lab.load(compiled.text.text)
    ends = [outside(lab, UDP, (HOME, 50000 - n), SERVERS[n % 4]) for n in range(20)]
    first = lookups(compiled.allocations, HOME)[0].port_first
    assert first is not None
    assert [port for _, port in ends] == list(range(first, first + 20))
    assert outside(lab, UDP, (HOME, 50000), SERVERS[3]) == ends[0]


@pytest.mark.parametrize("chosen", ["off", "on"])
def test_every_port_of_the_block_and_none_beside_it(lab: Lab, chosen: str) -> None:
    """The first and the last block of an address; a protocol with a smaller limit has the first ports."""
    compiled = site(f"""
nat_defaults: {{port_block_size: 8}}
acls: {{homes: {{10: allow ip 100.64.0.4/31}}}}
pools:
  homes: {{type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.1], port_range: 1024-1055,
          randomize_ports: {chosen}, limits_peruser: {{portlimit_tcp: 8, portlimit_udp: 16}}}}
""")
    lab.load(compiled.text.text)
    for protocol, size in ((TCP, 8), (UDP, 16)):
        for home, first in ((HOME - 1, 1024), (HOME, 1040)):
            seen = lab.flight(packet(protocol, (home, 5000 + n), (SERVERS[0], 443)) for n in range(200))
            ports = [places[0].packet.source_port for places in seen if places]
            assert sorted(ports) == list(range(first, first + size))


def test_ports_at_random(lab: Lab) -> None:
    """`randomize_ports: on`: anywhere in the block, at the right address, and still one port for a socket."""
    compiled = site(
        CGNAT.replace("HAIRPIN", "on\n    randomize_ports: on").replace("    filtering: FILTERING\n", "")
    )
    lab.load(compiled.text.text)
    for home in (HOME, OTHER):
        block = lookups(compiled.allocations, home)[0]
        inside = range(block.port_first or 0, (block.port_last or 0) + 1)
        ends = [outside(lab, TCP, (home, inside[n]), SERVERS[n % 4]) for n in range(30)]
        assert {address_text(a) for a, _ in ends} == {block.global_ip}
        assert all(port in inside for _, port in ends)
        assert sum(port == inside[n] for n, (_, port) in enumerate(ends)) < 10  # source ports are not kept
        assert [outside(lab, TCP, (home, inside[n]), SERVERS[3]) for n in range(30)] == ends


def test_new_sockets_are_learnt_while_tokens_are_young(lab: Lab) -> None:
    """A new connection takes the token of the others, which is young: its entries are made all the same."""
    lab.load(homes().text.text)
    homes_ = [address("100.64.0.1") + n for n in range(20)]
    busy = [packet(UDP, (home, 30000 + n), (SERVERS[0], 443)) for home in homes_ for n in range(60)]
    for _ in range(3):
        lab.exchange(busy)
    assert "expires" in lab.must("nft", "list", "set", "ip", "nfcompile", "recent_tokens")
    fresh = {(home, 50000 + n) for home in homes_ for n in range(10)}
    for socket in fresh:
        outside(lab, UDP, socket, SERVERS[1])
    known = entries(lab, "eim_homes")
    assert not {socket for socket in fresh if f"{address_text(socket[0])} . {socket[1]}" not in known}


@pytest.mark.parametrize("refresh", ["on", "off"])
def test_packets_from_outside_renew_an_entry_where_they_may(lab: Lab, refresh: str) -> None:
    """`udp_inbound_refresh` (RFC 4787 REQ-6, RFC 7857 section 7): off, the inside alone keeps it open."""
    text = CGNAT.replace("HAIRPIN", "on").replace("FILTERING", "endpoint_independent")
    text = text.replace("port_block_size: 128", f"port_block_size: 128, udp_inbound_refresh: {refresh}")
    lab.load(site(text).text.text)
    (opened,) = lab.exchange([packet(UDP, (HOME, 5000), (SERVERS[0], 53))])
    end, socket = opened.out[0].packet, f"{address_text(HOME)} . 5000"
    forget_tokens(lab)
    age(lab, "map eim_homes")
    for far in (SERVERS[0], SERVERS[1]):
        (seen,) = lab.flight([("wan0", Packet(UDP, far, 53, end.source, end.source_port))])
        assert seen
    assert (entries(lab, "eim_homes")[socket] > RENEWED) == (refresh == "on")
    lab.flight([packet(UDP, (HOME, 5000), (SERVERS[0], 53))])
    assert entries(lab, "eim_homes")[socket] > RENEWED
