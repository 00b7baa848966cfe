"""The compiler as one short function after the other: read it first.

    bytes -> Document -> data that fits the schema -> Site -> CheckInput -> Table -> Text

The stages up to the checks collect their problems and leave out what they cannot read, so that all problems
of a site are found at once; nothing is compiled of a site with an error (SiteError).
"""

from typing import Any, NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.analysis import Analysis, analyse
from nfcompile.analysis.fleet import NodeFindings, fleet_wide
from nfcompile.diagnostics import Diagnostic, SiteError
from nfcompile.emit import Table, Text, render
from nfcompile.lower import lower, npt_table, sysctls
from nfcompile.model import fleet
from nfcompile.model.fleet import NodeChoice
from nfcompile.model.read import ReadSite, read_site
from nfcompile.model.site import Site
from nfcompile.source import document, schema
from nfcompile.source.document import Document
from nfcompile.source.schema import Validated

NO_CHOICE = NodeChoice()


class Compiled(NamedTuple):
    """A site, what was found on the way (warnings only), the allocations of its pools, and its ruleset.

    `npt` is the table of family ip6, where the site has npt pools. `sysctls` are the settings of the host
    that the ruleset counts on; `apply` sets none of them.
    """

    site: Site
    warnings: tuple[Diagnostic, ...]
    allocations: tuple[PoolAllocation, ...]
    table: Table
    text: Text
    sysctls: dict[str, int]
    npt: Table | None = None


class Compilation(NamedTuple):
    """A site as far as it got: compiled, or refused for the reasons in its diagnostics."""

    document: Document
    compiled: Compiled | None = None
    diagnostics: tuple[Diagnostic, ...] = ()

    def refused(self, reasons: tuple[Diagnostic, ...]) -> "Compilation":
        """The same site after a stage, or the kernel, has refused it."""
        return self._replace(compiled=None, diagnostics=self.diagnostics + reasons)


def compile_text(data: bytes, name: str, choice: NodeChoice = NO_CHOICE) -> Compilation:
    """The whole way from bytes; what is wrong is in the diagnostics, which call the site by that name. Of a
    fleet one node's site is compiled."""
    return compile_parsed(parse_text(data, name, choice))


def compile_parsed(parsed: Compilation) -> Compilation:
    """The rest of the way."""
    if not parsed.document.complete:
        return parsed
    try:
        compiled = compile_site(parsed.document)
    except SiteError as error:
        return Compilation(parsed.document, None, error.diagnostics)
    return Compilation(parsed.document, compiled, compiled.warnings)


def parse_text(data: bytes, name: str, choice: NodeChoice = NO_CHOICE) -> Compilation:
    """The first stage alone; diagnostics where the bytes are not YAML that a site can be read from."""
    try:
        found = parse(data, name)
        return Compilation(on_node(found, fleet.chosen(found.data, choice)))
    except document.SourceError as error:
        return Compilation(error.document, None, error.diagnostics)


def parse(data: bytes, name: str) -> Document:
    """YAML -> plain data with places. Raises SiteError."""
    return document.parse(data, name)


def on_node(document: Document, node: str) -> Document:
    """The document, read as the site of one node of its fleet; '' is no node."""
    return document._replace(node=node, moves=fleet.moves(document.data, node) if node else ())


def answering(document: Document) -> tuple[Document, ...]:
    """The document as the site of its node; of a fleet without a chosen one, of a node of each pair."""
    if document.node or not fleet.node_names(document.data):
        return (document,)
    return tuple(on_node(document, node) for node in fleet.groups(document.data).values())


def data_of_node(document: Document) -> dict[str, Any]:
    """The plain data of the document's node, or of its one gateway."""
    if not document.node:
        return document.data
    return fleet.site_of_node(document.data, document.unread, document.node).data


def read(document: Document) -> Site:
    """Plain data -> a site of checked values. Raises SiteError with every wrong value."""
    found = _read(document, schema.validate(document))
    _refuse(found.problems)
    return found.site


def check(document: Document, lints: tuple[str, ...] = ()) -> Analysis:
    """All problems of a site, of its text, keys and values and of what these mean together.

    Of a fleet without a chosen node: those of all nodes, and of what they have in common.
    """
    validated = schema.validate(document)
    nodes = fleet.node_names(validated.data)
    if document.node or not nodes:
        return _check_one(document, validated, lints)
    answering = fleet.groups(validated.data).values()
    found = []
    for node in (*answering, *(one for one in nodes if one not in answering)):
        of_node = on_node(document, node)
        analysis = _check_one(of_node, validated, lints)
        found.append(NodeFindings(node in answering, analysis, of_node.written))
    return fleet_wide(found)


def _check_one(document: Document, validated: Validated, lints: tuple[str, ...]) -> Analysis:
    found = _read(document, validated)
    analysis = analyse(found.site, lints, found.unread)
    return analysis._replace(diagnostics=[*found.problems, *analysis.diagnostics])


def _read(document: Document, validated: Validated) -> ReadSite:
    """The site of the document's node, or of its one gateway."""
    data, unread, problems = validated.data, validated.unread, list(validated.diagnostics)
    if document.node:
        problems += fleet.unknown_pairs(data)
        data, unread, _ = fleet.site_of_node(data, unread, document.node)
    else:
        data, by_pair = fleet.one_gateway(data)
        problems += by_pair
        unread |= {one.path for one in by_pair}
    found = read_site(data, schema.defaults(), unread, document.node)
    return found._replace(problems=[*document.problems, *problems, *found.problems])


def accepted(document: Document) -> Analysis:
    """The way up to the checks, of a site that passes them. Raises SiteError like `compile_site`."""
    if not document.node and fleet.node_names(document.data):
        raise SiteError((fleet.no_choice(document.data),))
    analysis = check(document)
    _refuse(analysis.diagnostics)
    return analysis


def compile_site(document: Document) -> Compiled:
    """The whole way. Raises SiteError with all problems where one of them is an error."""
    analysis = accepted(document)
    site, allocations, *_ = analysis.checked
    table = lower(site, allocations)
    second = npt_table(site)
    text = render(table) if second is None else render(table, second)
    return Compiled(site, tuple(analysis.diagnostics), allocations, table, text, sysctls(site), second)


def _refuse(problems: list[Diagnostic] | tuple[Diagnostic, ...]) -> None:
    if any(problem.severity == "error" for problem in problems):
        raise SiteError(tuple(problems))
