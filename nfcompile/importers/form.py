"""The intermediate form: what all readers make of their lines, and what all passes work on.

A rule matches a box of packets (one set for each field) and says what becomes of them; the first rule of a
stage that matches decides. Sets are unions of ranges, so negation and lists are nothing special here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nfcompile.importers.account import Origin
from nfcompile.model.ranges import ADDRESS_LAST, PORT_LAST, Range, intersect, subtract, union

Ranges = tuple[Range, ...]

ADDRESSES: Ranges = (Range(0, ADDRESS_LAST),)
PORTS: Ranges = (Range(0, PORT_LAST),)
PROTOCOLS: Ranges = (Range(0, 255),)
ICMP, TCP, UDP = 1, 6, 17
PORTED: Ranges = (Range(TCP, TCP), Range(UDP, UDP))


class InterfaceSet(NamedTuple):
    """Interfaces: these, or (`but`) all but these."""

    names: frozenset[str]
    but: bool = False

    def both(self, other: InterfaceSet) -> InterfaceSet:
        """Interfaces in both sets."""
        if self.but and other.but:
            return InterfaceSet(self.names | other.names, True)
        if self.but or other.but:
            some, without = (other, self) if self.but else (self, other)
            return InterfaceSet(some.names - without.names)
        return InterfaceSet(self.names & other.names)

    def negated(self) -> InterfaceSet:
        return InterfaceSet(self.names, not self.but)

    def has(self, name: str) -> bool:
        return (name in self.names) != self.but

    @property
    def empty(self) -> bool:
        return not self.but and not self.names


ANYWHERE = InterfaceSet(frozenset(), True)


class ForeignMark(NamedTuple):
    """A connection's mark as a rule matches or sets it."""

    value: int
    mask: int = 0xFFFFFFFF


class PacketSet(NamedTuple):
    """A box of packets; every field is a set. `mark` None is any."""

    incoming: InterfaceSet = ANYWHERE
    outgoing: InterfaceSet = ANYWHERE
    source: Ranges = ADDRESSES
    destination: Ranges = ADDRESSES
    protocol: Ranges = PROTOCOLS
    source_port: Ranges = PORTS
    destination_port: Ranges = PORTS
    mark: ForeignMark | None = None

    def having(self, **fields: Any) -> PacketSet:
        """The same box with other sets in some fields."""
        return self._replace(**fields)

    def both(self, other: PacketSet) -> PacketSet | None:
        """The packets of both boxes, None where there are none."""
        if other is ANYTHING:
            return self
        if self is ANYTHING:
            return other
        mark = self.mark or other.mark
        if self.mark and other.mark and self.mark != other.mark:
            return None
        fields: dict[str, Ranges] = {}
        for name, whole in RANGE_FIELDS.items():
            mine, others = getattr(self, name), getattr(other, name)
            fields[name] = mine if others == whole else others if mine == whole else intersect(mine, others)
            if not fields[name]:
                return None
        incoming, outgoing = self.incoming.both(other.incoming), self.outgoing.both(other.outgoing)
        if incoming.empty or outgoing.empty:
            return None
        return PacketSet(incoming, outgoing, **fields, mark=mark)

    def within(self, other: PacketSet) -> bool:
        """Whether the other box holds every packet of this one."""
        for name, whole in RANGE_FIELDS.items():
            mine, others = getattr(self, name), getattr(other, name)
            if others is whole or mine == others:
                continue
            if mine[0].first < others[0].first or mine[-1].last > others[-1].last or subtract(mine, others):
                return False
        interfaces = self.incoming.both(other.incoming), self.outgoing.both(other.outgoing)
        return interfaces == (self.incoming, self.outgoing) and other.mark in (None, self.mark)

    def less(self, other: PacketSet) -> list[PacketSet]:
        """Boxes that hold what is not in the other one. A mark of the other box cannot be taken away."""
        common = self.both(other)
        if common is None:
            return [self]
        left, rest = [], self
        for name in RANGE_FIELDS:
            beyond = subtract(getattr(rest, name), getattr(common, name))
            if beyond:
                left.append(rest.having(**{name: union(beyond)}))
                rest = rest.having(**{name: getattr(common, name)})
        for name, other_names in (("incoming", other.incoming), ("outgoing", other.outgoing)):
            beyond_names = getattr(rest, name).both(other_names.negated())
            if not beyond_names.empty:
                left.append(rest.having(**{name: beyond_names}))
                rest = rest.having(**{name: getattr(common, name)})
        return left


RANGE_FIELDS: dict[str, Ranges] = {
    "source": ADDRESSES,
    "destination": ADDRESSES,
    "protocol": PROTOCOLS,
    "source_port": PORTS,
    "destination_port": PORTS,
}
"""Fields of a match that are unions of ranges, each with its whole."""

ANYTHING = PacketSet()


class Translate(NamedTuple):
    """Another address (snat: of the source, dnat: of the destination) and port.

    addresses   ranges to choose from; None leaves the address
    ports       the ports to choose from; None leaves the port
    interface   the address that the outgoing (snat) interface has then
    prefix      one to one: `addresses` is a prefix as long as the matched one, host bits are kept
    mark        the mark that the connection gets (dnat)
    """

    addresses: Range | None = None
    ports: Range | None = None
    interface: bool = False
    prefix: bool = False
    mark: ForeignMark | None = None


class Exclude(NamedTuple):
    """The search ends here, untranslated."""


class Unsaid(NamedTuple):
    """What a site cannot express. The rule's match is then at least what it may match;
    `instead` is what it would do."""

    code: str
    reason: str
    column: int = 0
    hint: str = ""
    instead: Translate | Exclude | None = None


Action = Translate | Exclude | Unsaid


class ForeignRule(NamedTuple):
    """One rule of a stage ('dnat' or 'snat'): its own lines, and those that jumped to them."""

    stage: str
    match: PacketSet
    action: Action
    lines: tuple[Origin, ...]
    name: str
    jumps: tuple[Origin, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def origins(self) -> tuple[Origin, ...]:
        return (*self.lines, *self.jumps)


class FoundPool(NamedTuple):
    """A deterministic cgnat pool: blocks of `block` ports of each of `addresses`, for `subscribers` in order.

    fill         'address': one address is filled first; 'spread': neighbours have neighbouring addresses
    protocols    what it translates; the rest goes on
    partial      subscribers of which it translates less: the protocols, and the subscribers
    outgoing     the interfaces towards which it translates
    inbound      whether the outside reaches a subscriber by the ports of its block
    position     of its first line among the rules of its stage
    """

    name: str
    subscribers: Ranges
    addresses: Ranges
    ports: Range
    block: int
    fill: str
    protocols: Ranges
    outgoing: InterfaceSet
    origins: tuple[Origin, ...]
    position: int
    inbound: bool = False
    partial: tuple[tuple[Ranges, Ranges], ...] = ()
    notes: tuple[str, ...] = ()
