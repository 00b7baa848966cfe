"""Statements as `nft -j list` shows them, one object with one member each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from nfcompile.emit.expressions import (
    FIELDS,
    Bitwise,
    Concat,
    Element,
    Field,
    Name,
    Numgen,
    datatypes,
    keys,
)
from nfcompile.emit.listing.expressions import expression, selector, source
from nfcompile.emit.listing.phrases import set_update
from nfcompile.emit.listing.values import VERDICTS, UnknownListing, key, number, only, single, verdict
from nfcompile.emit.objects import FAMILY, FAMILY6
from nfcompile.emit.statements import (
    NOTRACK,
    CtCount,
    Limit,
    Log,
    Mangle,
    Match,
    Nat,
    Notrack,
    Reject,
    SetUpdate,
    Statement,
    Use,
    VerdictMap,
)

ADDRESS_TYPES = {FAMILY: "ipv4_addr", FAMILY6: "ipv6_addr"}
"""What nat statements of a family take."""


class Types(NamedTuple):
    """The types of the keys and of the data of a set or map; no data in a set."""

    key: tuple[str, ...]
    data: tuple[str, ...] = ()


def statement(listed: Any, sets: Mapping[str, Types]) -> Statement:
    """One statement of a rule in a table with these sets and maps. Raises UnknownListing.

    >>> statement({"match": {"op": "!", "left": {"ct": {"key": "status"}}, "right": "snat"}}, {}).right
    (Element(key=(Range(first=0, last=0),), data=(), origin=()),)
    """
    try:
        if isinstance(listed, str):
            return set_update(listed, lambda name: sets[name].data if name in sets else ())
        kind, inside = single(listed)
        if kind in VERDICTS:
            return verdict(listed)
        if kind == "map":
            return _update(inside, "map", sets)
        if kind not in READERS:
            raise UnknownListing(listed)
        return READERS[kind](inside)
    except UnknownListing:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as problem:
        raise UnknownListing(listed) from problem


def _tested(listed: Any) -> Field | Bitwise | Concat | Numgen:
    if isinstance(listed, dict) and "numgen" in listed:
        found = expression(listed)
        assert isinstance(found, Numgen)
        return found
    return selector(listed)


def _match(inside: Any) -> Match:
    operator, left, right = (only(inside, {"op", "left", "right"})[word] for word in ("op", "left", "right"))
    tested = _tested(left)
    types = datatypes(tested) or ("",)
    if operator in ("in", "!"):
        if not isinstance(tested, Field):
            raise UnknownListing({"match": inside})
        bits = number(right, types[0])
        if operator == "in":
            return Match(tested, keys([bits]), "in")
        return Match(Bitwise(tested, bits), keys([0]))
    if operator not in ("==", "!="):
        raise UnknownListing({"match": inside})
    if (isinstance(right, dict) and "set" in right) or (isinstance(right, str) and right.startswith("@")):
        return Match(tested, source(right, types), operator)
    return Match(tested, (Element(key(right, types)),), operator)


def _vmap(inside: Any) -> VerdictMap:
    inner = only(inside, {"key", "data"})
    tested = _tested(inner["key"])
    return VerdictMap(tested, source(inner["data"], datatypes(tested) or ("",), ("verdict",)))


def _mangle(inside: Any) -> Mangle:
    inner = only(inside, {"key", "value"})
    field = selector(inner["key"])
    if not isinstance(field, Field):
        raise UnknownListing({"mangle": inside})
    return Mangle(field, expression(inner["value"], FIELDS[field.name]))


def _nat(kind: str, inside: Any) -> Nat:
    """`type_flags` tells NETMAP from a choice among a range; `flags` has the word too. nft lists a plain
    `masquerade` with nothing inside."""
    inner = only({} if inside is None else inside, {"family", "addr", "port", "flags", "type_flags"})
    family = inner.get("family", FAMILY)
    if family not in ADDRESS_TYPES:
        raise UnknownListing({kind: inside})
    prefix = "prefix" in _words(inner.get("type_flags"))
    flags = tuple(word for word in _words(inner.get("flags")) if not (prefix and word == "netmap"))
    address = expression(inner["addr"], ADDRESS_TYPES[family]) if "addr" in inner else None
    port = expression(inner["port"], "inet_service") if "port" in inner else None
    return Nat(kind, address, port, prefix, flags)


def _words(listed: Any) -> list[str]:
    return [listed] if isinstance(listed, str) else list(listed or ())


def _limit(inside: Any) -> Limit:
    inner = only(inside, {"rate", "per", "burst", "inv"})
    return Limit(inner["rate"], inner["per"], inner["burst"], inner.get("inv", False))


def _count(inside: Any) -> CtCount:
    inner = only(inside, {"val", "inv"})
    return CtCount(inner["val"], inner.get("inv", False))


CONDITIONS: dict[str, Callable[[Any], Limit | CtCount]] = {"limit": _limit, "ct count": _count}


def _update(inside: Any, of: str, sets: Mapping[str, Types]) -> SetUpdate:
    """nft 1.1.2 and later list an update of a map under `map`; before, it is a phrase of nft's grammar."""
    inner = only(inside, {"op", "elem", of, "data", "stmt"})
    name, element, timeout = inner[of].removeprefix("@"), inner["elem"], 0
    if "elem" in element:
        element = only(element["elem"], {"val", "timeout"})
        element, timeout = element["val"], element.get("timeout", 0)
    condition = None
    if "stmt" in inner:
        (only_one,) = inner["stmt"]
        kind, limits = single(only_one)
        condition = CONDITIONS[kind](limits)
    data = None
    if "data" in inner:
        types = sets[name].data
        data = expression(inner["data"], types[0] if len(types) == 1 else "")
    return SetUpdate(inner["op"], Name(name), selector(element), data, condition, timeout)


def _named(kind: str, inside: Any) -> Use:
    if not isinstance(inside, str):
        raise UnknownListing({kind: inside})
    return Use(kind, Name(inside))


def _flow(inside: Any) -> Use:
    inner = only(inside, {"op", "flowtable"})
    if inner["op"] != "add":
        raise UnknownListing({"flow": inside})
    return Use("flow", Name(inner["flowtable"].removeprefix("@")))


def _log(inside: Any) -> Log:
    inner = only(inside, {"prefix", "group"})
    return Log(inner["prefix"], inner["group"])


def _notrack(inside: Any) -> Notrack:
    if inside is not None:
        raise UnknownListing({"notrack": inside})
    return NOTRACK


def _reject(inside: Any) -> Reject:
    inner = only(inside, {"type", "expr"})
    if inner["type"] != "icmp":
        raise UnknownListing({"reject": inside})
    return Reject(inner["expr"])


READERS: dict[str, Callable[[Any], Statement]] = {
    "match": _match,
    "vmap": _vmap,
    "mangle": _mangle,
    "snat": partial(_nat, "snat"),
    "dnat": partial(_nat, "dnat"),
    "masquerade": partial(_nat, "masquerade"),
    "limit": _limit,
    "set": lambda inside: _update(inside, "set", {}),
    "counter": partial(_named, "counter"),
    "ct timeout": partial(_named, "ct timeout"),
    "ct helper": partial(_named, "ct helper"),
    "flow": _flow,
    "log": _log,
    "notrack": _notrack,
    "reject": _reject,
}
"""Kind -> the statement that is in it."""
