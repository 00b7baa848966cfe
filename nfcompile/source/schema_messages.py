"""Findings of jsonschema -> diagnostics in our own words. Imported only for a site that has findings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from nfcompile.diagnostics import Diagnostic, Note, Path, dotted
from nfcompile.source.nodes import clip
from nfcompile.source.schema_keywords import Schema, kind_of, repeated

Words = dict[str, str]

OWNERS = {"acls": "acl", "pools": "pool", "dnat": "dnat rule", "snat": "snat rule"}
TYPES: Words = {
    "integer": "a whole number",
    "string": "text",
    "array": "a list",
    "object": "keys with values",
}
MAX_KEYS_IN_HINT = 9


class SchemaFinding(NamedTuple):
    """A diagnostic, and the paths of the values that are therefore not known."""

    diagnostic: Diagnostic
    unread: tuple[Path, ...]


def findings_of(error: Any, rule: Schema) -> Iterator[SchemaFinding]:
    """The findings of one error of jsonschema: one, or one for each key that is unknown or missing."""
    path: Path = tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        diagnostic = _bad_name(path, error)
        # A badly named pool can be checked; the number of an ACL rule or of a VLAN is part of its meaning.
        is_number = path[-1:] == ("vlans",) or (path[0] == "acls" and len(path) > 1)
        yield SchemaFinding(diagnostic, (diagnostic.path,) if is_number else ())
    elif error.validator == "additionalProperties":
        known = error.schema["properties"]
        for key in error.instance:
            if key not in known:
                near = _near(key, list(known), 0.6)
                meant: tuple[Path, ...] = ((*path, near),) if near and near not in error.instance else ()
                yield SchemaFinding(_unknown_key(path, key, near, list(known), rule), meant)
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                missing = _missing_key(path, key, error.schema["properties"][key], rule["$defs"])
                yield SchemaFinding(missing, ((*path, key),))
    else:
        diagnostic = MESSAGES[error.validator](path, error)
        yield SchemaFinding(diagnostic, (diagnostic.path,))


def _unknown_key(path: Path, key: str, near: str, known: list[str], rule: Schema) -> Diagnostic:
    message = f"unknown key '{clip(key)}'" + _inside(path)
    hint = f"did you mean '{near}'?" if near else ""
    if not near:
        homes = _homes(rule)
        elsewhere = _near(key, list(homes), 0.75)
        if elsewhere and elsewhere == key:
            hint = f"'{key}' belongs in {homes[key]}"
        elif elsewhere:
            hint = f"did you mean '{elsewhere}'? it belongs in {homes[elsewhere]}"
        elif len(known) <= MAX_KEYS_IN_HINT:
            hint = f"the keys here are {', '.join(known)}"
    return Diagnostic("unknown-key", message, (*path, key), key=True, hint=hint)


def _near(word: str, words: list[str], cutoff: float) -> str:
    """The closest of the words, or an empty text."""
    import difflib

    by_form = {one.casefold(): one for one in reversed(words)}
    form = word.casefold().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(form, by_form, 1, cutoff)
    return by_form[near[0]] if near else ""


def _homes(rule: Schema) -> Words:
    """Every key of the schema with the place that has it; of several places the first."""
    found: Words = {}

    def visit(one: Schema, home: str) -> None:
        if "$ref" in one:
            one = rule["$defs"][one["$ref"].removeprefix("#/$defs/")]
        for key, inner in one.get("properties", {}).items():
            found.setdefault(key, home)
            entry = inner.get("additionalProperties")
            if isinstance(entry, dict) and key in OWNERS:
                article = "an" if OWNERS[key][0] == "a" else "a"
                visit(entry, f"{article} {OWNERS[key]}")
            visit(inner, f"'{key}'")

    visit(rule, "the top level")
    return found


def _missing_key(path: Path, key: str, rule: Schema, defs: Schema) -> Diagnostic:
    if "$ref" in rule:
        rule = {**defs[rule["$ref"].removeprefix("#/$defs/")], **rule}
    hint = ""
    for keyword in ("const", "enum", "examples"):
        if keyword in rule:
            first, *others = [rule[keyword]] if keyword == "const" else rule[keyword]
            hint = f"add '{key}: {_flow(first)}'"
            if keyword == "enum":
                hint += f", or {', '.join(map(str, others))}"
            break
    return Diagnostic("missing-key", f"missing key '{key}'" + _inside(path), path, key=True, hint=hint)


def _flow(value: Any) -> str:
    """Spell a value as one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return str(value)


def _bad_name(path: Path, error: Any) -> Diagnostic:
    name = error.instance
    kind = "a name"
    if path[-1:] == ("vlans",):
        kind = "a VLAN id"
    elif path[0] == "acls" and len(path) > 1:
        kind = "a rule number"
    message = f"'{clip(name)}' is not {kind}"
    return Diagnostic("bad-name", message, (*path, name), key=True, hint=_advice(error.schema))


def _advice(rule: Schema) -> str:
    """The sentence 'Write ...' of a description, as a hint."""
    _, found, rest = rule.get("description", "").partition("Write ")
    return f"write {rest.removesuffix('.')}" if found else ""


