"""The command line: one verb, one file. The only room that prints, reads argv and exits.

`command_line` reads what is written correctly; only the rest imports typer, which takes eight times as long
as the start of Python itself.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The `nfcompile` command."""
    arguments = sys.argv[1:]
    if arguments == ["--version"] and _version_printed():
        return
    from nfcompile.cli import command_line
    from nfcompile.cli.exit_status import guarded

    if line := command_line.read(arguments):
        verb, options = line
        sys.exit(guarded(lambda: command_line.run(verb, options), json=options.is_json))
    sys.exit(guarded(through_typer))


def _version_printed() -> bool:
    from nfcompile import __version__

    try:
        print(f"nfcompile {__version__}", flush=True)
    except OSError:
        return False
    return sys.stdout is not None


def through_typer() -> int:
    """Let typer read the command line: help, completion, and what is wrong in it."""
    from nfcompile.cli.app import app

    try:
        app(prog_name="nfcompile")
    except SystemExit as done:  # with what it has printed still to be written, maybe to a full disk
        return done.code if isinstance(done.code, int) else 0
    return 0
