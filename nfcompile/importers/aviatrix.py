"""Aviatrix: SNAT and DNAT policies of a gateway, out of `terraform show -json`, a state, or .tf with literals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from nfcompile.importers import values
from nfcompile.importers.account import Ledger, Origin
from nfcompile.importers.form import (
    ADDRESSES,
    ANYTHING,
    PORTS,
    PROTOCOLS,
    Action,
    Mark,
    Match,
    Names,
    Ranges,
    Rule,
    Translate,
    Unsaid,
)
from nfcompile.importers.json_places import Placed, read_json
from nfcompile.importers.lines import Text
from nfcompile.importers.reading import Options, Reading
from nfcompile.importers.terraform import Attribute, Block, Expression, Value, Variables, read_terraform
from nfcompile.importers.values import Unreadable
from nfcompile.model.ranges import Range

STAGES = {"aviatrix_gateway_dnat": "dnat", "aviatrix_gateway_snat": "snat"}
SINGLE = ("single_ip_snat", "enable_snat", "enable_nat")
"""Switches of a gateway that translate to its own address."""
PRIMARY = "eth0"
"""The interface of a policy that names neither an interface nor a connection."""
CLOUD = ("exclude_rtb", "apply_route_entry")
ABSENT = ("", "None", "none", None)
MARK_LAST = 0xFFFFFFFF


class Policy(NamedTuple):
    """One policy, or a gateway's switch (`fields` then has 'single'); `where` are its lines."""

    stage: str
    gateway: str
    name: str
    fields: Mapping[str, tuple[Value, Origin]]
    where: tuple[Origin, ...]
    doubt: Unsaid | None = None


def read(texts: tuple[Text, ...], options: Options, ledger: Ledger) -> Reading:
    """Read the files of one state or module; one gateway of them becomes the site."""
    policies: list[Policy] = []
    for number, text in enumerate(texts):
        if _is_json(text):
            policies += _of_json(text, number, ledger)
    policies += _of_terraform(texts, ledger)
    gateways = list(dict.fromkeys(policy.gateway for policy in policies))
    gateway = options.gateway or (gateways[0] if gateways else "")
    rules: list[Rule] = []
    for policy in policies:
        if policy.gateway == gateway:
            rules += _rules(policy, options, ledger)
        else:
            reason = f"it belongs to gateway '{policy.gateway}'; one site is one gateway (say --gateway)"
            ledger.note(policy.where, "not-translated", "other-gateway", reason)
    if len(gateways) > 1:
        ledger.guess("gateway", gateway, f"the first of {len(gateways)} that have policies", "--gateway")
    _rest(texts, ledger)
    names = tuple(dict.fromkeys(name for rule in rules for name in _interfaces(rule)))
    rules.sort(key=lambda rule: rule.stage)
    known = (*options.inside, *options.outside, *names)
    return Reading(tuple(rules), (), known, options.addresses, gateway, one_armed=bool(rules))


def _interfaces(rule: Rule) -> Iterator[str]:
    for names in (rule.match.incoming, rule.match.outgoing):
        yield from sorted(names.names) if not names.but else ()


def _rest(texts: tuple[Text, ...], ledger: Ledger) -> None:
    for number, text in enumerate(texts):
        for at in range(1, len(text.lines) + 1):
            origin = Origin(number, at, at)
            if ledger.fate(origin) is None:
                ledger.note([origin], "ignored", "", "no NAT policy")


# ---- JSON


def _is_json(text: Text) -> bool:
    return next((line.strip()[0] for line in text.lines if line.strip()), "") in "{["


def _of_json(text: Text, file: int, ledger: Ledger) -> Iterator[Policy]:
    try:
        document = read_json("\n".join(text.lines))
    except Unreadable as problem:
        ledger.note([Origin(file, 1, len(text.lines))], "unknown", problem.code, problem.reason)
        return
    for kind, name, attributes in _resources(document):
        gateway = _text(attributes.get("gw_name")) or name
        if kind in STAGES:
            for number, policy in enumerate((attributes.get(f"{STAGES[kind]}_policy") or document).items, 1):
                yield _json_policy(STAGES[kind], gateway, f"{name}-{number}", policy, file)
        elif kind.startswith("aviatrix_"):
            for key in SINGLE:
                found = attributes.get(key)
                if found is not None and found.value is True:
                    origin = Origin(file, found.line, found.end_line)
                    yield Policy("snat", gateway, f"{name}-{key}", {"single": ("true", origin)}, (origin,))


