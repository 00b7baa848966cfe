"""One rule of `dnat` or `snat`: its keys -> a DnatRule or an SnatRule."""

from __future__ import annotations

from nfcompile.diagnostics import Diagnostic
from nfcompile.model import parse, protocols
from nfcompile.model.fields import Fields
from nfcompile.model.ranges import Range
from nfcompile.model.site import DnatRule, Qualifiers, SnatRule

PROTOCOLS = {"all": protocols.ANY_PROTOCOL, **protocols.NUMBERS}


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
        dnat_port=_ports(fields, "dnat_port", match.protocol),
    )
    return None if _is_incomplete(fields) else rule


def read_snat(fields: Fields) -> SnatRule | None:
    """Read an snat rule; None where a part of it is unread, or an address to translate to is missing."""
    _check_effect(fields, "snat_ip")
    match = _match(fields)
    snat_port = _ports(fields, "snat_port", match.protocol)
    mark = fields.read("mark", parse.mark)
    snat_ip = fields.read("snat_ip", parse.addresses)
    if snat_ip is None or _is_incomplete(fields):
        return None
    return SnatRule(fields.path, str(fields.path[-1]), match, mark, snat_ip, snat_port)


def _match(fields: Fields) -> Qualifiers:
    protocol = PROTOCOLS[fields.plain("protocol")]
    return Qualifiers(
        protocol=protocol,
        src_cidr=fields.read("src_cidr", parse.addresses),
        src_port=_ports(fields, "src_port", protocol),
        dst_cidr=fields.read("dst_cidr", parse.addresses),
        dst_port=_ports(fields, "dst_port", protocol),
        interface=fields.plain("interface"),
    )


def _ports(fields: Fields, key: str, protocol: int) -> Range | None:
    ports = fields.read(key, parse.ports)
    if ports is not None and protocol not in protocols.WITH_PORTS:
        message = f"'{key}' needs protocol tcp or udp"
        path, hint = (*fields.path, key), "add 'protocol: tcp'"
        if not fields.is_unread("protocol"):
            fields.problems.refuse(
                Diagnostic("port-without-protocol", message, path, key=True, hint=hint), path
            )
    return ports


def _is_incomplete(fields: Fields) -> bool:
    """Whether a value of the rule is unread; then the whole rule is."""
    if fields.path not in fields.problems.unread_parts:
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
