"""The bytes of site.yaml -> plain data, and the place (line, columns) of every path in it.

Strict where YAML is treacherous: no aliases, tags, merge keys, tabs or duplicate keys, one document,
scalars of YAML 1.2 and nothing else. Knows nothing of pools, and not which keys a site has.
"""

from typing import Any, NamedTuple

from nfcompile.diagnostics import Diagnostic, Path, Place, SiteError
from nfcompile.source.characters import decode, refused_characters
from nfcompile.source.loader import Loader
from nfcompile.source.nodes import Leaf, Node, child, is_empty, stretch


class Document(NamedTuple):
    """One site as plain data; `nodes` has the place of everything in it.

    A text with faults has `problems`, and the paths of the values that these leave `unread`. `complete`: the
    whole text was parsed, so that the rest of the data can be checked. `node` is the node of a fleet whose
    site is meant, '' for none; `moves` leads from paths of its site to those in the text.
    """

    name: str
    lines: list[str]
    data: dict[str, Any]
    nodes: Node | None
    problems: tuple[Diagnostic, ...] = ()
    unread: frozenset[Path] = frozenset()
    complete: bool = True
    node: str = ""
    moves: tuple[tuple[Path, Path], ...] = ()

    def written(self, path: Path) -> Path:
        """The path in the text of a path of the node's site; one that is the text's already stays."""
        for here, there in self.moves:
            if path[: len(here)] == here and path[: len(there)] != there:
                return there + path[len(here) :]
        return path

    def place(self, path: Path, key: bool = False, span: tuple[int, int] | None = None) -> Place | None:
        """Find a path: its value, its key, or a half-open stretch of characters of either.

        A path that is not in the document is placed at the key of its nearest parent; without such a
        parent it has no place. A node of several lines ends with its first one.
        """
        name: Leaf | None = None
        node = self.nodes
        for step in self.written(path):
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
    """The text has faults; `document` has its lines, and the data of the part that could be read."""

    def __init__(self, document: Document) -> None:
        super().__init__(document.problems)
        self.document = document


def parse(data: bytes, name: str) -> Document:
    """Read a site. Raises SourceError with every problem that could be found at once."""
    text, problem = decode(data)
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    problems = [problem] if problem else refused_characters(text)
    if problems:
        raise SourceError(Document(name, lines, {}, None, tuple(problems), complete=False))
    loader = Loader(text, lines)
    value = loader.run()
    complete = loader.complete and isinstance(value, dict)
    document = Document(
        name,
        lines,
        value if isinstance(value, dict) else {},
        loader.nodes,
        tuple(loader.problems),
        frozenset(loader.unread),
        complete,
    )
    if document.problems:
        raise SourceError(document)
    return document
