"""`nfcompile check`: what it says, where, in which format and colour."""

import json
import os
import pty
import subprocess

from support.command import NFCOMPILE, nfcompile, write
from support.sites import BAD, GOOD, ROOT, WARNED


def test_check_clean(here):
    ran = nfcompile("check", "-", input=GOOD)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "<stdin>: no problems\n", "")
    assert nfcompile("check", "-", "-q", input=GOOD).stdout == ""


def test_check_says_problems_on_stderr(here):
    ran = nfcompile("check", write("s.yaml", BAD))

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("s.yaml:9:15-17: error: ")
    assert ran.stderr.endswith("\n1 error\n")


def test_check_warnings_and_strict(here):
    plain = nfcompile("check", "-", input=WARNED)
    strict = nfcompile("check", "--strict", "-", input=WARNED)
    quiet = nfcompile("check", "-q", "-", input=WARNED)

    assert (plain.returncode, strict.returncode, quiet.returncode) == (0, 1, 0)
    assert "warning: " in plain.stderr
    assert "error: " in strict.stderr
    assert quiet.stderr == ""


def test_check_json(here):
    clean = nfcompile("check", "-", "--format", "json", input=GOOD)
    refused = nfcompile("check", "-", "--format", "json", input=BAD)

    assert (clean.returncode, refused.returncode) == (0, 1)
    assert json.loads(clean.stdout) == {"diagnostics": []}
    (found,) = json.loads(refused.stdout)["diagnostics"]
    assert (found["path"], found["line"], found["column"]) == ("pools.home.priority", 9, 15)
    assert refused.stderr == ""


def test_check_github_and_sarif(here):
    github = nfcompile("check", write("site.yaml", BAD), "--format", "github")
    sarif = nfcompile("check", "--format", "sarif")

    assert (github.returncode, sarif.returncode) == (1, 1)
    assert github.stdout.startswith("::error file=site.yaml,line=9,")
    assert json.loads(sarif.stdout)["version"] == "2.1.0"


def test_check_lint_is_asked_for(here):
    assert nfcompile("check", "--strict", "-", input=GOOD).returncode == 0
    assert "[rfc-timeout]" in nfcompile("check", "--lint", "rfc", "-", input=GOOD).stderr


def colours(environment, *options):
    """Whether `check` colours what it says to a terminal."""
    leader, follower = pty.openpty()
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **environment}
    command = [*NFCOMPILE, "check", "-", *options]
    subprocess.run(command, input=BAD.encode(), stderr=follower, env=environment, check=False)
    os.close(follower)
    return b"\x1b[" in os.read(leader, 10_000)


def test_colours_are_for_terminals_that_want_them():
    assert colours({})
    assert not colours({"NO_COLOR": "1"})
    assert not colours({}, "--no-color")
    assert "\x1b[" not in nfcompile("check", "-", input=BAD).stderr
