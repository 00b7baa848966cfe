"""Every verb's arguments and options, for typer; the work is in the verb's own file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from nfcompile import __version__
from nfcompile.cli.guard import guarded

app = typer.Typer(
    help="Compile one site.yaml of NAT pools, ACLs and marks to an nftables ruleset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class CheckFormat(StrEnum):
    """The forms of `check`."""

    text = "text"
    json = "json"
    github = "github"
    sarif = "sarif"


class Format(StrEnum):
    """The forms of most verbs."""

    text = "text"
    json = "json"


class RowFormat(StrEnum):
    """The forms of `mappings`."""

    csv = "csv"
    json = "json"
    parquet = "parquet"


class Picture(StrEnum):
    """The forms of `graph`."""

    mermaid = "mermaid"
    svg = "svg"


class Lint(StrEnum):
    """Sets of advice that go beyond errors."""

    rfc = "rfc"


class Template(StrEnum):
    """The starting sites of `init`."""

    isp = "isp"
    egress = "egress"
    static = "static"


class Protocol(StrEnum):
    """The protocols that have ports, or ids, in a block."""

    tcp = "tcp"
    udp = "udp"
    icmp = "icmp"


Site = Annotated[str, typer.Argument(metavar="SITE", help="The site; - is standard input.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours (as with NO_COLOR set).")]
As = Annotated[Format, typer.Option("--format", help="For people or for programs.")]


def _finish(verb: Callable[[], int]) -> NoReturn:
    sys.exit(guarded(verb))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"nfcompile {__version__}")
        raise typer.Exit


@app.callback()
def _nfcompile(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def check(
    site: Site = "site.yaml",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    lint: Annotated[Lint | None, typer.Option("--lint", help="Add advice: rfc is RFC 4787 and 5382.")] = None,
    kernel: Annotated[
        bool, typer.Option("--kernel", help="Ask this machine's kernel too, in a scratch namespace.")
    ] = False,
    format: Annotated[CheckFormat, typer.Option("--format", help="For whom.")] = CheckFormat.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Show all problems of a site at once."""
    from nfcompile.cli import check as verb

    _finish(
        lambda: verb.run(
            site,
            strict=strict,
            lints=() if lint is None else (lint.value,),
            kernel=kernel,
            format=format,
            quiet=quiet,
            color=not no_color,
        )
    )


@app.command()
def build(
    site: Site = "site.yaml",
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write there instead of to stdout."),
    ] = None,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Write the ruleset as text for `nft -f`."""
    from nfcompile.cli import build as verb

    _finish(lambda: verb.run(site, output, format=format, quiet=quiet, color=not no_color))


@app.command()
def apply(
    site: Site = "site.yaml",
    netns: Annotated[
        str | None,
        typer.Option("--netns", metavar="NAME", help="In that network namespace (name or path)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="With --dry-run: exit 3 when something differs.")
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Load a site into the kernel, as one transaction; shows what changes first."""
    from nfcompile.cli import apply as verb

    if exit_code and not dry_run:
        raise typer.BadParameter("--exit-code goes with --dry-run")
    wish = verb.Wish(netns, dry_run, exit_code, yes, format, quiet, not no_color)
    _finish(lambda: verb.run(site, wish))


@app.command()
def diff(
    site: Site = "site.yaml",
    other: Annotated[
        str | None,
        typer.Argument(metavar="OTHER", help="The site to compare with; without one, the kernel."),
    ] = None,
    git: Annotated[
        str | None, typer.Option("--git", metavar="REV", help="Compare with SITE as it was at that revision.")
    ] = None,
    netns: Annotated[
        str | None,
        typer.Option("--netns", metavar="NAME", help="With the kernel's table in that network namespace."),
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 3 when something differs.")] = False,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Show what changes on the way to SITE: objects, lines, and which subscribers move."""
    from nfcompile.cli import diff as verb

    wish = verb.Wish(netns, git, None, exit_code, format, quiet, not no_color)
    _finish(lambda: verb.run(site, other, wish))


@app.command()
def plan(
    site: Site = "site.yaml",
    growth: Annotated[
        float | None,
        typer.Option("--growth", metavar="PERCENT", help="How many more subscribers every month."),
    ] = None,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Show the capacity of each pool: what is used, wasted, and needed for larger blocks."""
    from nfcompile.cli import plan as verb

    _finish(lambda: verb.run(site, growth=growth, format=format, quiet=quiet, color=not no_color))


@app.command()
def graph(
    site: Site = "site.yaml",
    format: Annotated[Picture, typer.Option("--format", help="In which form.")] = Picture.mermaid,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Draw the packet's way through the gateway, and its pools."""
    from nfcompile.cli import graph as verb

    _finish(lambda: verb.run(site, format=format, quiet=quiet, color=not no_color))


@app.command()
def lookup(
    asked: Annotated[
        list[str],
        typer.Argument(metavar="[SITE] ADDR[:PORT]", help="The site, and a subscriber or global address."),
    ],
    proto: Annotated[Protocol | None, typer.Option("--proto", help="Of that protocol.")] = None,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Show who has a global address and port, or which block a subscriber has."""
    from nfcompile.cli import lookup as verb

    if len(asked) > 2:
        raise typer.BadParameter(f"one ADDR[:PORT] at a time, not {len(asked) - 1}")
    site = asked[0] if len(asked) == 2 else "site.yaml"
    _finish(lambda: verb.run(site, asked[-1], protocol=proto, format=format, quiet=quiet, color=not no_color))


@app.command()
def mappings(
    site: Site = "site.yaml",
    format: Annotated[RowFormat, typer.Option("--format", help="How rows are written.")] = (RowFormat.csv),
    compact: Annotated[
        bool, typer.Option("--compact", help="A prefix may stand for many subscribers.")
    ] = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """List the whole allocation: every subscriber, its global address and its ports."""
    from nfcompile.cli import mappings as verb

    _finish(lambda: verb.run(site, format=format, compact=compact, quiet=quiet, color=not no_color))


@app.command()
def init(
    file: Annotated[str, typer.Argument(metavar="FILE", help="- is stdout.")] = "site.yaml",
    template: Annotated[Template, typer.Option("--template", help="Which gateway.")] = (Template.isp),
    inside: Annotated[str, typer.Option("--inside", help="The subscribers' interface.")] = "lan0",
    outside: Annotated[str, typer.Option("--outside", help="The global interface.")] = "wan0",
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Write a commented starting site."""
    from nfcompile.cli import init as verb

    _finish(lambda: verb.run(file, template=template, inside=inside, outside=outside, quiet=quiet))


@app.command()
def schema() -> None:
    """Show the JSON Schema of a site, for editors."""
    from nfcompile.cli import schema as verb

    _finish(verb.run)
