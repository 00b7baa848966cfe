"""A table as `nft -j list table` shows it -> the same values that `lower` makes.

What one object has and the vocabulary lacks is told of that object; the others are read. Members that
nft adds for itself (handles, the values of counters, what is left of a lifetime) are not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from nfcompile.emit.expressions import Name
from nfcompile.emit.listing.statements import Types, statement
from nfcompile.emit.listing.values import TYPES, UnknownListing, elements, only, shown, single
from nfcompile.emit.objects import (
    FAMILY,
    FAMILY6,
    Chain,
    Counter,
    CtHelper,
    CtTimeout,
    Flowtable,
    Hook,
    Map,
    Object,
    Rule,
    Set,
    Table,
    priority_text,
)
from nfcompile.emit.statements import SetUpdate, Unread

IDENTITY = {"family", "table", "name", "handle"}
"""Members that every object has."""
FLAGS = {"interval", "timeout", "dynamic"}
OLDEST = (1, 0, 6)
"""The oldest nft whose listing is whole: 1.0.2 leaves out the limits and counts of set statements."""


class Listed(NamedTuple):
    """A table that nft has listed. `unread` has the JSON of objects that the vocabulary lacks, by kind and
    name ('quota q'); a rule with a statement that it lacks is in the table, and holds Unread."""

    table: Table
    unread: Mapping[str, str]


def read_table(listing: Iterable[Any]) -> Table:
    """Read the list under `nftables` of a table's listing. Raises UnknownListing for what is not known."""
    table, unread = read_listing(listing)
    for listed in unread.values():
        raise UnknownListing(listed)
    for one in table.objects:
        for rule in one.rules if isinstance(one, Chain) else ():
            for found in rule.statements:
                if isinstance(found, Unread):
                    raise UnknownListing(found.listed)
    return table


def read_listing(listing: Iterable[Any]) -> Listed:
    """Read it, and tell what is not known. A later entry of a name stands in the place of an earlier one.

    Raises UnknownListing where nft is too old to list all.
    """
    entries, rules = _sorted(listing)
    objects: list[Object] = []
    unread: dict[str, str] = {}
    sets: dict[str, Types] = {}
    name, family = "", FAMILY
    for label, (kind, inside) in entries.items():
        try:
            if kind == "table":
                name, family = _table_names(inside)
                continue
            one = _object(kind, inside)
        except UnknownListing:
            unread[label] = shown({kind: inside})
            continue
        if isinstance(one, Set | Map):
            sets[str(one.name)] = Types(one.key, one.data if isinstance(one, Map) else ())
        objects.append(one)
    read = [
        one._replace(rules=tuple(_rule(each, sets) for each in rules.get(str(one.name), ())))
        if isinstance(one, Chain)
        else one
        for one in objects
    ]
    return Listed(Table(name, tuple(_written(read)), family=family), unread)


def _sorted(listing: Iterable[Any]) -> tuple[dict[str, tuple[str, Any]], dict[str, list[Any]]]:
    """Objects by kind and name, and the rules of each chain in their order."""
    entries: dict[str, tuple[str, Any]] = {}
    rules: dict[str, list[Any]] = {}
    for listed in listing:
        kind, inside = single(listed)
        if kind == "metainfo":
            _refuse_old(str(inside["version"]))
        elif kind == "rule":
            rules.setdefault(inside["chain"], []).append(inside)
        else:
            entries[f"{kind} {inside['name']}"] = kind, inside
    return entries, rules


def _refuse_old(version: str) -> None:
    if tuple(int(part) for part in re.findall(r"\d+", version)[:3]) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise UnknownListing(
            f"what nft {version} lists", f"is not all that the kernel holds; {wanted} shows it"
        )


def _written(objects: list[Object]) -> Iterable[Object]:
    """nft before 1.0.7 does not list the flag `dynamic`: those have it that rules write into."""
    written = {
        found.name
        for one in objects
        if isinstance(one, Chain)
        for rule in one.rules
        for found in rule.statements
        if isinstance(found, SetUpdate)
    }
    for one in objects:
        if isinstance(one, Set | Map) and one.name in written and "dynamic" not in one.flags:
            yield one._replace(flags=(*one.flags, "dynamic"))
        else:
            yield one


def _rule(inside: Any, sets: Mapping[str, Types]) -> Rule:
    """A rule; what of it is not known stands in it as Unread."""
    statements = []
    for listed in inside["expr"]:
        try:
            statements.append(statement(listed, sets))
        except UnknownListing:
            statements.append(Unread(shown(listed)))
    return Rule(tuple(statements), (), inside.get("comment", ""))


