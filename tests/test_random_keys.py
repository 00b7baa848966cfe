"""No key of the schema is left out of the random sites that fuzzers and proofs work on."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from support.random_sites import accepted
from support.wide_sites import SCHEMA, resolved, wide

DRAWS = 2500
"""Ten times what it takes today."""

KeyPath = tuple[str, ...]
"""Keys from the top of a site; '*' for the names that its author chooses."""


def keys(rule: dict[str, Any], at: KeyPath = ()) -> Iterator[KeyPath]:
    """The keys that the schema has below a rule."""
    rule = resolved(rule)
    for key, inner in rule.get("properties", {}).items():
        yield (*at, key)
        yield from keys(inner, (*at, key))
    if isinstance(rule.get("additionalProperties"), dict):
        yield from keys(rule["additionalProperties"], (*at, "*"))


def held(data: Any, rule: dict[str, Any], at: KeyPath = ()) -> Iterator[KeyPath]:
    """Those of them that a part of a site has."""
    rule = resolved(rule)
    for key, value in data.items() if isinstance(data, dict) else ():
        if key in rule.get("properties", {}):
            yield (*at, key)
            yield from held(value, rule["properties"][key], (*at, key))
        elif isinstance(rule.get("additionalProperties"), dict):
            yield from held(value, rule["additionalProperties"], (*at, "*"))


def test_every_key_is_in_some_random_site_that_is_accepted() -> None:
    missing = set(keys(SCHEMA))
    assert len(missing) > 130
    for number in range(DRAWS):
        data = wide(Random(f"{number}/keys"))
        news = missing.intersection(held(data, SCHEMA))
        if news and accepted(data) is not None:
            missing -= news
        if not missing:
            break
    assert not sorted(".".join(path) for path in missing)
