"""Random sites with every key that the schema has, and random sites with something wrong in them.

`random_sites` draws what packets through a kernel can be asked of; here nothing is left out: the compiler
need only accept the site, and the proof, which walks every state, judge it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from nfcompile.model.read_pool import FIELD_TYPES
from nfcompile.source.schema import schema_text
from support.random_parts import one_in
from support.random_sites import site
from support.rare_keys import add_rare_keys

SCHEMA = json.loads(schema_text())
ODD = (
    *(
        None,
        "",
        "on",
        "none",
        "any",
        "0.0.0.0/0",
        "10.0.0.0/33",
        "203.0.0.7",
        "1-0",
        "nolimit",
        "\u202e",
        "a" * 300,
    ),
    *(0, -1, 1, 65536, 1 << 40, 1.5, True, [], {}, ["10.0.0.0/8"], {"1": "allow ip any"}, "10.0.0.9~102"),
)
"""What stands where something else should."""


def few(dice: Random) -> dict[str, Any]:
    """As `wide`, with few pools and rules in most of them: the time of a proof grows with their product."""
    made = wide(dice)
    if one_in(dice, 4):
        return made
    for word, most in (("pools", 2), ("dnat", 1), ("snat", 1)):
        kept = sorted(dice.sample(sorted(made[word]), min(most, len(made[word]))))
        made[word] = {name: made[word][name] for name in kept}
    asked = {pool.get("acl") for pool in made["pools"].values()}
    made["acls"] = {name: rules for name, rules in made["acls"].items() if name in asked}
    return made


def wide(dice: Random) -> dict[str, Any]:
    """A random site, with other keys of the schema here and there; most of them are accepted."""
    made = site(dice)
    places = [(made["nat_defaults"], _properties("nat_defaults"))]
    places += [(pool, _properties("pools")) for pool in made["pools"].values()]
    for values, properties in places:
        for key, rule in sorted(properties.items()):
            drawn = _drawn(dice, rule)
            if drawn is None or key in ("type", "priority", "enable") or not one_in(dice, 12):
                continue
            if _belongs(key, values) or one_in(dice, 60):
                values[key] = drawn
    if one_in(dice, 12):
        made["pools"]["n"] = npt(dice)
    for pool in made["pools"].values():
        if pool.get("allocation") == "dynamic" and one_in(dice, 2):
            pool["hairpin"] = True
        if pool["type"] == "cgnat" and pool.get("randomize_ports") is False:
            pool["port_range"] = "60000-65535"  # in order, a ruleset has an element for each port
        if pool["type"] == "cgnat" and one_in(dice, 12):
            # The gateway's own address, as on a machine that has no other one.
            own = pool["global_ip"][0].partition("/")[0].partition("-")[0]
            made["gateway"] = {"primary_ip": own}
            pool["global_ip"] = [own]
    add_rare_keys(dice, made)
    return made


def npt(dice: Random) -> dict[str, Any]:
    """A pool that replaces prefixes of IPv6, one or two, of the same or of different lengths."""
    lengths = [dice.choice((48, 56, 64, 128)) for _ in range(dice.choice((1, 1, 2)))]
    prefixes = {f"fd00:{n}::/{bits}": f"2001:db8:{n}::/{bits}" for n, bits in enumerate(lengths)}
    made = {"type": "npt", "priority": 900, "global_map": prefixes}
    return made | ({key: one_in(dice, 2) for key in ("stateless", "hairpin")} if one_in(dice, 2) else {})


def _belongs(key: str, values: dict[str, Any]) -> bool:
    """Whether a key may stand there: in `nat_defaults`, or in a pool of a type that has it."""
    return "type" not in values or values["type"] in FIELD_TYPES.get(key, (values["type"],))


def wrong(dice: Random, data: dict[str, Any]) -> dict[str, Any]:
    """The same with a few values gone, changed, or in another's place."""
    data = json.loads(json.dumps(data))
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        spots = list(_spots(data))
        holder, key = dice.choice(spots)
        kind = dice.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            holder[key] = dice.choice(ODD)
        elif kind == 2:
            there, other = dice.choice(spots)
            holder[key] = json.loads(json.dumps(there.get(other))) if isinstance(there, dict) else key
        else:
            holder[f"{key}{dice.choice('x_2~ ')}" if isinstance(holder, dict) else key] = holder[key]
        if not isinstance(data, dict) or not data:
            return {}
    return data


def _spots(data: Any) -> Iterator[tuple[Any, Any]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(inner):
        yield data, key
        yield from _spots(value)


def _properties(word: str) -> dict[str, Any]:
    rule = resolved(SCHEMA["properties"][word])
    if "additionalProperties" in rule and isinstance(rule["additionalProperties"], dict):
        rule = resolved(rule["additionalProperties"])
    found: dict[str, Any] = rule.get("properties", {})
    return found


def resolved(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule of the schema without references."""
    while "$ref" in rule:
        rule = SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]]
    return rule


def _drawn(dice: Random, rule: dict[str, Any]) -> Any:
    """A value that the schema takes; None for what is not drawn here (addresses, names)."""
    rule = resolved(rule)
    if "enum" in rule:
        return dice.choice(rule["enum"])
    kind = rule.get("type")
    if kind == "integer" or (isinstance(kind, list) and "integer" in kind):
        low, high = rule.get("minimum", 1), rule.get("maximum", 65535)
        return dice.choice((low, min(high, low + dice.randrange(300)), high))
    if "properties" in rule:
        inner = {key: _drawn(dice, one) for key, one in sorted(rule["properties"].items()) if one_in(dice, 3)}
        return {key: value for key, value in inner.items() if value is not None} or None
    return None
