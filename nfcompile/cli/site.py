"""SITE of a command line: read, compiled, and its problems as they are shown."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from nfcompile.cli import files
from nfcompile.cli.exit_status import SiteRefused, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.cli.progress import working

if TYPE_CHECKING:
    from nfcompile.model.fleet import NodeChoice
    from nfcompile.pipeline import Compilation, Compiled


def choice(options: Options) -> NodeChoice:
    """The node of `--node`; without it this machine's host name, up to its first dot."""
    import os

    from nfcompile.model.fleet import NodeChoice

    if options.node is not None:
        return NodeChoice(options.node, True)
    return NodeChoice(os.uname().nodename.partition(".")[0])


def parsed(options: Options) -> Compilation:
    """Read SITE's text; diagnostics where it is not YAML that a site can be read from."""
    from nfcompile.pipeline import parse_text

    name = options.site
    return _of_known_node(parse_text(files.read(name), files.shown(name), choice(options)), options)


def compiled(name: str, options: Options) -> Compilation:
    """Read and compile a site; diagnostics where it is refused."""
    return compiled_text(files.read(name), files.shown(name), options)


def compiled_text(data: bytes, shown: str, options: Options) -> Compilation:
    """Compile the text of a site, of a fleet the site of one node. Raises UsageProblem where none is
    chosen."""
    from nfcompile.pipeline import compile_parsed, parse_text

    with working(f"compiling {shown}", options):
        read = _of_known_node(parse_text(data, shown, choice(options)), options)
        _refuse_without_choice(read)
        return compile_parsed(read)


def each_compiled(name: str, options: Options) -> list[tuple[Compilation, Compiled]]:
    """SITE, or where it is a fleet's and no node is chosen the site of one node of each pair; its diagnostics
    are printed. Raises SiteRefused."""
    from nfcompile.model.fleet import groups

    options = options._replace(words=(name,))
    read = parsed(options)
    if read.document.node or not groups(read.document.data):
        return [compiled_or_refused(options)]
    nodes = groups(read.document.data).values()
    return [compiled_or_refused(options._replace(node=node)) for node in nodes]


def _of_known_node(read: Compilation, options: Options) -> Compilation:
    """Raise UsageProblem where `--node` names no node of the site."""
    from nfcompile.model.fleet import node_names

    names = node_names(read.document.data)
    if options.node is not None and options.node not in names and read.document.complete:
        there = f"it has {', '.join(names)}" if names else "it has no 'nodes'"
        raise UsageProblem(f"{read.document.name} has no node '{options.node}': {there}")
    return read


def _refuse_without_choice(read: Compilation) -> None:
    from nfcompile.model.fleet import node_names

    names = node_names(read.document.data)
    if names and not read.document.node:
        text = f"{read.document.name} has several nodes; name one with --node: {', '.join(names)}"
        raise UsageProblem(text)


def compiled_or_refused(options: Options) -> tuple[Compilation, Compiled]:
    """Read and compile SITE, and print its diagnostics. Raises SiteRefused."""
    compilation = compiled(options.site, options)
    if compilation.compiled is None:
        refuse(compilation, options)
    tell(compilation, options)
    return compilation, compilation.compiled


def refuse(compilation: Compilation, options: Options, text: str = "") -> NoReturn:
    """End the verb because of a site's errors, which are printed or go into the JSON document."""
    if options.is_json:
        raise SiteRefused(compilation.document.name, as_data(compilation), text)
    tell(compilation, options)
    raise SiteRefused(compilation.document.name, (), text)


def tell(compilation: Compilation, options: Options) -> None:
    """Print the diagnostics on stderr; `--quiet` leaves the warnings out."""
    shown = tuple(one for one in compilation.diagnostics if not options.quiet or one.severity == "error")
    if shown:
        coloured = options.color and sys.stderr.isatty()
        sys.stderr.write(rendered(compilation._replace(diagnostics=shown), "text", coloured))


def rendered(compilation: Compilation, format: str, color: bool = False) -> str:
    """The diagnostics in one of the forms of `check --format`."""
    from nfcompile import report

    document = compilation.document
    return report.render(compilation.diagnostics, document, document.name, format, color)


def as_data(compilation: Compilation) -> list[Any]:
    """The diagnostics as `check --format json` has them, for the JSON form of another verb."""
    found: list[Any] = json.loads(rendered(compilation, "json"))["diagnostics"]
    return found
