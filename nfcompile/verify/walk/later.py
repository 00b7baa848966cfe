"""Packets of connections that are known, before their walk: what they are on the wire, and what becomes of
their ends."""

from __future__ import annotations

from nfcompile.model.protocols import ICMP
from nfcompile.model.ranges import Range
from nfcompile.verify.box import NOTHING, Box
from nfcompile.verify.boxes import Names, Packet, one_among
from nfcompile.verify.field_values import FieldValues
from nfcompile.verify.moments import BACK, ERRORS, Later
from nfcompile.verify.walk.packet import STATUS, Flight

MARKS = Range(0, 0xFFFFFFFF)


def later_flight(box: Box, start: int = 0, mark: Range | None = None) -> Flight:
    """A box of packets that are not the first of their connection. `mark`: the connection's; any if it has
    been translated, since rules give it another one with time, else none."""
    later = _later(box)
    translated = bool(box.status)
    back = box.moment in BACK
    towards = one_among(box.home, "home") if back else one_among(box.towards, "towards")
    original = _original(box)
    mark = mark if mark is not None else MARKS if translated else Range(0, 0)
    flight = Flight(original, later.came, "", towards, towards, _home(box, back), ct_mark=mark)
    return flight._replace(status=box.status, start=start, later=later)


def _home(box: Box, back: bool) -> str | Names:
    """Where the routes lead to the packet's source."""
    return one_among(box.towards, "towards") if back else one_among(box.home, "home")


def _original(box: Box) -> Packet:
    return box.packet._replace(opens=False, chosen=None)


def _later(box: Box) -> Later:
    original, snat, dnat = _original(box), box.status & STATUS["snat"], box.status & STATUS["dnat"]
    back = one_among(box.back, "back")
    given = (_whole(box, "given"), _whole(box, "given_port")) if snat else original[2:4]
    host = (_whole(box, "host"), _whole(box, "host_port")) if dnat else original[4:6]
    answer = Packet(back, box.protocol, *host, *given, opens=False)
    if box.moment in BACK:
        came, sent, is_masked = (
            answer,
            Packet(back, box.protocol, *original[4:6], *original[2:4], False),
            dnat,
        )
    else:
        came, sent, is_masked = original, Packet(original.interface, box.protocol, *given, *host, False), snat
    if box.moment in ERRORS:
        sender = _whole(box, "sender")
        sent = _error(back, sent.source if is_masked else sender, sent.destination)
        came = _error(back, sender, came.destination)
    return Later(box.moment, came, sent, answer)


def _error(interface: str | Names, source: Range, destination: Range) -> Packet:
    """An ICMP error. Connection tracking gives it the source that answers have, where these get another one
    (nf_nat_icmp_reply_translation)."""
    return Packet(interface, ICMP, source, NOTHING, destination, NOTHING, opens=False)


def _whole(box: Box, field: str) -> Range:
    return FieldValues.whole(field, getattr(box, field))
