"""The values that hold for a pool and for the gateway, each with the place that it comes from.

Follows the schema: a key that is added there is here, too. Speaks YAML keys, as `model.read` does, whose
order of layers it has: what the pool says, what `nat_defaults` says, the schema's default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.model import read_npt
from nfcompile.model.fields import BOOLEANS, Data
from nfcompile.model.read_pool import ALLOCATION, FIELD_TYPES

POOL, INHERITED, DEFAULT, UNSET = "pool", "nat_defaults", "default", "unset"
"""Where a value comes from; UNSET: it is written nowhere and has no default."""


class EffectiveValue(NamedTuple):
    """A key below its pool or nat_defaults ('timeouts_inactivity.udp'), its value, and where that comes from.

    `path` is the key's place in the site where it is written, else ().
    """

    key: str
    value: Any
    source: str
    path: Path = ()


def of_gateway(data: Data, schema: Data) -> Iterator[EffectiveValue]:
    """The values of `nat_defaults`: those of the gateway, and those that pools inherit."""
    given = data.get(INHERITED) or {}
    rules = schema["properties"][INHERITED]["properties"]
    for keys, rule in _leaves(rules, schema):
        yield _value(keys, rule, [(INHERITED, (INHERITED,), given)])


def of_pool(data: Data, schema: Data, pool: str) -> Iterator[EffectiveValue]:
    """The values of one pool, without the keys that its type does not have."""
    given = data["pools"][pool]
    own: tuple[str, Path, Data] = (POOL, ("pools", pool), given)
    inherited: tuple[str, Path, Data] = (INHERITED, (INHERITED,), data.get(INHERITED) or {})
    layers = [own] if given["type"] == "npt" else [own, inherited]
    for keys, rule in _leaves(schema["$defs"]["pool"]["properties"], schema):
        if _has(given["type"], keys[0]):
            found = _value(keys, rule, layers)
            if keys == ("allocation",) and found.source == UNSET:
                by_type = ALLOCATION.get(given["type"], "deterministic")
                found = found._replace(value=by_type, source=DEFAULT)
            yield found


def _has(kind: str, key: str) -> bool:
    """Whether pools of a type have a key."""
    return key in read_npt.KEYS if kind == "npt" else kind in FIELD_TYPES.get(key, (kind,))


def _leaves(rules: Data, schema: Data, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Data]]:
    """Every key that has a value of its own, with the schema's rule for it."""
    for key, rule in rules.items():
        referred = schema["$defs"][rule["$ref"].removeprefix("#/$defs/")] if "$ref" in rule else {}
        whole = referred | rule
        if "properties" in whole:
            yield from _leaves(whole["properties"], schema, (*above, key))
        else:
            yield (*above, key), whole


def _value(keys: tuple[str, ...], rule: Data, layers: Sequence[tuple[str, Path, Data]]) -> EffectiveValue:
    """The value of the first layer that has it. A pool inherits the keys that `nat_defaults` has too."""
    name = ".".join(keys)
    for source, path, data in layers:
        found: Any = data
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            return EffectiveValue(name, _plain(found, rule), source, (*path, *keys))
    if "default" in rule:
        return EffectiveValue(name, _plain(rule["default"], rule), DEFAULT)
    return EffectiveValue(name, None, UNSET)


def _plain(value: Any, rule: Data) -> Any:
    """A boolean in any of its spellings as True or False."""
    is_boolean = True in rule.get("enum", ()) and False in rule.get("enum", ())
    return BOOLEANS.get(value, value) if is_boolean else value
