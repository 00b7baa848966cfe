"""Frames that two processors write at the same time, and what comes out.

A frame that is written into a wire goes the gateway's whole way, source NAT included, on the processor of
who wrote it. So one process on each of two processors, and a meeting before every frame, make the ruleset
run twice at the same time; `Meeting` counts how often it did.
"""

from __future__ import annotations

import gc
import mmap
import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from support.frames import Packet, frame
from support.lab import BATCH, Lab
from support.waiting import PATIENCE
from support.wires import WIRE

SIDES = ("lan0", "lan1")
"""The wires of the two processors."""
TURNS = 50
"""How often two processors that other work keeps apart may try to meet."""


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
                _await(places, theirs, turn)
            began = clock()
            send(data)
            spans.append((began, clock()))
        pipe.send(spans)


def _await(places: memoryview, theirs: int, turn: int) -> None:
    """Go round until the other processor is at that turn too; other work may keep it away for seconds."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for _ in range(1_000_000):
            if places[theirs] >= turn:
                return
    raise TimeoutError("the other processor did not come")


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


def summary(seen: Storm, halves: Sequence[Sequence[Packet]]) -> str:
    return f"{seen.written} frames for {sum(map(len, halves))}, {seen.lost} lost"