def _resources(document: Placed) -> Iterator[tuple[str, str, Placed]]:
    """(type, name, values) of a state or plan as `show -json` gives it, or of a state file."""
    modules = [found for key in ("values", "planned_values") if (found := document.get(key, "root_module"))]
    while modules:
        module = modules.pop()
        for resource in (module.get("resources") or Placed([], 0, 0)).items:
            attributes = resource.get("values")
            if attributes is not None:
                yield _text(resource.get("type")), _text(resource.get("name")), attributes
        modules += (module.get("child_modules") or Placed([], 0, 0)).items
    for resource in (document.get("resources") or Placed([], 0, 0)).items:
        for instance in (resource.get("instances") or Placed([], 0, 0)).items:
            attributes = instance.get("attributes")
            if attributes is not None:
                yield _text(resource.get("type")), _text(resource.get("name")), attributes


def _text(found: Placed | None) -> str:
    return (found.text if found is not None else None) or ""


def _json_policy(stage: str, gateway: str, name: str, policy: Placed, file: int) -> Policy:
    fields: dict[str, tuple[Value, Origin]] = {}
    if isinstance(policy.value, dict):
        for key, found in policy.value.items():
            fields[key] = (found.text, Origin(file, found.line, found.end_line))
    return Policy(stage, gateway, name, fields, (Origin(file, policy.line, policy.end_line),))


# ---- Terraform


def _of_terraform(texts: tuple[Text, ...], ledger: Ledger) -> Iterator[Policy]:
    variables = Variables()
    files: list[tuple[int, Block]] = []
    for number, text in enumerate(texts):
        if _is_json(text):
            continue
        try:
            block = read_terraform(text)
        except Unreadable as problem:
            ledger.note([Origin(number, 1, max(len(text.lines), 1))] if text.lines else [], "unknown", problem.code, problem.reason)
            continue
        variables.learn(block, text.name.endswith((".tfvars", ".auto.tfvars")))
        files.append((number, block))
    for number, block in files:
        for resource in block.blocks:
            yield from _of_block(resource, number, variables)


def _of_block(block: Block, file: int, variables: Variables) -> Iterator[Policy]:
    kind = block.labels[1] if block.labels[:1] == ("resource",) and len(block.labels) > 2 else ""
    if kind in STAGES:
        yield from _of_resource(block, STAGES[kind], file, variables)
        return
    if block.labels[:1] not in (("resource",), ("module",)):
        return
    for key in SINGLE:
        attribute = block.attributes.get(key)
        if attribute is None:
            continue
        value = variables.resolve(attribute.value)
        origin = Origin(file, attribute.line, attribute.end_line)
        doubt = _not_literal(key, value)
        if value == "true" or doubt:
            name = f"{block.labels[-1]}-{key}"
            yield Policy("snat", _gateway(block, variables), name, {"single": ("true", origin)}, (origin,), doubt)


def _not_literal(key: str, value: Value) -> Unsaid | None:
    if not isinstance(value, Expression):
        return None
    reason = f"'{key} = {value.text[:80]}' is known to Terraform only: import what `terraform show -json` gives"
    return Unsaid("not-literal", reason)


def _gateway(block: Block, variables: Variables) -> str:
    """The name of a gateway, or how it is written."""
    for key in ("gw_name", "name"):
        attribute = block.attributes.get(key)
        if attribute is not None:
            value = variables.resolve(attribute.value)
            return value.text if isinstance(value, Expression) else value or ""
    return block.labels[-1]


