"""A site taken through the compiler for a verb: what came of it, and how it is told to the operator."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from nfcompile.cli import files
from nfcompile.diagnostics import Diagnostic, SiteError

if TYPE_CHECKING:
    from nfcompile.pipeline import Compiled
    from nfcompile.source.document import Document


class Outcome(NamedTuple):
    """A site as far as it got: compiled, or refused for reasons that are in the diagnostics."""

    document: Document
    compiled: Compiled | None = None
    diagnostics: tuple[Diagnostic, ...] = ()

    def refused(self, reasons: tuple[Diagnostic, ...]) -> Outcome:
        """The same site after a stage, or the kernel, has refused it."""
        return self._replace(compiled=None, diagnostics=self.diagnostics + reasons)


def parsed(site: str) -> Outcome:
    """Read SITE; diagnostics where its text is none that a site can be read from."""
    return _parsed(files.read(site), files.shown(site))


def compiled(site: str) -> Outcome:
    """Read and compile SITE."""
    return compiled_text(files.read(site), files.shown(site))


def compiled_text(data: bytes, name: str) -> Outcome:
    """Compile a site that has been read; diagnostics call it by that name."""
    from nfcompile import pipeline

    read = _parsed(data, name)
    if read.diagnostics:
        return read
    try:
        done = pipeline.compile_site(read.document)
    except SiteError as error:
        return read.refused(error.diagnostics)
    return Outcome(read.document, done, done.warnings)


def _parsed(data: bytes, name: str) -> Outcome:
    from nfcompile.source import document

    try:
        return Outcome(document.parse(data, name))
    except document.SourceError as error:
        return Outcome(error.document, None, error.diagnostics)


def tell(outcome: Outcome, quiet: bool = False, color: bool = True) -> None:
    """Write the diagnostics to stderr; quiet leaves the warnings out."""
    said = [one for one in outcome.diagnostics if not quiet or one.severity == "error"]
    if said:
        sys.stderr.write(rendered(outcome._replace(diagnostics=tuple(said)), "text", color))


def rendered(outcome: Outcome, format: str, color: bool = False) -> str:
    """The diagnostics in one of the forms of `check --format`."""
    from nfcompile import report

    coloured = color and not os.environ.get("NO_COLOR") and sys.stderr.isatty()
    return report.render(outcome.diagnostics, outcome.document, outcome.document.name, format, coloured)


def as_data(outcome: Outcome) -> list[Any]:
    """The diagnostics as `check --format json` gives them, for the JSON form of another verb."""
    found: list[Any] = json.loads(rendered(outcome, "json"))["diagnostics"]
    return found
