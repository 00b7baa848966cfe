"""Whether a value fits a rule of the JSON Schema: one test for each keyword that the schema uses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
"""The schema or a part of it."""


def is_valid(rule: Schema, value: Any, defs: Schema) -> bool:
    """Whether a value fits a rule; equal to jsonschema for the keywords that the schema uses."""
    for keyword, argument in rule.items():
        test = KEYWORDS.get(keyword)
        if test is not None and not test(argument, value, rule, defs):
            return False
    return True


def _ref(argument: str, value: Any, _rule: Schema, defs: Schema) -> bool:
    return is_valid(defs[argument.removeprefix("#/$defs/")], value, defs)


def _type(argument: str | list[str], value: Any, _rule: Schema, _defs: Schema) -> bool:
    kind = kind_of(value)
    return kind == argument or (isinstance(argument, list) and kind in argument)


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
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


def _enum(argument: list[Any], value: Any, _rule: Schema, _defs: Schema) -> bool:
    return any(_same(value, one) for one in argument)


def _pattern(argument: str, value: Any, _rule: Schema, _defs: Schema) -> bool:
    return not isinstance(value, str) or re.search(argument, value) is not None


def _minimum(argument: int, value: Any, _rule: Schema, _defs: Schema) -> bool:
    return type(value) is not int or value >= argument


def _maximum(argument: int, value: Any, _rule: Schema, _defs: Schema) -> bool:
    return type(value) is not int or value <= argument


def repeated(values: list[Any]) -> tuple[int, int] | None:
    """The indexes of the first two equal entries of a list."""
    seen: dict[str, int] = {}
    for second, value in enumerate(values):
        first = seen.setdefault(repr(value), second)  # equal spelling is equality: 1 is not '1'
        if first != second:
            return first, second
    return None


def _unique(_argument: bool, value: Any, _rule: Schema, _defs: Schema) -> bool:
    return not isinstance(value, list) or repeated(value) is None


def _required(argument: list[str], value: Any, _rule: Schema, _defs: Schema) -> bool:
    return not isinstance(value, dict) or all(key in value for key in argument)


def _properties(argument: Schema, value: Any, _rule: Schema, defs: Schema) -> bool:
    if not isinstance(value, dict):
        return True
    return all(is_valid(argument[key], one, defs) for key, one in value.items() if key in argument)


def _additional(argument: Schema | bool, value: Any, rule: Schema, defs: Schema) -> bool:
    if not isinstance(value, dict):
        return True
    known = rule.get("properties", {})
    if isinstance(argument, bool):
        return argument or all(key in known for key in value)
    return all(is_valid(argument, one, defs) for key, one in value.items() if key not in known)


def _names(argument: Schema, value: Any, _rule: Schema, defs: Schema) -> bool:
    return not isinstance(value, dict) or all(is_valid(argument, key, defs) for key in value)


def _items(argument: Schema, value: Any, _rule: Schema, defs: Schema) -> bool:
    return not isinstance(value, list) or all(is_valid(argument, one, defs) for one in value)


KEYWORDS: dict[str, Callable[[Any, Any, Schema, Schema], bool]] = {
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
"""Keywords without an effect on validity; a test holds that the schema has only these and KEYWORDS."""
