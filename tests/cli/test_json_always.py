"""With `--format json` stdout is one JSON document, whatever is missing; stderr has the sentence as well."""

import json

import pytest

from nfcompile.cli.verbs import NETNS, STATE_DIR, VERBS
from support.command import nfcompile, typed, write

BAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\npools: {p: {}}\n"
GOOD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
MORE = {
    "lookup": ["10.0.0.1"],
    "explain": ["--src", "10.0.0.1:5", "--dst", "192.0.2.1:5"],
    "import": ["iptables"],
    "log": ["--to", "json:-"],
}
"""What a verb needs besides SITE."""


def has_json(verb):
    return any(option.field == "format" and "json" in option.choices for option in verb.options)


JSON = [verb for verb in VERBS if has_json(verb)]
OF_SITES = [verb for verb in JSON if verb.words and verb.name not in ("rollback", "sessions", "ha")]
OF_SITES += [verb for verb in JSON if verb.name == "sessions"]


def command(verb, site):
    if verb.name == "import":
        return ["import", "iptables", site, "--format", "json"]
    action = ["check"] if verb.name == "host" else []
    return [
        verb.name,
        *action,
        *([site] if verb in OF_SITES else []),
        *MORE.get(verb.name, []),
        "--format",
        "json",
    ]


def document(ran):
    found = json.loads(ran.stdout)
    assert "Traceback" not in ran.stderr
    return found


@pytest.mark.parametrize("verb", OF_SITES, ids=lambda verb: verb.name)
@pytest.mark.parametrize("run", [nfcompile, typed], ids=["fast", "typer"])
def test_a_missing_file(here, verb, run):
    ran = run(*command(verb, "nowhere.yaml"))

    assert ran.returncode == 2
    assert document(ran)["error"] == "cannot read 'nowhere.yaml': No such file or directory"
    assert ran.stderr == "nfcompile: error: cannot read 'nowhere.yaml': No such file or directory\n"


@pytest.mark.parametrize(
    "verb", [one for one in OF_SITES if one.name not in ("import", "fmt")], ids=lambda one: one.name
)
def test_a_site_that_is_refused(here, verb):
    ran = nfcompile(*command(verb, write("site.yaml", BAD)))

    assert ran.returncode == 1
    found = document(ran)
    assert {one["code"] for one in found["diagnostics"]} == {"missing-key"}


@pytest.mark.parametrize(
    "verb", [one for one in JSON if NETNS.field in {o.field for o in one.options}], ids=lambda v: v.name
)
def test_a_namespace_that_is_not_there(here, verb):
    arguments = [*command(verb, write("site.yaml", GOOD)), "--netns", "no-such-namespace"]
    names = {option.field for option in verb.options}
    if "live" in names:
        arguments.append("--live")
    state = ["--state-dir", str(here / "state")] if STATE_DIR.field in names else []

    ran = nfcompile(*arguments, *state)

    if verb.name == "history":  # the namespace may be gone, and its history is still there
        assert (ran.returncode, document(ran)["events"]) == (0, [])
        return
    assert ran.returncode == 1
    found = document(ran)
    assert "no-such-namespace" in found.get("error", found.get("reason"))
    assert ran.stderr.count("\n") == 1


def test_a_state_directory_that_cannot_be_used(here):
    write("state", "a file")
    for verb in ("history", "boot", "confirm", "rollback"):
        ran = nfcompile(verb, "--state-dir", str(here / "state"), "--format", "json")
        assert ran.returncode == 1
        assert "Not a directory" in document(ran)["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["lookup"],
        ["lookup", "a", "b", "c"],
        ["explain"],
        ["diff", "a", "b", "--git", "c"],
        ["sessions", "list", "a", "b"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_followed(here, arguments):
    ran = nfcompile(*arguments, "--format", "json")

    assert ran.returncode == 2
    assert document(ran)["error"]
