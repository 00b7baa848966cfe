"""The data of a site against schemas/site.schema.json, and what is wrong with it in our own words.

jsonschema detects, we speak. Because importing it costs more than compiling a small site, a walker over
the same file first answers whether anything is wrong at all. Knows keys only from the schema.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from nfcompile.diagnostics import PROBLEMS_LIMIT, Diagnostic, Note, Path, dotted
from nfcompile.source.document import Document, short

Rule = dict[str, Any]
Words = dict[str, str]

OWNERS = {"acls": "acl", "pools": "pool", "dnat": "dnat rule", "snat": "snat rule"}
TYPES: Words = {
    "integer": "a whole number",
    "string": "text",
    "array": "a list",
    "object": "keys with values",
}


def check(document: Document) -> tuple[Diagnostic, ...]:
    """Everything in which a document's keys and values differ from the schema."""
    rule = schema()
    if accepts(rule, document.data, rule["$defs"]):
        return ()
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # jsonschema's own test for repeated values takes time in the square of their number.
    validator = extend(Draft202012Validator, {"uniqueItems": _repeats})(rule)  # type: ignore[no-untyped-call]
    found: dict[tuple[object, ...], Diagnostic] = {}
    for error in validator.iter_errors(document.data):
        for one in _speak(error, rule):
            # One value may break two rules (too long, and a bad character); the first is enough.
            found.setdefault((one.path, one.key, one.message if one.key else ""), one)
            if len(found) == PROBLEMS_LIMIT:
                return tuple(found.values())
    return tuple(found.values())


def _repeats(_validator: Any, _argument: bool, value: Any, _rule: Rule) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not _unique(True, value, {}, {}):
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
def schema() -> Rule:
    """The JSON Schema as data; not to be changed."""
    rule: Rule = json.loads(schema_text())
    return rule


def defaults() -> Rule:
    """The schema's defaults, nested as the keys are; those of a pool or a rule stand once, without a name."""
    return _defaults(schema())


def _defaults(rule: Rule) -> Rule:
    found = {}
    for key, inner in _entry(rule).get("properties", {}).items():
        if "default" in inner:
            found[key] = inner["default"]
        elif "properties" in _entry(inner):
            found[key] = _defaults(inner)
    return found


def _entry(rule: Rule) -> Rule:
    """What a rule says of a mapping's keys: itself, what it refers to, or what holds for every name in it."""
    if "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")]
    entry = rule.get("additionalProperties")
    return _entry(entry) if isinstance(entry, dict) else rule


def accepts(rule: Rule, value: Any, defs: Rule) -> bool:
    """Whether a value fits a rule; says the same as jsonschema for the keywords that the schema uses."""
    for keyword, argument in rule.items():
        test = KEYWORDS.get(keyword)
        if test is not None and not test(argument, value, rule, defs):
            return False
    return True


def _ref(argument: str, value: Any, _rule: Rule, defs: Rule) -> bool:
    return accepts(defs[argument.removeprefix("#/$defs/")], value, defs)


def _type(argument: str | list[str], value: Any, _rule: Rule, _defs: Rule) -> bool:
    kind = _kind(value)
    return kind == argument or (isinstance(argument, list) and kind in argument)


def _kind(value: Any) -> str:
    return KINDS.get(type(value), "")


KINDS = {
    str: "string",
    int: "integer",
    bool: "boolean",
    dict: "object",
    list: "array",
    type(None): "null",
}


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def _enum(argument: list[Any], value: Any, _rule: Rule, _defs: Rule) -> bool:
    return any(_same(value, one) for one in argument)


def _pattern(argument: str, value: Any, _rule: Rule, _defs: Rule) -> bool:
    return not isinstance(value, str) or re.search(argument, value) is not None


def _minimum(argument: int, value: Any, _rule: Rule, _defs: Rule) -> bool:
    return type(value) is not int or value >= argument


def _maximum(argument: int, value: Any, _rule: Rule, _defs: Rule) -> bool:
    return type(value) is not int or value <= argument


