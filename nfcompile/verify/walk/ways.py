"""The walk of a packet: base chains by hook and priority, chains by jump and goto, in every possible way.

A way that meets a choice of the kernel is continued from the statement where it forks. Packets pass one by
one: two CPUs at the same instant are not walked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from nfcompile.emit import Name
from nfcompile.model.ranges import Range
from nfcompile.verify.boxes import Names, Packet
from nfcompile.verify.walk.effects import Step
from nfcompile.verify.walk.packet import STATUS, Flight, is_local
from nfcompile.verify.walk.program import Program
from nfcompile.verify.walk.state import ANYHOW, NOTHING, State
from nfcompile.verify.walk.walker import Pause, Walker

Route = Callable[[Range], str | Names]
"""The interface behind which an address is, LOCAL for the gateway's own."""
WAYS = 256
"""More ways than this of one packet are an error: too much of it is unknown."""
ROUTING = "routing"
FORWARDED = ("prerouting", ROUTING, "forward", "postrouting")
RECEIVED = ("input",)


class Outcome(NamedTuple):
    """What became of a packet: `accept` or `drop`, as what it leaves and where, how, and what it left behind.

    `out` is LOCAL for a packet that the gateway itself gets; `dnat` and `snat` say what was rewritten.
    """

    verdict: str
    packet: Packet
    out: str | Names
    mark: Range
    dnat: bool
    snat: bool
    steps: tuple[Step, ...]
    state: State


class WalkWay(NamedTuple):
    """A packet before a statement: its hooks and base chains to come, the chains that it is in."""

    pause: Pause
    hooks: tuple[str, ...] = FORWARDED
    bases: tuple[Name, ...] = ()
    stack: tuple[tuple[Name, int], ...] = ()
    steps: tuple[Step, ...] = ()
    verdict: str = ""

    def routed(self, flight: Flight, hooks: tuple[str, ...]) -> WalkWay:
        """The way on from the routing decision."""
        return self._replace(pause=self.pause._replace(flight=flight), hooks=hooks)

    def passed_by(self, hook: str, bases: tuple[Name, ...]) -> WalkWay:
        """The way on from the place of the nat chains."""
        past = self.pause._replace(flight=self.pause.flight.passed_by(hook))
        return self._replace(pause=past, bases=bases)


def walk(program: Program, packet: Packet, route: Route, state: State = NOTHING) -> tuple[Outcome, ...]:
    """Send the first packet of a connection through; the outcomes of all ways that it can take.

    Raises UnknownStatement for what the walker cannot do, ValueError where the ways are too many, and Split.
    """
    found = tuple(islice(outcomes(program, packet, route, state), WAYS + 1))
    if len(found) > WAYS:
        raise ValueError(f"more than {WAYS} ways through the ruleset")
    return found


def outcomes(program: Program, packet: Packet, route: Route, state: State = NOTHING) -> Iterator[Outcome]:
    """The same, one after the other, however many they are."""
    start = WalkWay(Pause(first_flight(packet, route)))
    for way in _RoutedWalk(program, state, route).ways(start):
        yield outcome(way.verdict, way.pause, way.steps, state)


def walk_later(program: Program, flight: Flight) -> Iterator[Outcome]:
    """Send one packet of a known connection through, in every state that earlier ones can have left."""

    def nowhere(_: Range) -> str | Names:
        raise AssertionError("a later packet knows where it goes")

    for way in _RoutedWalk(program, ANYHOW, nowhere).ways(WalkWay(Pause(flight))):
        yield outcome(way.verdict, way.pause, way.steps)


def first_flight(packet: Packet, route: Route) -> Flight:
    """A packet as it arrives."""
    towards = route(packet.destination)
    return Flight(packet, packet, "", towards, towards, route(packet.source))


def outcome(verdict: str, pause: Pause, steps: tuple[Step, ...] = (), state: State = NOTHING) -> Outcome:
    """What became of a packet that has come to its end."""
    flight = pause.flight
    dnat, snat = (bool(flight.status & STATUS[kind]) for kind in ("dnat", "snat"))
    left = state.after(pause.learned)
    return Outcome(verdict, flight.left, flight.towards, flight.ct_mark, dnat, snat, steps, left)


class _RoutedWalk:
    """A ruleset and the routes around it, walked by one packet or box."""

    def __init__(self, program: Program, state: State, route: Route) -> None:
        self.program = program
        self.route = route
        self.walker = Walker(program, state)
        self.waiting: list[WalkWay] = []

    def ways(self, start: WalkWay) -> Iterator[WalkWay]:
        """All ways to their ends."""
        self.waiting = [start]
        while self.waiting:
            way = self.waiting.pop()
            while not way.verdict:
                way = self.step(way)
            yield way

    def step(self, way: WalkWay) -> WalkWay:
        """Do the next rule, or go on to the next chain; the other ways of the rule are left waiting."""
        stack = way.stack
        if not stack:
            return self.arrive(way)
        name, index = stack[-1]
        rules = self.program.chains[name]
        if index >= len(rules):
            return way._replace(stack=stack[:-1])
        walker, rule = self.walker, rules[index]
        verdict = walker.rule(rule, way.pause)
        self.waiting += [way._replace(pause=other) for other in walker.others]
        steps, end = way.steps, ""
        if walker.effects:
            steps = (*steps, Step(name, rule, walker.packet.origin or rule.origin, tuple(walker.effects)))
        if verdict is None:
            stack = (*stack[:-1], (name, index + 1))
        elif verdict.chain is not None:
            back = () if verdict.kind == "goto" else ((name, index + 1),)
            stack = (*stack[:-1], *back, (verdict.chain, 0))
        elif verdict.kind == "return":
            stack = stack[:-1]
        elif verdict.kind == "accept":
            stack = ()
        else:
            end = "drop"
        after = Pause(walker.packet.flight, walker.packet.learned)
        return WalkWay(after, way.hooks, way.bases, stack, steps, end)

    def arrive(self, way: WalkWay) -> WalkWay:
        """The next base chain, the next hook, the routing decision, or the end."""
        if way.bases and way.bases[0] in self.program.nat and not way.pause.flight.meets_nat:
            return way.passed_by("prerouting" if ROUTING in way.hooks else "postrouting", way.bases[1:])
        if way.bases:
            return way._replace(bases=way.bases[1:], stack=((way.bases[0], 0),))
        if not way.hooks:
            return way.passed_by("postrouting", ())._replace(verdict="accept")
        hook, *later = way.hooks
        bases = self.program.hooks.get(hook, ())
        if hook == "postrouting" and self.program.nat.isdisjoint(bases):
            way = way.passed_by(hook, bases)
        if hook != ROUTING:
            return way._replace(hooks=tuple(later), bases=bases)
        flight = way.pause.flight.passed_by("prerouting")
        out = flight.route(self.route)
        if is_local(out):
            return way.routed(flight._replace(towards=out), RECEIVED)
        return way.routed(flight._replace(towards=out, out=out), tuple(later))
