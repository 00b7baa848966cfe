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
    if plain := plain_form(arguments):
        verb, site, output = plain
        if verb == "build":
            from nfcompile.cli import build

            return build.run(site, output)
        from nfcompile.cli import check

        return check.run(site)
    from nfcompile.cli.app import app

    try:
        app(prog_name="nfcompile")
    except SystemExit as done:  # with what it has printed still to be written, maybe to a full disk
        return done.code if isinstance(done.code, int) else 0
    return 0


def plain_form(arguments: list[str]) -> tuple[str, str, str | None] | None:
    """Read `build [SITE] [-o FILE]` and `check [SITE]`; None is anything else, and typer's to read.

    >>> plain_form(["build", "-o", "ruleset.nft"])
    ('build', 'site.yaml', 'ruleset.nft')
    >>> plain_form(["check", "--strict"])
    """
    if not arguments or arguments[0] not in ("build", "check"):
        return None
    verb, *rest = arguments
    output = None
    if verb == "build" and "-o" in rest[:-1]:
        at = rest.index("-o")
        output = rest[at + 1]
        del rest[at : at + 2]
    if len(rest) > 1 or any(word.startswith("-") and word != "-" for word in rest):
        return None
    if output is not None and output.startswith("-") and output != "-":
        return None
    return verb, rest[0] if rest else "site.yaml", output
