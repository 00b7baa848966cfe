"""`diff` between two sites and two revisions; tests/kernel/test_diff.py has the kernel's side."""

import json
import subprocess

import pytest

from support.command import nfcompile, write
from support.sites import BAD, GOOD, WARNED

MOVED = GOOD.replace("203.0.113.0/30", "198.51.100.0/30")
FEWER = GOOD.replace("100.64.0.0/24", "100.64.0.0/25")
WITH_WEB = GOOD + "  web: {type: static, priority: 2, global_map: {10.0.0.1: 198.51.100.9}}\n"
DYNAMIC = GOOD.replace("    priority", "    allocation: dynamic\n    priority")


@pytest.fixture
def sites(here):
    """Two files, `old.yaml` and `new.yaml`."""

    def written(old, new):
        write("old.yaml", old)
        write("new.yaml", new)

    return written


def data(*arguments):
    ran = nfcompile("diff", *arguments, "--format", "json")
    assert (ran.returncode, ran.stderr) == (0, "")
    return json.loads(ran.stdout)


def git(*arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


# Two files


def test_the_same_site_has_no_difference(sites):
    sites(GOOD, "# a remark\n" + GOOD)

    ran = nfcompile("diff", "new.yaml", "old.yaml", "--exit-code")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "nothing differs\n", "")
    found = data("new.yaml", "old.yaml")
    assert found == {
        "changed": False,
        "against": "old.yaml",
        "objects": {"added": [], "changed": [], "removed": []},
        "moves_known": True,
        "subscribers": {"moved": 0, "new": 0, "gone": 0},
        "moved": [],
        "new": [],
        "gone": [],
        "dynamic": [],
        "sessions": None,
        "diff": [],
        "diagnostics": [],
    }


def test_the_change_goes_from_other_to_site(sites):
    sites(GOOD, WITH_WEB)

    there, back = data("new.yaml", "old.yaml"), data("old.yaml", "new.yaml")

    assert {"kind": "chain", "name": "pool_web", "path": "pools.web"} in there["objects"]["added"]
    assert {"kind": "counter", "name": "dropped_pool_web", "path": "pools.web"} in back["objects"]["removed"]
    assert there["objects"]["added"] == back["objects"]["removed"]
    assert there["objects"]["changed"] == back["objects"]["changed"]
    assert there["diff"][:2] == ["--- old.yaml", "+++ new.yaml"]
    assert "+\t\t10.0.0.1 : 198.51.100.9," in [line.replace("\t\t\t", "\t\t") for line in there["diff"]]
    binding = {"pool": "web", "global_ip": "198.51.100.9", "port_first": None, "port_last": None, "ports": []}
    assert there["new"] == [
        {"pool": "web", "subscribers": "10.0.0.1", "count": 1, "from": None, "to": binding}
    ]
    assert back["gone"] == [
        {"pool": "web", "subscribers": "10.0.0.1", "count": 1, "from": binding, "to": None}
    ]
    assert there["moved"] == back["moved"] == []


def test_who_moves_is_said_by_prefix(sites):
    sites(GOOD, MOVED)

    found = data("new.yaml", "old.yaml")

    assert found["subscribers"] == {"moved": 256, "new": 0, "gone": 0}
    assert len(found["moved"]) == 64
    assert found["moved"][1] == {
        "pool": "home",
        "subscribers": "100.64.0.4/30",
        "count": 4,
        "from": {
            "pool": "home",
            "global_ip": "203.0.113.0/30",
            "port_first": 1920,
            "port_last": 2815,
            "ports": [{"first": 1920, "last": 2815, "protocols": "tcp+udp+icmp"}],
        },
        "to": {
            "pool": "home",
            "global_ip": "198.51.100.0/30",
            "port_first": 1920,
            "port_last": 2815,
            "ports": [{"first": 1920, "last": 2815, "protocols": "tcp+udp+icmp"}],
        },
    }


def test_text_shows_lines_objects_and_subscribers(sites):
    sites(GOOD, MOVED)

    lines = nfcompile("diff", "new.yaml", "old.yaml").stdout.splitlines()

    assert lines[:2] == ["--- old.yaml", "+++ new.yaml"]
    assert "  ~ map blocks_home  (pools.home)" in lines
    assert "subscribers: 256 moved, 0 new, 0 gone" in lines
    assert "  moved  home  100.64.0.0/30   203.0.113.0/30 1024-1919 -> 198.51.100.0/30 1024-1919" in lines
    assert lines[-1] == "  ... and 44 runs more; --format json has all"
    assert not any("\x1b" in line for line in lines)


def test_gone_subscribers_are_no_moved_ones(sites):
    sites(GOOD, FEWER)

    found = data("new.yaml", "old.yaml")

    assert found["subscribers"] == {"moved": 0, "new": 0, "gone": 128}


