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
    from nfcompile.source import Document


class Outcome(NamedTuple):
    """A compiled site, or None and the reasons; the document is None where the text is no YAML."""

    name: str
    document: Document | None
    compiled: Compiled | None
    diagnostics: tuple[Diagnostic, ...]

    def plus(self, diagnostics: tuple[Diagnostic, ...]) -> Outcome:
        """The same site after the kernel has refused it."""
        return self._replace(compiled=None, diagnostics=self.diagnostics + diagnostics)


def document(site: str) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """Read SITE; None and the reasons where its text is no YAML."""
    from nfcompile import source

    try:
        return source.parse(files.read(site), files.shown(site)), ()
    except SiteError as error:
        return None, error.diagnostics


def compiled(site: str) -> Outcome:
    """Read and compile SITE."""
    from nfcompile import pipeline

    read, problems = document(site)
    if read is None:
        return Outcome(files.shown(site), None, None, problems)
    try:
        done = pipeline.compile_site(read)
    except SiteError as error:
        return Outcome(files.shown(site), read, None, error.diagnostics)
    return Outcome(files.shown(site), read, done, done.warnings)


def tell(outcome: Outcome, quiet: bool = False, color: bool = True) -> None:
    """Write the diagnostics to stderr; quiet leaves the warnings out."""
    said = [one for one in outcome.diagnostics if not quiet or one.severity == "error"]
    if said:
        sys.stderr.write(rendered(outcome._replace(diagnostics=tuple(said)), "text", color))


def rendered(outcome: Outcome, format: str, color: bool = False) -> str:
    """The diagnostics in one of the forms of `check --format`."""
    from nfcompile import report

    coloured = color and not os.environ.get("NO_COLOR") and sys.stderr.isatty()
    return report.render(outcome.diagnostics, outcome.document, outcome.name, format, coloured)


def as_data(outcome: Outcome) -> list[Any]:
    """The diagnostics as `check --format json` gives them, for the JSON form of another verb."""
    found: list[Any] = json.loads(rendered(outcome, "json"))["diagnostics"]
    return found