def _object(kind: str, inside: Any) -> Object:
    try:
        return READERS[kind](inside)
    except UnknownListing:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as problem:
        raise UnknownListing({kind: inside}) from problem


def _table_names(inside: Any) -> tuple[str, str]:
    """Name and family; a flag (`dormant`: no packet meets the table) is not known."""
    inner = only(inside, {*IDENTITY, "comment"})
    if inner["family"] not in (FAMILY, FAMILY6):
        raise UnknownListing({"table": inside})
    return str(inner["name"]), str(inner["family"])


def _chain(inside: Any) -> Chain:
    inner = only(inside, {*IDENTITY, "comment", "type", "hook", "prio", "policy"})
    hook = None
    if "hook" in inner:
        if inner["policy"] != "accept":
            raise UnknownListing({"chain": inside})
        hook = Hook(inner["type"], inner["hook"], priority_text(inner["prio"]))
    return Chain(Name(inner["name"]), (), (), hook)


def _set(inside: Any) -> Set:
    inner = only(inside, {*IDENTITY, "type", "flags", "timeout", "size", "elem"})
    types = _types(inner["type"])
    return Set(
        Name(inner["name"]),
        types,
        (),
        elements(inner.get("elem", ()), types),
        _flags(inner),
        inner.get("timeout", 0),
        inner.get("size", 0),
    )


def _map(inside: Any) -> Map:
    inner = only(inside, {*IDENTITY, "type", "map", "flags", "timeout", "size", "elem"})
    key, data = _types(inner["type"]), _types(inner["map"])
    listed = inner.get("elem", ())
    return Map(
        Name(inner["name"]),
        key,
        data,
        (),
        elements(listed, key, data),
        _flags(inner),
        inner.get("timeout", 0),
        inner.get("size", 0),
        any(_is_interval(one[1]) for one in listed),
    )


def _is_interval(data: Any) -> bool:
    """nft lists no difference between `ipv4_addr` and `interval ipv4_addr` but in the elements."""
    parts = data["concat"] if isinstance(data, dict) and "concat" in data else [data]
    return any(isinstance(part, dict) and ("range" in part or "prefix" in part) for part in parts)


def _types(listed: Any) -> tuple[str, ...]:
    """nft before 1.1 lists a concatenation of keys as a list, of data as a text; later both as lists."""
    types = tuple(listed.split(" . ") if isinstance(listed, str) else listed)
    if not set(types) <= TYPES:
        raise UnknownListing(listed)
    return types


def _flags(inner: Mapping[str, Any]) -> tuple[str, ...]:
    listed = inner.get("flags", ())
    flags = (listed,) if isinstance(listed, str) else tuple(listed)
    if not set(flags) <= FLAGS:
        raise UnknownListing(inner)
    return flags


def _counter(inside: Any) -> Counter:
    return Counter(Name(only(inside, {*IDENTITY, "packets", "bytes"})["name"]), ())


def _ct_timeout(inside: Any) -> CtTimeout:
    inner = only(inside, {*IDENTITY, "protocol", "l3proto", "policy"})
    _only_ip(inner)
    return CtTimeout(Name(inner["name"]), inner["protocol"], tuple(inner["policy"].items()), ())


def _ct_helper(inside: Any) -> CtHelper:
    inner = only(inside, {*IDENTITY, "type", "protocol", "l3proto"})
    _only_ip(inner)
    return CtHelper(Name(inner["name"]), inner["type"], inner["protocol"], ())


def _only_ip(inner: Mapping[str, Any]) -> None:
    if inner["l3proto"] != "ip":
        raise UnknownListing(inner)


def _flowtable(inside: Any) -> Flowtable:
    inner = only(inside, {*IDENTITY, "hook", "prio", "dev"})
    if (inner["hook"], inner["prio"]) != ("ingress", 0):
        raise UnknownListing({"flowtable": inside})
    devices = inner.get("dev", ())
    return Flowtable(Name(inner["name"]), (devices,) if isinstance(devices, str) else tuple(devices), ())


READERS: dict[str, Callable[[Any], Object]] = {
    "chain": _chain,
    "set": _set,
    "map": _map,
    "counter": _counter,
    "ct timeout": _ct_timeout,
    "ct helper": _ct_helper,
    "flowtable": _flowtable,
}
"""Kind -> the object that is in it."""