def test_a_dynamic_pool_says_what_ends(sites):
    sites(DYNAMIC, DYNAMIC.replace("203.0.113.0/30", "203.0.113.0/31, 198.51.100.1"))

    found = data("new.yaml", "old.yaml")
    text = nfcompile("diff", "new.yaml", "old.yaml").stdout

    why = "the addresses are counted differently"
    assert found["dynamic"] == [{"pool": "home", "why": why, "kept": ["203.0.113.0/31"]}]
    assert text.endswith(f"\ndynamic pool home: {why}; assignments of 203.0.113.0/31 stay\n")
    assert found["subscribers"] == {"moved": 0, "new": 0, "gone": 0}


def test_other_may_be_standard_input(here):
    write("site.yaml", GOOD)

    assert nfcompile("diff", "site.yaml", "-", "--exit-code", input=MOVED).returncode == 3
    assert nfcompile("diff", "-", "site.yaml", "--exit-code", input=GOOD).returncode == 0


# Exit status and streams


def test_exit_status_is_3_only_when_asked(sites):
    sites(GOOD, MOVED)

    assert nfcompile("diff", "new.yaml", "old.yaml").returncode == 0
    quiet = nfcompile("diff", "new.yaml", "old.yaml", "--exit-code", "-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (3, "", "")
    assert nfcompile("diff", "new.yaml", "old.yaml", "--exit-code", "--format", "json").returncode == 3


def test_what_is_wrong_with_either_site_is_said_at_its_name(sites):
    sites(BAD, GOOD)
    other = nfcompile("diff", "new.yaml", "old.yaml")
    sites(GOOD, BAD)
    wanted = nfcompile("diff", "new.yaml", "old.yaml")

    assert (other.returncode, other.stdout) == (wanted.returncode, wanted.stdout) == (1, "")
    assert other.stderr.startswith("old.yaml:9:15-17: error: ")
    assert wanted.stderr.startswith("new.yaml:9:15-17: error: ")


def test_warnings_of_the_wanted_site_are_told(sites):
    sites(GOOD, WARNED)

    ran = nfcompile("diff", "new.yaml", "old.yaml")

    assert ran.returncode == 0
    assert ran.stderr.startswith("new.yaml:")
    assert nfcompile("diff", "new.yaml", "old.yaml", "-q").stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.yaml", "site.yaml"],
        ["site.yaml", "missing.yaml"],
        ["site.yaml", "site.yaml", "--git", "HEAD"],
        ["site.yaml", "site.yaml", "--netns", "x"],
        ["site.yaml", "--git", "HEAD", "--netns", "x"],
        ["-", "-"],
        ["-", "--git", "HEAD"],
        ["site.yaml", "--git", "HEAD"],
        ["site.yaml", "--git", "--output=pwned"],
        ["site.yaml", "--git", ""],
    ],
)
def test_what_cannot_be_compared_is_2(here, arguments):
    write("site.yaml", GOOD)

    ran = nfcompile("diff", *arguments, env={"GIT_CEILING_DIRECTORIES": str(here.parent)})

    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Traceback" not in ran.stderr
    assert not (here / "pwned").exists()


# A git revision


@pytest.fixture
def repository(here):
    """A work tree with `sites/metro.yaml` in two revisions, moved by hand since."""
    (here / "sites").mkdir()
    git("init", "-q")
    for text in (GOOD, FEWER):
        write("sites/metro.yaml", text)
        git("add", "-A")
        git("commit", "-q", "-m", "a revision")
    write("sites/metro.yaml", MOVED)
    return here


def test_a_revision_is_the_same_file_in_the_past(repository):
    first, last = (data("sites/metro.yaml", "--git", rev) for rev in ("HEAD~1", "HEAD"))

    assert (first["against"], last["against"]) == ("HEAD~1:sites/metro.yaml", "HEAD:sites/metro.yaml")
    assert first["subscribers"] == {"moved": 256, "new": 0, "gone": 0}
    assert last["subscribers"] == {"moved": 128, "new": 128, "gone": 0}


def test_a_revision_is_found_from_any_directory(repository, monkeypatch):
    monkeypatch.chdir(repository / "sites")
    (repository / "link.yaml").symlink_to("sites/metro.yaml")

    assert data("metro.yaml", "--git", "HEAD")["subscribers"]["moved"] == 128
    assert data("../link.yaml", "--git", "HEAD")["subscribers"]["moved"] == 128


def test_a_revision_that_is_none_is_one_sentence(repository):
    ran = nfcompile("diff", "sites/metro.yaml", "--git", "nosuch")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("nfcompile: error: cannot read 'sites/metro.yaml' at revision 'nosuch': ")
    assert ran.stderr.count("\n") == 1


def test_a_file_that_the_revision_has_not_is_one_sentence(repository):
    write("sites/young.yaml", GOOD)

    ran = nfcompile("diff", "sites/young.yaml", "--git", "HEAD")

    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1


def test_without_git_there_is_a_sentence(repository):
    ran = nfcompile("diff", "sites/metro.yaml", "--git", "HEAD", env={"PATH": "/nonexistent"})

    assert ran.returncode == 2
    assert ran.stderr == "nfcompile: error: cannot run git: No such file or directory\n"