def _unique(_argument: bool, value: Any, _rule: Rule, _defs: Rule) -> bool:
    return not isinstance(value, list) or _repeated(value) is None


def _required(argument: list[str], value: Any, _rule: Rule, _defs: Rule) -> bool:
    return not isinstance(value, dict) or all(key in value for key in argument)


def _properties(argument: Rule, value: Any, _rule: Rule, defs: Rule) -> bool:
    if not isinstance(value, dict):
        return True
    return all(accepts(argument[key], one, defs) for key, one in value.items() if key in argument)


def _additional(argument: Rule | bool, value: Any, rule: Rule, defs: Rule) -> bool:
    if not isinstance(value, dict):
        return True
    known = rule.get("properties", {})
    if isinstance(argument, bool):
        return argument or all(key in known for key in value)
    return all(accepts(argument, one, defs) for key, one in value.items() if key not in known)


def _names(argument: Rule, value: Any, _rule: Rule, defs: Rule) -> bool:
    return not isinstance(value, dict) or all(accepts(argument, key, defs) for key in value)


def _items(argument: Rule, value: Any, _rule: Rule, defs: Rule) -> bool:
    return not isinstance(value, list) or all(accepts(argument, one, defs) for one in value)


KEYWORDS: dict[str, Callable[[Any, Any, Rule, Rule], bool]] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "const": lambda argument, value, _rule, _defs: _same(value, argument),
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": lambda argument, value, _r, _d: not isinstance(value, str) or len(value) >= argument,
    "maxLength": lambda argument, value, _r, _d: not isinstance(value, str) or len(value) <= argument,
    "minItems": lambda argument, value, _r, _d: not isinstance(value, list) or len(value) >= argument,
    "uniqueItems": _unique,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "items": _items,
}
ANNOTATIONS = ("$schema", "$id", "$defs", "title", "description", "default", "examples")
"""Keywords that decide nothing; a test holds that the schema has no others than these and KEYWORDS."""


def _speak(error: Any, rule: Rule) -> Iterator[Diagnostic]:
    """Turn one finding of jsonschema into as many diagnostics as it stands for."""
    path: Path = tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        yield _bad_name(path, error)
    elif error.validator == "additionalProperties":
        known = error.schema["properties"]
        for key in error.instance:
            if key not in known:
                yield _unknown_key(path, key, list(known), rule)
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield _missing_key(path, key, error.schema["properties"][key], rule["$defs"])
    else:
        yield SPEAKERS[error.validator](path, error)


def _unknown_key(path: Path, key: str, known: list[str], rule: Rule) -> Diagnostic:
    message = f"unknown key '{short(key)}'" + _inside(path)
    near = _near(key, known, 0.6)
    hint = f"did you mean '{near}'?" if near else ""
    if not near:
        homes = _homes(rule)
        elsewhere = _near(key, list(homes), 0.75)
        if elsewhere and elsewhere == key:
            hint = f"'{key}' belongs in {homes[key]}"
        elif elsewhere:
            hint = f"did you mean '{elsewhere}'? it belongs in {homes[elsewhere]}"
        elif len(known) <= FEW_KEYS:
            hint = f"the keys here are {', '.join(known)}"
    return Diagnostic("unknown-key", message, (*path, key), key=True, hint=hint)


FEW_KEYS = 9


def _near(word: str, words: list[str], cutoff: float) -> str:
    """The word that was probably meant, or nothing."""
    import difflib

    by_form = {one.casefold(): one for one in reversed(words)}
    form = word.casefold().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(form, by_form, 1, cutoff)
    return by_form[near[0]] if near else ""


def _homes(rule: Rule) -> Words:
    """Every key of the schema, and where it belongs; a key with several homes has the first."""
    found: Words = {}

    def visit(one: Rule, home: str) -> None:
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


def _missing_key(path: Path, key: str, rule: Rule, defs: Rule) -> Diagnostic:
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
    message = f"'{short(name)}' is not {kind}"
    return Diagnostic("bad-name", message, (*path, name), key=True, hint=_advice(error.schema))


