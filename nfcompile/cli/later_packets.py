"""What `nfcompile prove` says of the packets after the first: in a line, with both explanations, as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nfcompile.diagnostics import dotted
from nfcompile.model import protocols
from nfcompile.model.ranges import Range, address_text
from nfcompile.verify.box import Box
from nfcompile.verify.explain.later import later_reasons
from nfcompile.verify.explain.scene import Reason
from nfcompile.verify.moments import (
    AGAIN,
    ANSWER,
    BACK,
    ERROR,
    ERROR_BACK,
    ERRORS,
    INVALID,
    LATER,
    UNTRACKED,
)
from nfcompile.verify.proof import Followed
from nfcompile.verify.walk import Program
from nfcompile.verify.walk.packet import STATUS

WORDS = {
    AGAIN: "a second packet of",
    LATER: "a later packet of",
    ANSWER: "an answer to",
    ERROR: "an ICMP error, the way of the first packet, about",
    ERROR_BACK: "an ICMP error, the way of the answers, about",
    INVALID: "a packet without a connection,",
    UNTRACKED: "an untracked packet,",
}


def later_text(program: Program, found: Followed) -> Iterator[str]:
    """A packet, what the site says of it, and what the ruleset does."""
    yield spelled(found.box.one())
    yield f"    the site:    {found.fate}"
    yield f"    the ruleset: {_does(found)}"
    yield from (f"        {dotted(one.path)}: {one.text}" for one in _reasons(program, found))


def later_data(program: Program, found: Followed) -> dict[str, Any]:
    return {
        "packet": spelled(found.box.one()),
        "site": str(found.fate),
        "ruleset": "drop" if found.outcome.verdict == "drop" else "forward",
        "steps": [{"path": dotted(one.path), "text": one.text} for one in _reasons(program, found)],
    }


def spelled(one: Box) -> str:
    """A packet of a box in a line: which one it is, of which connection, and its way."""
    name = protocols.NAMES.get(one.protocol, f"protocol {one.protocol}")
    ends = f"{_end(one, one.source, one.source_port)} to {_end(one, one.destination, one.destination_port)}"
    if one.status & STATUS["snat"]:
        ends += f", translated to come from {_end(one, one.given, one.given_port)}"
    if one.status & STATUS["dnat"]:
        ends += f", led to {_end(one, one.host, one.host_port)}"
    sender = f", sent by {address_text(one.sender[0].first)}" if one.moment in ERRORS else ""
    back = one.moment in BACK
    arrives = one.back if back or one.moment in ERRORS else one.interface
    way = f"from {min(arrives)}, routed to {min(one.home if back else one.towards)}"
    return f"{WORDS[one.moment]} {name} {ends}{sender}: {way}"


def _end(one: Box, address: tuple[Range, ...], port: tuple[Range, ...]) -> str:
    with_port = f":{port[0].first}" if one.protocol in protocols.WITH_PORTS else ""
    return address_text(address[0].first) + with_port


def _does(found: Followed) -> str:
    if found.outcome.verdict == "drop":
        return "drop"
    left = found.outcome.packet
    return f"forward as {address_text(left.source.first)} to {address_text(left.destination.first)}"


def _reasons(program: Program, found: Followed) -> tuple[Reason, ...]:
    one, outcome = found.box.one(), found.outcome
    return later_reasons(program, one, outcome.mark, outcome.verdict)
