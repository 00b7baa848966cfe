"""The compiler as one short function after the other: read it first.

    bytes -> Document -> data that fits the schema -> Site -> CheckInput -> Table -> Text

Each stage collects all its problems and raises SiteError with them; a later stage never sees a site that
an earlier one refused.
"""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.analysis import Analysis, analyse
from nfcompile.diagnostics import Diagnostic, SiteError
from nfcompile.emit import Table, Text, render
from nfcompile.lower import lower, sysctls
from nfcompile.model.read import read_site
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


def parse(data: bytes, name: str) -> Document:
    """YAML -> plain data with places. Raises SiteError."""
    return document.parse(data, name)


def read(document: Document) -> Site:
    """Plain data -> a site of checked values. Raises SiteError with every wrong value."""
    _refuse(schema.validate(document))
    site, problems = read_site(document.data, schema.defaults())
    _refuse(problems)
    return site


def check(document: Document, lints: tuple[str, ...] = ()) -> Analysis:
    """Everything that analysis finds, errors too. Raises SiteError where the site cannot be read."""
    return analyse(read(document), lints)


def compile_site(document: Document) -> Compiled:
    """The whole way. Raises SiteError with the problems of the first stage that has errors."""
    analysis = check(document)
    _refuse(analysis.diagnostics)
    site, allocations = analysis.checked
    table = lower(site, allocations)
    return Compiled(site, tuple(analysis.diagnostics), allocations, table, render(table), sysctls(site))


def _refuse(problems: list[Diagnostic] | tuple[Diagnostic, ...]) -> None:
    if any(problem.severity == "error" for problem in problems):
        raise SiteError(tuple(problems))