def _wrong_type(path: Path, error: Any) -> Diagnostic:
    expected = error.validator_value
    types = [expected] if isinstance(expected, str) else expected
    # An empty section (null) is valid too, but is no advice where something is written; keys in the place of
    # a list are for fleets.
    unsaid = {"null", "object"} if "array" in types else {"null"}
    allowed = " or ".join(TYPES[one] for one in types if one not in unsaid)
    message = f"{_subject(path)} must be {allowed}, not {_found(error.instance)}"
    if error.instance is None:
        message = f"{_subject(path)} is empty, expected {allowed}"
    return Diagnostic("wrong-type", message, path, hint=_type_hint(types, error))


def _type_hint(types: list[str], error: Any) -> str:
    value = error.instance
    if value is None or isinstance(value, dict):
        return ""
    if "array" in types and "string" not in types and not isinstance(value, list):
        return f"write [{clip(str(value))}]"
    if "string" in types:
        if isinstance(value, list):
            return f"write {clip(_flow(value[0]))}" if len(value) == 1 else ""
        return "put it in quotes"
    if types == ["integer"] and isinstance(value, str) and re.fullmatch("[0-9]{1,10}", value):
        return f"write {int(value)}"
    if "object" not in types:
        return ""
    if not isinstance(value, list):
        return "write 'key: value'"
    # EcoNAT's listing of a global_map: ( 192.168.0.5-200.0.0.3 ).
    first = str(value[0]) if value else ""
    if error.absolute_path[-1] == "global_map" and first.count("-") == 1:
        return f"write {{{clip(first.replace('-', ': '))}}}"
    return "write 'name: ...' instead of '- ...'"


def _found(value: Any) -> str:
    """Name a value that is of the wrong type."""
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, str):
        return f"text '{clip(value)}'"
    words = {"integer": f"the number {value}", "array": "a list", "object": "keys with values"}
    return words.get(kind_of(value), "empty")


def _bad_value(path: Path, error: Any) -> Diagnostic:
    value = error.instance
    options = [error.validator_value] if error.validator == "const" else error.validator_value
    # The booleans are in the schema as booleans and as words.
    words = list(dict.fromkeys(str(one) for one in options if not isinstance(one, bool)))
    found = f"'{clip(value)}'" if isinstance(value, str) else _found(value).removeprefix("the number ")
    message = f"{_subject(path)} is {found}, allowed: {', '.join(words)}"
    hint = ""
    if isinstance(value, str):
        near = _near(value, words, 0.6)
        hint = f"did you mean '{near}'?" if near else ""
        if any(str(one) == value for one in options):
            hint = "remove the quotes"
    return Diagnostic("bad-value", message, path, hint=hint)


def _out_of_range(path: Path, error: Any) -> Diagnostic:
    value, rule = error.instance, error.schema
    subject, last = _subject(path), rule.get("maximum")
    is_, first = f"is {clip(str(value))}", rule.get("minimum")
    if isinstance(value, str):
        is_, first, last = f"has {len(value)} characters", rule.get("minLength"), rule.get("maxLength")
    elif isinstance(value, list):
        is_, first, last = f"has {len(value) or 'no'} entries", rule["minItems"], None
    allowed = f"{first} to {last}" if first is not None else f"up to {last}"
    if last is None:
        allowed = f"at least {first}"
    return Diagnostic("out-of-range", f"{subject} {is_}, allowed: {allowed}", path)


def _bad_format(path: Path, error: Any) -> Diagnostic:
    message = f"{_subject(path)} cannot be '{clip(error.instance)}'"
    return Diagnostic("bad-format", message, path, hint=_advice(error.schema))


def _given_twice(path: Path, error: Any) -> Diagnostic:
    first, second = repeated(error.instance) or (0, 0)
    name = clip(str(error.instance[second]))
    note = Note(f"'{name}' is given here first", (*path, first))
    message = f"'{name}' is given twice{_inside(path)}"
    return Diagnostic("bad-value", message, (*path, second), hint="remove one of them", notes=(note,))


MESSAGES: dict[str, Callable[[Path, Any], Diagnostic]] = {
    "type": _wrong_type,
    "enum": _bad_value,
    "const": _bad_value,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
    "minLength": _out_of_range,
    "maxLength": _out_of_range,
    "minItems": _out_of_range,
    "pattern": _bad_format,
    "uniqueItems": _given_twice,
}


def _subject(path: Path) -> str:
    """Name what stands at a path: "pool 'office'", "'priority' of pool 'office'", "'site'"."""
    if not path:
        return "the site"
    if path[0] not in OWNERS or len(path) == 1:
        return f"'{clip(dotted(path))}'"
    owner = f"{OWNERS[str(path[0])]} '{clip(str(path[1]))}'"
    if len(path) == 2:
        return owner
    if path[0] == "acls":
        return f"rule {clip(str(path[2]))} of {owner}"
    return f"'{clip(dotted(path[2:]))}' of {owner}"


def _inside(path: Path) -> str:
    return f" in {_subject(path)}" if path else ""
