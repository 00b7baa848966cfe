"""The command line: one verb, one file. The only room that prints, reads argv and exits.

This front door answers what is asked most without importing typer, which costs eight times the start
of Python itself; everything else goes through `app`, and means the same.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The `nfcompile` command."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        from nfcompile import __version__

        print(f"nfcompile {__version__}")
        return
    if plain := plain_form(arguments):
        verb, site, output = plain
        from nfcompile.cli.guard import guarded

        if verb == "build":
            from nfcompile.cli import build

            sys.exit(guarded(lambda: build.run(site, output)))
        from nfcompile.cli import check

        sys.exit(guarded(lambda: check.run(site)))
    if applied := plain_apply(arguments):
        from nfcompile.cli import apply
        from nfcompile.cli.guard import guarded

        site, netns, yes = applied
        sys.exit(guarded(lambda: apply.run(site, apply.Wish(netns=netns, yes=yes))))
    from nfcompile.cli.app import app

    app(prog_name="nfcompile")


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


def plain_apply(arguments: list[str]) -> tuple[str, str | None, bool] | None:
    """Read `apply [SITE] [--netns NAME] [--yes]`; None is anything else, and typer's to read.

    >>> plain_apply(["apply", "a.yaml", "--netns", "gw", "--yes"])
    ('a.yaml', 'gw', True)
    >>> plain_apply(["apply", "--dry-run"])
    """
    if not arguments or arguments[0] != "apply":
        return None
    rest, netns = arguments[1:], None
    if "--netns" in rest[:-1]:
        at = rest.index("--netns")
        netns = rest[at + 1]
        del rest[at : at + 2]
    yes = "--yes" in rest
    rest = [word for word in rest if word != "--yes"]
    if len(rest) > 1 or any(word.startswith("-") and word != "-" for word in (*rest, netns or "")):
        return None
    return (rest[0] if rest else "site.yaml"), netns, yes
