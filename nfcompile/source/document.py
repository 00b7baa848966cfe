"""The bytes of site.yaml -> plain data, and the place (line, columns) of every path in it.

Strict where YAML is treacherous: no aliases, tags, merge keys, tabs or duplicate keys, one document,
scalars of YAML 1.2 and nothing else. Knows nothing of pools, and not which keys a site has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nfcompile.diagnostics import Diagnostic, Path, Place, SiteError
from nfcompile.source.characters import decode, refused_characters
from nfcompile.source.loader import Loader
from nfcompile.source.nodes import Leaf, Node, child, is_empty, stretch


class Document(NamedTuple):
    """One site as plain data; `nodes` holds the marks of what was written."""

    name: str
    lines: list[str]
    data: dict[str, Any]
    nodes: Node | None

    def place(self, path: Path, key: bool = False, span: tuple[int, int] | None = None) -> Place | None:
        """Find a path: its value, its key, or a half-open stretch of characters of either.

        A path that is not in the document is placed at the key of its nearest parent; without such a
        parent it has no place. A node of several lines ends with its first one.
        """
        name: Leaf | None = None
        node = self.nodes
        for step in path:
            found = child(node, step)
            if found is None:
                key, span = True, None
                break
            name, node = found
        if node is None or node is self.nodes:
            return None
        if name is not None and (key or is_empty(node)):
            node, span = name, span if key else None
        return stretch(self.lines, node, span)


class SourceError(SiteError):
    """The text cannot be read; `document` has its lines, and the data of the part that can."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...], document: Document) -> None:
        super().__init__(diagnostics)
        self.document = document


def parse(data: bytes, name: str) -> Document:
    """Read a site. Raises SourceError with every problem that could be found at once."""
    text, problem = decode(data)
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    problems = [problem] if problem else refused_characters(text)
    if problems:
        raise SourceError(tuple(problems), Document(name, lines, {}, None))
    loader = Loader(text, lines)
    value = loader.run()
    document = Document(name, lines, value if isinstance(value, dict) else {}, loader.nodes)
    if loader.problems:
        raise SourceError(tuple(loader.problems), document)
    return document
