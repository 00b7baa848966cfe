"""Aviatrix: SNAT and DNAT policies of a gateway, from Terraform's JSON or from .tf with literals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from nfcompile.importers import values
from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.aviatrix_policies import CLOUD, Policy, is_json, of_json, of_terraform
from nfcompile.importers.form import (
    ANYTHING,
    Action,
    ForeignMark,
    ForeignRule,
    InterfaceSet,
    PacketSet,
    Ranges,
    Translate,
    Unsaid,
)
from nfcompile.importers.lines import SourceText
from nfcompile.importers.reading import ImportOptions, Reading, flat
from nfcompile.importers.terraform import Expression, Value
from nfcompile.importers.values import Unreadable
from nfcompile.model.ranges import Range

PRIMARY = "eth0"
"""The interface of a policy that names neither an interface nor a connection."""
ABSENT = ("", "None", "none", None)
MARK_LAST = 0xFFFFFFFF


def read(texts: tuple[SourceText, ...], options: ImportOptions, ledger: Accounting) -> Reading:
    """Read the files of one state or module; one gateway of them becomes the site."""
    policies: list[Policy] = []
    for number, text in enumerate(texts):
        if is_json(text):
            policies += of_json(text, number, ledger)
    policies += of_terraform(texts, ledger)
    gateways = list(dict.fromkeys(policy.gateway for policy in policies))
    gateway = options.gateway or (gateways[0] if gateways else "")
    rules: list[ForeignRule] = []
    for policy in policies:
        if policy.gateway == gateway:
            rules += _rules(policy, options, ledger)
        else:
            reason = f"it belongs to gateway '{policy.gateway}'; one site is one gateway (use --gateway)"
            ledger.note(policy.where, "not-translated", "other-gateway", reason)
    if len(gateways) > 1:
        ledger.guess("gateway", gateway, f"the first of {len(gateways)} that have policies", "--gateway")
    _rest(texts, ledger)
    names = tuple(dict.fromkeys(name for rule in rules for name in _interfaces(rule)))
    rules.sort(key=lambda rule: rule.stage)
    known = (*options.inside, *options.outside, *names)
    return Reading(tuple(rules), (), known, options.addresses, gateway, bool(rules), {}, flat(rules))


def _interfaces(rule: ForeignRule) -> Iterator[str]:
    for names in (rule.match.incoming, rule.match.outgoing):
        yield from sorted(names.names) if not names.but else ()


def _rest(texts: tuple[SourceText, ...], ledger: Accounting) -> None:
    for number, text in enumerate(texts):
        for at in range(1, len(text.lines) + 1):
            origin = Origin(number, at, at)
            if ledger.fate(origin) is None:
                ledger.note([origin], "ignored", "", "no NAT policy")


# ---- a policy's rule


def _rules(policy: Policy, options: ImportOptions, ledger: Accounting) -> Iterator[ForeignRule]:
    for key in CLOUD:
        if key in policy.fields and not policy.doubt and policy.where[0].end_line > policy.where[0].line:
            ledger.note([policy.fields[key][1]], "ignored", "", "routes of the cloud, not the gateway's")
    given = {
        key: value
        for key, (value, _) in policy.fields.items()
        if not isinstance(value, Expression) and value not in ABSENT
    }
    match, doubt = _match(policy, given, options)
    action: Action = policy.doubt or doubt or Unsaid("incomplete", "the policy changes nothing")
    if not (policy.doubt or doubt):
        try:
            action = _action(policy.stage, given)
        except Unreadable as problem:
            action = Unsaid(problem.code, problem.reason)
    lines = tuple(_lines(policy))
    if isinstance(action, Unsaid) and action.code == "incomplete":
        ledger.note(lines, "ignored", action.code, action.reason)
        return
    yield ForeignRule(policy.stage, match, action, lines, policy.name)


def _lines(policy: Policy) -> Iterator[Origin]:
    """The lines of a policy without those that were told apart."""
    apart = {policy.fields[key][1].line for key in CLOUD if key in policy.fields}
    for where in policy.where:
        whole = where.end_line > where.line and not policy.doubt
        for line in range(where.line, where.end_line + 1):
            if not whole or line not in apart:
                yield Origin(where.file, line, line)


def _match(
    policy: Policy, given: Mapping[str, Value], options: ImportOptions
) -> tuple[PacketSet, Unsaid | None]:
    doubt = None
    side = "incoming" if policy.stage == "dnat" else "outgoing"
    connection = str(given.get("connection", ""))
    name = options.connections.get(connection, "") if connection else str(given.get("interface", PRIMARY))
    match = ANYTHING
    if name:
        name = options.connections.get(name, name)
        match = match.having(**{side: InterfaceSet(frozenset([name]))})
    else:
        reason = f"which interface leads to connection '{connection}' is not in the input"
        doubt = Unsaid("needs-connection", reason, hint=f"use --map-connection '{connection}=IF'")
    for key, (field, read_set) in FIELDS.items():
        text = given.get(key)
        if text is None:
            continue
        try:
            match = match.having(**{field: read_set(str(text))})
        except Unreadable as problem:
            doubt = doubt or Unsaid(problem.code, f"{key}: {problem.reason}")
    if policy.stage == "snat" and "mark" in given:
        try:
            match = match._replace(mark=_mark(str(given["mark"])))
        except Unreadable as problem:
            doubt = doubt or Unsaid(problem.code, problem.reason)
    return match, doubt


FIELDS: dict[str, tuple[str, Callable[[str], Ranges]]] = {
    "src_cidr": ("source", values.address_set),
    "dst_cidr": ("destination", values.address_set),
    "src_port": ("source_port", values.port_set),
    "dst_port": ("destination_port", values.port_set),
    "protocol": ("protocol", values.protocol_set),
}


def _mark(text: str) -> ForeignMark:
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or not 0 < int(text) <= MARK_LAST:
        raise Unreadable("bad-mark", f"'{text}' is not a mark")
    return ForeignMark(int(text))


def _action(stage: str, given: Mapping[str, Value]) -> Action:
    if "single" in given:
        return Translate(interface=True)
    to, ports = given.get(f"{stage}_ips"), given.get(f"{stage}_port")
    mark = _mark(str(given["mark"])) if stage == "dnat" and "mark" in given else None
    if to is None and ports is None and mark is None:
        return Unsaid("incomplete", "the policy changes nothing")
    if stage == "snat" and to is None:
        raise Unreadable("bad-address", "a site's snat needs an address; the policy has a port only")
    addresses: Range | None = None if to is None else values.addresses(str(to))
    return Translate(addresses, None if ports is None else values.ports(str(ports)), mark=mark)
