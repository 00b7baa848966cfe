"""What docs/review.md offers to people's tools, by running its commands in a repository with a site."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.command import nfcompile
from support.sites import GOOD, ROOT

FAULTY = GOOD.replace("203.0.113.0/30", "203.0.113.0/33")
LARGER = GOOD.replace("203.0.113.0/30", "203.0.113.64/30")
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
JOBS = yaml.safe_load((ROOT / "packaging/gitlab/nfcompile.yml").read_text())


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The working directory: a site and its ruleset, committed; `nfcompile` is a command there, and `gh`
    notes its words."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, text in {
        "nfcompile": f'exec {sys.executable} -c "from nfcompile.cli import main; main()" "$@"',
        "gh": f'echo "$@" >> {tmp_path}/gh.txt',
    }.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{text}\n")
        (bin_ / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    (tmp_path / "repository/gw").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "repository")
    Path("gw/site.yaml").write_text(nfcompile("fmt", "-", input=GOOD).stdout)
    Path("gw/ruleset.nft").write_text(nfcompile("build", "gw/site.yaml", "-q").stdout)
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "a gateway")
    return tmp_path


def git(*words):
    subprocess.run(["git", *words], check=True, capture_output=True)


def bash(text, *arguments, **environment):
    """A script as both services and pre-commit run one: it ends at the first failure."""
    command = ["bash", "-e", "-o", "pipefail", "-c", text, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=60
    )


def hooked(name):
    """A hook as pre-commit runs it: its entry, and the names of the files behind it."""
    return bash(f'{HOOKS[name]["entry"]} "$@"', "bash", "gw/site.yaml")


def step(name, repository, **inputs):
    """A step of the action; its environment is made of inputs as GitHub does."""
    defaults = {key: str(value["default"]) for key, value in ACTION["inputs"].items()}
    given = defaults | {"site": "gw/site.yaml", "base": "HEAD"} | inputs
    environment = dict.fromkeys(STEPS[name].get("env", {}), "7")
    for key, value in STEPS[name].get("env", {}).items():
        if "inputs." in value:
            environment[key] = given[value.removeprefix("${{ inputs.").removesuffix(" }}")]
    summary = str(repository / "summary.md")
    return bash(STEPS[name]["run"], GITHUB_STEP_SUMMARY=summary, **environment)


def job(name):
    """The script of a job of GitLab's, without what installs and fetches."""
    lines = [line for line in JOBS[name]["script"] if not line.startswith("git fetch")]
    variables = JOBS["variables"] | {"SITE": "gw/site.yaml", "RULESET": "gw/ruleset.nft"}
    return bash("\n".join(lines), CI_MERGE_REQUEST_DIFF_BASE_SHA="HEAD", **variables)


# pre-commit


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_pass_a_clean_site(repository, name):
    assert hooked(name).returncode == 0


def test_the_check_hook_shows_the_problem(repository):
    Path("gw/site.yaml").write_text(FAULTY)

    ran = hooked("nfcompile-check")

    assert (ran.returncode, "[bad-address]" in ran.stderr + ran.stdout) == (1, True)


def test_the_layout_and_the_ruleset_are_written_once(repository):
    Path("gw/site.yaml").write_text(LARGER.replace("version: 1", "version:   1"))

    assert [hooked("nfcompile-fmt").returncode for _ in range(2)] == [1, 0]
    assert [hooked("nfcompile-build").returncode for _ in range(2)] == [1, 0]

    assert Path("gw/ruleset.nft").read_text() == nfcompile("build", "gw/site.yaml", "-q").stdout


def test_a_faulty_site_leaves_the_ruleset(repository):
    before = Path("gw/ruleset.nft").read_text()
    Path("gw/site.yaml").write_text(FAULTY)

    assert hooked("nfcompile-build").returncode == 1
    assert Path("gw/ruleset.nft").read_text() == before


# GitHub


def test_problems_are_annotations_and_sarif(repository):
    Path("gw/site.yaml").write_text(FAULTY)

    checked = step("check", repository)
    assert checked.returncode == 1
    assert checked.stdout.startswith("::error file=gw/site.yaml,line=")

    assert step("sarif", repository, sarif="site.sarif").returncode == 0
    (run,) = json.loads(Path("site.sarif").read_text())["runs"]
    assert [one["ruleId"] for one in run["results"]] == ["bad-address"]


def test_the_committed_ruleset_is_compared(repository):
    assert step("ruleset", repository, ruleset="gw/ruleset.nft").returncode == 0
    Path("gw/site.yaml").write_text(LARGER)

    ran = step("ruleset", repository, ruleset="gw/ruleset.nft")

    assert ran.returncode == 1
    assert "203.0.113.64" in ran.stdout
    assert "::error file=gw/ruleset.nft::" in ran.stdout


def test_who_moves_is_in_the_summary_and_in_the_comment(repository):
    Path("gw/site.yaml").write_text(LARGER)

    assert step("compare", repository).returncode == 0
    summary = (repository / "summary.md").read_text()
    assert "### What changes with gw/site.yaml" in summary
    assert " moved, 0 new, 0 gone" in summary

    assert step("comment", repository).returncode == 0
    assert (
        repository / "gh.txt"
    ).read_text() == "pr comment 7 --body-file changes.md --edit-last --create-if-none\n"


def test_a_new_site_is_said_to_be_new(repository):
    Path("other.yaml").write_text(GOOD)

    assert step("compare", repository, site="other.yaml").returncode == 0
    assert "other.yaml is new." in (repository / "summary.md").read_text()


def test_names_of_inputs_are_no_commands(repository):
    """What a pull request chooses is an environment variable, never a part of a script."""
    assert all("${{" not in one["run"] for one in STEPS.values())


# GitLab


def test_jobs(repository):
    assert [job(f"nfcompile-{name}").returncode for name in ("check", "ruleset", "compare")] == [0, 0, 0]
    Path("gw/site.yaml").write_text(LARGER)

    assert job("nfcompile-ruleset").returncode == 1
    assert job("nfcompile-compare").returncode == 0
    assert " moved, 0 new, 0 gone" in Path("changes.txt").read_text()
    Path("gw/site.yaml").write_text(FAULTY)
    assert job("nfcompile-check").returncode == 1
