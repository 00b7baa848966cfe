"""A packet's ways through the ruleset whatever earlier packets have left in its sets and maps.

Every look-up of an element that packets write goes both ways, with any data, and nothing is remembered of it.
Ways that meet in the same rule with the same packet go on as one, or a search that tries twice would have
four ways, and one that tries sixty times more than can be counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nfcompile.walk.packet import Flight, Packet, is_local
from nfcompile.walk.phrases import Verdict
from nfcompile.walk.program import Line, Program
from nfcompile.walk.state import ANYHOW
from nfcompile.walk.walker import Route, Walker, every_way


class Ends(NamedTuple):
    """Flights at the end of a chain, and those that were accepted in it; all others were dropped."""

    through: set[Flight]
    accepted: set[Flight]


def reach(program: Program, packet: Packet, route: Route) -> set[Flight]:
    """All that the first packet of a connection can have become where it leaves the gateway, or gets to it.

    Raises what walk() raises.
    """
    found = _hook(program, "prerouting", {Flight(packet, packet, "", route(packet.destination))})
    left: set[Flight] = set()
    for flight in found:
        out = route(flight.now.destination)
        if is_local(out):
            left |= _hook(program, "input", {flight._replace(towards=out)})
        else:
            passed = _hook(program, "forward", {flight._replace(towards=out, out=out)})
            left |= _hook(program, "postrouting", passed)
    return left


def _hook(program: Program, name: str, flights: set[Flight]) -> set[Flight]:
    for base in program.hooks.get(name, ()):
        through, accepted = _chain(program, base, flights)
        flights = through | accepted
    return flights


def _chain(program: Program, name: str, flights: set[Flight]) -> Ends:
    here, through, accepted = set(flights), set[Flight](), set[Flight]()
    for line in program.chains[name]:
        following: set[Flight] = set()
        for flight, verdict in _line(program, line, here):
            word = verdict.word if verdict else ""
            if word in ("jump", "goto"):
                ends = _chain(program, verdict.chain, {flight}) if verdict else Ends(set(), set())
                accepted |= ends.accepted
                (following if word == "jump" else through).update(ends.through)
            elif word == "accept":
                accepted.add(flight)
            elif word == "return":
                through.add(flight)
            elif not word:
                following.add(flight)
        here = following
    return Ends(through | here, accepted)


def _line(program: Program, line: Line, flights: Iterable[Flight]) -> set[tuple[Flight, Verdict | None]]:
    """What one rule makes of packets."""
    found: set[tuple[Flight, Verdict | None]] = set()
    for flight in flights:

        def run(walker: Walker, flight: Flight = flight) -> tuple[Flight, Verdict | None]:
            walker.flight = flight
            verdict = walker.line("", line)
            return walker.flight, verdict

        found.update(every_way(lambda chosen: Walker(program, ANYHOW, chosen), run))
    return found
