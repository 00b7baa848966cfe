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


class LookupFormat(StrEnum):
    """The forms of `lookup`."""

    text = "text"
    json = "json"
    csv = "csv"


class RowFormat(StrEnum):
    """The forms of `mappings`."""

    csv = "csv"
    json = "json"
    parquet = "parquet"


class Picture(StrEnum):
    """The forms of `graph`."""

    mermaid = "mermaid"
    svg = "svg"


class SessionFormat(StrEnum):
    """The forms of `sessions`."""

    text = "text"
    csv = "csv"
    json = "json"


class StatusFormat(StrEnum):
    """The forms of `status`."""

    text = "text"
    json = "json"
    prometheus = "prometheus"


class Lint(StrEnum):
    """Sets of advice that go beyond errors."""

    rfc = "rfc"


class Template(StrEnum):
    """The starting sites of `init`."""

    isp = "isp"
    egress = "egress"
    static = "static"


class Network(StrEnum):
    """What sets interfaces up on a Debian."""

    networkd = "networkd"
    netplan = "netplan"
    ifupdown = "ifupdown"


class Protocol(StrEnum):
    """The protocols that have ports, or ids, in a block."""

    tcp = "tcp"
    udp = "udp"
    icmp = "icmp"


Site = Annotated[str, typer.Argument(metavar="SITE", help="The site; - is standard input.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours (as with NO_COLOR set).")]
As = Annotated[Format, typer.Option("--format", help="For people or for programs.")]

