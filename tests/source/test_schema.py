"""The schema itself: each key is accepted, described and has one default; valid sites need no jsonschema."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from jsonschema import Draft202012Validator

from nfcompile.model.read import read_site
from nfcompile.model.site import Alg, Defaults, Limits, Pool, Timeouts
from nfcompile.source.document import parse
from nfcompile.source.schema import defaults, schema_text, validate
from nfcompile.source.schema_keywords import ANNOTATIONS, KEYWORDS, is_valid
from nfcompile.source.schema_messages import MESSAGES
from support.every_key import EVERY_KEY

SCHEMA: dict[str, Any] = json.loads(schema_text())


def test_every_key_is_accepted() -> None:
    assert validate(parse(EVERY_KEY.encode(), "site.yaml")).diagnostics == ()


def test_every_key_of_the_schema_is_in_that_site() -> None:
    def keys(rule: Any) -> set[str]:
        if isinstance(rule, dict):
            own = set(rule["properties"]) if isinstance(rule.get("properties"), dict) else set()
            return own.union(*(keys(inner) for inner in rule.values()))
        return set()

    def used(data: Any) -> set[str]:
        if isinstance(data, dict):
            return set(data).union(*(used(inner) for inner in data.values()))
        return set()

    assert keys(SCHEMA) <= used(parse(EVERY_KEY.encode(), "x").data)


def rules(rule: Any) -> list[dict[str, Any]]:
    """Every rule of the schema (not the dictionaries that hold rules by name)."""
    found = [rule]
    for keyword, argument in rule.items():
        if keyword in ("properties", "$defs"):
            found += [one for inner in argument.values() for one in rules(inner)]
        elif keyword in ("items", "additionalProperties", "propertyNames") and isinstance(argument, dict):
            found += rules(argument)
    return found


def test_the_walker_knows_every_keyword() -> None:
    used = {keyword for rule in rules(SCHEMA) for keyword in rule}
    assert used <= {*KEYWORDS, *ANNOTATIONS}
    assert not used & {"oneOf", "anyOf", "allOf"}
    structural = {"$ref", "items", "properties", "propertyNames", "additionalProperties", "required"}
    assert used - structural - set(ANNOTATIONS) <= set(MESSAGES)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for rule in rules(SCHEMA):
        if rule.get("type") == "object" or rule.get("type") == ["object", "null"]:
            assert "additionalProperties" in rule
        if "$ref" in rule:
            assert rule["$ref"].removeprefix("#/$defs/") in SCHEMA["$defs"]
        for example in rule.get("examples", []):
            assert is_valid(rule, example, SCHEMA["$defs"])
        if "default" in rule:
            assert is_valid(rule, rule["default"], SCHEMA["$defs"])


def test_every_key_is_described() -> None:
    for rule in rules(SCHEMA):
        for key, inner in rule.get("properties", {}).items():
            target = SCHEMA["$defs"].get(inner.get("$ref", "").removeprefix("#/$defs/"), {})
            assert "description" in inner or "description" in target, key


def test_only_the_schema_has_defaults() -> None:
    """A key that is not written has one default, and it is the one that an editor shows."""
    for model in (Timeouts, Limits, Alg, Defaults, Pool):
        assert model._field_defaults == {}, model


def test_defaults_written_out_change_nothing() -> None:
    bare = {"version": 1, "interfaces": {"inside": ["lan0"], "outside": ["wan0"]}}
    full = bare | {"nat_defaults": {**defaults()["nat_defaults"]}}
    needed = {"type": "cgnat", "priority": 1, "global_ip": ["203.0.113.0/24"]}

    written, silent = (read_site(data, defaults())[0].defaults for data in (full, bare))
    assert written._replace(given=silent.given) == silent
    (pool,) = read_site(full | {"pools": {"p": {**defaults()["pools"], **needed}}}, defaults())[0].pools
    (same,) = read_site(bare | {"pools": {"p": needed}}, defaults())[0].pools
    assert pool._replace(given=same.given) == same
    assert pool.differing == {"type", "priority", "global_ip"}


def test_a_valid_site_does_not_import_jsonschema() -> None:
    code = (
        "import sys; from nfcompile.source import document, schema\n"
        f"assert not schema.validate(document.parse({EVERY_KEY.encode()!r}, 'x')).diagnostics\n"
        "sys.exit('jsonschema' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
