"""The command line: one verb, one file. The only room that prints, reads argv and exits.

`command_line` reads what is written correctly; only the rest imports typer, which takes eight times as long
as the start of Python itself.
"""

from __future__ import annotations

import gc
import sys

CYCLES = 100_000, 20, 20
"""Objects between two searches for cycles: frozen values have none, and a search costs 7 % of a start."""


def main() -> None:
    """The `nfcompile` command."""
    gc.set_threshold(*CYCLES)
    arguments = sys.argv[1:]
    if arguments == ["--version"] and _version_printed():
        return
    try:
        sys.exit(_status(arguments))
    finally:
        # Python ends with searches for cycles in all that was imported: a fifth of a small site's build.
        gc.freeze()


def _status(arguments: list[str]) -> int:
    from nfcompile.cli import command_line
    from nfcompile.cli.exit_status import guarded

    if line := command_line.read(arguments):
        verb, options = line
        return guarded(lambda: command_line.run(verb, options), json=options.is_json)
    return guarded(through_typer, json=_wants_json(arguments))


def _version_printed() -> bool:
    from nfcompile import __version__

    try:
        print(f"nfcompile {__version__}", flush=True)
    except OSError:
        return False
    return sys.stdout is not None


def through_typer() -> int:
    """Let typer read the command line: help, completion, and what is wrong in it, in a line of our own."""
    from nfcompile.cli.app import app
    from nfcompile.cli.exit_status import UsageProblem

    try:
        status = app(prog_name="nfcompile", standalone_mode=len(sys.argv) == 1)
    except SystemExit as done:  # with what it has printed still to be written, maybe to a full disk
        return done.code if isinstance(done.code, int) else 0
    except Exception as problem:
        # The base class of typer's usage errors has another name and home in each of its versions.
        message = getattr(problem, "format_message", None)
        if message is None:
            raise
        context = getattr(problem, "ctx", None)
        where = f"; see '{context.command_path} --help'" if context else ""
        text = str(message()).rstrip(".").replace(". Did you mean", "; did you mean").removesuffix("?")
        raise UsageProblem(text[:1].lower() + text[1:] + where) from None
    return status if isinstance(status, int) else 0


def _wants_json(arguments: list[str]) -> bool:
    from itertools import pairwise

    return "--format=json" in arguments or ("--format", "json") in pairwise(arguments)
