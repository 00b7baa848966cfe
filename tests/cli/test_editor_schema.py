"""`nfcompile schema` accepts the pools that the compiler does; tests/editor asks a real editor's server."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from nfcompile import pipeline
from nfcompile.cli.editor_schema import ANCHORS, PAGE, editor_schema
from nfcompile.diagnostics import SiteError
from nfcompile.source import document
from nfcompile.source.schema import schema
from support.command import nfcompile
from support.sites import ROOT

SITES = sorted(
    file
    for pattern in ("examples/*/site.yaml", "tests/golden/*/site.yaml")
    for file in ROOT.glob(pattern)
    if file.with_name("ruleset.nft").exists()
)
POOL = schema()["$defs"]["pool"]["properties"]
VALIDATOR = Draft202012Validator(editor_schema())
HEAD = {"version": 1, "interfaces": {"inside": ["lan0"], "outside": ["wan0"]}}
NEEDED = {"cgnat": "global_ip", "nat": "global_ip", "static": "global_map", "npt": "global_map"}
VALUES = {
    "global_ip": ["203.0.113.0/24"],
    "global_map": {"10.0.0.1": "203.0.113.1"},
    "subscribers": ["10.0.0.0/24"],
    "pair": "east",
    "acl": "none",
    "port_block_size": 128,
    "port_range": "1024-2047",
}


def refusals(data):
    """What the compiler says of a site that is no matter of an editor: its keys."""
    text = json.dumps(data).encode()
    try:
        found = pipeline.check(pipeline.parse(text, "site.yaml")).diagnostics
    except SiteError as error:
        found = error.diagnostics
    return {one.code for one in found} & {"wrong-pool-type", "missing-key", "unknown-key", "bad-value"}


def value(key):
    if key in VALUES:
        return VALUES[key]
    rule = POOL[key]
    if rule.get("$ref") == "#/$defs/boolean":
        return "on"
    return {} if "$ref" in rule else rule["enum"][0]


@pytest.mark.parametrize("key", [key for key in POOL if key not in ("type", "priority", "enable")])
@pytest.mark.parametrize("kind", POOL["type"]["enum"])
def test_a_pool_has_the_keys_of_its_type(kind, key):
    needed = {NEEDED[kind]: value(NEEDED[kind])} if kind in NEEDED else {}
    if kind == "npt":
        needed = {"global_map": {"fd00:1::/48": "2001:db8:1::/48"}}
    pool = {"type": kind, "priority": 1, key: value(key)} | needed
    site = HEAD | {"pools": {"p": pool}}

    assert VALIDATOR.is_valid(site) == (not refusals(site))


@pytest.mark.parametrize("enable", ["on", True, "off", "no", False, "disable"])
@pytest.mark.parametrize("kind", [*POOL["type"]["enum"], "cgnt", None])
def test_only_an_enabled_pool_needs_its_addresses(kind, enable):
    pool = {"type": kind, "priority": 1, "enable": enable}
    site = HEAD | {"pools": {"p": {key: one for key, one in pool.items() if one is not None}}}

    assert VALIDATOR.is_valid(site) == (not refusals(site))


@pytest.mark.parametrize("file", SITES, ids=lambda file: file.parent.name)
def test_every_site_that_the_compiler_takes_is_valid(file):
    read = document.parse(file.read_bytes(), "site.yaml")
    assert [error.message for error in VALIDATOR.iter_errors(read.data)] == []


def test_it_is_a_schema_in_which_every_key_has_a_hover_text():
    rule = editor_schema()
    Draft202012Validator.check_schema(rule)
    for condition in rule["$defs"]["pool"]["allOf"]:
        for key, inner in condition.get("then", condition.get("else"))["properties"].items():
            target = rule["$defs"].get(inner.get("$ref", "").removeprefix("#/$defs/"), {})
            assert inner.get("markdownDescription") or target.get("markdownDescription"), key


def test_a_hover_text_has_the_default_of_the_type_and_links():
    nat, cgnat = (
        next(
            one["then"]["properties"]
            for one in editor_schema("https://docs.example.org/")["$defs"]["pool"]["allOf"]
            if one["if"]["properties"]["type"].get("const") == kind
        )
        for kind in ("nat", "cgnat")
    )

    assert "Default: `dynamic`" in nat["allocation"]["markdownDescription"]
    assert "Default: `deterministic`" in cgnat["allocation"]["markdownDescription"]
    shown = cgnat["filtering"]["markdownDescription"]
    assert "[RFC 4787](https://www.rfc-editor.org/rfc/rfc4787)" in shown
    assert shown.endswith(f"[pools](https://docs.example.org/{PAGE}#pools)")


def test_links_lead_to_sections_of_the_page():
    headings = re.findall(r"^## (.+)$", (ROOT / "docs/site.md").read_text(), re.MULTILINE)
    anchors = {one.lower().replace(" ", "-") for one in headings}
    for key in schema()["properties"]:
        assert ANCHORS.get(key, key) in anchors


def test_the_link_of_the_command_line():
    plain, linked = nfcompile("schema").stdout, nfcompile("schema", "--docs", "https://d.example.org").stdout
    assert "d.example.org" not in plain
    assert linked.count("https://d.example.org/docs/site.html#") > 100
