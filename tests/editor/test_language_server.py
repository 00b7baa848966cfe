"""What an engineer's editor shows, asked of the YAML language server that editors run: `make editor`."""

from pathlib import Path

import pytest

from support.command import nfcompile
from support.language_server import LanguageServer
from support.sites import ROOT

NODE = ROOT / ".editor/node"
PROGRAM = ROOT / ".editor/node_modules/yaml-language-server/bin/yaml-language-server"
TEMPLATES = ("isp", "egress", "static", "home", "cloud", "ha")
HEAD = """\
# yaml-language-server: $schema=site.schema.json
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
"""
POOL = HEAD + "pools:\n  homes:\n    type: %s\n    priority: 1\n    %s\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose folder has the schema as the README says to write it."""
    assert NODE.exists(), "not installed: run `make editor`"
    folder = tmp_path_factory.mktemp("sites")
    (folder / "site.schema.json").write_text(nfcompile("schema").stdout)
    server = LanguageServer(NODE, PROGRAM, folder)
    yield server
    server.close()


def said(problems):
    """Line (from 1) and message of each problem."""
    return [(one["range"]["start"]["line"] + 1, one["message"]) for one in problems]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_starting_site_names_its_schema_and_has_no_problem(server, template):
    text = nfcompile("init", "--template", template, "-").stdout
    assert said(server.problems(text)) == []

    wrong = text.replace("\ninterfaces:", "\ninterfacez:", 1)
    line = wrong[: wrong.index("interfacez")].count("\n") + 1
    assert (line, "Property interfacez is not allowed.") in said(server.problems(wrong))


def test_the_templates_are_all(tmp_path):
    assert nfcompile("init", "--template", "?", "-").returncode == 2
    files = (ROOT / "nfcompile/templates").glob("init-*.yaml.j2")
    assert {one.name.removeprefix("init-").removesuffix(".yaml.j2") for one in files} == {
        *TEMPLATES,
        "timeouts",
    }


@pytest.mark.parametrize(
    ("kind", "offered", "not_offered"),
    [
        ("cgnat", {"global_ip", "port_range", "fill"}, {"global_map", "allow_external_connect", "stateless"}),
        ("nat", {"global_ip", "allow_external_connect"}, {"global_map", "port_range", "inbound"}),
        ("static", {"global_map", "allow_external_connect"}, {"global_ip", "port_range", "subscribers"}),
        ("fake", {"acl", "enable"}, {"global_map", "global_ip", "limits_peruser"}),
        ("npt", {"global_map", "stateless"}, {"acl", "global_ip", "timeouts_inactivity"}),
    ],
)  # fmt: skip
def test_a_pool_is_offered_the_keys_of_its_type(server, kind, offered, not_offered):
    found = set(server.offered(POOL % (kind, "|")))
    assert offered <= found
    assert not not_offered & found


def test_values_are_offered(server):
    assert server.offered(HEAD + "pools:\n  homes:\n    type: |\n") == [
        "cgnat",
        "nat",
        "static",
        "fake",
        "npt",
    ]
    assert {"on", "off"} <= set(server.offered(POOL % ("cgnat", "hairpin: |")))
    assert not {'"on"', '"off"'} & set(server.offered(POOL % ("cgnat", "hairpin: |")))


def test_hover_shows_what_a_key_means_its_default_and_a_link(server):
    hover = server.hover(POOL % ("cgnat", "alloca|tion: dynamic"))
    assert "blocks computed from the address" in hover
    assert "Default: `deterministic`" in hover
    assert "(https://www.rfc-editor.org/rfc/rfc7422)" in hover
    assert "Default: `dynamic`" in server.hover(POOL % ("nat", "alloca|tion: dynamic"))
    assert "Default: `on`" in server.hover(POOL % ("cgnat", "hair|pin: off"))
    assert "Default: `300`" in server.hover(POOL % ("cgnat", "timeouts_inactivity: {u|dp: 3}"))
    assert "Default: `1522`" in server.hover(HEAD + "nat_defaults:\n  l2m|tu: 1600\n")
    assert "\\<source\\>" in server.hover(HEAD + "acls:\n  homes:\n    10: al|low ip any\n")


@pytest.mark.parametrize(
    ("kind", "line", "problem"),
    [
        ("cgnat", "global_ip: [203.0.113.0/24]\n    hairpn: on", (9, "Property hairpn is not allowed.")),
        ("cgnat", "global_map: {10.0.0.1: 203.0.113.1}", (8, "Property global_map is not allowed.")),
        ("nat", "hairpin: on", (5, 'Missing property "global_ip".')),
        ("fake", "hairpin: onn", (8, "Write on, off, yes, no, true, false, enable or disable.")),
    ],
)
def test_a_mistake_is_shown_at_its_line(server, kind, line, problem):
    assert problem in said(server.problems(POOL % (kind, line)))


def test_examples_have_no_problem(server):
    for file in sorted(Path(ROOT / "examples").glob("*/site.yaml")):
        assert said(server.problems(HEAD.split("\n")[0] + "\n" + file.read_text())) == [], file
