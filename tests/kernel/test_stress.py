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
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import pytest
from frames import SYN, TCP, UDP, Packet, frame
from lab import BATCH, PATIENCE, WIRE, Lab
from table import site

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text

SIDES = ("lan0", "lan1")
"""The wires of the two processors."""
SUBSCRIBERS, ADDRESSES, BLOCK = 512, 8, 8
BLOCKS_EACH = SUBSCRIBERS // ADDRESSES
FIRST_HOME, FIRST_PORT = address("100.64.0.1"), 1024

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


def replaced(text: str, pattern: str, by: str) -> str:
    """The text with a rule written otherwise; it has to be there."""
    made, count = re.subn(pattern, by, text)
    assert count, f"no rule like {pattern}"
    return made


def without_claims(text: str) -> str:
    """A free number is looked up, then added: no claim between the two."""
    text = replaced(text, r"add @claimed_homes \{ meta mark limit rate [^}]*\} (goto take_homes)", r"\1")
    return replaced(text, r"\t\tmeta mark @taken_homes meta mark set 0 return.*\n", "")


def without_asking(text: str) -> str:
    """A subscriber without a block searches one, whoever else does so for him."""
    return replaced(text, r"add @asking1_homes \{ ip saddr limit rate [^}]*\} (goto search1_homes)", r"\1")


def without_sockets(text: str) -> str:
    """A socket's port is written down, whoever else does so for it."""
    return replaced(text, r"(add @eim_\w+ \{[^}]*?) limit rate over [^}:]*?packets", r"\1")


def without_ports(text: str) -> str:
    """The owner of a port is written down, whoever else owns it."""
    return replaced(text, r"(add @eif_\w+ \{[^}]*?) limit rate over [^}:]*?packets", r"\1")


def widened(text: str, rules: int = 100) -> str:
    """Each look at a number or a subscriber is followed by rules that match nothing, before it is acted on."""
    nothing = "\t\tip protocol 255 drop\n" * rules
    for chain in ("take_homes", "search1_homes"):
        text = replaced(text, rf"(\tchain {chain} \{{\n(?:\t\tcomment .*\n)?)", lambda m: m[1] + nothing)
    return replaced(text, r"(\t\tupdate @assigned1_homes)", lambda m: nothing + m[1])


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
            sender = multiprocessing.get_context("fork").Process(
                target=_send, args=(theirs, (ours, *self._pipes), lab.ends, self._gate, me, processor), daemon=True
            )
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
        reason = "only one processor"
        if os.environ.get("CI") or os.environ.get("NFCOMPILE_REQUIRE_KERNEL"):
            pytest.fail(reason)
        pytest.skip(reason)
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
    lab, ends, written = processors.lab, {}, 0
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
