"""SITE of a command line: read, compiled, and its problems as they are shown."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from nfcompile.cli import files
from nfcompile.cli.exit_status import SiteRefused
from nfcompile.cli.options import Options

if TYPE_CHECKING:
    from nfcompile.pipeline import Compilation, Compiled


def parsed(name: str) -> Compilation:
    """Read a site's text; diagnostics where it is not YAML that a site can be read from."""
    from nfcompile.pipeline import parse_text

    return parse_text(files.read(name), files.shown(name))


def compiled(name: str) -> Compilation:
    """Read and compile a site; diagnostics where it is refused."""
    from nfcompile.pipeline import compile_text

    return compile_text(files.read(name), files.shown(name))


def compiled_or_refused(options: Options) -> tuple[Compilation, Compiled]:
    """Read and compile SITE, and print its diagnostics. Raises SiteRefused."""
    compilation = compiled(options.site)
    if compilation.compiled is None:
        refuse(compilation, options)
    tell(compilation, options)
    return compilation, compilation.compiled


def refuse(compilation: Compilation, options: Options, text: str = "") -> NoReturn:
    """End the verb because of a site's errors, which are printed or go into the JSON document."""
    if not options.is_json:
        tell(compilation, options)
    raise SiteRefused(compilation, text)


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
