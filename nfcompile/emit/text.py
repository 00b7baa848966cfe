"""The page: braces, tabs, newlines, one element a line; and which line of it serves which path.

No decisions here: an object is written as it is. The text loads on nft 1.0.2 and later.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.emit.objects import (
    Chain,
    Counter,
    CtHelper,
    CtTimeout,
    Flowtable,
    Map,
    Object,
    Rule,
    Set,
    Table,
)
from nfcompile.emit.spelling import element_speller, rule_text
from nfcompile.emit.validate import validate

Stretch = tuple[list[str], Path]
"""Lines that follow each other and serve one path of the site."""

ELEMENT_ORIGIN = attrgetter("origin")


class Text(NamedTuple):
    """A ruleset as text. `starts` and `paths` tell which site path each line serves."""

    text: str
    starts: tuple[int, ...]
    paths: tuple[Path, ...]

    def origin(self, line: int) -> Path:
        """The site path that line `line` (from 1) serves; () for the frame around it."""
        index = bisect_right(self.starts, line) - 1
        return self.paths[index] if index >= 0 else ()


def render(*tables: Table) -> Text:
    """Write tables with the idiom that replaces each in one transaction (nft 1.0.2 has no `destroy`).

    Raises InvalidTable.
    """
    lines: list[str] = []
    starts: list[int] = []
    paths: list[Path] = []
    for table in tables:
        validate(table)
        lines += [f"table {table.title}", f"delete table {table.title}", f"table {table.title} {{"]
        for index, thing in enumerate(table.objects):
            if index:
                lines.append("")
            for stretch, path in object_lines(thing):
                if not paths or paths[-1] != path:
                    starts.append(len(lines) + 1)
                    paths.append(path)
                lines += stretch
        lines.append("}")
        starts.append(len(lines))
        paths.append(())
    lines += (f"# {remark}" for table in tables for remark in table.remarks)
    lines.append("")
    return Text("\n".join(lines), tuple(starts), tuple(paths))


def object_lines(thing: Object) -> Iterator[Stretch]:
    """The lines of one object inside its table, with the site paths that they serve."""
    if isinstance(thing, Chain):
        return _chain(thing)
    if isinstance(thing, Set | Map):
        return _elements(thing)
    return iter([([*_declaration(thing), "\t}"], thing.origin)])


def _chain(chain: Chain) -> Iterator[Stretch]:
    comment = chain.comment
    head = [f"\tchain {chain.name} {{"]
    if comment:
        head.append(f'\t\tcomment "{comment}"')
    if chain.hook:
        type_, hook, priority = chain.hook
        head.append(f"\t\ttype {type_} hook {hook} priority {priority}; policy accept;")
    yield head, chain.origin
    for rule in chain.rules:
        own = rule.comment
        text = rule_text(rule.statements)
        yield [f"\t\t{text}" if own in ("", comment) else f'\t\t{text} comment "{own}"'], rule.origin
    yield ["\t}"], chain.origin


def rule_line(chain: Chain, rule: Rule) -> str:
    """A rule of a chain, with its comment."""
    comment = chain.comment_of(rule)
    return rule_text(rule.statements) + (f' comment "{comment}"' if comment else "")


def _elements(thing: Set | Map) -> Iterator[Stretch]:
    origin, key, interval = thing.origin, thing.key, False
    data: tuple[str, ...] = ()
    head = [f"\t{'map' if isinstance(thing, Map) else 'set'} {thing.name} {{", f"\t\ttype {' . '.join(key)}"]
    if isinstance(thing, Map):
        data, interval = thing.data, thing.interval
        head[-1] += f" : {'interval ' if interval else ''}{' . '.join(data)}"
    if thing.size:
        head.append(f"\t\tsize {thing.size}")
    if thing.flags:
        head.append(f"\t\tflags {', '.join(thing.flags)}")
    if thing.timeout:
        head.append(f"\t\ttimeout {thing.timeout}s")
    if not thing.elements:
        yield [*head, "\t}"], origin
        return
    yield [*head, "\t\telements = {"], origin
    spelled = element_speller(key, data, interval)
    for path, elements in groupby(thing.elements, ELEMENT_ORIGIN):
        yield [f"\t\t\t{spelled(element)}," for element in elements], path or origin
    yield ["\t\t}", "\t}"], origin


def _declaration(thing: Counter | CtTimeout | CtHelper | Flowtable) -> list[str]:
    """The lines of an object without elements and rules, but for the last."""
    if isinstance(thing, Counter):
        return [f"\tcounter {thing.name} {{"]
    if isinstance(thing, CtTimeout):
        policy = ", ".join(f"{state} : {seconds}" for state, seconds in thing.policy)
        return [
            f"\tct timeout {thing.name} {{",
            f"\t\tprotocol {thing.protocol}",
            "\t\tl3proto ip",
            f"\t\tpolicy = {{ {policy} }}",
        ]
    if isinstance(thing, CtHelper):
        return [
            f"\tct helper {thing.name} {{",
            f'\t\ttype "{thing.type}" protocol {thing.protocol}',
            "\t\tl3proto ip",
        ]
    devices = ", ".join(f'"{device}"' for device in thing.devices)
    return [
        f"\tflowtable {thing.name} {{",
        "\t\thook ingress priority filter",
        f"\t\tdevices = {{ {devices} }}",
    ]