Netns = Annotated[
    str | None, typer.Option("--netns", metavar="NAME", help="In that network namespace (name or path).")
]
StateDir = Annotated[
    str | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        envvar="NFCOMPILE_STATE_DIR",
        help="Where the history is kept, instead of /var/lib/nfcompile.",
    ),
]


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
    bundle: Annotated[
        str | None,
        typer.Option("--bundle", metavar="DIR", help="The host's files too, laid out below DIR as below /."),
    ] = None,
    network: Annotated[
        Network | None, typer.Option("--network", help="With --bundle: what sets interfaces up (networkd).")
    ] = None,
    routed: Annotated[
        bool,
        typer.Option("--routed", help="With --bundle: the routers outside route the global addresses here."),
    ] = False,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Write the ruleset as text for `nft -f`."""
    if output is not None and bundle is not None:
        raise typer.BadParameter("the ruleset is in the bundle: --output and --bundle do not go together")
    if (network is not None or routed) and bundle is None:
        raise typer.BadParameter("--network and --routed go with --bundle")
    if bundle is not None:
        from nfcompile.cli import bundle as bundled

        chosen = (network or Network.networkd).value
        folder = bundle
        _finish(
            lambda: bundled.run(site, folder, network=chosen, format=format, quiet=quiet, color=not no_color)
        )
    from nfcompile.cli import build as verb

    _finish(lambda: verb.run(site, output, format=format, quiet=quiet, color=not no_color))


@app.command()
def apply(
    site: Site = "site.yaml",
    netns: Netns = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="With --dry-run: exit 3 when something differs.")
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    confirm: Annotated[
        int | None,
        typer.Option(
            "--confirm", metavar="SECONDS", min=1, help="Go back by itself unless confirmed in time."
        ),
    ] = None,
    max_moves: Annotated[
        int | None,
        typer.Option("--max-moves", metavar="N", min=0, help="Refuse when more subscribers would move."),
    ] = None,
    state_dir: StateDir = None,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Load a site into the kernel, as one transaction; shows what changes first."""
    from nfcompile.cli import apply as verb

    if exit_code and not dry_run:
        raise typer.BadParameter("--exit-code goes with --dry-run")
    wish = verb.Wish(
        netns, dry_run, exit_code, yes, format, quiet, not no_color, confirm, state_dir, max_moves
    )
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
    state_dir: StateDir = None,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Show what changes on the way to SITE: objects, lines, and which subscribers move."""
    from nfcompile.cli import diff as verb

    wish = verb.Wish(netns, git, state_dir, exit_code, format, quiet, not no_color)
    _finish(lambda: verb.run(site, other, wish))


@app.command()
def prove(
    site: Site = "site.yaml",
    most_boxes: Annotated[
        int,
        typer.Option(
            "--most-boxes", min=1, metavar="N", help="Give up when there are more boxes of packets."
        ),
    ] = 200_000,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Prove for every packet that the ruleset does what SITE says, and show where it does not."""
    from nfcompile.cli import prove as verb

    _finish(lambda: verb.run(site, most_boxes=most_boxes, format=format, quiet=quiet, color=not no_color))


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
def confirm(
    netns: Netns = None,
    state_dir: StateDir = None,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Keep the site that is on trial."""
    from nfcompile.cli import confirm as verb

    _finish(lambda: verb.run(netns, state_dir, format=format, quiet=quiet))


@app.command()
def rollback(
    number: Annotated[
        int, typer.Argument(metavar="[N]", min=1, help="How many different sites to go back.")
    ] = 1,
    netns: Netns = None,
    state_dir: StateDir = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Go back to a site that was live before, from the history."""
    from nfcompile.cli import rollback as verb

    wish = verb.Wish(netns, state_dir, yes, format, quiet, not no_color)
    _finish(lambda: verb.run(number, wish))


@app.command()
def history(
    netns: Netns = None,
    state_dir: StateDir = None,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """List what was live when, by whom, and what came of it."""
    from nfcompile.cli import history as verb

    _finish(lambda: verb.run(netns, state_dir, format=format, quiet=quiet))


@app.command()
def boot(
    netns: Netns = None,
    state_dir: StateDir = None,
    unit: Annotated[
        bool, typer.Option("--unit", help="Only show a systemd unit that does this at boot.")
    ] = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Load the last site that was live to stay; for the start of the machine."""
    from nfcompile.cli import boot as verb

    if unit:
        _finish(lambda: verb.unit(state_dir))
    _finish(lambda: verb.run(netns, state_dir, quiet=quiet, color=not no_color))


@app.command()
def lookup(
    asked: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SITE] ADDR[:PORT]", help="The site, and a subscriber or global address."),
    ] = None,
    proto: Annotated[Protocol | None, typer.Option("--proto", help="Of that protocol.")] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TIME", help="By the site that was live then (ISO 8601; without a zone: UTC)."
        ),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Dynamic pools: ask the kernel.")] = False,
    log: Annotated[
        str | None, typer.Option("--log", metavar="FILE", help="Dynamic pools: read ulogd2's log.")
    ] = None,
    bulk: Annotated[
        str | None,
        typer.Option("--bulk", metavar="FILE", help="Answer a csv file of addr,port,proto,time, in csv."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="With the question and the configuration it is answered from.")
    ] = False,
    netns: Netns = None,
    state_dir: StateDir = None,
    format: Annotated[LookupFormat, typer.Option("--format", help="For whom.")] = LookupFormat.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Show who has, or had, a global address and port, or which block a subscriber has."""
    from nfcompile.cli import lookup as verb

    words = asked or []
    most = 1 if bulk is not None else 2
    if len(words) > most:
        raise typer.BadParameter(f"one ADDR[:PORT] at a time, not {len(words) - 1}")
    if not words and bulk is None:
        raise typer.BadParameter("which address? say ADDR[:PORT], or --bulk FILE")
    if live and (at is not None or log is not None or bulk is not None):
        raise typer.BadParameter("--live is about this moment, and about one question")
    if netns is not None and not (live or at is not None or bulk is not None):
        raise typer.BadParameter("--netns goes with --live, --at or --bulk")
    plain = at is None and log is None and bulk is None and not live and not report
    if plain and format != LookupFormat.csv:
        site = words[0] if len(words) == 2 else "site.yaml"
        _finish(
            lambda: verb.run(site, words[-1], protocol=proto, format=format, quiet=quiet, color=not no_color)
        )
    from nfcompile.cli import inquiry

    named = words[0] if len(words) == most else None if at is not None or bulk is not None else "site.yaml"
    wish = inquiry.Wish(
        named,
        "" if bulk is not None else words[-1],
        None if proto is None else proto.value,
        at,
        log,
        live,
        netns,
        state_dir,
        report,
        format.value,
        quiet,
        not no_color,
    )
    _finish(lambda: inquiry.run(wish) if bulk is None else inquiry.bulk(bulk, wish))


@app.command()
def explain(
    site: Site = "site.yaml",
    src: Annotated[str, typer.Option("--src", metavar="A[:P]", help="Source address and port.")] = "",
    dst: Annotated[str, typer.Option("--dst", metavar="A[:P]", help="Destination address and port.")] = "",
    proto: Annotated[
        str, typer.Option("--proto", metavar="P", help="tcp, udp, icmp ... or a number.")
    ] = "tcp",
    interface: Annotated[
        str | None, typer.Option("--in", metavar="IF", help="Where it arrives; the first inside one.")
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="IF", help="Where routes send it; worked out otherwise.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Add what the kernel holds.")] = False,
    netns: Annotated[
        str | None, typer.Option("--netns", metavar="NAME", help="With --live: in that network namespace.")
    ] = None,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Show step by step what becomes of a packet, and which lines of the site decide."""
    from nfcompile.cli import explain as verb

    packet = verb.Words(src, dst, proto, interface, out)
    wish = verb.Wish(live, netns, format, quiet, not no_color)
    _finish(lambda: verb.run(site, packet, wish))


@app.command()
def mappings(
    site: Site = "site.yaml",
    format: Annotated[RowFormat, typer.Option("--format", help="How rows are written.")] = (RowFormat.csv),
    compact: Annotated[
        bool, typer.Option("--compact", help="A prefix may stand for many subscribers.")
    ] = False,
    live: Annotated[bool, typer.Option("--live", help="Dynamic pools: list what the kernel holds.")] = False,
    netns: Annotated[
        str | None, typer.Option("--netns", metavar="NAME", help="With --live: in that network namespace.")
    ] = None,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """List the whole allocation: every subscriber, its global address and its ports."""
    from nfcompile.cli import mappings as verb

    if netns is not None and not live:
        raise typer.BadParameter("--netns goes with --live")
    _finish(
        lambda: verb.run(
            site, format=format, compact=compact, live=live, netns=netns, quiet=quiet, color=not no_color
        )
    )


@app.command()
def status(
    site: Site = "site.yaml",
    netns: Netns = None,
    full: Annotated[
        bool, typer.Option("--full", help="Count sessions however many connections there are.")
    ] = False,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=0, help="Name the N subscribers with most sessions.")
    ] = 0,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    interval: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", min=0.1, help="With --watch: how often.")
    ] = 2.0,
    format: Annotated[StatusFormat, typer.Option("--format", help="For whom.")] = StatusFormat.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Show what is in use of each pool, and what was dropped and why."""
    from nfcompile.cli import status as verb

    wish = verb.Wish(netns, full, top, interval if watch else None, format, quiet, not no_color)
    _finish(lambda: verb.run(site, wish))


@app.command()
def exporter(
    site: Site = "site.yaml",
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to serve /metrics.")
    ] = "127.0.0.1:9911",
    netns: Netns = None,
    full: Annotated[
        bool, typer.Option("--full", help="Count sessions however many connections there are.")
    ] = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Serve what `status` shows to Prometheus."""
    from nfcompile.cli import exporter as verb

    _finish(lambda: verb.run(site, listen, netns=netns, full=full, quiet=quiet, color=not no_color))


@app.command()
def sessions(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[list|clear] [SITE]", help="What to do (list), and the site."),
    ] = None,
    pool: Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Of that pool.")] = None,
    subscriber: Annotated[
        str | None, typer.Option("--subscriber", metavar="ADDR|PREFIX", help="Of these inside addresses.")
    ] = None,
    global_: Annotated[
        str | None, typer.Option("--global", metavar="ADDR[:PORT]", help="With that global address.")
    ] = None,
    proto: Annotated[
        str | None, typer.Option("--proto", metavar="NAME", help="tcp, udp, icmp, gre or a number.")
    ] = None,
    netns: Netns = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    format: Annotated[SessionFormat, typer.Option("--format", help="How rows are written.")] = (
        SessionFormat.text
    ),
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """List or end the connections that a site's pools translate."""
    from nfcompile.cli import sessions as verb

    action, *rest = words if words and words[0] in ("list", "clear") else ["list", *(words or [])]
    if len(rest) > 1:
        raise typer.BadParameter(f"one site at a time, not {len(rest)}")
    site = rest[0] if rest else "site.yaml"
    filters = verb.Filters(pool, subscriber, global_, proto)
    wish = verb.Wish(netns, yes, format, quiet, not no_color)
    _finish(lambda: (verb.clear if action == "clear" else verb.show)(site, filters, wish))


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
def schema(quiet: Quiet = False, no_color: NoColor = False) -> None:
    """Show the JSON Schema of a site, for editors."""
    from nfcompile.cli import schema as verb

    _finish(verb.run)


@app.command()
def host(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="check|apply|revert|cloud aws [SITE]", help="What to do, and the site."),
    ] = None,
    netns: Netns = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")
    ] = False,
    instance: Annotated[
        str | None,
        typer.Option("--instance", metavar="ID", help="cloud aws: that instance, not this machine."),
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="NAME", help="With --instance: where it is.")
    ] = None,
    state_dir: StateDir = None,
    format: As = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Show, do or undo what a site needs of this machine besides the ruleset."""
    from nfcompile.cli import host as verb

    wish = verb.Wish(netns, dry_run, state_dir, format, quiet, not no_color, instance, region)
    _finish(lambda: verb.run(words or [], wish))
