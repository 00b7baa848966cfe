"""A packet's ways through the ruleset whatever earlier packets have left in its sets and maps.

Every look-up of an element that packets write goes both ways, with any data, and nothing is remembered of it.
Ways that meet in the same rule with the same packet go on as one, or a search that tries twice would have
four ways, and one that tries sixty times more than can be counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nfcompile.emit import Name, Rule
from nfcompile.emit.expressions import Verdict
from nfcompile.verify.boxes import Packet
from nfcompile.verify.walk.packet import Flight, is_local
from nfcompile.verify.walk.program import Program
from nfcompile.verify.walk.state import ANYHOW
from nfcompile.verify.walk.walker import Route, Walker, every_way

NOWHERE = Name("")


class Ends(NamedTuple):
    """Flights at the end of a chain, and those that were accepted in it; all others were dropped."""

    through: set[Flight]
    accepted: set[Flight]


def reach(program: Program, packet: Packet, route: Route) -> set[Flight]:
    """All that the first packet of a connection can have become where it leaves the gateway, or gets to it.

    Raises what walk() raises.
    """
    search = _Search(program, {})
    found = search.hook("prerouting", {Flight(packet, packet, "", route(packet.destination))})
    left: set[Flight] = set()
    for flight in found:
        out = route(flight.now.destination)
        if is_local(out):
            left |= search.hook("input", {flight._replace(towards=out)})
        else:
            passed = search.hook("forward", {flight._replace(towards=out, out=out)})
            left |= search.hook("postrouting", passed)
    return left


class _Search(NamedTuple):
    """A ruleset, and what was found out of its chains: a search calls the same one many times."""

    program: Program
    known: dict[tuple[Name, frozenset[Flight]], Ends]

    def hook(self, name: str, flights: set[Flight]) -> set[Flight]:
        for base in self.program.hooks.get(name, ()):
            through, accepted = self.chain(base, frozenset(flights))
            flights = through | accepted
        return flights

    def chain(self, name: Name, flights: frozenset[Flight]) -> Ends:
        if (name, flights) not in self.known:
            self.known[name, flights] = self.walked(name, flights)
        return self.known[name, flights]

    def walked(self, name: Name, flights: frozenset[Flight]) -> Ends:
        here, through, accepted = set(flights), set[Flight](), set[Flight]()
        for rule in self.program.chains[name]:
            going: dict[Verdict | None, set[Flight]] = {}
            for flight, verdict in _outcomes(self.program, rule, here):
                going.setdefault(verdict, set()).add(flight)
            here = going.pop(None, set())
            for verdict, those in going.items():
                if verdict is None or verdict.kind in ("drop", "reject"):
                    continue
                if verdict.chain is not None:
                    ends = self.chain(verdict.chain, frozenset(those))
                    accepted |= ends.accepted
                    (here if verdict.kind == "jump" else through).update(ends.through)
                else:
                    (accepted if verdict.kind == "accept" else through).update(those)
        return Ends(through | here, accepted)


def _outcomes(program: Program, rule: Rule, flights: Iterable[Flight]) -> set[tuple[Flight, Verdict | None]]:
    """What one rule makes of packets."""
    found: set[tuple[Flight, Verdict | None]] = set()
    for flight in flights:

        def run(walker: Walker, flight: Flight = flight) -> tuple[Flight, Verdict | None]:
            walker.flight = flight
            verdict = walker.rule(NOWHERE, rule)
            return walker.flight, verdict

        found.update(every_way(lambda chosen: Walker(program, ANYHOW, chosen), run))
    return found
