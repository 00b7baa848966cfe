"""Values, keys and elements as `nft -j list` shows them (libnftables-json(5)).

A form that is not known is an error that names it: what is guessed would be proved.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nfcompile.emit.expressions import BITMASKS, FIELDS, Element, Elements, Key, Name, Value, Verdict, symbols
from nfcompile.emit.listing.spelled import prefix, read_ipv6, read_number
from nfcompile.model.ranges import Range

TYPES = {*FIELDS.values(), "verdict"}
"""The types of keys and data that can be read."""
ADDRESSES = {"ipv4_addr": read_number, "ipv6_addr": read_ipv6}
"""Types whose values nft lists as text."""
VERDICTS = {"accept", "drop", "return", "jump", "goto"}
OF_PACKETS = {"timeout", "expires", "limit", "ct count"}
"""What packets leave in an element; an element is the same with and without."""


class UnknownListing(ValueError):
    """nft lists something that the vocabulary lacks; the message names it."""

    def __init__(self, what: Any, why: str = "is not in the vocabulary of nfcompile") -> None:
        super().__init__(f"{shown(what)} {why}")


def shown(what: Any) -> str:
    """JSON as one line."""
    return what if isinstance(what, str) else json.dumps(what)


def only(listed: Any, known: set[str]) -> dict[str, Any]:
    """An object with these members at most. Raises UnknownListing."""
    if not isinstance(listed, dict) or not set(listed) <= known:
        raise UnknownListing(listed)
    return listed


def single(listed: Any) -> tuple[str, Any]:
    """The kind of an object with one member, and what is in it. Raises UnknownListing."""
    if not isinstance(listed, dict) or len(listed) != 1:
        raise UnknownListing(listed)
    return next(iter(listed.items()))


def value(listed: Any, datatype: str) -> Value:
    """One value of a type; a list of names is their bits. Raises UnknownListing.

    >>> value({"prefix": {"addr": "203.0.113.0", "len": 31}}, "ipv4_addr")
    Range(first=3405803776, last=3405803777)
    >>> value(["fin", "syn"], "tcp_flag"), value("lan0", "ifname")
    (Range(first=3, last=3), 'lan0')
    """
    if datatype == "ifname" and isinstance(listed, str):
        return listed
    if isinstance(listed, dict) and "range" in listed:
        first, last = listed["range"]
        return Range(number(first, datatype), number(last, datatype))
    if isinstance(listed, dict) and "prefix" in listed:
        inner = only(listed["prefix"], {"addr", "len"})
        return prefix(number(inner["addr"], datatype), inner["len"], datatype)
    found = number(listed, datatype)
    return Range(found, found)


def number(listed: Any, datatype: str) -> int:
    """One number: itself, an address, a name of its type, or names of its bits. Raises UnknownListing."""
    if isinstance(listed, dict) and "|" in listed:
        listed = listed["|"]
    if isinstance(listed, list) and datatype in BITMASKS:
        bits = 0
        for name in listed:
            bits |= number(name, datatype)
        return bits
    named = symbols(datatype)
    if isinstance(listed, int) and not isinstance(listed, bool):
        return listed
    if isinstance(listed, str) and listed in named:
        return named[listed]
    if isinstance(listed, str) and datatype in ADDRESSES:
        try:
            return ADDRESSES[datatype](listed)
        except ValueError:
            pass  # told with what it is, below
    raise UnknownListing(listed)


def key(listed: Any, types: Sequence[str]) -> Key:
    """A key or data of these types. Raises UnknownListing."""
    parts = listed["concat"] if isinstance(listed, dict) and "concat" in listed else [listed]
    if len(parts) != len(types):
        raise UnknownListing(listed, f"does not have the type {' . '.join(types)}")
    return tuple(value(part, datatype) for part, datatype in zip(parts, types, strict=True))


def verdict(listed: Any) -> Verdict:
    """`{"goto": {"target": "pools"}}`. Raises UnknownListing."""
    kind, inside = single(listed)
    if kind not in VERDICTS:
        raise UnknownListing(listed)
    return Verdict(kind, None if inside is None else Name(only(inside, {"target"})["target"]))


def elements(listed: Any, key_types: Sequence[str], data_types: Sequence[str] = ()) -> Elements:
    """The elements of a set, or of a map with data of these types. Raises UnknownListing."""
    return tuple(_element(one, key_types, data_types) for one in listed)


def _element(listed: Any, key_types: Sequence[str], data_types: Sequence[str]) -> Element:
    data: Any = None
    if data_types:
        if not isinstance(listed, list) or len(listed) != 2:
            raise UnknownListing(listed)
        listed, data = listed
    if isinstance(listed, dict) and "elem" in listed:
        listed = only(listed["elem"], {"val", *OF_PACKETS})["val"]
    found = key(listed, key_types)
    if not data_types:
        return Element(found)
    return Element(found, verdict(data) if data_types == ("verdict",) else key(data, data_types))
