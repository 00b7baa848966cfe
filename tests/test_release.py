"""The release workflow and the container file, as far as they run without the services that they are for."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from nfcompile import __version__
from support.sites import ROOT

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
JOBS = WORKFLOW["jobs"]
STEPS = {
    (job, step["name"]): step["run"] for job, what in JOBS.items() for step in what["steps"] if "run" in step
}
CHECK = ("packages", "the tag is the version, and the changelog has it")
NOTES = ("packages", "notes")


@pytest.fixture
def checkout(tmp_path):
    """The two files that the steps read, with a section for this version."""
    (tmp_path / "nfcompile").mkdir()
    (tmp_path / "dist").mkdir()
    (tmp_path / "nfcompile/__init__.py").write_text((ROOT / "nfcompile/__init__.py").read_text())
    sections = f"# Changelog\n\n## {__version__} (2026-12-01)\n\n- new\n\n## 0.0.9 (2026-01-01)\n\n- old\n"
    (tmp_path / "CHANGELOG.md").write_text(sections)
    return tmp_path


def ran(step, place, tag):
    """The exit status of a step, run as GitHub runs one."""
    command = ["bash", "-e", "-o", "pipefail", "-c", STEPS[step]]
    environment = {"PATH": "/usr/bin:/bin", "GITHUB_REF_NAME": tag}
    return subprocess.run(command, cwd=place, env=environment, check=False).returncode


@pytest.mark.parametrize(("tag", "status"), [(f"v{__version__}", 0), ("v9.9.9", 1), (__version__, 1)])
def test_a_tag_is_the_version(checkout, tag, status):
    assert ran(CHECK, checkout, tag) == status


def test_a_version_has_a_section_in_the_changelog(checkout):
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    assert ran(CHECK, checkout, f"v{__version__}") == 1
    assert ran(NOTES, checkout, f"v{__version__}") == 1


def test_the_notes_are_the_section(checkout):
    assert ran(NOTES, checkout, f"v{__version__}") == 0
    assert (checkout / "dist/notes.md").read_text().split() == ["-", "new"]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[0]}-{step[1][:10]}")
def test_scripts_can_be_read_and_take_no_expression(step):
    assert "${{" not in STEPS[step]
    assert subprocess.run(["bash", "-n"], input=STEPS[step], text=True, check=False).returncode == 0


def test_only_the_jobs_that_publish_may_write():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    may = {
        job: {key for key, value in what["permissions"].items() if value == "write"}
        for job, what in JOBS.items()
    }
    assert may == {
        "packages": {"id-token", "attestations"},
        "github": {"contents"},
        "pypi": {"id-token"},
        "container": {"packages"},
    }


def test_targets_and_files_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for text in STEPS.values():
        assert set(re.findall(r"make ([a-z-]+)", text)) <= targets
        for name in re.findall(r"(?:packaging|scripts|examples)/[\w./-]+", text):
            assert Path(ROOT / name).exists(), name


def test_the_container_takes_the_package_that_is_made():
    text = (ROOT / "packaging/Containerfile").read_text()
    (pattern,) = re.findall(r"^COPY dist/(\S+)", text, re.MULTILINE)
    (suite,) = re.findall(r"^FROM debian:(\w+)-slim", text, re.MULTILINE)
    assert Path(f"nfcompile_{__version__}~{suite}_amd64.deb").match(pattern)
    assert f'"{suite}": ' in (ROOT / "scripts/packages.py").read_text()
    assert 'ENTRYPOINT ["nfcompile"]' in text
    assert re.search(r"^USER [1-9]\d+$", text, re.MULTILINE)
