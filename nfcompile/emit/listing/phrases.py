"""The one statement that nft before 1.1.2 lists in its grammar and not as an object: an update with data.

    add @eim { ip saddr . udp sport limit rate over 1/week burst 1 packets : ip daddr . udp dport }

nft 1.0.2 cuts the data off after their first part: an error here, since it reads as another statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from nfcompile.emit.expressions import (
    FIELDS,
    Bitwise,
    Concat,
    Constant,
    Expression,
    Field,
    Name,
    Numgen,
)
from nfcompile.emit.listing.expressions import applied
from nfcompile.emit.listing.spelled import read_value
from nfcompile.emit.listing.values import UnknownListing
from nfcompile.emit.statements import CtCount, Limit, SetUpdate
from nfcompile.model.ranges import Range

_UPDATE = re.compile(
    r"(?P<op>add|update|delete) @(?P<name>\S+) \{ (?P<key>.+?)"
    r"(?: timeout (?P<timeout>(?:\d+[dhms])+))?"
    r"(?: limit rate (?P<limit_over>over )?(?P<rate>\d+)/(?P<per>[a-z]+)(?: burst (?P<burst>\d+) packets)?"
    r"| ct count (?P<count_over>over )?(?P<count>\d+))?"
    r" : (?P<data>.+) \}"
)
_NUMGEN = re.compile(r"numgen (inc|random) mod (\d+)(?: offset (\d+))?")
_OPERATION = re.compile(r" ([&|^]) (\S+)")
_SPAN = re.compile(r"(\d+)([dhms])")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
DEFAULT_BURST = 5
"""Packets of a limit's burst where nft before 1.1 writes none."""


def set_update(phrase: str, data_types: Callable[[str], tuple[str, ...]]) -> SetUpdate:
    """Read an update of a map; `data_types` says those of a map by name. Raises UnknownListing.

    >>> set_update("update @assigned { ip saddr timeout 1m30s : meta mark }", lambda _: ("mark",)).timeout
    90
    """
    found = _UPDATE.fullmatch(phrase)
    if found is None:
        raise UnknownListing(phrase)
    types = data_types(found["name"])
    data = _operands(found["data"], types)
    if len(found["data"].split(" . ")) != len(types):
        raise UnknownListing(phrase, f"is cut off: the data are {' . '.join(types) or 'of no map'}")
    key = _operands(found["key"], ())
    if not isinstance(key, Field | Bitwise | Concat):
        raise UnknownListing(phrase)
    return SetUpdate(
        found["op"], Name(found["name"]), key, data, _condition(found), _span(found["timeout"] or "")
    )


def _condition(found: re.Match[str]) -> Limit | CtCount | None:
    if found["rate"]:
        burst = int(found["burst"] or DEFAULT_BURST)
        return Limit(int(found["rate"]), found["per"], burst, bool(found["limit_over"]))
    if found["count"]:
        return CtCount(int(found["count"]), bool(found["count_over"]))
    return None


def _operands(text: str, types: Sequence[str]) -> Expression:
    parts = text.split(" . ")
    if len(parts) > 1:
        return Concat(tuple(_part(one) for one in parts))
    if numgen := _NUMGEN.fullmatch(text):
        return Numgen(numgen[1], int(numgen[2]), int(numgen[3] or 0))
    if text[0].isdigit():
        value = read_value(text, types[0])
        assert isinstance(value, Range)
        return Constant(value)
    return _part(text)


def _part(text: str) -> Field | Bitwise:
    """`meta mark & 0x000000ff | 0x00000100`: from the left to the right."""
    start = _OPERATION.search(text)
    name = text[: start.start()] if start else text
    if name not in FIELDS:
        raise UnknownListing(text)
    found: Field | Bitwise = Field(name)
    for operator, operand in _OPERATION.findall(text):
        value = read_value(operand, FIELDS[name])
        assert isinstance(value, Range)
        found = applied(found, operator, value.first)
    return found


def _span(text: str) -> int:
    """Seconds of a span as nft writes it ('1h2m3s')."""
    return sum(int(count) * _SECONDS[unit] for count, unit in _SPAN.findall(text))