def _advice(rule: Rule) -> str:
    """What the description of a rule tells to write, as a hint."""
    _, found, rest = rule.get("description", "").partition("Write ")
    return f"write {rest.removesuffix('.')}" if found else ""


def _wrong_type(path: Path, error: Any) -> Diagnostic:
    expected = error.validator_value
    types = [expected] if isinstance(expected, str) else expected
    # A section may be empty, but nobody has to be told so who wrote something else there.
    allowed = " or ".join(TYPES[one] for one in types if one != "null")
    message = f"{_subject(path)} must be {allowed}, not {_found(error.instance)}"
    if error.instance is None:
        message = f"{_subject(path)} is empty, expected {allowed}"
    return Diagnostic("wrong-type", message, path, hint=_type_hint(types, error))


def _type_hint(types: list[str], error: Any) -> str:
    value = error.instance
    if value is None or isinstance(value, dict):
        return ""
    if "array" in types and not isinstance(value, list):
        return f"write [{short(str(value))}]"
    if "string" in types:
        if isinstance(value, list):
            return f"write {short(_flow(value[0]))}" if len(value) == 1 else ""
        return "put it in quotes"
    if types == ["integer"] and isinstance(value, str) and re.fullmatch("[0-9]{1,10}", value):
        return f"write {int(value)}"
    if "object" not in types:
        return ""
    return "write 'name: ...' instead of '- ...'" if isinstance(value, list) else "write 'key: value'"


def _found(value: Any) -> str:
    """Say what stands there instead of what should."""
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, str):
        return f"text '{short(value)}'"
    words = {"integer": f"the number {value}", "array": "a list", "object": "keys with values"}
    return words.get(_kind(value), "empty")


def _bad_value(path: Path, error: Any) -> Diagnostic:
    value = error.instance
    options = [error.validator_value] if error.validator == "const" else error.validator_value
    # The booleans are in the schema as booleans and as words.
    words = list(dict.fromkeys(str(one) for one in options if not isinstance(one, bool)))
    found = f"'{short(value)}'" if isinstance(value, str) else _found(value).removeprefix("the number ")
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
    is_, first = f"is {short(str(value))}", rule.get("minimum")
    if isinstance(value, str):
        is_, first, last = f"has {len(value)} characters", rule.get("minLength"), rule.get("maxLength")
    elif isinstance(value, list):
        is_, first, last = f"has {len(value) or 'no'} entries", rule["minItems"], None
    allowed = f"{first} to {last}" if first is not None else f"up to {last}"
    if last is None:
        allowed = f"at least {first}"
    return Diagnostic("out-of-range", f"{subject} {is_}, allowed: {allowed}", path)


def _bad_format(path: Path, error: Any) -> Diagnostic:
    message = f"{_subject(path)} cannot be '{short(error.instance)}'"
    return Diagnostic("bad-format", message, path, hint=_advice(error.schema))


def _repeated(values: list[Any]) -> tuple[int, int] | None:
    """Two places in a list that hold the same."""
    seen: dict[str, int] = {}
    for second, value in enumerate(values):
        first = seen.setdefault(repr(value), second)  # what is spelt the same is the same: 1, not '1'
        if first != second:
            return first, second
    return None


def _given_twice(path: Path, error: Any) -> Diagnostic:
    first, second = _repeated(error.instance) or (0, 0)
    name = short(str(error.instance[second]))
    note = Note(f"'{name}' is given here first", (*path, first))
    message = f"'{name}' is given twice{_inside(path)}"
    return Diagnostic("bad-value", message, (*path, second), hint="remove one of them", notes=(note,))


SPEAKERS: dict[str, Callable[[Path, Any], Diagnostic]] = {
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
        return f"'{short(dotted(path))}'"
    owner = f"{OWNERS[str(path[0])]} '{short(str(path[1]))}'"
    if len(path) == 2:
        return owner
    if path[0] == "acls":
        return f"rule {short(str(path[2]))} of {owner}"
    return f"'{short(dotted(path[2:]))}' of {owner}"


def _inside(path: Path) -> str:
    return f" in {_subject(path)}" if path else ""