def _of_resource(block: Block, stage: str, file: int, variables: Variables) -> Iterator[Policy]:
    gateway, name = _gateway(block, variables), block.labels[-1]
    repeated = next((block.attributes[key] for key in ("count", "for_each") if key in block.attributes), None)
    doubt = None if repeated is None else _repeated(repeated)
    number = 0
    for inner in block.blocks:
        if inner.labels == (f"{stage}_policy",):
            number += 1
            yield _policy(inner, stage, gateway, f"{name}-{number}", file, variables, doubt)
        elif inner.labels == ("dynamic", f"{stage}_policy"):
            number += 1
            each = inner.attributes.get("for_each", Attribute(Expression("for_each"), inner.line, inner.line))
            where = (Origin(file, inner.line, inner.end_line),)
            yield Policy(stage, gateway, f"{name}-{number}", {}, where, doubt or _not_literal("for_each", each.value))


def _repeated(attribute: Attribute) -> Unsaid | None:
    return None if attribute.value == "1" else _not_literal("count", Expression(str(attribute.value)))


def _policy(
    block: Block, stage: str, gateway: str, name: str, file: int, variables: Variables, doubt: Unsaid | None
) -> Policy:
    fields: dict[str, tuple[Value, Origin]] = {}
    for key, attribute in block.attributes.items():
        value = variables.resolve(attribute.value)
        fields[key] = (value, Origin(file, attribute.line, attribute.end_line))
        doubt = doubt or (None if key in CLOUD else _not_literal(key, value))
    return Policy(stage, gateway, name, fields, (Origin(file, block.line, block.end_line),), doubt)


# ---- a policy's rule


def _rules(policy: Policy, options: Options, ledger: Ledger) -> Iterator[Rule]:
    for key in CLOUD:
        if key in policy.fields and not policy.doubt and policy.where[0].end_line > policy.where[0].line:
            ledger.note([policy.fields[key][1]], "ignored", "", "routes of the cloud, not the gateway's")
    given = {
        key: value for key, (value, _) in policy.fields.items() if not isinstance(value, Expression) and value not in ABSENT
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
    yield Rule(policy.stage, match, action, lines, policy.name)


def _lines(policy: Policy) -> Iterator[Origin]:
    """The lines of a policy without those that were told apart."""
    apart = {policy.fields[key][1].line for key in CLOUD if key in policy.fields}
    for where in policy.where:
        whole = where.end_line > where.line and not policy.doubt
        for line in range(where.line, where.end_line + 1):
            if not whole or line not in apart:
                yield Origin(where.file, line, line)


def _match(policy: Policy, given: Mapping[str, Value], options: Options) -> tuple[Match, Unsaid | None]:
    doubt = None
    side = "incoming" if policy.stage == "dnat" else "outgoing"
    connection = str(given.get("connection", ""))
    name = options.connections.get(connection, "") if connection else str(given.get("interface", PRIMARY))
    match = ANYTHING
    if name:
        name = options.connections.get(name, name)
        match = match._replace(**{side: Names(frozenset([name]))})
    else:
        reason = f"which interface leads to connection '{connection}' is not in the input"
        doubt = Unsaid("needs-connection", reason, hint=f"say --map-connection '{connection}=IF'")
    for key, (field, whole, read_set) in FIELDS.items():
        text = given.get(key)
        if text is None:
            continue
        try:
            match = match._replace(**{field: read_set(str(text))})
        except Unreadable as problem:
            doubt = doubt or Unsaid(problem.code, f"{key}: {problem.reason}")
    if policy.stage == "snat" and "mark" in given:
        try:
            match = match._replace(mark=_mark(str(given["mark"])))
        except Unreadable as problem:
            doubt = doubt or Unsaid(problem.code, problem.reason)
    return match, doubt


FIELDS: dict[str, tuple[str, Ranges, Callable[[str], Ranges]]] = {
    "src_cidr": ("source", ADDRESSES, values.address_set),
    "dst_cidr": ("destination", ADDRESSES, values.address_set),
    "src_port": ("source_port", PORTS, values.port_set),
    "dst_port": ("destination_port", PORTS, values.port_set),
    "protocol": ("protocol", PROTOCOLS, values.protocol_set),
}


def _mark(text: str) -> Mark:
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or not 0 < int(text) <= MARK_LAST:
        raise Unreadable("bad-mark", f"'{text}' is no mark")
    return Mark(int(text))


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
