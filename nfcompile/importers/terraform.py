"""Terraform files -> blocks with the lines of their attributes; literals, and variables that have a literal.

python-hcl2 reads the language (the extra `[import]`); this file keeps the lines. What only Terraform could
work out stays an expression, in its own words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nfcompile.importers.lines import SourceText
from nfcompile.importers.values import Unreadable


class NeedsExtra(Exception):
    """The library that reads .tf is not installed."""


class Expression(NamedTuple):
    """What is no literal, as it is written."""

    text: str


Value = str | None | Expression


class Attribute(NamedTuple):
    """A value, and where it stands."""

    value: Value
    line: int
    end_line: int


class HclBlock(NamedTuple):
    """A block: `labels` begin with its kind."""

    labels: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    blocks: tuple[HclBlock, ...]
    line: int
    end_line: int

    def named(self, kind: str) -> Iterator[HclBlock]:
        """Blocks of a kind inside this one."""
        return (block for block in self.blocks if block.labels[:1] == (kind,))


def read_terraform(text: SourceText) -> HclBlock:
    """A file as one block. Raises Unreadable where it is no Terraform, NeedsExtra without the library."""
    try:
        import hcl2
        from lark.exceptions import LarkError
    except ImportError:
        raise NeedsExtra("reading .tf needs python-hcl2: pip install 'nfcompile[import]'") from None
    source = "\n".join(text.lines) + "\n"
    try:
        tree = hcl2.parses_to_tree(source)
        return _HclReader(source).body((), tree.children[0], 1, len(text.lines))
    except (LarkError, RecursionError) as error:
        line = getattr(error, "line", 0)
        where = f"line {line}: " if isinstance(line, int) and line > 0 else ""
        raise Unreadable("syntax", f"{where}this is not Terraform") from None


class Variables:
    """Values of `var.x` and `local.x` that are literals."""

    def __init__(self) -> None:
        self.known: dict[str, Value] = {}

    def learn(self, block: HclBlock, variables_file: bool) -> None:
        """Take defaults and locals of a file, or what a .tfvars file sets; the latter goes before."""
        if variables_file:
            self.known.update({f"var.{name}": one.value for name, one in block.attributes.items()})
            return
        for variable in block.named("variable"):
            default = variable.attributes.get("default")
            if default is not None and len(variable.labels) > 1:
                self.known.setdefault(f"var.{variable.labels[1]}", default.value)
        for local in block.named("locals"):
            for name, one in local.attributes.items():
                self.known.setdefault(f"local.{name}", one.value)

    def resolve(self, value: Value) -> Value:
        """A literal for an expression that is one variable; whatever else stays as it is."""
        for _ in range(RESOLVE_MOST):
            if not isinstance(value, Expression) or value.text not in self.known:
                break
            value = self.known[value.text]
        return value


RESOLVE_MOST = 10
"""Variables that stand for variables."""


class _HclReader:
    """Turns the tree of the library into blocks."""

    def __init__(self, text: str) -> None:
        self.text = text

    def body(self, labels: tuple[str, ...], tree: Any, line: int, end: int) -> HclBlock:
        attributes: dict[str, Attribute] = {}
        blocks: list[HclBlock] = []
        for child in tree.children:
            kind = getattr(child, "data", "")
            if kind == "attribute":
                value = child.children[-1]
                attributes[_word(child.children[0])] = Attribute(
                    self.value(value), child.meta.line, self.last_line(child)
                )
            elif kind == "block":
                inner = next(one for one in child.children if getattr(one, "data", "") == "body")
                names = tuple(_word(one) for one in child.children if getattr(one, "data", "") in LABELS)
                blocks.append(self.body(names, inner, child.meta.line, child.meta.end_line))
        return HclBlock(labels, attributes, tuple(blocks), line, end)

    def last_line(self, tree: Any) -> int:
        """The last line of an attribute; a heredoc's own ends one line late."""
        end: int = tree.meta.end_line
        return end - 1 if tree.meta.end_column == 1 and end > tree.meta.line else end

    def value(self, tree: Any) -> Value:
        if getattr(tree, "data", "") == "expr_term" and len(tree.children) == 1:
            found = tree.children[0]
            kind = getattr(found, "data", "")
            if kind == "string":
                parts = [one for one in found.children if getattr(one, "data", "") == "string_part"]
                if all(len(part.children) == 1 and not hasattr(part.children[0], "data") for part in parts):
                    return "".join(str(part.children[0]) for part in parts)
            elif kind in ("int_lit", "float_lit"):
                return str(found.children[0])
            elif kind == "literal_value":
                word = str(found.children[0])
                return None if word == "null" else word
        return Expression(" ".join(self.text[tree.meta.start_pos : tree.meta.end_pos].split()))


LABELS = ("identifier", "string", "keyword")


def _word(tree: Any) -> str:
    """A name: an identifier, a keyword that is used as one, or a quoted label."""
    return "".join(str(one) for one in tree.scan_values(lambda token: token.type != "DBLQUOTE"))
