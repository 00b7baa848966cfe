"""The compiler as one short function after the other: read it first.

    bytes -> Document -> data that fits the schema -> Site -> CheckInput -> Table -> Text

The stages up to the checks collect their problems and leave out what they cannot read, so that all problems
of a site are found at once; nothing is compiled of a site with an error (SiteError).
"""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.analysis import Analysis, analyse
from nfcompile.diagnostics import Diagnostic, SiteError
from nfcompile.emit import Table, Text, render
from nfcompile.lower import lower, sysctls
from nfcompile.model.read import ReadSite, read_site
from nfcompile.model.site import Site
from nfcompile.source import document, schema
from nfcompile.source.document import Document


class Compiled(NamedTuple):
    """A site, what was found on the way (warnings only), the allocations of its pools, and its ruleset.

    `sysctls` are the settings of the host that the ruleset counts on; `apply` sets none of them.
    """

    site: Site
    warnings: tuple[Diagnostic, ...]
    allocations: tuple[PoolAllocation, ...]
    table: Table
    text: Text
    sysctls: dict[str, int]


class Compilation(NamedTuple):
    """A site as far as it got: compiled, or refused for the reasons in its diagnostics."""

    document: Document
    compiled: Compiled | None = None
    diagnostics: tuple[Diagnostic, ...] = ()

    def refused(self, reasons: tuple[Diagnostic, ...]) -> Compilation:
        """The same site after a stage, or the kernel, has refused it."""
        return self._replace(compiled=None, diagnostics=self.diagnostics + reasons)


def compile_text(data: bytes, name: str) -> Compilation:
    """The whole way from bytes; what is wrong is in the diagnostics, which call the site by that name."""
    parsed = parse_text(data, name)
    if not parsed.document.complete:
        return parsed
    try:
        compiled = compile_site(parsed.document)
    except SiteError as error:
        return Compilation(parsed.document, None, error.diagnostics)
    return Compilation(parsed.document, compiled, compiled.warnings)


def parse_text(data: bytes, name: str) -> Compilation:
    """The first stage alone; diagnostics where the bytes are not YAML that a site can be read from."""
    try:
        return Compilation(parse(data, name))
    except document.SourceError as error:
        return Compilation(error.document, None, error.diagnostics)


def parse(data: bytes, name: str) -> Document:
    """YAML -> plain data with places. Raises SiteError."""
    return document.parse(data, name)


def read(document: Document) -> Site:
    """Plain data -> a site of checked values. Raises SiteError with every wrong value."""
    found = _read(document)
    _refuse(found.problems)
    return found.site


def check(document: Document, lints: tuple[str, ...] = ()) -> Analysis:
    """All problems of a site, of its text, keys and values and of what these mean together."""
    found = _read(document)
    analysis = analyse(found.site, lints, found.unread)
    return analysis._replace(diagnostics=[*found.problems, *analysis.diagnostics])


def _read(document: Document) -> ReadSite:
    validated = schema.validate(document)
    found = read_site(validated.data, schema.defaults(), validated.unread)
    return found._replace(problems=[*document.problems, *validated.diagnostics, *found.problems])


def compile_site(document: Document) -> Compiled:
    """The whole way. Raises SiteError with all problems where one of them is an error."""
    analysis = check(document)
    _refuse(analysis.diagnostics)
    site, allocations, *_ = analysis.checked
    table = lower(site, allocations)
    return Compiled(site, tuple(analysis.diagnostics), allocations, table, render(table), sysctls(site))


def _refuse(problems: list[Diagnostic] | tuple[Diagnostic, ...]) -> None:
    if any(problem.severity == "error" for problem in problems):
        raise SiteError(tuple(problems))
