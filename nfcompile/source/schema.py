"""schemas/site.schema.json: whether the data of a site fits it, and the defaults that it has.

Importing jsonschema costs more than compiling a small site, so `schema_keywords` first answers whether the
data are valid; jsonschema then finds the faults, and `schema_messages` words them. Knows keys only from the
schema.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from nfcompile.diagnostics import PROBLEMS_LIMIT, Diagnostic, Path
from nfcompile.source.document import Document
from nfcompile.source.schema_keywords import Schema, is_valid, repeated
from nfcompile.source.unread import covers, without

if TYPE_CHECKING:
    from nfcompile.source.schema_messages import SchemaFinding


class Validated(NamedTuple):
    """The part of a site's data that the schema allows, what is wrong with the rest, and where that is."""

    data: dict[str, Any]
    diagnostics: tuple[Diagnostic, ...]
    unread: frozenset[Path]


def validate(document: Document) -> Validated:
    """Compare a document with the schema; what the schema does not allow is left out of the data."""
    data, rule, unread = document.data, schema(), document.unread
    if unread:
        data = without(data, unread)
    if is_valid(rule, data, rule["$defs"]):
        return Validated(data, (), unread)
    found = _findings(data, rule, unread)
    unread |= {path for finding in found for path in finding.unread}
    if len(found) == PROBLEMS_LIMIT:
        unread |= {()}  # what is wrong beyond the last problem is not known, so nothing is read
    return Validated(without(data, unread), tuple(finding.diagnostic for finding in found), unread)


def _findings(data: dict[str, Any], rule: Schema, unread: frozenset[Path]) -> list[SchemaFinding]:
    """What jsonschema finds outside the parts that are left out already; at most PROBLEMS_LIMIT."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    from nfcompile.source.schema_messages import findings_of

    # jsonschema's own test for repeated values takes time in the square of their number.
    validator = extend(Draft202012Validator, {"uniqueItems": _repeats})(rule)  # type: ignore[no-untyped-call]
    found: dict[tuple[object, ...], SchemaFinding] = {}
    for error in validator.iter_errors(data):
        for finding in findings_of(error, rule):
            path, key = finding.diagnostic.path, finding.diagnostic.key
            if covers(unread, path) or any(covers(unread, one) for one in finding.unread):
                continue
            # One value may break two rules (too long, and a bad character); the first is enough.
            found.setdefault((path, key, finding.diagnostic.message if key else ""), finding)
            if len(found) == PROBLEMS_LIMIT:
                return list(found.values())
    meant = {one for finding in found.values() if _is_unknown(finding) for one in finding.unread}
    return [one for one in found.values() if _is_unknown(one) or not meant.intersection(one.unread)]


def _is_unknown(finding: SchemaFinding) -> bool:
    """Whether a key is unknown; the key that was probably meant is then not reported as missing."""
    return finding.diagnostic.code == "unknown-key"


def _repeats(_validator: Any, _argument: bool, value: Any, _rule: Schema) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(value, list) and repeated(value) is not None:
        yield ValidationError("has repeated values")


def schema_text() -> str:
    """The JSON Schema as it is shipped: beside this file, or in the checkout's folder of schemas."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(os.path.dirname(here), "site.schema.json")
    if not os.path.exists(path):
        path = os.path.join(os.path.dirname(os.path.dirname(here)), "schemas", "site.schema.json")
    with open(path, encoding="utf-8") as file:
        return file.read()


@cache
def schema() -> Schema:
    """The JSON Schema as data; not to be changed."""
    rule: Schema = json.loads(schema_text())
    return rule


def defaults() -> Schema:
    """The schema's defaults, nested as the keys are; those of a pool or a rule stand once, without a name."""
    return _defaults(schema())


def _defaults(rule: Schema) -> Schema:
    found = {}
    for key, inner in _entry(rule).get("properties", {}).items():
        if "default" in inner:
            found[key] = inner["default"]
        elif "properties" in _entry(inner):
            found[key] = _defaults(inner)
    return found


def _entry(rule: Schema) -> Schema:
    """The rule that has the keys of a mapping: itself, its `$ref`, or the rule for every name in it."""
    if "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")]
    entry = rule.get("additionalProperties")
    return _entry(entry) if isinstance(entry, dict) else rule
