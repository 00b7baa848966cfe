"""The walker of the schema says of any data what jsonschema says."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from nfcompile.source.document import Document, parse
from nfcompile.source.schema import schema_text, validate
from nfcompile.source.schema_keywords import is_valid
from support.every_key import EVERY_KEY

SCHEMA: dict[str, Any] = json.loads(schema_text())
VALIDATOR = Draft202012Validator(SCHEMA)
WHOLE = parse(EVERY_KEY.encode(), "x").data
SCALARS = [
    0,
    1,
    -1,
    64,
    65535,
    65536,
    10**10,
    True,
    False,
    None,
    "",
    "on",
    "x",
    "nolimit",
    "1",
    "0x1/2",
    "a b",
]
KEYS = [
    "type",
    "udp",
    "global_ip",
    "10",
    "010",
    "4095",
    "9x",
    "x",
    "mark",
    "hairpin",
    "a" * 40,
    "",
    "priority",
]
values = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=5,
)


def spots(data: Any) -> list[tuple[Any, Any]]:
    """Every (container, step) of a tree."""
    steps = list(data) if isinstance(data, dict) else list(range(len(data))) if isinstance(data, list) else []
    return [spot for step in steps for spot in [(data, step), *spots(data[step])]]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_walker_and_jsonschema_agree(data: st.DataObject) -> None:
    site = copy.deepcopy(WHOLE)
    for _ in range(data.draw(st.integers(1, 2))):
        container, step = data.draw(st.sampled_from(spots(site)))
        change = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "remove":
            del container[step]
        elif change == "replace":
            container[step] = data.draw(values)
        elif isinstance(container, dict):
            container[data.draw(st.sampled_from(KEYS))] = data.draw(values)
        else:
            container.append(data.draw(values))
    valid = VALIDATOR.is_valid(site)
    assert is_valid(SCHEMA, site, SCHEMA["$defs"]) == valid
    found = validate(Document("x", [], site, None)).diagnostics
    assert bool(found) != valid
    for one in found:
        assert one.message
        assert one.message[0].islower() or one.message[0] == "'"
        assert not one.message.endswith(".")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), values, max_size=4))
def test_walker_and_jsonschema_agree_on_anything(site: dict[str, Any]) -> None:
    valid = VALIDATOR.is_valid(site)
    assert is_valid(SCHEMA, site, SCHEMA["$defs"]) == valid
    assert bool(validate(Document("x", [], site, None)).diagnostics) != valid
