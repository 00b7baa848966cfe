"""First packets on two processors at once: what a packet takes without asking anybody is taken only once.

A frame that is written into a wire goes the gateway's whole way, source NAT included, on the processor of
who wrote it. So one process on each of two processors, and a meeting before every frame, make the ruleset
run twice at the same time; `Meeting` counts how often it did.

The checker is tried too: with each claim of the ruleset replaced by what one would write first, a look-up
and then an add, the same storm has to end in a fault. Where the window between the two is a few nanoseconds
it is widened with rules that match nothing, for both forms: what is exclusive stays so.
"""

from __future__ import annotations

import gc
import json
import mmap
import multiprocessing
import os
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import pytest

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.frames import ECHO, ICMP, SYN, TCP, UDP, Packet, frame
from support.lab import BATCH, Lab, cannot
from support.sites import site
from support.waiting import PATIENCE
from support.wires import WIRE

SIDES = ("lan0", "lan1")
"""The wires of the two processors."""
SUBSCRIBERS, ADDRESSES, BLOCK = 512, 8, 8
BLOCKS_EACH = SUBSCRIBERS // ADDRESSES
FIRST_HOME, FIRST_PORT = address("100.64.0.1"), 1024
SERVERS = "198.18.0.1", "198.18.0.2"

POOL = """
interfaces: {inside: [lan0, lan1], outside: [wan0]}
nat_defaults: {port_block_size: SIZE}
acls: {homes: {10: allow ip 100.64.0.0/16}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    allocation: dynamic
    global_ip: [GLOBALS]
    port_range: 1024-LAST
    hairpin: HAIRPIN
    limits_peruser: {portlimit_tcp: SIZE, portlimit_udp: SIZE, portlimit_icmp: SIZE}
"""
STATIC = """
interfaces: {inside: [lan0, lan1], outside: [wan0]}
nat_defaults: {port_block_size: 128}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    global_ip: [203.0.113.0/29]
    limits_peruser: {portlimit_tcp: 128, portlimit_udp: 128}
    hairpin: on
"""


def dynamic(addresses: int, blocks_each: int, size: int = BLOCK, hairpin: str = "off") -> str:
    """The ruleset of a pool with that many global addresses and blocks on each."""
    text = POOL.replace("SIZE", str(size)).replace("LAST", str(FIRST_PORT + blocks_each * size - 1))
    last = address_text(address("203.0.113.0") + addresses - 1)
    return site(text.replace("GLOBALS", f"203.0.113.0-{last}").replace("HAIRPIN", hairpin)).text.text


# ---- the same ruleset, naive or slowed down


def replaced(text: str, pattern: str, by: str, most: int = 0) -> str:
    """The text with a rule written otherwise; it has to be there."""
    made, count = re.subn(pattern, by, text, count=most)
    assert count, f"no rule like {pattern}"
    return made


def without_claims(text: str) -> str:
    """A free number is looked up, then added: no claim between the two."""
    text = replaced(text, r"add @claimed_homes \{ meta mark limit rate [^}]*\} (goto keep_homes)", r"\1")
    return replaced(text, r"\t\tmeta mark @taken_homes return.*\n", "")


def without_asking(text: str) -> str:
    """A subscriber without a block searches one, whoever else does so for him."""
    return replaced(text, r"add @asking1_homes \{ ip saddr limit rate [^}]*\} (goto search1_homes)", r"\1")


def without_sockets(text: str) -> str:
    """A new socket's port is written down, whoever else does so for it."""
    claim = r"(add @asking_homes \{ meta l4proto \. ct original [^}]*?) limit [^}]*\} .* drop"
    return replaced(text, claim, r"\1 }")


def without_ports(text: str) -> str:
    """The owner of a port is written down, whoever else owns it."""
    text = re.sub(r"\t\tmeta l4proto [^@]* add @asking_\w+ \{ meta l4proto \. ct reply .* drop.*\n", "", text)
    return replaced(text, r"(add @eif_\w+ \{[^}]*?) limit rate over [^}:]*?packets([^}]*\}) .* drop", r"\1\2")


