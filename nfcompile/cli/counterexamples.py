"""What `nfcompile prove` shows of what does not hold: a packet, subscribers or a list, in words and as
data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nfcompile.cli.later_packets import later_data, later_text
from nfcompile.diagnostics import dotted
from nfcompile.model import protocols
from nfcompile.model.ranges import Range, address_text, ipv6_text, range_text
from nfcompile.pipeline import Compiled
from nfcompile.verify import reference, reference_site
from nfcompile.verify.explain import Explanation, Question, Undecided, explain
from nfcompile.verify.proof import Box, Compared, Grown, Leak, Shared
from nfcompile.verify.walk import NOTHING, Program, read

__all__ = [
    "Proved",
    "difference_data",
    "difference_text",
    "later_data",
    "later_text",
    "leak_data",
    "leak_text",
    "moved_data",
    "moved_text",
    "prefix_text",
    "proved",
    "shared_data",
    "shared_text",
    "spelled",
]

CLOSED = ", while the gate is closed"


class Proved(NamedTuple):
    """What was proved, read once for all that is shown of it."""

    compiled: Compiled
    program: Program
    open_gate: reference_site.Gateway
    closed_gate: reference_site.Gateway


def proved(compiled: Compiled) -> Proved:
    """Both sides of a proof."""
    site, allocations = compiled.site, compiled.allocations
    gates = (reference_site.gateway(site, allocations, is_closed) for is_closed in (False, True))
    return Proved(compiled, read(compiled.table), *gates)


def spelled(one: Box) -> str:
    """A packet of a box in a line.

    >>> from nfcompile.verify.box import everything
    >>> spelled(next(everything(frozenset(), (17,))).one())
    'udp from *, 0.0.0.0:0 to 0.0.0.0:0, routed to *'
    """
    left, right = (address_text(value[0].first) for value in (one.source, one.destination))
    if one.protocol in protocols.WITH_PORTS:
        left += f":{one.source_port[0].first}"
        right += f":{one.destination_port[0].first}"
    start = "" if one.opens else " without SYN"
    name = protocols.NAMES.get(one.protocol, f"protocol {one.protocol}")
    return f"{name}{start} from {min(one.interface)}, {left} to {right}, routed to {min(one.towards)}"


def difference_text(about: Proved, found: Compared) -> Iterator[str]:
    """A packet, what the site says of it, and what the ruleset does."""
    one = found.box.one()
    yield spelled(one) + (CLOSED if found.is_closed else "")
    yield f"    the site:    {_said(about, one, found.is_closed)}"
    answer = _explained(about, one, found.is_closed)
    if isinstance(answer, str):
        yield f"    the ruleset: {answer}"
        return
    ends = [answer.action, answer.global_ip or "", f"to {answer.to}"]
    yield f"    the ruleset: {' '.join(word for word in ends if word)}"
    yield from (f"        {dotted(step.path)}: {step.text}" for step in answer.steps)


def difference_data(about: Proved, found: Compared) -> dict[str, Any]:
    one = found.box.one()
    answer = _explained(about, one, found.is_closed)
    steps = [] if isinstance(answer, str) else answer.steps
    return {
        "packet": spelled(one) + (CLOSED if found.is_closed else ""),
        "site": _said(about, one, found.is_closed),
        "ruleset": answer if isinstance(answer, str) else answer.action,
        "steps": [{"path": dotted(step.path), "text": step.text} for step in steps],
    }


def _said(about: Proved, one: Box, is_closed: bool) -> str:
    gate = about.closed_gate if is_closed else about.open_gate
    return str(reference.fate(gate, one.packet, one.route))


def _explained(about: Proved, one: Box, is_closed: bool) -> Explanation | str:
    ends = one.source[0].first, one.destination[0].first
    question = Question(one.protocol, *ends, interface=min(one.interface), opens=one.opens)
    if one.protocol in protocols.WITH_PORTS:
        ports = one.source_port[0].first, one.destination_port[0].first
        question = question._replace(source_port=ports[0], destination_port=ports[1])
    try:
        state = NOTHING if is_closed else None
        return explain(
            about.compiled, question, state, route=lambda to: _towards(one, to), program=about.program
        )
    except Undecided:
        return "several ways"


def _towards(one: Box, destination: Range) -> str:
    return min(one.towards) if destination == one.destination[0] else min(one.out)


def leak_data(one: Leak) -> dict[str, Any]:
    source = range_text(one.way.now.source)
    return {"packet": spelled(one.box.one()), "pool": one.pool, "source": source}


def leak_text(one: Leak) -> str:
    return f"{spelled(one.box.one())} leaves pool '{one.pool}' from {range_text(one.way.now.source)}"


def moved_data(one: Grown) -> dict[str, Any]:
    return {
        "path": f"pools.{one.pool}.{one.what}",
        "entry": range_text(one.entry),
        "subscribers": [range_text(move.subscribers) for move in one.moved],
    }


def moved_text(one: Grown) -> str:
    subscribers = range_text(one.moved[0].subscribers)
    return f"pools.{one.pool}.{one.what}: {subscribers} moves when {range_text(one.entry)} is appended"


def shared_data(one: Shared) -> dict[str, Any]:
    return {
        "protocol": one.protocol,
        "global_ip": address_text(one.address),
        "port": one.port,
        "pools": [owner.pool for owner in one.owners],
    }


def shared_text(one: Shared) -> str:
    names = [
        f"{owner.pool}{'' if owner.behind is None else ' ' + address_text(one.address + owner.behind)}"
        for owner in one.owners
    ]
    return f"{address_text(one.address)}:{one.port} of protocol {one.protocol}: {' and '.join(names)}"


def prefix_text(one: Compared) -> str:
    """A packet of IPv6, and what both sides make of it."""
    box, left = one.box.one(), one.outcome.packet
    said, done = (
        "drop" if drops else f"{ipv6_text(source.first)} to {ipv6_text(destination.first)}"
        for drops, source, destination in (
            (one.fate.action == "drop", one.fate.sources, one.fate.destinations),
            (one.outcome.verdict == "drop", left.source, left.destination),
        )
    )
    ends = f"{ipv6_text(box.source[0].first)} to {ipv6_text(box.destination[0].first)}"
    way = f"from {min(box.interface)} routed to {min(box.towards)}, {min(box.out)}"
    return f"{ends} {way}: the site says {said}, the ruleset {done}"
