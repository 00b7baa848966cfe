"""`snat`, `dnat` and `masquerade`: the address and port that a packet gets."""

from __future__ import annotations

from collections.abc import Callable

from nfcompile.emit import Element
from nfcompile.emit.expressions import Lookup
from nfcompile.emit.statements import Nat
from nfcompile.model.ranges import EVERYWHERE, Range
from nfcompile.verify.chosen_values import INTERFACE_ADDRESS, Blocks, taken
from nfcompile.verify.field_values import FieldValues
from nfcompile.verify.value_arithmetic import joined, masked, netmapped
from nfcompile.verify.walk.effects import Effect
from nfcompile.verify.walk.evaluation import Evaluation, data_of
from nfcompile.verify.walk.program import Hit
from nfcompile.verify.walk.values import Key, Value, certain, hull, number_of

FEW = 4096
"""Addresses of one element that are each moved to the one that it leads to; more are cut into a box."""


def translate(packet: Evaluation, nat: Nat) -> Effect:
    """Give the packet the address and port of a nat statement; what that did."""
    address, port = _address_and_port(packet, nat)
    kind = "dnat" if nat.kind == "dnat" else "snat"
    if kind == "dnat":
        chosen = packet.flight.original.chosen
        address = address and taken(address, chosen, 0)[1]
        port = port and taken(port, chosen, 1)[1]
    packet.flight = packet.flight.translated(kind, address, port)
    now = packet.flight.now
    ends = {"snat": (now.source, now.source_port), "dnat": (now.destination, now.destination_port)}
    return Effect(kind, None, ends[kind])


def _address_and_port(packet: Evaluation, nat: Nat) -> tuple[Range | None, Range | None]:
    """What a nat statement names or looks up; None for what it leaves to the packet."""
    address = port = None
    if isinstance(nat.address, Lookup):
        address, port = _looked_up(packet, nat, nat.address)
    elif nat.address is not None:
        address = _constant(packet, nat, packet.number(nat.address))
    elif nat.kind == "masquerade":
        address = INTERFACE_ADDRESS
    return address, port if nat.port is None else packet.number(nat.port)


def _looked_up(packet: Evaluation, nat: Nat, lookup: Lookup) -> tuple[Range, Range | None]:
    """The address of a map's element, and the port where the element has one."""
    now = packet.flight.now
    old = now.source if nat.kind == "snat" else now.destination
    key = packet.key(lookup.key)
    moves = _moves_with(old, key, nat.prefix)
    boxed = isinstance(key[0], FieldValues)
    met = packet.found(
        lookup,
        lambda entry: (boxed or entry.data[1:], len(entry.data)) if moves(entry) else entry.data,
    )
    data = _netmap(met, old) if moves(met[0].entry) else packet.hull(met)
    return number_of(data[0]), number_of(data[1]) if len(data) > 1 else None


def _constant(packet: Evaluation, nat: Nat, address: Range) -> Range:
    """The address that a rule names; of a prefix the one with the packet's host bits."""
    if not nat.prefix:
        return address
    old = packet.flight.now.source if nat.kind == "snat" else packet.flight.now.destination
    if isinstance(old, FieldValues):
        return netmapped(old, [(EVERYWHERE, address)])
    host = address.size - 1
    return joined(masked(old, host), address.first)


def _moves_with(old: Range, key: Key, prefix: bool) -> Callable[[Element], bool]:
    """Which elements make of every address another one. Packets of a box may meet many such elements where
    they are looked up by that address: NETMAP, or a few hosts to one."""
    same = isinstance(old, FieldValues) and isinstance(key[0], FieldValues) and old.field == key[0].field
    return lambda entry: (
        prefix or (same and len(entry.key) == 1 and _few(entry.key[0]) and certain(data_of(entry)[:1]))
    )


def _few(value: Value) -> bool:
    """Whether each value may be moved by a number of its own."""
    return not isinstance(value, Range) or value.last - value.first < FEW


def _netmap(met: list[Hit], address: Range) -> Key:
    """The new address by the kernel's NETMAP, and what else the elements say."""
    rest = data_of(met[0].entry)[1:]
    if rest and met[0].field:
        ports = ((one, number_of(data_of(hit.entry)[1])) for hit in met for one in hit.where)
        rest = (Blocks.of(met[0].field, ports),)
    if isinstance(address, FieldValues) and met[0].field == address.field:
        rows = sorted((one, number_of(data_of(hit.entry)[0])) for hit in met for one in hit.where)
        return netmapped(address, rows), *rest
    found = []
    for hit in met:
        first, last = number_of(data_of(hit.entry)[0])
        host = (1 << (first ^ last).bit_length()) - 1
        found.append((joined(masked(address, host), first & ~host),))
    return *hull(found), *rest
