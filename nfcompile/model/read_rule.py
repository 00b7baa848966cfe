"""One rule of `dnat` or `snat`: its keys -> a DnatRule or an SnatRule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model import parse, protocols
from nfcompile.model.fields import Fields
from nfcompile.model.parse import Fault
from nfcompile.model.ranges import ADDRESS_LAST, PORT_LAST, Range, union
from nfcompile.model.rules import DnatRule, Mark, Qualifier, Qualifiers, SnatRule

Value = TypeVar("Value")
Reader = Callable[[str], Value]

ANY_WORDS = ("all", "ip")
INTERFACE = "interface"
"""`snat_ip` that stands for the address of the outgoing interface."""


def read_dnat(fields: Fields) -> DnatRule | None:
    """Read a dnat rule; None where a part of it is unread, since the rest would match other packets."""
    _check_effect(fields, "mark", "dnat_ip", "dnat_port", "dnat_prefix", "exclude")
    _check_targets(fields, "dnat", ("mark", "dnat_ip", "dnat_port", "dnat_prefix"))
    match = _match(fields)
    prefix = _prefix(fields, "dnat_prefix", "dst_cidr", match.dst_cidr)
    rule = DnatRule(
        path=fields.path,
        name=str(fields.path[-1]),
        match=match,
        mark=fields.read("mark", parse.mark),
        dnat_ip=prefix or fields.read("dnat_ip", parse.addresses),
        dnat_port=_translated_port(fields, "dnat_port", match),
        prefix=prefix is not None,
        exclude=fields.flag("exclude"),
    )
    return None if _is_incomplete(fields) else rule


def read_snat(fields: Fields) -> SnatRule | None:
    """Read an snat rule; None where a part of it is unread."""
    _check_effect(fields, "snat_ip", "snat_prefix", "exclude")
    _check_targets(fields, "snat", ("snat_ip", "snat_port", "snat_prefix"))
    match = _match(fields)
    prefix = _prefix(fields, "snat_prefix", "src_cidr", match.src_cidr)
    snat_ip = None
    if fields.plain("snat_ip") != INTERFACE:
        snat_ip = fields.read("snat_ip", parse.addresses)
    rule = SnatRule(
        path=fields.path,
        name=str(fields.path[-1]),
        match=match,
        mark=_marks(fields),
        snat_ip=prefix or snat_ip,
        snat_port=_translated_port(fields, "snat_port", match),
        prefix=prefix is not None,
        exclude=fields.flag("exclude"),
    )
    return None if _is_incomplete(fields) else rule


def _check_targets(fields: Fields, stage: str, keys: tuple[str, ...]) -> None:
    """Refuse two ways of translation in one rule, and any beside `exclude`."""
    written = [key for key in keys if fields.has(key)]
    prefix = f"{stage}_prefix"
    if fields.flag("exclude"):
        for key in written:
            _refuse_pair(fields, "exclude", key)
    elif prefix in written:
        for key in written:
            if key not in (prefix, "mark"):
                _refuse_pair(fields, prefix, key)


def _refuse_pair(fields: Fields, first: str, second: str) -> None:
    path = (*fields.path, second)
    message = f"'{second}' and '{first}' exclude each other"
    note = Note(f"'{first}' is given here", (*fields.path, first))
    problem = Diagnostic("two-targets", message, path, key=True, hint="remove one of them", notes=(note,))
    fields.problems.refuse(problem, path)


def _prefix(fields: Fields, key: str, side: str, asked: Qualifier[Range] | None) -> Range | None:
    """The prefix of a one-to-one translation; refused unless `side` is one prefix of the same length."""
    found = fields.read(key, parse.prefix)
    if found is None or fields.is_unread(side):
        return None
    single = None if asked is None else asked.single
    path = (*fields.path, key)
    if single is None or single.size & (single.size - 1) or single.first % single.size:
        message = f"'{key}' needs a '{side}' that is one prefix"
        fields.problems.refuse(Diagnostic("prefix-length", message, path), path)
    elif single.size != found.size:
        message = f"'{key}' has {found.size} addresses, but '{side}' has {single.size}"
        hint = "both prefixes need the same length"
        note = Note(f"'{side}' is given here", (*fields.path, side))
        fields.problems.refuse(Diagnostic("prefix-length", message, path, hint=hint, notes=(note,)), path)
    return found


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
    if any(fields.has(key) or fields.is_unread(key) for key in keys if key != "exclude"):
        return
    if fields.flag("exclude") or fields.is_unread("exclude"):
        return
    words = [f"a '{key}'" for key in keys if key not in ("exclude", "dnat_prefix", "snat_prefix")]
    wanted = " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    message = f"{fields.path[0]} rule '{fields.path[-1]}' changes nothing"
    hint = f"give it {wanted}"
    problem = Diagnostic("rule-without-effect", message, fields.path, key=True, hint=hint)
    fields.problems.refuse(problem, fields.path)
