"""Rules of the intermediate form -> entries of a site's `dnat` and `snat`, in the words of CONTRACT.

Raises `Unsayable` where a site has no word; whoever writes the site then leaves a comment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from nfcompile.importers.form import (
    ADDRESSES,
    PORTED,
    PROTOCOLS,
    Exclude,
    ForeignMark,
    ForeignRule,
    PacketSet,
    Ranges,
    Translate,
    Unsaid,
)
from nfcompile.importers.sides import INTERFACE, Sides, comes_from_inside
from nfcompile.model.protocols import NAMES, protocol_name
from nfcompile.model.ranges import PORT_LAST, Range, intersect, port_text, range_text, subtract
from nfcompile.source.layout import Scalar

HOSTS_MOST = 256
"""A rule for each host of a prefix: so many at most."""

Value = Scalar | list[Scalar]
Fields = dict[str, Value]


class Unsayable(Exception):
    """A site has no word for a rule; `never` marks one that no forwarded packet meets."""

    def __init__(self, code: str, reason: str, hint: str = "", never: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.hint = hint
        self.never = never


class GuessedGateway(NamedTuple):
    """What rules refer to."""

    sides: Sides
    addresses: Mapping[str, int]


def entries(rule: ForeignRule, gateway: GuessedGateway) -> Iterator[Fields]:
    """The entries that say what a rule says: one, or one for each interface or host of which it speaks."""
    if isinstance(rule.action, Unsaid):
        raise Unsayable(rule.action.code, rule.action.reason, rule.action.hint)
    for match, action in _by_host(rule.stage, rule.match, rule.action):
        if rule.stage == "dnat":
            yield from _dnat(match, action, gateway)
        else:
            yield _snat(match, action, gateway)


def _by_host(
    stage: str, match: PacketSet, action: Translate | Exclude
) -> Iterator[tuple[PacketSet, Translate | Exclude]]:
    """One to one with new ports, which a site says of one address at a time; anything else as it is."""
    if isinstance(action, Exclude) or not action.prefix or action.ports is None or action.addresses is None:
        yield match, action
        return
    field = "source" if stage == "snat" else "destination"
    matched = getattr(match, field)
    _prefix(matched, action.addresses)
    if action.addresses.size > HOSTS_MOST:
        raise Unsayable("no-target", f"one to one with new ports, for more than {HOSTS_MOST} addresses")
    for number in range(action.addresses.size):
        old, new = matched[0].first + number, action.addresses.first + number
        yield (
            match.having(**{field: (Range(old, old),)}),
            action._replace(addresses=Range(new, new), prefix=False),
        )


def nearest(rule: ForeignRule, gateway: GuessedGateway) -> Fields:
    """As much of a rule as can be said, for a comment."""
    action = rule.action.instead if isinstance(rule.action, Unsaid) else rule.action
    fields: Fields = {}
    parts: tuple[Callable[[], Fields], ...] = (
        lambda: _interface(rule, gateway),
        lambda: _qualifiers(rule.match),
        lambda: _said(rule, action),
    )
    for part in parts:
        try:
            fields.update(part())
        except Unsayable:
            continue
    return fields


def _said(rule: ForeignRule, action: Translate | Exclude | None) -> Fields:
    if action is None:
        return {}
    return _action(rule.stage, rule.match, action)


def _interface(rule: ForeignRule, gateway: GuessedGateway) -> Fields:
    if rule.stage == "dnat":
        return {"interface": _one_or_list(list(_arriving(rule.match, gateway)))}
    return _leaving(rule.match, gateway)


# ---- dnat


def _dnat(match: PacketSet, action: Translate | Exclude, gateway: GuessedGateway) -> Iterator[Fields]:
    if not match.outgoing.but:
        raise Unsayable(
            "no-match", "where a packet will leave is not known before its destination is translated"
        )
    names = _arriving(match, gateway)
    if isinstance(action, Translate) and action.interface:
        yield from _redirect(match, action, names, gateway)
        return
    yield {"interface": _one_or_list(list(names)), **_qualifiers(match), **_action("dnat", match, action)}


def _arriving(match: PacketSet, gateway: GuessedGateway) -> tuple[str, ...]:
    names = tuple(name for name in gateway.sides.named(match.incoming) if name != "lo")
    if not names:
        raise Unsayable("", "nothing that is forwarded arrives there", never=True)
    return _accepted(names)


def _redirect(
    match: PacketSet, action: Translate, names: tuple[str, ...], gateway: GuessedGateway
) -> Iterator[Fields]:
    """REDIRECT: to the address that the incoming interface has."""
    unknown = [name for name in names if name not in gateway.addresses]
    if unknown:
        raise Unsayable(
            "needs-address",
            f"the address of {', '.join(unknown)} is not in the input",
            "say " + " ".join(f"--address {name}=A" for name in unknown),
        )
    for name in names:
        own = gateway.addresses[name]
        to = action._replace(addresses=Range(own, own), interface=False)
        yield {"interface": name, **_qualifiers(match), **_action("dnat", match, to)}


# ---- snat


def _snat(match: PacketSet, action: Translate | Exclude, gateway: GuessedGateway) -> Fields:
    if not match.incoming.but:
        raise Unsayable("no-match", "where a packet came in is not asked when its source is translated")
    if isinstance(action, Translate):
        _refuse_from_outside(match, gateway.sides)
    return {**_leaving(match, gateway), **_qualifiers(match), **_action("snat", match, action)}


def _refuse_from_outside(match: PacketSet, sides: Sides) -> None:
    """A site translates no source of what comes from outside only; an exclusion from that is no loss."""
    names = [
        name for name in sides.named(match.outgoing) if name in sides.inside and name not in sides.outside
    ]
    if names and not comes_from_inside(match.source):
        reason = f"it translates what comes from outside towards {', '.join(names)}, too"
        raise Unsayable("from-outside", reason, "a site translates sources of what comes from inside")


def _leaving(match: PacketSet, gateway: GuessedGateway) -> Fields:
    sides = gateway.sides
    names = tuple(name for name in sides.named(match.outgoing) if name != "lo")
    if not names:
        raise Unsayable("", "nothing that is forwarded leaves there", never=True)
    if match.outgoing.but and set(names) == set(sides.outside) and not sides.networks:
        return {}
    return {"interface": _one_or_list(list(_accepted(names)))}


def _accepted(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not INTERFACE.fullmatch(name):
            raise Unsayable("bad-interface", f"'{name}' is not the name of an interface")
    return names


# ---- qualifiers


def _qualifiers(match: PacketSet) -> Fields:
    fields: Fields = {}
    _put(fields, "protocol", _protocols(match.protocol))
    _put(fields, "src_cidr", _said_set(match.source, ADDRESSES, range_text))
    _put(fields, "src_port", _said_ports(match.source_port))
    _put(fields, "dst_cidr", _said_set(match.destination, ADDRESSES, range_text))
    _put(fields, "dst_port", _said_ports(match.destination_port))
    if "src_port" in fields or "dst_port" in fields:
        _needs_ports(match)
    if match.mark is not None:
        fields["mark"] = _mark(match.mark)
    return fields


def _needs_ports(match: PacketSet) -> None:
    if intersect(match.protocol, PORTED) != match.protocol:
        raise Unsayable("no-protocol", "ports need protocol tcp or udp")


def _put(fields: Fields, key: str, value: Value) -> None:
    if value is not None:
        fields[key] = value


def _mark(mark: ForeignMark) -> Value:
    return mark.value if mark.mask == 0xFFFFFFFF else f"0x{mark.value:x}/0x{mark.mask:x}"


def _protocols(found: Ranges) -> Value:
    """A set of protocols as the shorter of two lists: those in it, or with '!' those that are not."""
    if found == PROTOCOLS:
        return None
    inside, beyond = (
        [number for one in some for number in range(one.first, one.last + 1)]
        for some in (found, subtract(PROTOCOLS, found))
    )
    if len(beyond) < len(inside):
        return _one_or_list([f"!{protocol_name(number)}" for number in beyond])
    return _one_or_list([NAMES.get(number, number) for number in inside])


def _said_set(found: Ranges, whole: Ranges, spell: Callable[[Range], Scalar]) -> Value:
    """A set as the shorter of two lists: its values, or with '!' what it has not."""
    if found == whole:
        return None
    rest = subtract(whole, found)
    if len(rest) < len(found):
        return _one_or_list([f"!{spell(one)}" for one in rest])
    return _one_or_list([spell(one) for one in found])


def _said_ports(found: Ranges) -> Value:
    """Ports from 1: no packet has port 0."""
    usable = (Range(1, PORT_LAST),)
    return _said_set(intersect(found, usable), usable, _ports)


def _ports(ports: Range) -> Scalar:
    return ports.first if ports.size == 1 else port_text(ports)


def _one_or_list(values: list[Scalar]) -> Value:
    return values[0] if len(values) == 1 else values


# ---- actions


def _action(stage: str, match: PacketSet, action: Translate | Exclude) -> Fields:
    if isinstance(action, Exclude):
        return {"exclude": "on"}
    fields: Fields = {}
    if action.mark is not None:
        fields["mark"] = _mark(action.mark)
    if action.interface and stage == "snat":
        fields["snat_ip"] = "interface"
    elif action.prefix and action.addresses is not None and action.addresses.size > 1:
        fields[f"{stage}_prefix"] = _prefix(
            match.source if stage == "snat" else match.destination, action.addresses
        )
    elif action.addresses is not None:
        fields[f"{stage}_ip"] = range_text(action.addresses)
    if action.ports is not None and f"{stage}_prefix" not in fields:
        _needs_ports(match)
        fields[f"{stage}_port"] = _ports(action.ports)
    return fields


def _prefix(matched: Ranges, addresses: Range) -> str:
    """The prefix of a pair; both sides are of one length, or host bits could not be kept."""
    text = range_text(addresses)
    if len(matched) != 1 or matched[0].size != addresses.size or "/" not in text:
        raise Unsayable("not-prefix", f"{text} is not as long as what is matched")
    return text
