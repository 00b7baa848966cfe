"""Boxes of packets: the space of all packets of connections, cut until no question needs a cut."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from nfcompile.model.protocols import ICMP, TCP, WITH_PORTS
from nfcompile.model.ranges import EVERYWHERE, PORT_LAST, Range, union
from nfcompile.verify.boxes import LOCAL, Names, Packet, is_kept, one_among
from nfcompile.verify.chosen_values import CHOSEN, Blocks
from nfcompile.verify.field_values import FieldValues, Ranges, Split
from nfcompile.verify.moments import FIRST
from nfcompile.verify.narrowing import Cut, narrowed_range

ELSEWHERE = "*"
"""Stands for every interface that neither the site nor its ruleset names."""
PORTS = Range(0, PORT_LAST)
NOTHING = Range(0, 0)

Answer = TypeVar("Answer")


class Box(NamedTuple):
    """Packets that have one of the values of each field; interfaces are where they arrive, and where the
    routes lead: `towards` to the destination as it came, `out` to another one that the gateway puts in its
    place, `home` to the source.

    `moment` says which packet of a connection it is (moments.py). Of one that is not the first, the fields
    above are those of the connection's first packet; the others are what it was translated to (`status`:
    which of its ends, in the kernel's bits), where answers and ICMP errors arrive, and their sender.
    """

    protocol: int
    opens: bool
    interface: frozenset[str]
    source: Ranges
    source_port: Ranges
    destination: Ranges
    destination_port: Ranges
    towards: frozenset[str]
    out: frozenset[str]
    chosen: Ranges = (EVERYWHERE,)
    chosen_port: Ranges = (PORTS,)
    home: frozenset[str] = frozenset({ELSEWHERE})
    moment: str = FIRST
    status: int = 0
    given: Ranges = (EVERYWHERE,)
    given_port: Ranges = (PORTS,)
    host: Ranges = (EVERYWHERE,)
    host_port: Ranges = (PORTS,)
    back: frozenset[str] = frozenset({ELSEWHERE})
    sender: Ranges = (EVERYWHERE,)

    @property
    def packet(self) -> Packet:
        """All packets of the box as one."""
        return Packet(
            one_among(self.interface, "interface"),
            self.protocol,
            FieldValues.whole("source", self.source),
            FieldValues.whole("source_port", self.source_port),
            FieldValues.whole("destination", self.destination),
            FieldValues.whole("destination_port", self.destination_port),
            self.opens,
            (self.chosen, self.chosen_port),
        )

    def route(self, address: Range) -> str | Names:
        """The gateway's routes: any whatever."""
        if isinstance(address, FieldValues) and address.field == "source":
            return one_among(self.home, "home")
        if address == FieldValues.whole("destination", self.destination):
            return one_among(self.towards, "towards")
        return one_among(self.out, "out")

    def route_apart(self, address: Range) -> str | Names:
        """The same, where it is known of all packets whether they keep their destination. Raises Split."""
        is_kept(self.packet.destination, address)
        return self.route(address)

    def cut(self, split: Split) -> list[Box]:
        """The boxes that make up this one."""
        return [box for box, _ in self.parts(split)]

    def parts(self, split: Split) -> list[tuple[Box, Cut]]:
        """The boxes that make up this one, and which values of the field each has kept."""
        field = FIELDS.get(split.field, split.field)
        values = [found for found in _common(getattr(self, field), split.values) if found]
        assert len(values) > 1, f"{field} is to be cut where it is whole"
        return [(self._replace(**{field: value}), value) for value in values]

    def confined(self, value: Range) -> Range:
        """A value of a larger box, for the packets of this one."""
        if isinstance(value, FieldValues | Blocks):
            return narrowed_range(value, value.field, getattr(self, FIELDS.get(value.field, value.field)))
        return value

    def one(self) -> Box:
        """One packet of it."""
        return Box(*(_first(value) for value in self))


class TooManyBoxes(Exception):
    """There are more boxes than were to be looked at; nothing is known of the rest."""

    @classmethod
    def than(cls, most: int, what: str = "packets") -> TooManyBoxes:
        """The words for it."""
        return cls(f"more than {most} boxes of {what}")


FIELDS = {CHOSEN[1]: "chosen_port"}


def everything(interfaces: frozenset[str], protocols: Iterable[int], bits: int = 32) -> Iterator[Box]:
    """All packets: from every interface, and routed to every one or to the gateway itself. `bits` of an
    address."""
    everywhere = Range(0, (1 << bits) - 1)
    known = interfaces | {ELSEWHERE}
    routes = known | {LOCAL}
    for protocol in protocols:
        ports = PORTS if protocol in WITH_PORTS else NOTHING
        ids = PORTS if protocol == ICMP else ports
        for opens in (True, False) if protocol == TCP else (True,):
            ends = (everywhere,), (ids,), (everywhere,), (ports,)
            yield Box(protocol, opens, known, *ends, routes, routes, home=routes)


def explored(boxes: Iterable[Box], ask: Callable[[Box], Answer]) -> Iterator[tuple[Box, Answer]]:
    """Ask of every packet; boxes whose packets have different answers are cut until they have one."""
    waiting = list(boxes)
    while waiting:
        box = waiting.pop()
        try:
            answer = ask(box)
        except Split as split:
            waiting += box.cut(split)
            continue
        yield box, answer


def _common(mine: Any, theirs: Iterable[Any]) -> Iterator[Any]:
    """What each of several has in common with the values of a field, which are many where they are ranges."""
    if isinstance(mine, frozenset):
        yield from (mine & one for one in theirs)
        return
    lasts = [one.last for one in mine]
    for ranges in theirs:
        found: list[Range] = []
        for first, last in ranges:
            at = bisect_left(lasts, first)
            while at < len(mine) and mine[at].first <= last:
                found.append(Range(max(first, mine[at].first), min(last, mine[at].last)))
                at += 1
        yield union(found)


def _first(value: Any) -> Any:
    if isinstance(value, frozenset):
        return frozenset([min(value)])
    return (Range(value[0].first, value[0].first),) if isinstance(value, tuple) else value
