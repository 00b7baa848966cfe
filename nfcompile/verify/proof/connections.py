"""The packets after the first: second packets, answers, ICMP errors, and what no rule of ours has translated.

The connections that are known are those that first packets leave behind (`leaks` walks them in any state of
the sets), those to which an element that packets have made leads (any of them), and all that a gateway may
find when it loads its ruleset: with any ends, from anywhere to anywhere, untranslated. Boxes of the first are
joined by what their packets meet, which does not depend on which of their ends belong together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nfcompile.model.protocols import ICMP, TCP, UDP, WITH_PORTS
from nfcompile.model.ranges import EVERYWHERE, Range, intersect, subtract, union
from nfcompile.verify import joined_boxes
from nfcompile.verify.box import ELSEWHERE, NOTHING, PORTS, Box, TooManyBoxes, explored
from nfcompile.verify.boxes import LOCAL, names_of
from nfcompile.verify.field_values import FieldValues, Ranges
from nfcompile.verify.later_reference import later_fate
from nfcompile.verify.moments import (
    AGAIN,
    ANSWER,
    BACK,
    ERROR,
    ERRORS,
    INVALID,
    LATER,
    OF_A_CONNECTION,
    UNKNOWN,
    UNTRACKED,
    Later,
)
from nfcompile.verify.proof.paths import EndValues, Paths, joined, no_ends
from nfcompile.verify.reference import Fate
from nfcompile.verify.reference_site import Gateway
from nfcompile.verify.walk import Program, Together
from nfcompile.verify.walk.deciding import deciding
from nfcompile.verify.walk.later import later_flight
from nfcompile.verify.walk.packet import STATUS, Flight
from nfcompile.verify.walk.state import ANYHOW
from nfcompile.verify.walk.ways import Outcome, outcome

TRANSLATED = STATUS["snat"] | STATUS["dnat"]
FROM_OUTSIDE = (LATER, STATUS["dnat"]), (ANSWER, STATUS["snat"])
"""What is sent to a global address, in connections of which the other end is outside."""
HOST = 6
"""Which of the eight ends of a connection is the destination that it is led to."""
Marked = tuple[Box, Range | None]
"""A box, and the mark of its connections: None is any, where rules have translated them."""


class Followed(NamedTuple):
    """What both sides say of packets after the first."""

    box: Box
    fate: Fate
    outcome: Outcome

    @property
    def agree(self) -> bool:
        """Whether they are dropped, or leave with the very ends that their connection has."""
        fate, left = self.fate, self.outcome.packet
        if self.outcome.verdict == "drop" or fate.action == "drop":
            return self.outcome.verdict == fate.action
        ends = fate.sources, fate.source_ports, fate.destinations, fate.destination_ports
        return ends == tuple(left[2:6])


class ConnectionKind(NamedTuple):
    """What connections have in common whose packets meet the same on one path. `mark`: None is any."""

    protocol: int
    status: int
    mark: Range | None


class Connections:
    """The connections that first packets leave behind."""

    def __init__(self, gate: Gateway) -> None:
        self.gate = gate
        self.ends: dict[ConnectionKind, dict[Paths, EndValues]] = {}
        self.marks: set[Range] = set()

    def add(self, passed: Iterable[Flight]) -> None:
        """First packets that have passed. The routes lead to subscribers inside."""
        for flight in passed:
            status = flight.status & TRANSLATED
            mark = None if flight.ct_mark.size > 1 else Range(*flight.ct_mark)
            if not status:
                self.marks.add(mark or Range(0, 0xFFFFFFFF))
                continue
            came, now = flight.original, flight.now
            towards = names_of(flight.towards)
            numbers = [_numbers(value) for value in (*came[2:6], *now[2:6])]
            if status == STATUS["dnat"] and mark is None:
                towards &= self.gate.inside
                numbers[HOST] = self._inside(numbers[HOST])
                if not towards or not numbers[HOST]:
                    continue
            paths = names_of(came.interface), towards, names_of(flight.home)
            of_kind = self.ends.setdefault(ConnectionKind(now.protocol, status, mark), {})
            for known, value in zip(of_kind.setdefault(paths, no_ends(len(numbers))), numbers, strict=True):
                known.add(value)

    def _inside(self, destinations: Ranges) -> Ranges:
        """Where a mapping can lead: on a gateway that knows its sides by the addresses, inside networks."""
        gate = self.gate
        return intersect(destinations, tuple(gate.networks.ranges)) if gate.shared else destinations

    def boxes(self, interfaces: frozenset[str]) -> Iterator[Marked]:
        """Their packets after the first. What the gateway itself answers is not forwarded."""
        for kind, of_kind in self.ends.items():
            for (arrive, towards, home), known in joined(of_kind).items():
                source, source_port, destination, destination_port, *others = (
                    union(one for ranges in values for one in ranges) for values in known
                )
                ends = source, source_port, destination, destination_port
                box = Box(kind.protocol, False, arrive, *ends, towards, towards, home=home)
                given, given_port, host, host_port = others
                box = box._replace(status=kind.status, given=given, given_port=given_port, back=interfaces)
                box = box._replace(host=host, host_port=host_port)
                for moment in (AGAIN, LATER, ERROR) if towards == {LOCAL} else OF_A_CONNECTION:
                    yield box._replace(moment=moment), kind.mark


def led_by_elements(gate: Gateway, protocols: Iterable[int], interfaces: frozenset[str]) -> Iterator[Marked]:
    """Packets of connections to a global address for which packets have made an element: from outside, or
    from an inside host that no pool translates (DNAT alone), or from another subscriber. They lead inside;
    first packets with a global source are forged on either side."""
    entries = [
        one
        for one in gate.pools
        if (one.pool.keeps_mapping_entries or one.pool.is_dynamic)
        and (one.pool.hairpins or one.pool.opens_to_outside)
    ]
    for trial in (False, True):
        some = (one.pool for one in entries if one.has_trial(gate.site) is trial)
        asked = union(one for pool in some for one in pool.global_ranges)
        if asked:
            yield from _led_to(gate, asked, protocols, interfaces)


def _led_to(
    gate: Gateway, asked: Ranges, protocols: Iterable[int], interfaces: frozenset[str]
) -> Iterator[Marked]:
    source = subtract((EVERYWHERE,), [*gate.globals.ranges, *gate.sources.own.ranges])
    host = tuple(gate.networks.ranges) if gate.shared else source
    given = union(one for pool in gate.pools if pool.pool.translates for one in pool.pool.global_ranges)
    both = STATUS["snat"] | STATUS["dnat"]
    for protocol in protocols:
        ports = PORTS if protocol in WITH_PORTS else NOTHING
        ids = PORTS if protocol == ICMP else ports
        ends = source, (ids,), asked, (ports,)
        for status, arrive in ((STATUS["dnat"], gate.inside | gate.outside), (both, gate.inside)):
            box = Box(protocol, False, arrive, *ends, gate.inside, gate.inside, home=interfaces | {LOCAL})
            box = box._replace(status=status, given=given, given_port=(ids,), host=host, host_port=(ports,))
            for moment in OF_A_CONNECTION:
                if moment not in ERRORS or protocol == TCP:
                    yield box._replace(moment=moment, back=interfaces), None


def untranslated(
    protocols: Iterable[int], interfaces: frozenset[str], marks: Iterable[Range]
) -> Iterator[Marked]:
    """Every packet of a connection that nothing has translated, with a mark that such connections can have,
    and those that have no connection."""
    routes = interfaces | {LOCAL}
    for protocol in protocols:
        ports = PORTS if protocol in WITH_PORTS else NOTHING
        ids = PORTS if protocol == ICMP else ports
        ends = (EVERYWHERE,), (ids,), (EVERYWHERE,), (ports,)
        box = Box(protocol, False, interfaces, *ends, routes, routes, home=routes, back=interfaces)
        for moment in (*OF_A_CONNECTION, INVALID, UNTRACKED):
            if moment not in ERRORS or protocol == ICMP:
                for mark in {Range(0, 0), *marks} if moment in OF_A_CONNECTION else {Range(0, 0)}:
                    yield box._replace(moment=moment), mark


def following(
    gate: Gateway, program: Program, known: Connections, protocols: Iterable[int], most: int | None = None
) -> Iterator[Followed]:
    """All packets after the first, in boxes of which both sides say one thing each. Raises TooManyBoxes."""
    interfaces = gate.inside | gate.outside | {ELSEWHERE}
    led = led_by_elements(gate, protocols, interfaces)
    foreign = untranslated(protocols, interfaces, known.marks)
    return followed(gate, program, [*known.boxes(interfaces), *led, *foreign], most)


def followed(
    gate: Gateway, program: Program, boxes: Iterable[Marked], most: int | None = None
) -> Iterator[Followed]:
    """What both sides say of packets after the first, in every state that earlier ones can have left."""
    count = 0
    groups: dict[tuple[object, ...], list[tuple[Box, Range | None, Fate]]] = {}
    for box, mark in boxes:
        said = list(explored([box], lambda one: _said(gate, one, mark)))  # noqa: B023
        count += len(said)
        if most is not None and count > most:
            raise TooManyBoxes.than(most, "later packets")
        for part, fate in joined_boxes.joined(said):
            protocol = ICMP if box.moment in ERRORS else box.protocol
            groups.setdefault((box.moment, protocol), []).append((part, mark, fate))
    together = Together(deciding(program), ANYHOW, most)
    count = 0
    for alike in groups.values():
        for found in _compared(gate, together, alike):
            count += 1
            if most is not None and count > most:
                raise TooManyBoxes.than(most, "later packets")
            yield found


def _said(gate: Gateway, box: Box, mark: Range | None) -> Fate:
    flight = later_flight(box)
    assert flight.later is not None
    snat, dnat = (bool(box.status & STATUS[kind]) for kind in ("snat", "dnat"))
    value = None if box.moment in UNKNOWN else mark.first if mark is not None else 0
    return later_fate(gate, flight.later, flight.original.destination, snat, dnat, flight.first, value)


def _compared(
    gate: Gateway, together: Together, alike: list[tuple[Box, Range | None, Fate]]
) -> Iterator[Followed]:
    left = together.sent([later_flight(box, at, mark) for at, (box, mark, _) in enumerate(alike)])
    passing: dict[int, list[Later]] = {}
    for pause in left.passed:
        assert pause.flight.later is not None
        passing.setdefault(pause.flight.start, []).append(pause.flight.later)
    for verdict, pauses in (("accept", left.passed), ("drop", [*left.dropped, *left.early])):
        for pause in pauses:
            flight = pause.flight
            box, _, fate = alike[flight.start]
            assert flight.later is not None
            if fate.action != "drop":
                sent = flight.later.sent
                fate = Fate("forward", *sent[2:6], reason=fate.reason)
            ends = verdict == "drop" and may_end(gate, box)
            others = passing.get(flight.start, []) if ends else []
            if any(_meet(flight.later, other) for other in others):
                continue
            found = Followed(box, fate, outcome(verdict, pause))
            yield found if found.agree else found._replace(box=part_of(box, flight))


def may_end(gate: Gateway, box: Box) -> bool:
    """Whether some of these packets are dropped, which depends on what the sets hold: a limit that was
    reached meanwhile, an assignment whose trial is over before anything has answered, a mapping that no
    packet from inside keeps alive, of what the outside sends to it (`udp_inbound_refresh: off`)."""
    is_silent = not gate.site.defaults.udp_inbound_refresh and box.protocol == UDP
    if box.moment == AGAIN or (is_silent and (box.moment, box.status) in FROM_OUTSIDE):
        return True
    trials = [one for pool in gate.pools if pool.has_trial(gate.site) for one in pool.pool.global_ip]
    theirs = box.given if box.status & STATUS["snat"] else box.destination
    return bool(box.status and intersect(trials, theirs))


def _meet(one: Later, other: Later) -> bool:
    """Whether two parts of a box have packets in common."""
    return all(
        not (isinstance(a, FieldValues) and isinstance(b, FieldValues)) or bool(intersect(a.domain, b.domain))
        for mine, theirs in zip(one[1:], other[1:], strict=True)
        for a, b in zip(mine[2:6], theirs[2:6], strict=True)
    )


def part_of(box: Box, flight: Flight) -> Box:
    """The packets of a box that have gone a way."""
    assert flight.later is not None
    found: dict[str, object] = {}
    packets = flight.original, *flight.later[1:]
    for value in (value for packet in packets for value in packet[2:6]):
        if isinstance(value, FieldValues):
            found[value.field] = value.domain
    back = box.moment in BACK
    found["home" if back else "towards"] = names_of(flight.first)
    arrived = "back" if back or box.moment in ERRORS else "interface"
    found[arrived] = names_of(flight.later.came.interface)
    return box._replace(**found)  # type: ignore[arg-type]


def _numbers(value: Range) -> Ranges:
    """The numbers that a value has in a box."""
    if not isinstance(value, FieldValues):
        return (Range(*value),)
    return tuple(Range(one.first + one.shift, one.last + one.shift) for one in value.pieces)
