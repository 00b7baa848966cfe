"""What a terminal would obey never reaches it raw: arguments, files, the history."""

import os
from pathlib import Path

import pytest

from nfcompile.records import history, store
from support.command import nfcompile, typed, write
from support.sites import GOOD

ESCAPE = "\x1b[31mX\x07\x9b"
NAME = f"s{ESCAPE}.yaml"


def clean(ran, echoed=True):
    """Nothing but text, tabs and line ends came out; and it came out, spelled."""
    for stream in (ran.stdout, ran.stderr):
        assert all(one.isprintable() or one in "\n\t" for one in stream), repr(stream)
    assert not echoed or "\\x1b[31mX\\x07\\x9b" in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "nowhere" + ESCAPE],
        ["lookup", "s.yaml", ESCAPE],
        ["lookup", "10.0.0.1", "--at", ESCAPE],
        ["lookup", "--bulk", ESCAPE],
        ["lookup", "s.yaml", "10.0.0.1", "--log", ESCAPE],
        ["lookup", "10.0.0.1", "--at", "2026-01-01T00:00Z", "--state-dir", "nowhere" + ESCAPE],
        ["explain", "s.yaml", "--src", ESCAPE, "--dst", "1.1.1.1:1"],
        ["explain", "s.yaml", "--src", "1.1.1.1:1", "--dst", ESCAPE],
        ["explain", "s.yaml", "--src", "1.1.1.1:1", "--dst", "1.1.1.1:1", "--proto", ESCAPE],
        ["explain", "s.yaml", "--src", "100.64.0.1:1", "--dst", "1.1.1.1:1", "--in", ESCAPE],
        ["diff", "s.yaml", "--git", ESCAPE],
        ["diff", "s.yaml", "nowhere" + ESCAPE],
        ["apply", "s.yaml", "--netns", ESCAPE],
        ["build", "s.yaml", "-o", f"no/{ESCAPE}"],
        ["init", "s.yaml", "--inside", ESCAPE],
        ["exporter", "s.yaml", "--listen", ESCAPE],
        ["history", "--state-dir", "nowhere" + ESCAPE],
        ["sessions", "s.yaml", "--pool", ESCAPE],
    ],
    ids=lambda arguments: " ".join(arguments).replace(ESCAPE, "ESC"),
)
def test_arguments(here, arguments):
    write("s.yaml", GOOD)

    clean(nfcompile(*arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", f"--{ESCAPE}"],
        ["check", "--format", ESCAPE],
        ["check", "a", ESCAPE],
        ["apply", "--confirm", ESCAPE],
        [ESCAPE],
        ["rollback", ESCAPE],
    ],
    ids=lambda arguments: " ".join(arguments).replace(ESCAPE, "ESC"),
)
def test_arguments_that_typer_refuses(here, arguments):
    for run in (nfcompile, typed):
        ran = run(*arguments)
        clean(ran, echoed=False)
        assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("verb", [["check"], ["build"], ["plan"], ["init"]], ids=" ".join)
def test_names_of_files(here, verb):
    Path(NAME).write_text(
        GOOD.replace("priority: 1", "priority: one") if verb != ["plan"] else GOOD[: GOOD.index("acls")]
    )

    clean(nfcompile(*verb, NAME))


def test_cells_of_a_csv_file(here):
    write("s.yaml", GOOD)
    write("q.csv", f"addr,port,proto\n{ESCAPE},1,tcp\n10.0.0.1,1,{ESCAPE}\n")

    ran = nfcompile("lookup", "s.yaml", "--bulk", "q.csv")

    clean(ran)
    assert ran.stderr.count("error:") == 2


def test_the_history(here):
    """File names, users and hosts are as they were given."""
    path = str(here / "state")
    with store.locked(path):
        digest = store.keep(path, GOOD.encode())
    event = history.Event(
        1, "2026-01-01T00:00:00.000000Z", "applied", digest, NAME, ESCAPE, 0, ESCAPE, ESCAPE, "b/1", 1.0
    )
    store.append(path, event)
    at = ["--at", "2026-02-01T00:00Z", "--state-dir", path]

    for arguments in (
        ["history", "--state-dir", path],
        ["lookup", "100.64.0.9", *at, "--report"],
        ["lookup", "100.64.0.9", *at, "--format", "csv"],
    ):
        clean(nfcompile(*arguments))


def test_a_git_revision(here):
    for command in ("git init -q .", "git config user.email a@b", "git config user.name a"):
        assert os.system(command) == 0
    write("s.yaml", GOOD)

    clean(nfcompile("diff", "s.yaml", "--git", f"HEAD{ESCAPE}"))
