"""Where the table that nft lists is not the one that was compiled: object by object, rule by rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.emit.differences import label
from nfcompile.emit.expressions import Element, Elements, Key, Name, keys
from nfcompile.emit.listing import Listed
from nfcompile.emit.normal import normal
from nfcompile.emit.objects import FAMILY, Chain, Map, Object, Rule, Set, Table
from nfcompile.emit.rewriting import rewritten
from nfcompile.emit.spelling import element_text
from nfcompile.emit.text import rule_line
from nfcompile.model.ranges import Range, subtract, union

NO_FIELDS = ("name", "origin", "rules", "elements")
"""Fields of objects that are not compared as wholes."""


class Spot(NamedTuple):
    """What stands in one place on either side, '' for nothing. `place` is 'rule 3' (in the kernel's chain, in
    the site's where the kernel lacks the rule), 'element', or a property of the object ('flags')."""

    place: str
    site: str
    kernel: str


class Deviation(NamedTuple):
    """An object ('chain pools') that is 'missing' in the kernel, 'foreign' to the site, or 'changed'; of a
    table of which family."""

    object: str
    how: str
    origin: Path
    spots: tuple[Spot, ...]
    family: str = FAMILY


class _WrittenObject(NamedTuple):
    """An object as it was written, and its normal form."""

    written: Object
    normal: Object


def deviations(site: Table, kernel: Listed) -> Iterator[Deviation]:
    """Every object that is not the same on both sides: the site's in their order, then foreign ones."""
    for one in _deviations(site, kernel):
        yield one._replace(family=site.family)


def _deviations(site: Table, kernel: Listed) -> Iterator[Deviation]:
    wanted, held = _sides(site, kernel.table), _sides(kernel.table, site)
    for name, one in wanted.items():
        if name in kernel.unread:
            yield Deviation(name, "changed", one.written.origin, (Spot("object", "", kernel.unread[name]),))
        elif name not in held:
            yield Deviation(name, "missing", one.written.origin, ())
        elif one.normal != held[name].normal:
            spots = tuple(_spots(one, held[name]))
            yield Deviation(name, "changed", one.written.origin, spots)
    for name, one in held.items():
        if name not in wanted:
            yield Deviation(name, "foreign", (), tuple(_contents(one)))
    for name, listed in kernel.unread.items():
        if name not in wanted:
            how = "changed" if name == f"table {site.name}" else "foreign"
            yield Deviation(name, how, (), (Spot("object", "", listed),))


def as_compiled(site: Table, kernel: Table) -> Table:
    """The kernel's table with the names that the site has; what is alike is the site's own."""
    wanted, held = _sides(site, kernel), _sides(kernel, site)
    objects = tuple(_as_compiled(wanted.get(name), one) for name, one in held.items())
    return _renamed(kernel._replace(objects=objects), {str(one.name): one.name for one in site.objects})


def _as_compiled(site: _WrittenObject | None, kernel: _WrittenObject) -> Object:
    if site is None:
        return kernel.written
    if site.normal == kernel.normal:
        return site.written
    if not isinstance(site.written, Chain) or not isinstance(kernel.written, Chain):
        return kernel.written
    assert isinstance(site.normal, Chain)
    assert isinstance(kernel.normal, Chain)
    own = dict(zip(site.normal.rules, site.written.rules, strict=True))
    pairs = zip(kernel.normal.rules, kernel.written.rules, strict=True)
    rules = tuple(own.get(normal, written) for normal, written in pairs)
    return kernel.written._replace(rules=rules, origin=site.written.origin)


def _sides(table: Table, other: Table) -> dict[str, _WrittenObject]:
    """Objects by kind and name; chains that the other side lacks as they are written, which may be all."""
    common = {label(one) for one in other.objects}
    simple = normal(table, lambda one: not isinstance(one, Chain) or label(one) in common).objects
    forms = {label(one): one for one in simple}
    return {label(one): _WrittenObject(one, forms.get(label(one), one)) for one in table.objects}


def _contents(one: _WrittenObject) -> Iterator[Spot]:
    """All that an object has which the site lacks."""
    if isinstance(one.written, Chain):
        yield from _rules(one.written._replace(rules=()), (), one.written, one.written.rules)
    elif isinstance(one.normal, Set | Map):
        yield from _elements(one.normal._replace(elements=()), one.normal)


def _spots(site: _WrittenObject, kernel: _WrittenObject) -> Iterator[Spot]:
    for field in site.normal._fields:
        mine, theirs = getattr(site.normal, field), getattr(kernel.normal, field)
        if field not in NO_FIELDS and mine != theirs:
            yield Spot(field, _shown(mine), _shown(theirs))
    if isinstance(site.normal, Set | Map) and isinstance(kernel.normal, Set | Map):
        yield from _elements(site.normal, kernel.normal)
    if isinstance(site.normal, Chain) and isinstance(kernel.normal, Chain):
        assert isinstance(site.written, Chain)
        assert isinstance(kernel.written, Chain)
        yield from _rules(site.written, site.normal.rules, kernel.written, kernel.normal.rules)


def _shown(value: object) -> str:
    """A property of an object in a line."""
    if isinstance(value, tuple):
        return (
            ", ".join(map(_shown, value))
            if value and isinstance(value[0], tuple)
            else " ".join(map(str, value))
        )
    return "" if value is None else str(value)


def _renamed(table: Table, names: Mapping[str, Name]) -> Table:
    """The table with these names in the place of those that are written alike."""
    return rewritten(table, lambda value: names.get(str(value), value) if isinstance(value, Name) else value)


# ---- rules


def _rules(site: Chain, mine: Sequence[Rule], kernel: Chain, theirs: Sequence[Rule]) -> Iterator[Spot]:
    """Rules that only one side has, by their normal forms; as they are written."""
    for tag, first, last, start, end in SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for here, there in zip_longest(range(first, last), range(start, end)):
            number = here if there is None else there
            yield Spot(f"rule {number + 1}", _rule(site, here), _rule(kernel, there))


def _rule(chain: Chain, index: int | None) -> str:
    return "" if index is None else rule_line(chain, chain.rules[index])


# ---- elements


def _elements(site: Set | Map, kernel: Set | Map) -> Iterator[Spot]:
    """Elements by key; of plain numbers the ranges that only one side has."""
    mine, theirs = _apart(site.elements, kernel.elements)
    of_site, of_kernel = ({one.key: one for one in elements} for elements in (mine, theirs))
    for key in {**of_site, **of_kernel}:
        yield Spot("element", _element(site, of_site, key), _element(kernel, of_kernel, key))


def _apart(mine: Elements, theirs: Elements) -> tuple[Elements, Elements]:
    both = [_numbers(elements) for elements in (mine, theirs)]
    if None not in both:
        one, other = (found or () for found in both)
        return keys(subtract(one, other)), keys(subtract(other, one))
    same = set(mine) & set(theirs)
    return tuple(one for one in mine if one not in same), tuple(one for one in theirs if one not in same)


def _numbers(elements: Elements) -> tuple[Range, ...] | None:
    """The ranges of a set of single numbers."""
    found = [one.key[0] for one in elements if len(one.key) == 1 and not one.data]
    ranges = [one for one in found if isinstance(one, Range)]
    return union(ranges) if len(ranges) == len(elements) else None


def _element(one: Set | Map, elements: dict[Key, Element], key: Key) -> str:
    if key not in elements:
        return ""
    data, interval = (one.data, one.interval) if isinstance(one, Map) else ((), False)
    return element_text(elements[key], one.key, data, interval)
