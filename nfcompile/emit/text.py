"""The page: braces, tabs, newlines, one element a line; and which line of it serves which path.

No decisions here: an object is written as it is. The text loads on nft 1.0.2 and later.
"""

from bisect import bisect_right
from collections.abc import Iterator
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

Line = tuple[str, Path]


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
            for line, path in object_lines(thing):
                lines.append(line)
                if not paths or paths[-1] != path:
                    starts.append(len(lines))
                    paths.append(path)
        lines.append("}")
        starts.append(len(lines))
        paths.append(())
    lines += (f"# {remark}" for table in tables for remark in table.remarks)
    lines.append("")
    return Text("\n".join(lines), tuple(starts), tuple(paths))


def object_lines(thing: Object) -> Iterator[Line]:
    """The lines of one object inside its table, each with the site path that it serves."""
    if isinstance(thing, Chain):
        return _chain(thing)
    if isinstance(thing, Counter):
        return iter([(f"\tcounter {thing.name} {{", thing.origin), ("\t}", thing.origin)])
    if isinstance(thing, CtTimeout):
        return _timeout(thing)
    if isinstance(thing, CtHelper):
        return _helper(thing)
    if isinstance(thing, Flowtable):
        return _flowtable(thing)
    return _elements(thing)


def _chain(chain: Chain) -> Iterator[Line]:
    comment = chain.comment
    yield f"\tchain {chain.name} {{", chain.origin
    if comment:
        yield f'\t\tcomment "{comment}"', chain.origin
    if chain.hook:
        type_, hook, priority = chain.hook
        yield f"\t\ttype {type_} hook {hook} priority {priority}; policy accept;", chain.origin
    for rule in chain.rules:
        own = rule.comment
        text = rule_text(rule.statements)
        yield f"\t\t{text}" if own in ("", comment) else f'\t\t{text} comment "{own}"', rule.origin
    yield "\t}", chain.origin


def rule_line(chain: Chain, rule: Rule) -> str:
    """A rule of a chain, with its comment."""
    comment = chain.comment_of(rule)
    return rule_text(rule.statements) + (f' comment "{comment}"' if comment else "")


def _elements(thing: Set | Map) -> Iterator[Line]:
    origin, key, interval = thing.origin, thing.key, False
    data: tuple[str, ...] = ()
    yield f"\t{'map' if isinstance(thing, Map) else 'set'} {thing.name} {{", origin
    line = f"\t\ttype {' . '.join(key)}"
    if isinstance(thing, Map):
        data, interval = thing.data, thing.interval
        line += f" : {'interval ' if interval else ''}{' . '.join(data)}"
    yield line, origin
    if thing.size:
        yield f"\t\tsize {thing.size}", origin
    if thing.flags:
        yield f"\t\tflags {', '.join(thing.flags)}", origin
    if thing.timeout:
        yield f"\t\ttimeout {thing.timeout}s", origin
    if thing.elements:
        yield "\t\telements = {", origin
        spelled = element_speller(key, data, interval)
        for element in thing.elements:
            yield f"\t\t\t{spelled(element)},", element.origin or origin
        yield "\t\t}", origin
    yield "\t}", origin


def _timeout(thing: CtTimeout) -> Iterator[Line]:
    policy = ", ".join(f"{state} : {seconds}" for state, seconds in thing.policy)
    yield f"\tct timeout {thing.name} {{", thing.origin
    yield f"\t\tprotocol {thing.protocol}", thing.origin
    yield "\t\tl3proto ip", thing.origin
    yield f"\t\tpolicy = {{ {policy} }}", thing.origin
    yield "\t}", thing.origin


def _helper(thing: CtHelper) -> Iterator[Line]:
    yield f"\tct helper {thing.name} {{", thing.origin
    yield f'\t\ttype "{thing.type}" protocol {thing.protocol}', thing.origin
    yield "\t\tl3proto ip", thing.origin
    yield "\t}", thing.origin


def _flowtable(thing: Flowtable) -> Iterator[Line]:
    devices = ", ".join(f'"{device}"' for device in thing.devices)
    yield f"\tflowtable {thing.name} {{", thing.origin
    yield "\t\thook ingress priority filter", thing.origin
    yield f"\t\tdevices = {{ {devices} }}", thing.origin
    yield "\t}", thing.origin
