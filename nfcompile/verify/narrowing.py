"""What a walk has found out of a box, for a part of the box: values that depend on the field that was cut.

A walk that meets a Split goes on from there with each part of the box; so whatever it carries is narrowed.
"""

from __future__ import annotations

from functools import lru_cache
from operator import is_

from nfcompile.model.ranges import Range
from nfcompile.verify.boxes import Names, Packet, one_among
from nfcompile.verify.chosen_values import CHOSEN, Blocks, Scrambled
from nfcompile.verify.field_values import FieldValues, Ranges

Cut = Ranges | frozenset[str]
"""The values that a field keeps."""


def narrowed(value: Range | str | Names, field: str, kept: Cut) -> Range | str | Names:
    """A value where `field` has only the kept values; equal to what a walk of the smaller box would find."""
    if isinstance(value, Names):
        assert isinstance(kept, frozenset) or value.field != field
        return one_among(kept, field) if value.field == field and isinstance(kept, frozenset) else value
    return value if isinstance(value, str) or isinstance(kept, frozenset) else _ranges(value, field, kept)


def narrowed_range(value: Range, field: str, kept: Cut) -> Range:
    """The same of a number."""
    return value if isinstance(kept, frozenset) else _ranges(value, field, kept)


def narrowed_packet(packet: Packet, field: str, kept: Cut) -> Packet:
    """The same of all fields of a packet."""
    if isinstance(kept, frozenset):
        interface = packet.interface
        if isinstance(interface, Names) and interface.field == field:
            return packet._replace(interface=one_among(kept, field))
        return packet
    chosen = packet.chosen
    if field in CHOSEN and chosen is not None:
        chosen = (kept, chosen[1]) if field == CHOSEN[0] else (chosen[0], kept)
    source, source_port, destination, destination_port = (_ranges(one, field, kept) for one in packet[2:6])
    narrow = source, source_port, destination, destination_port
    if chosen is packet.chosen and all(map(is_, narrow, packet[2:6])):
        return packet
    return Packet(packet.interface, packet.protocol, *narrow, packet.opens, chosen)


def _ranges(value: Range, field: str, kept: Ranges) -> Range:
    if isinstance(value, FieldValues):
        if value.field != field:
            return value
        return _values(value, kept) if value.first < value.last else _values_of(value, kept)
    if isinstance(value, Blocks):
        return value.narrowed(kept) if value.field == field else value
    if isinstance(value, Scrambled):
        return value.narrowed(field, kept)
    return value


def _values_of(value: FieldValues, kept: Ranges) -> FieldValues:
    rows = ((one, None) for one in kept)
    return FieldValues(value.field, [piece for piece, _ in value.over(rows)], value.grain)


_values = lru_cache(1 << 12)(_values_of)
"""A packet's fields are the same in several of its forms. One number is equal to that of another field."""
