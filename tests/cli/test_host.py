"""The words of `host`: others are usage errors, and JSON comes also where nothing can be asked."""

import json

import pytest

from support.command import nfcompile, write

SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
pools:
  servers: {type: static, priority: 1, global_map: {192.168.0.5: 203.0.113.5}}
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "missing action: check, apply, revert or cloud aws"),
        (["mend"], "missing action: check, apply, revert or cloud aws"),
        (["cloud"], "missing action: check, apply, revert or cloud aws"),
        (["cloud", "azure", "site.yaml"], "missing action: check, apply, revert or cloud aws"),
        (["check", "a.yaml", "b.yaml"], "'host check' does not take 'b.yaml'"),
        (["revert", "a.yaml"], "'host revert' does not take 'a.yaml'"),
        (["check", "--dry-run"], "'host check' has no --dry-run"),
        (["cloud", "aws", "--netns", "gw"], "'host cloud' has no --netns"),
        (["cloud", "aws", "--instance", "i-1"], "--instance and --region go together"),
        (["check", "no-such.yaml"], "cannot read 'no-such.yaml': No such file or directory"),
    ],
)
def test_what_cannot_be_followed(here, words, said):
    ran = nfcompile("host", *words)

    assert (ran.returncode, ran.stderr) == (2, f"nfcompile: error: {said}\n")


@pytest.mark.parametrize("verb", ["check", "apply"])
def test_a_wrong_site_is_refused_at_its_line(here, verb):
    ran = nfcompile(
        "host", verb, write("site.yaml", SITE.replace("203.0.113.5", "203.0.113.500")), "--format", "json"
    )

    answer = json.loads(ran.stdout)
    assert (ran.returncode, answer["host"]) == (1, [])
    assert [one["code"] for one in answer["diagnostics"]] == ["bad-address"]


@pytest.mark.parametrize("words", [["check", "none.yaml"], ["check", "site.yaml", "--netns", "no-such"]])
def test_json_also_where_nothing_can_be_asked(here, words):
    write("site.yaml", SITE)

    ran = nfcompile("host", *words, "--format", "json")

    assert ran.returncode == (2 if words[1] == "none.yaml" else 1)
    assert ran.stderr == f"nfcompile: error: {json.loads(ran.stdout)['error']}\n"


def test_bundle_options_go_together(here):
    write("site.yaml", SITE)

    assert nfcompile("build", "site.yaml", "--network", "netplan").returncode == 2
    assert nfcompile("build", "site.yaml", "--routed").returncode == 2
    assert nfcompile("build", "site.yaml", "--bundle", "b", "-o", "x").returncode == 2
    assert [one.name for one in here.iterdir()] == ["site.yaml"]


def test_a_bundle_takes_away_what_it_no_longer_has(here):
    named = SITE.replace("pools:", "nat_defaults: {lldp_hostname: gw}\npools:")
    assert nfcompile("build", write("site.yaml", named), "--bundle", "b").returncode == 0
    assert (here / "b/etc/lldpd.d/nfcompile.conf").exists()
    (here / "b/etc/own").write_text("mine")

    assert nfcompile("build", write("site.yaml", SITE), "--bundle", "b").returncode == 0

    assert not (here / "b/etc/lldpd.d/nfcompile.conf").exists()
    assert (here / "b/etc/own").read_text() == "mine"


@pytest.mark.parametrize("path", ["../site.yaml", "/etc/hostname", "etc/../../site.yaml"])
def test_a_manifest_leads_nowhere_else(here, path):
    write("site.yaml", SITE)
    (here / "b").mkdir()
    (here / "b/MANIFEST.json").write_text(json.dumps([{"path": path, "mode": "0644", "for": "nothing"}]))

    assert nfcompile("build", "site.yaml", "--bundle", "b").returncode == 0

    assert (here / "site.yaml").exists()


def test_a_foreign_manifest_stops_it(here):
    write("site.yaml", SITE)
    (here / "b").mkdir()
    (here / "b/MANIFEST.json").write_text("[1]")

    ran = nfcompile("build", "site.yaml", "--bundle", "b")

    assert (ran.returncode, ran.stderr) == (
        2,
        "nfcompile: error: 'b' has a MANIFEST.json that no bundle of ours has\n",
    )


def test_a_refused_site_writes_no_bundle(here):
    write("site.yaml", SITE.replace("203.0.113.5", "203.0.113.500"))

    ran = nfcompile("build", "site.yaml", "--bundle", "b", "--format", "json")

    assert (ran.returncode, json.loads(ran.stdout)["files"]) == (1, [])
    assert not (here / "b").exists()
