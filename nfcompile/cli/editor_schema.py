"""The JSON Schema for editors: a pool has the keys of its type, and a key shows its default and a link.

The compiler's own schema (`source/schema.py`) has one list of keys for all pools, since a condition's failure
says nothing that could be shown. The model is asked which type has which key, so both accept the same sites.
"""

from __future__ import annotations

import json
import re
from typing import Any

from nfcompile.model import read_npt, read_pool
from nfcompile.source import schema

Rule = dict[str, Any]

PAGE = "docs/site.html"
ANCHORS = {
    "version": "the-file",
    "site": "the-file",
    "dnat": "dnat-and-snat",
    "snat": "dnat-and-snat",
    "pairs": "pairs-and-nodes",
    "nodes": "pairs-and-nodes",
}
"""The section of docs/site.md of a key of the top level; the others have one of their own name."""
OWNERS = {"pool": "pools", "dnat_rule": "dnat", "snat_rule": "snat", "pair": "pairs", "node": "nodes"}
"""The top-level key of what `$defs` describes; the rest belongs to nat_defaults."""
NEEDED = read_pool.NEEDED | {"npt": "global_map"}
OFF = [False, "off", "no", "false", "disable"]
_RFC = re.compile(r"RFC (\d+)")


def editor_schema(site: str | None = None) -> Rule:
    """The schema with conditions and hover texts; links lead below `site`, the URL of the documentation."""
    rule: Rule = json.loads(schema.schema_text())
    for key, inner in rule["properties"].items():
        _describe(inner, key, site)
    for name, inner in rule["$defs"].items():
        _describe(inner, OWNERS.get(name, "nat_defaults"), site)
    rule["$defs"]["boolean"] = _boolean(rule["$defs"]["boolean"])
    rule["$defs"]["pool"] = _pool(rule["$defs"]["pool"])
    return rule


def has_key(kind: str, key: str) -> bool:
    """Whether pools of that type may have that key."""
    if kind == "npt":
        return key in read_npt.KEYS
    return kind in read_pool.FIELD_TYPES.get(key, (kind,))


def _pool(rule: Rule) -> Rule:
    keys: Rule = rule["properties"]
    kinds: list[str] = keys["type"]["enum"]
    whole = {key: rule[key] for key in ("description", "markdownDescription", "type", "required")}
    known = {"properties": {"type": {"enum": kinds}}, "required": ["type"]}
    first = {key: keys[key] for key in ("type", "priority")}
    unknown = {"if": known, "else": {"properties": keys, "additionalProperties": False}}
    return {**whole, "properties": first, "allOf": [*(_of_type(kind, keys) for kind in kinds), unknown]}


def _of_type(kind: str, keys: Rule) -> Rule:
    """If a pool has that type, it has these keys."""
    own = {key: _default_of(kind, key, inner) for key, inner in keys.items() if has_key(kind, key)}
    own["type"] = {**own["type"], "const": kind}
    del own["type"]["enum"]
    then: Rule = {"properties": own, "additionalProperties": False}
    if kind in NEEDED:
        disabled = {"properties": {"enable": {"enum": OFF}}, "required": ["enable"]}
        then |= {"if": disabled, "else": {"required": [NEEDED[kind]]}}
    return {"if": {"properties": {"type": {"const": kind}}, "required": ["type"]}, "then": then}


def _default_of(kind: str, key: str, rule: Rule) -> Rule:
    if key != "allocation":
        return rule
    default = read_pool.ALLOCATION.get(kind, "deterministic")
    return {**rule, "default": default, "markdownDescription": _with_default(rule, default)}


def _describe(rule: Rule, section: str, site: str | None) -> None:
    """Give a rule and all keys below it the text that an editor shows: description, default, RFCs, link."""
    if "description" in rule:
        text = _escaped(rule["description"])
        text = _RFC.sub(r"[RFC \1](https://www.rfc-editor.org/rfc/rfc\1)", text)
        if site is not None:
            text += f"\n\n[{section}]({site.rstrip('/')}/{PAGE}#{ANCHORS.get(section, section)})"
        rule["markdownDescription"] = text
        if "default" in rule:
            rule["markdownDescription"] = _with_default(rule, rule["default"])
        if rule.get("$ref") == "#/$defs/boolean" and "default" in rule:
            rule["default"] = rule["default"] == "on"  # the text would be inserted in quotes
    for inner in rule.get("properties", {}).values():
        _describe(inner, section, site)
    entry = rule.get("additionalProperties")
    if isinstance(entry, dict):
        _describe(entry, section, site)


def _with_default(rule: Rule, default: Any) -> str:
    """The default behind the first paragraph."""
    sentence, *link = rule["markdownDescription"].split("\n\n")
    shown = default if isinstance(default, str) and default else json.dumps(default)
    return "\n\n".join([sentence, f"Default: `{shown}`", *link])


def _escaped(text: str) -> str:
    """Markdown in which the text is shown as it stands."""
    return re.sub(r"([\\`*_<>\[\]#|~])", r"\\\1", text)


def _boolean(rule: Rule) -> Rule:
    """Every spelling is valid, and two of them are offered."""
    words = [one for one in rule["enum"] if isinstance(one, str)]
    return {
        "type": ["boolean", "string"],
        "pattern": f"^({'|'.join(words)})$",
        "patternErrorMessage": f"Write {', '.join(words[:-1])} or {words[-1]}.",
        "defaultSnippets": [{"label": word, "bodyText": word} for word in ("on", "off")],
    }
