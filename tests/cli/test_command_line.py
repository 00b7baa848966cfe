"""Both readers of a command line, the fast one and typer, give a verb the same options."""

import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from nfcompile.cli import command_line
from nfcompile.cli.app import app
from nfcompile.cli.options import Options
from nfcompile.cli.verbs import COMMON, VERBS

VALUES = [
    "x",
    "site.yaml",
    "-",
    "10.0.0.1:53",
    "1",
    "0",
    "2.5",
    "0.05",
    "text",
    "json",
    "tcp",
    "rfc",
    "",
    "7x",
    "é",
]


def through_typer(arguments):
    """What typer hands to the verb; the exit status where it refuses the line."""
    seen = []
    run = command_line.run
    command_line.run = lambda verb, options: seen.append((verb, options)) or 0
    try:
        done = CliRunner().invoke(app, arguments)
    finally:
        command_line.run = run
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return seen[0] if seen else done.exit_code


@st.composite
def lines(draw):
    """A verb, some of its options with values that may fit, and some words."""
    verb = draw(st.sampled_from(VERBS))
    value = st.sampled_from(VALUES)
    arguments = draw(st.lists(value, max_size=3))
    for option in draw(st.lists(st.sampled_from([*verb.options, *COMMON]), max_size=4, unique=True)):
        spelled = [draw(st.sampled_from(option.names))]
        if not option.is_flag:
            fitting = st.sampled_from(option.choices) if option.choices else value
            spelled.append(draw(st.one_of(fitting, value)))
        at = draw(st.integers(0, len(arguments)))
        arguments[at:at] = spelled
    return [verb.name, *arguments]


@settings(max_examples=300, deadline=None)
@given(lines())
@example(["apply", "--yes", "x"])
@example(["rollback", "2"])
@example(["lookup", "10.0.0.1", "--format", "csv"])
@example(["status", "--watch", "--interval", "1"])
def test_both_readers_agree(arguments):
    fast = command_line.read(arguments)

    if fast is not None:
        assert fast == through_typer(arguments)


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_a_line_without_options_is_read_without_typer(verb):
    assert command_line.read([verb]) == through_typer([verb])


@pytest.mark.parametrize(
    "arguments",
    [
        ["apply", "a", "b"],
        ["apply", "--netns"],
        ["apply", "--netns=gw"],
        ["apply", "--netns", "-q"],
        ["apply", "--confirm", "0"],
        ["apply", "--confirm", "1.5"],
        ["rollback", "0"],
        ["check", "--format", "csv"],
        ["check", "--help"],
        ["build", "-q", "--", "x"],
        ["nosuch"],
        [],
    ],
)
def test_what_is_wrong_or_spelled_in_another_way_is_for_typer(arguments):
    assert command_line.read(arguments) is None


def test_the_state_directory_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("NFCOMPILE_STATE_DIR", "/elsewhere")

    assert command_line.read(["history"]) == ("history", Options(state_dir="/elsewhere"))
    assert through_typer(["history"]) == ("history", Options(state_dir="/elsewhere"))
    assert command_line.read(["history", "--state-dir", "/here"]) == ("history", Options(state_dir="/here"))
    os.environ["NFCOMPILE_STATE_DIR"] = ""
    assert command_line.read(["history"]) == through_typer(["history"]) == ("history", Options())


@pytest.mark.parametrize("option", ["-q", "--no-color"])
def test_every_verb_takes_what_all_verbs_take(option):
    for verb in VERBS:
        assert command_line.read([verb.name, option]) == through_typer([verb.name, option])
