"""One rule of `dnat` or `snat`: its keys -> a DnatRule or an SnatRule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nfcompile.diagnostics import Diagnostic
from nfcompile.model import parse, protocols
from nfcompile.model.fields import Fields
from nfcompile.model.parse import Fault
from nfcompile.model.ranges import ADDRESS_LAST, PORT_LAST, Range, union
from nfcompile.model.rules import DnatRule, Mark, Qualifier, Qualifiers, SnatRule

Value = TypeVar("Value")
Reader = Callable[[str], Value]

ANY_WORDS = ("all", "ip")


def read_dnat(fields: Fields) -> DnatRule | None:
    """Read a dnat rule; None where a part of it is unread, since the rest would match other packets."""
    _check_effect(fields, "mark", "dnat_ip", "dnat_port")
    match = _match(fields)
    rule = DnatRule(
        path=fields.path,
        name=str(fields.path[-1]),
        match=match,
        mark=fields.read("mark", parse.mark),
        dnat_ip=fields.read("dnat_ip", parse.addresses),
        dnat_port=_translated_port(fields, "dnat_port", match),
    )
    return None if _is_incomplete(fields) else rule


def read_snat(fields: Fields) -> SnatRule | None:
    """Read an snat rule; None where a part of it is unread, or an address to translate to is missing."""
    _check_effect(fields, "snat_ip")
    match = _match(fields)
    snat_port = _translated_port(fields, "snat_port", match)
    mark = _marks(fields)
    snat_ip = fields.read("snat_ip", parse.addresses)
    if snat_ip is None or _is_incomplete(fields):
        return None
    return SnatRule(fields.path, str(fields.path[-1]), match, mark, snat_ip, snat_port)


def _match(fields: Fields) -> Qualifiers:
    match = Qualifiers(
        protocol=_protocols(fields),
        src_cidr=_ranges(fields, "src_cidr", parse.addresses, ADDRESS_LAST),
        src_port=_ranges(fields, "src_port", parse.ports, PORT_LAST),
        dst_cidr=_ranges(fields, "dst_cidr", parse.addresses, ADDRESS_LAST),
        dst_port=_ranges(fields, "dst_port", parse.ports, PORT_LAST),
        interface=_qualifier(fields, "interface", str),
    )
    for key in ("src_port", "dst_port"):
        if getattr(match, key) is not None:
            _check_has_ports(fields, key, match)
    return match


def _qualifier(fields: Fields, key: str, read: Reader[Value]) -> Qualifier[Value] | None:
    """A value or a list of values, all of them with `!` in front or none."""
    raw = fields.plain(key)
    if raw is None:
        return None
    path = (*fields.path, key)
    texts = {(*path, place): text for place, text in enumerate(raw)} if isinstance(raw, list) else {path: raw}
    values = [
        fields.problems.read(_positive(read), text, at) for at, text in texts.items() if text is not None
    ]
    negated = {str(text).startswith("!") for text in texts.values() if text is not None}
    if len(negated) > 1:
        message = f"'{key}' has values with and without '!'"
        hint = "write two rules"
        fields.problems.refuse(Diagnostic("mixed-negation", message, path, hint=hint), path)
    found = tuple(dict.fromkeys(value for value in values if value is not None))
    return Qualifier(found, True in negated) if found else None


def _positive(read: Reader[Value]) -> Reader[Value]:
    """Read a value without the `!` in front of it; the place of a fault counts the `!`."""

    def read_positive(text: str) -> Value:
        if not text.startswith("!"):
            return read(text)
        try:
            return read(text[1:])
        except Fault as fault:
            raise Fault(fault.code, fault.message, fault.start + 1, fault.end + 1, fault.hint) from None

    return read_positive


def _ranges(fields: Fields, key: str, read: Reader[Range], last: int) -> Qualifier[Range] | None:
    """Addresses or ports, sorted and joined; None where they are everything."""
    asked = _qualifier(fields, key, read)
    if asked is None:
        return None
    joined = union(asked.values)
    if joined != (Range(0, last),):
        return asked._replace(values=joined)
    if asked.negated:
        _refuse_nothing(fields, key)
    return None


def _refuse_nothing(fields: Fields, key: str) -> None:
    path = (*fields.path, key)
    fields.problems.refuse(Diagnostic("matches-nothing", f"'{key}' excludes every value", path), path)


def _protocols(fields: Fields) -> Qualifier[int] | None:
    asked = _qualifier(fields, "protocol", _protocol)
    if asked is None or protocols.ANY_PROTOCOL not in asked.values:
        return asked and asked._replace(values=tuple(sorted(asked.values)))
    if asked.negated:
        _refuse_nothing(fields, "protocol")
    return None


def _protocol(text: str) -> int:
    if text in ANY_WORDS:
        return protocols.ANY_PROTOCOL
    if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255:
        return int(text)
    number = protocols.NUMBERS.get(text)
    if number is None:
        import difflib

        near = difflib.get_close_matches(text.lower(), (*ANY_WORDS, *protocols.NUMBERS), 1)
        hint = (
            f"did you mean '{near[0]}'?"
            if near
            else f"known: all, {', '.join(protocols.NUMBERS)}, or a number"
        )
        raise Fault("bad-value", f"'{text}' is not a protocol", 0, max(len(text), 1), hint)
    return number


def _marks(fields: Fields) -> Qualifier[Mark] | None:
    asked = _qualifier(fields, "mark", parse.mark)
    if asked is not None and len({mark.mask for mark in asked.values}) > 1:
        path = (*fields.path, "mark")
        message = "marks of one list have different masks"
        fields.problems.refuse(
            Diagnostic("bad-mark", message, path, hint="write one rule for each mask"), path
        )
    return asked


def _translated_port(fields: Fields, key: str, match: Qualifiers) -> Range | None:
    ports = fields.read(key, parse.ports)
    if ports is not None:
        _check_has_ports(fields, key, match)
    return ports


def _check_has_ports(fields: Fields, key: str, match: Qualifiers) -> None:
    if match.has_ports or fields.is_unread("protocol"):
        return
    path, hint = (*fields.path, key), "add 'protocol: tcp'"
    message = f"'{key}' needs protocol tcp or udp"
    fields.problems.refuse(Diagnostic("port-without-protocol", message, path, key=True, hint=hint), path)


def _is_incomplete(fields: Fields) -> bool:
    """Whether a value of the rule is unread; then the whole rule is."""
    if fields.path not in fields.problems.above_unread:
        return False
    fields.problems.leave_out(fields.path)
    return True


def _check_effect(fields: Fields, *keys: str) -> None:
    """Refuse a rule that has none of the keys that change a packet."""
    if any(fields.has(key) or fields.is_unread(key) for key in keys):
        return
    words = [f"a '{key}'" for key in keys]
    wanted = " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    message = f"{fields.path[0]} rule '{fields.path[-1]}' changes nothing"
    hint = f"give it {wanted}"
    problem = Diagnostic("rule-without-effect", message, fields.path, key=True, hint=hint)
    fields.problems.refuse(problem, fields.path)
