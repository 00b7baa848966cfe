"""Policies of Aviatrix gateways, out of JSON that Terraform writes or out of .tf, with their lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.form import Unsaid
from nfcompile.importers.json_places import Placed, read_json
from nfcompile.importers.lines import SourceText
from nfcompile.importers.terraform import Attribute, Expression, HclBlock, Value, Variables, read_terraform
from nfcompile.importers.values import Unreadable

STAGES = {"aviatrix_gateway_dnat": "dnat", "aviatrix_gateway_snat": "snat"}
SINGLE = ("single_ip_snat", "enable_snat", "enable_nat")
"""Switches of a gateway that translate to its own address."""
CLOUD = ("exclude_rtb", "apply_route_entry")


class Policy(NamedTuple):
    """One policy, or a gateway's switch (`fields` then has 'single'); `where` are its lines."""

    stage: str
    gateway: str
    name: str
    fields: Mapping[str, tuple[Value, Origin]]
    where: tuple[Origin, ...]
    doubt: Unsaid | None = None


# ---- JSON


def is_json(text: SourceText) -> bool:
    return next((line.strip()[0] for line in text.lines if line.strip()), "") in "{["


def of_json(text: SourceText, file: int, ledger: Accounting) -> Iterator[Policy]:
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


def of_terraform(texts: tuple[SourceText, ...], ledger: Accounting) -> Iterator[Policy]:
    variables = Variables()
    files: list[tuple[int, HclBlock]] = []
    for number, text in enumerate(texts):
        if is_json(text):
            continue
        try:
            block = read_terraform(text)
        except Unreadable as problem:
            ledger.note(
                [Origin(number, 1, max(len(text.lines), 1))] if text.lines else [],
                "unknown",
                problem.code,
                problem.reason,
            )
            continue
        variables.learn(block, text.name.endswith((".tfvars", ".auto.tfvars")))
        files.append((number, block))
    for number, block in files:
        for resource in block.blocks:
            yield from _of_block(resource, number, variables)


def _of_block(block: HclBlock, file: int, variables: Variables) -> Iterator[Policy]:
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
            yield Policy(
                "snat", _gateway(block, variables), name, {"single": ("true", origin)}, (origin,), doubt
            )


def _not_literal(key: str, value: Value) -> Unsaid | None:
    if not isinstance(value, Expression):
        return None
    reason = (
        f"'{key} = {value.text[:80]}' is known to Terraform only: import what `terraform show -json` gives"
    )
    return Unsaid("not-literal", reason)


def _gateway(block: HclBlock, variables: Variables) -> str:
    """The name of a gateway, or how it is written."""
    for key in ("gw_name", "name"):
        attribute = block.attributes.get(key)
        if attribute is not None:
            value = variables.resolve(attribute.value)
            return value.text if isinstance(value, Expression) else value or ""
    return block.labels[-1]


def _of_resource(block: HclBlock, stage: str, file: int, variables: Variables) -> Iterator[Policy]:
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
            yield Policy(
                stage, gateway, f"{name}-{number}", {}, where, doubt or _not_literal("for_each", each.value)
            )


def _repeated(attribute: Attribute) -> Unsaid | None:
    return None if attribute.value == "1" else _not_literal("count", Expression(str(attribute.value)))


def _policy(
    block: HclBlock,
    stage: str,
    gateway: str,
    name: str,
    file: int,
    variables: Variables,
    doubt: Unsaid | None,
) -> Policy:
    fields: dict[str, tuple[Value, Origin]] = {}
    for key, attribute in block.attributes.items():
        value = variables.resolve(attribute.value)
        fields[key] = (value, Origin(file, attribute.line, attribute.end_line))
        doubt = doubt or (None if key in CLOUD else _not_literal(key, value))
    return Policy(stage, gateway, name, fields, (Origin(file, block.line, block.end_line),), doubt)