def widened(text: str) -> str:
    """Every look at a number or a subscriber takes some microseconds until it is acted on."""
    idle = "\tchain idle {\n" + "\t\tip protocol 255 drop\n" * 100 + "\t}\n\n"
    wait = "\t\tjump idle\n" * 20
    for chain in ("keep_homes", "search1_homes"):
        text = replaced(text, rf"(\tchain {chain} \{{\n(?:\t\tcomment .*\n)?)", rf"\1{wait}")
    text = replaced(text, r"(\t\tadd @ontrial1_homes)", rf"{wait}\1")
    return replaced(text, r"(?m)^(\tchain)", rf"{idle}\1", 1)


def as_it_is(text: str) -> str:
    return text


# ---- two processors


class Meeting(NamedTuple):
    """How many frames two processors wrote in step, and how many of them at the same time."""

    frames: int = 0
    together: int = 0


class Processors:
    """A process on each of two processors, with a frame each to write at the same time."""

    def __init__(self, lab: Lab, numbers: Sequence[int]) -> None:
        self.lab, self.numbers = lab, tuple(numbers)
        self.met = Meeting()
        self._gate = mmap.mmap(-1, mmap.PAGESIZE)
        self._turn = 0
        self._senders = []
        self._pipes: list[Connection] = []
        for me, processor in enumerate(self.numbers):
            ours, theirs = multiprocessing.Pipe()
            arguments = theirs, (ours, *self._pipes), lab.ends, self._gate, me, processor
            sender = multiprocessing.get_context("fork").Process(target=_send, args=arguments, daemon=True)
            sender.start()
            theirs.close()
            self._senders.append(sender)
            self._pipes.append(ours)

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for sender in self._senders:
            sender.kill()
            sender.join()

    def write(self, halves: Sequence[Sequence[tuple[str, bytes]]]) -> None:
        """Write frames into wires, each half on its processor and in its order."""
        meetings = min(map(len, halves))
        for pipe, half in zip(self._pipes, halves, strict=True):
            pipe.send((self._turn, meetings, half))
        spans = []
        for pipe in self._pipes:
            assert pipe.poll(PATIENCE), "a processor does not answer"
            spans.append(pipe.recv())
        self._turn += meetings
        pairs = list(zip(*spans, strict=False))[:meetings]
        together = sum(max(a[0], b[0]) < min(a[1], b[1]) for a, b in pairs)
        self.met = Meeting(self.met.frames + meetings, self.met.together + together)

    def drain(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """Token, address and port of all that comes out at wan0 until no processor has anything to do."""
        before = os.sched_getaffinity(0)
        try:
            for processor in self.numbers:
                os.sched_setaffinity(0, {processor})
                for wire, packet in self.lab.drain():
                    if wire == "wan0":
                        assert packet.sound
                        yield packet.token, (packet.source, packet.source_port)
        finally:
            os.sched_setaffinity(0, before)


def _send(
    pipe: Connection, others: Iterable[Connection], ends: Any, gate: mmap.mmap, me: int, processor: int
) -> None:
    """The life of one of the two: write frames, each when the other one is ready too."""
    for other in others:
        other.close()
    os.sched_setaffinity(0, {processor})
    places = memoryview(gate).cast("q")
    mine, theirs = 16 * me, 16 * (1 - me)
    clock = time.monotonic_ns
    gc.disable()
    while True:
        try:
            turn, meetings, frames = pipe.recv()
        except EOFError:
            return
        spans = []
        for number, (wire, data) in enumerate(frames):
            send = ends[wire].send
            if number < meetings:
                turn += 1
                places[mine] = turn
                for _ in range(100_000_000):
                    if places[theirs] >= turn:
                        break
                else:
                    raise TimeoutError("the other processor did not come")
            began = clock()
            send(data)
            spans.append((began, clock()))
        pipe.send(spans)


@pytest.fixture(scope="module")
def processors(lab: Lab) -> Iterator[Processors]:
    numbers = sorted(os.sched_getaffinity(0))[:2]
    if len(numbers) < 2:
        cannot("only one processor")
    made = Processors(lab, numbers)
    try:
        yield made
    finally:
        made.close()


class Storm(NamedTuple):
    """What came out, by token; how often frames were written, and which never came out."""

    ends: dict[int, tuple[int, int]]
    written: int
    lost: int


def storm(processors: Processors, halves: Sequence[Sequence[Packet]], tries: int = 30) -> Storm:
    """Send packets on both processors at once; what does not come out is sent again, so many times."""
    ends: dict[int, tuple[int, int]] = {}
    written = 0
    for _ in range(tries):
        frames = [
            [(wire, frame(p, WIRE[wire].mac(1), WIRE[wire].mac(2))) for p in half if p.token not in ends]
            for wire, half in zip(SIDES, halves, strict=True)
        ]
        most = max(map(len, frames))
        if not most:
            break
        for start in range(0, most, BATCH):
            processors.write([half[start : start + BATCH] for half in frames])
            ends.update(processors.drain())
        written += sum(map(len, frames))
    return Storm(ends, written, sum(p.token not in ends for half in halves for p in half))


# ---- blocks


class Faults(NamedTuple):
    """What must not be; all zero where allocation is exclusive."""

    shared_blocks: int
    numbers_of_two: int
    subscribers_of_two: int
    leaked_numbers: int
    elsewhere: int


def elements(lab: Lab, kind: str, name: str) -> list[Any]:
    """The elements of a set, or the pairs of a map, without their timeouts."""
    said = json.loads(lab.must("nft", "-j", "list", kind, "ip", "nfcompile", name))
    found = next(entry[kind] for entry in said["nftables"] if kind in entry).get("elem", [])

    def plain(value: Any) -> Any:
        value = value["elem"]["val"] if isinstance(value, dict) and "elem" in value else value
        return tuple(value["concat"]) if isinstance(value, dict) and "concat" in value else value

    return [tuple(map(plain, one)) if isinstance(one, list) else plain(one) for one in found]


def counted(lab: Lab, word: str) -> int:
    said = lab.must("nft", "list", "counter", "ip", "nfcompile", f"{word}_count_homes")
    return int(re.findall(r"packets (\d+)", said)[0])


def homes(count: int, seed: int) -> list[int]:
    """So many subscribers in some order."""
    found = [FIRST_HOME + number for number in range(count)]
    random.Random(seed).shuffle(found)
    return found


def connections(
    lab: Lab, subscribers: Sequence[int], each: int, port: int, far: str = SERVERS[0], protocol: int = UDP
) -> list[Packet]:
    """The first connection of all, then the second of all, and so on."""
    flags = {TCP: SYN, ICMP: ECHO}.get(protocol, 0)
    far_port = 0 if protocol == ICMP else 443
    return [
        Packet(protocol, home, port + number, address(far), far_port, flags, lab.token())
        for number in range(each)
        for home in subscribers
    ]


def places(lab: Lab) -> dict[int, tuple[int, int]]:
    """The address and the first port of each number, by the two maps that the kernel has."""
    blocks = {
        bits: int(verdict["jump"]["target"].rpartition("_")[2].partition("-")[0])
        for bits, verdict in elements(lab, "map", "blocks_homes")
    }
    return {
        number | bits: (address(at), port)
        for number, at in elements(lab, "map", "addresses_homes")
        for bits, port in blocks.items()
    }


def faults(lab: Lab, seen: Storm, halves: Sequence[Sequence[Packet]]) -> tuple[Faults, dict[str, int]]:
    """What is wrong with the blocks of all who sent; and the numbers that the kernel has them under."""
    place = places(lab)
    assert min(place) > 0
    size = sorted({port for _, port in place.values()})[1] - FIRST_PORT
    assigned = dict(elements(lab, "map", "assigned1_homes") + elements(lab, "map", "ontrial1_homes"))
    taken = set(elements(lab, "set", "taken_homes"))
    blocks_of, homes_of = defaultdict(set), defaultdict(set)
    for packet in (p for half in halves for p in half if p.token in seen.ends):
        end, port = seen.ends[packet.token]
        block = end, port - (port - FIRST_PORT) % size
        blocks_of[packet.source].add(block)
        homes_of[block].add(packet.source)
    elsewhere = sum(
        found != {place[assigned[address_text(home)]]}
        for home, found in blocks_of.items()
        if address_text(home) in assigned and len(found) == 1
    )
    return Faults(
        sum(len(found) > 1 for found in homes_of.values()),
        len(assigned) - len(set(assigned.values())),
        sum(len(found) > 1 for found in blocks_of.values()),
        len(taken ^ set(assigned.values())),
        elsewhere + sum(address_text(home) not in assigned for home in blocks_of),
    ), assigned


def filled(lab: Lab, assigned: dict[str, int]) -> Counter[str]:
    """How many subscribers each global address has."""
    place = places(lab)
    return Counter(address_text(place[number][0]) for number in assigned.values())


def fill(
    lab: Lab,
    processors: Processors,
    text: str,
    seeds: tuple[int, int],
    protocol: int = UDP,
    tries: int = 30,
) -> Faults:
    """As many new subscribers as blocks, three connections of each on both processors; what is wrong then."""
    lab.load(text)
    processors.met = Meeting()
    halves = [
        connections(lab, homes(SUBSCRIBERS, seed), 3, port, protocol=protocol)
        for seed, port in zip(seeds, (5000, 6000), strict=True)
    ]
    seen = storm(processors, halves, tries)
    found, assigned = faults(lab, seen, halves)
    counters = {word: counted(lab, word) for word in ("assigned", "exhausted", "waiting")}
    each = sorted(set(filled(lab, assigned).values()))
    print(
        f"{summary(seen, halves)}, {len(assigned)} assigned, {each=}, {found}, {counters}, {processors.met}"
    )
    if not any(found):
        assert seen.lost == 0
        assert len(assigned) == counters["assigned"] == SUBSCRIBERS
        assert each == [BLOCKS_EACH]
    return found


def summary(seen: Storm, halves: Sequence[Sequence[Packet]]) -> str:
    return f"{seen.written} frames for {sum(map(len, halves))}, {seen.lost} lost"


NO_FAULTS = Faults(0, 0, 0, 0, 0)
TURNS = 50
"""How often two processors that other work keeps apart may try to meet."""


@pytest.mark.parametrize("slowed", [as_it_is, widened])
@pytest.mark.parametrize("protocol", [UDP, TCP])
@pytest.mark.parametrize("seeds", [(1, 2), (3, 3)], ids=["other-order", "same-order"])
def test_every_subscriber_one_block(
    lab: Lab,
    processors: Processors,
    slowed: Callable[[str], str],
    protocol: int,
    seeds: tuple[int, int],
) -> None:
    """512 subscribers on 512 blocks, all of them new to both processors at once."""
    text = slowed(dynamic(ADDRESSES, BLOCKS_EACH))
    for _ in range(TURNS):
        assert fill(lab, processors, text, seeds, protocol) == NO_FAULTS
        if processors.met.together > processors.met.frames / 10:
            return
    raise AssertionError("the two did not run at the same time")


def test_the_storm_finds_two_searches_for_one_subscriber(lab: Lab, processors: Processors) -> None:
    """Without the claim of the subscriber, both processors take him a block and one is leaked."""
    text = without_asking(dynamic(ADDRESSES, BLOCKS_EACH))

    def found() -> bool:
        seen = fill(lab, processors, text, (4, 4), tries=2)
        return bool(seen.leaked_numbers and seen.subscribers_of_two)

    assert any(found() for _ in range(TURNS))


def test_half_a_pool_is_spread_equally(lab: Lab, processors: Processors) -> None:
    lab.load(dynamic(ADDRESSES, BLOCKS_EACH))
    everybody = homes(SUBSCRIBERS // 2, 5)
    halves = [connections(lab, everybody[side::2], 3, 5000) for side in (0, 1)]
    seen = storm(processors, halves)
    found, assigned = faults(lab, seen, halves)
    assert found == NO_FAULTS
    assert seen.lost == 0
    assert set(filled(lab, assigned).values()) == {BLOCKS_EACH // 2}


ROUNDS, FEW, MANY = 40, 9, 32


def scramble(lab: Lab, processors: Processors, text: str) -> Faults:
    """Again and again 32 new subscribers on 9 blocks: both processors look for the ninth at the same time.

    What has been assigned is forgotten between the rounds.
    """
    lab.load(text)
    processors.met = Meeting()
    total, served, lost = NO_FAULTS, Counter[int](), 0
    for number in range(ROUNDS):
        everybody = homes(MANY, number)
        far = f"198.18.{10 + number}.1"
        halves = [connections(lab, everybody[side::2], 2, 5000, far) for side in (0, 1)]
        seen = storm(processors, halves, 2)
        found, assigned = faults(lab, seen, halves)
        total = Faults(*map(sum, zip(total, found, strict=True)))
        served[len(assigned)] += 1
        lost += sum(p.token not in seen.ends for h in halves for p in h if address_text(p.source) in assigned)
        names = "set asking1", "set claimed", "set taken", "map assigned1", "map ontrial1"
        lines = [f"flush {name.replace(' ', ' ip nfcompile ')}_homes" for name in names]
        lab.reload("\n".join(lines))
    print(f"{ROUNDS} rounds, blocks in use {dict(served)}, {lost} lost, {total}, {processors.met}")
    if not any(total):
        assert served == {FEW: ROUNDS}
        assert lost == 0
    return total


@pytest.mark.parametrize("slowed", [as_it_is, widened])
def test_few_blocks_for_many(lab: Lab, processors: Processors, slowed: Callable[[str], str]) -> None:
    """Every block is used, and by one subscriber; the others are refused."""
    assert scramble(lab, processors, slowed(dynamic(3, FEW // 3))) == NO_FAULTS


def test_the_scramble_finds_a_shared_block(lab: Lab, processors: Processors) -> None:
    """Without the claim of the number, both processors take the same free one."""
    text = widened(without_claims(dynamic(3, FEW // 3)))

    def found() -> bool:
        seen = scramble(lab, processors, text)
        return bool(seen.shared_blocks and seen.numbers_of_two)

    assert any(found() for _ in range(TURNS))


# ---- sockets


class SocketFaults(NamedTuple):
    """What must not be in mapping entries; all zero where both claims hold."""

    sockets_of_two: int
    shared_ports: int
    entries_apart: int


NO_SOCKET_FAULTS = SocketFaults(0, 0, 0)
HOMES, SOCKETS, ROUNDS_OF_SOCKETS = 60, 16, 3
ON_DEMAND = 16, 8, 128
"""Addresses, blocks on each and ports of a block."""


def static() -> str:
    return site(STATIC).text.text


def on_demand() -> str:
    return dynamic(*ON_DEMAND, hairpin="on")


def learn(
    lab: Lab, processors: Processors, halves: Sequence[Sequence[Packet]], tries: int = 30
) -> SocketFaults:
    """What is wrong with the mapping entries of sockets that are new to both processors at once."""
    processors.met = Meeting()
    seen = storm(processors, halves, tries)
    ends_of, sockets_of = defaultdict(set), defaultdict(set)
    for packet in (p for half in halves for p in half if p.token in seen.ends):
        ends_of[packet[1:3]].add(seen.ends[packet.token])
        sockets_of[seen.ends[packet.token]].add(packet[1:3])
    word = {TCP: "tcp", UDP: "udp"}[halves[0][0].protocol]
    outside = {(key[1:], end) for key, end in elements(lab, "map", "eim_homes") if key[0] == word}
    inside = {(socket, key[1:]) for key, socket in elements(lab, "map", "eif_homes") if key[0] == word}
    # Of two packets of one socket that claim a port each, the second uses the first one's; the other port is
    # the socket's too, for the life of its entry.
    spare = {(socket, end) for socket, end in inside - outside if socket in dict(outside)}
    found = SocketFaults(
        sum(len(found) > 1 for found in ends_of.values()),
        sum(len(found) > 1 for found in sockets_of.values()),
        len(outside ^ (inside - spare)),
    )
    print(f"{summary(seen, halves)}, {found}, conflicts: {counted(lab, 'conflict')}, {processors.met}")
    if not any(found):
        assert seen.lost == 0
        assert len(outside) == len({p[1:3] for half in halves for p in half})
    return found


def same_sockets(lab: Lab, seed: int, protocol: int = UDP) -> list[list[Packet]]:
    """Each socket on both processors, towards a server each."""
    return [connections(lab, homes(HOMES, seed), SOCKETS, 5000, far, protocol) for far in SERVERS]


def other_sockets(lab: Lab, processors: Processors, seed: int, protocol: int) -> list[list[Packet]]:
    """Two sockets of each subscriber, one on each processor, and a block that has just as many ports.

    The block is assigned before, by a packet of a protocol that has no mapping entries.
    """
    everybody = homes(SUBSCRIBERS, seed)
    first = [connections(lab, everybody[side::2], 1, 9000, protocol=ICMP) for side in (0, 1)]
    assert storm(processors, first).lost == 0
    return [
        connections(lab, everybody, 1, port, far, protocol)
        for port, far in zip((5000, 6000), SERVERS, strict=True)
    ]


@pytest.mark.parametrize("protocol", [UDP, TCP])
@pytest.mark.parametrize("pool", [static, on_demand])
def test_every_socket_one_port(
    lab: Lab, processors: Processors, pool: Callable[[], str], protocol: int
) -> None:
    """RFC 4787 REQ-1 for a socket's first two packets at once: one port for it, and for nobody else."""
    for seed in range(ROUNDS_OF_SOCKETS):
        lab.load(pool())
        assert learn(lab, processors, same_sockets(lab, seed, protocol)) == NO_SOCKET_FAULTS


@pytest.mark.parametrize("protocol", [UDP, TCP])
def test_every_port_one_socket(lab: Lab, processors: Processors, protocol: int) -> None:
    """Two sockets that choose between the same two ports at once: one owner of each, in both directions."""
    for seed in range(ROUNDS_OF_SOCKETS):
        lab.load(dynamic(ADDRESSES, BLOCKS_EACH, 2, "on"))
        assert learn(lab, processors, other_sockets(lab, processors, seed, protocol), 60) == NO_SOCKET_FAULTS


def test_the_storm_finds_two_ports_of_a_socket(lab: Lab, processors: Processors) -> None:
    """Without the claim of the socket, both processors give it a port."""

    def found(seed: int) -> int:
        lab.load(without_sockets(on_demand()))
        return learn(lab, processors, same_sockets(lab, seed), 3).sockets_of_two

    assert any(map(found, range(TURNS)))


def test_the_storm_finds_a_shared_port(lab: Lab, processors: Processors) -> None:
    """Without the claim of the port, two sockets that go to two servers share it."""

    def found(seed: int) -> int:
        lab.load(without_ports(dynamic(ADDRESSES, BLOCKS_EACH, 2, "on")))
        return learn(lab, processors, other_sockets(lab, processors, seed, UDP), 3).shared_ports

    assert any(map(found, range(TURNS)))
