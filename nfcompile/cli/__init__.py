"""The command line: one verb, one file. The only room that prints, reads argv and exits.

This front door answers what is asked most without importing typer, which costs eight times the start
of Python itself; everything else goes through `app`, and means the same.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The `nfcompile` command."""
    from nfcompile.cli.guard import guarded

    sys.exit(guarded(lambda: _answer(sys.argv[1:])))


def _answer(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        from nfcompile import __version__

        print(f"nfcompile {__version__}")
        return 0
    from nfcompile.cli import plain

    if line := plain.read(arguments):
        return plain.run(line)
    from nfcompile.cli.app import app

    try:
        app(prog_name="nfcompile")
    except SystemExit as done:  # with what it has printed still to be written, maybe to a full disk
        return done.code if isinstance(done.code, int) else 0
    return 0
