"""`nfcompile prove`: compare the ruleset with the site for every packet, and show counterexamples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nfcompile.cli import held, later_packets
from nfcompile.cli import site as cli_site
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem, say
from nfcompile.cli.options import Options
from nfcompile.cli.progress import working
from nfcompile.diagnostics import dotted
from nfcompile.emit.validate import InvalidTable
from nfcompile.kernel import KernelError
from nfcompile.model import protocols
from nfcompile.model.ranges import Range, address_text, ipv6_text, range_text
from nfcompile.pipeline import Compiled
from nfcompile.verify import reference, reference_site
from nfcompile.verify.explain import Explanation, Question, Undecided, explain
from nfcompile.verify.proof import Box, Compared, Grown, Leak, Proof, Shared, TooManyBoxes, prove
from nfcompile.verify.walk import NOTHING, UnknownStatement

CLOSED = ", while the gate is closed"
SHOWN = 5
"""Counterexamples of each kind that are shown in full."""


def run(options: Options) -> int:
    """Prove SITE; exit status 1 where something does not hold, or could not be examined."""
    compilation = cli_site.compiled(options.site, options)
    if compilation.compiled is None:
        if options.is_json:
            data = {"proved": False, "diagnostics": cli_site.as_data(compilation)}
            print(json.dumps(data, indent=2))
        else:
            cli_site.tell(compilation, options)
        return REFUSED
    if options.netns is not None and not options.live:
        raise UsageProblem("--netns needs --live: without it no kernel is read")
    live = None
    try:
        live = held.compared(compilation.compiled, options.netns) if options.live else None
        compiled = live.compiled if live else compilation.compiled
        if live and not options.is_json and (live.deviations or not options.quiet):
            print("\n".join(held.as_text(live)))
        with working(f"proving {compilation.document.name}", options):
            proof = prove(compiled, options.most_boxes)
    except (KernelError, TooManyBoxes, UnknownStatement, InvalidTable, ValueError) as problem:
        if options.is_json:
            print(json.dumps({"proved": False, "reason": str(problem), **held.as_data(live)}, indent=2))
        return say(f"not proved: {problem}", REFUSED)
    proved = proof.holds and not (live and live.deviations)
    if options.is_json:
        print(json.dumps({"proved": proved, **held.as_data(live), **_as_data(compiled, proof)}, indent=2))
    elif not options.quiet or not proof.holds:
        print("\n".join(_text(compiled, proof)))
    return OK if proved else REFUSED


# ---- as text


def _text(compiled: Compiled, proof: Proof) -> Iterator[str]:
    boxes, ways = _many(proof.boxes, "box", "boxes"), _many(proof.ways, "way", "ways")
    subscribers = _many(proof.sharing.subscribers, "subscriber", "subscribers")
    lists = _many(proof.lists, "list", "lists")
    yield from _told(
        "packets",
        f"{boxes}, in all of them the ruleset agrees with the site",
        f"in {len(proof.different):,} of {boxes} the ruleset disagrees with the site",
        [line for one in proof.different[:SHOWN] for line in _difference(compiled, one)],
    )
    yield from _told(
        "leaks",
        f"{ways} out of pools, in every state that earlier packets can leave: none with a private source",
        f"{len(proof.leaks):,} of {ways} out of pools",
        [_leak(one) for one in proof.leaks[:SHOWN]],
    )
    many = _many(proof.later_boxes, "box", "boxes")
    yield from _told(
        "later",
        f"{many} of second packets, answers and ICMP errors, in all of them the ruleset agrees with the site",
        f"in {len(proof.later):,} of {many} of second packets, answers and ICMP errors the ruleset disagrees",
        [line for one in proof.later[:SHOWN] for line in later_packets.as_text(compiled, one)],
    )
    yield from _told(
        "sharing",
        f"{subscribers}: no two share a global address and port",
        f"two of {subscribers} share a global address and port",
        [_shared(one) for one in proof.sharing.found[:SHOWN]],
    )
    yield from _told(
        "appending",
        f"{lists}, each as it grows: no subscriber moves",
        f"{len(proof.moved):,} of {lists} move subscribers when they grow",
        [_moved(one) for one in proof.moved[:SHOWN]],
    )
    if compiled.npt is not None:
        many = _many(proof.prefix_boxes, "box", "boxes")
        yield from _told(
            "prefixes",
            f"{many} of IPv6, in all of them the table of the npt pools agrees with the site",
            f"in {len(proof.prefixes):,} of {many} of IPv6 the table of the npt pools disagrees",
            [_prefix(one) for one in proof.prefixes[:SHOWN]],
        )


def _prefix(one: Compared) -> str:
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


def _told(word: str, held: str, failed: str, examples: list[str]) -> Iterator[str]:
    yield f"{word:<11}{'NO: ' + failed if examples else held}"
    yield from (f"    {line}" for line in examples)


def _leak(one: Leak) -> str:
    return f"{spelled(one.box.one())} leaves pool '{one.pool}' from {range_text(one.way.now.source)}"


def _moved(one: Grown) -> str:
    subscribers = range_text(one.moved[0].subscribers)
    return f"pools.{one.pool}.{one.what}: {subscribers} moves when {range_text(one.entry)} is appended"


def _difference(compiled: Compiled, found: Compared) -> Iterator[str]:
    """A packet, what the site says of it, and what the ruleset does."""
    one = found.box.one()
    yield spelled(one) + (CLOSED if found.is_closed else "")
    yield f"    the site:    {_said(compiled, one, found.is_closed)}"
    answer = _explained(compiled, one, found.is_closed)
    if isinstance(answer, str):
        yield f"    the ruleset: {answer}"
        return
    ends = [answer.action, answer.global_ip or "", f"to {answer.to}"]
    yield f"    the ruleset: {' '.join(word for word in ends if word)}"
    yield from (f"        {dotted(step.path)}: {step.text}" for step in answer.steps)


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


def _said(compiled: Compiled, one: Box, is_closed: bool) -> str:
    gate = reference_site.gateway(compiled.site, compiled.allocations, is_closed)
    return str(reference.fate(gate, one.packet, one.route))


def _explained(compiled: Compiled, one: Box, is_closed: bool) -> Explanation | str:
    ends = one.source[0].first, one.destination[0].first
    question = Question(one.protocol, *ends, interface=min(one.interface), opens=one.opens)
    if one.protocol in protocols.WITH_PORTS:
        ports = one.source_port[0].first, one.destination_port[0].first
        question = question._replace(source_port=ports[0], destination_port=ports[1])
    try:
        state = NOTHING if is_closed else None
        return explain(compiled, question, state, route=lambda to: _towards(one, to))
    except Undecided:
        return "several ways"


def _towards(one: Box, destination: Range) -> str:
    return min(one.towards) if destination == one.destination[0] else min(one.out)


def _shared(one: Shared) -> str:
    names = [
        f"{owner.pool}{'' if owner.behind is None else ' ' + address_text(one.address + owner.behind)}"
        for owner in one.owners
    ]
    return f"{address_text(one.address)}:{one.port} of protocol {one.protocol}: {' and '.join(names)}"


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


# ---- as data


def _as_data(compiled: Compiled, proof: Proof) -> dict[str, Any]:
    found = [_prefix(one) for one in proof.prefixes]
    of_ipv6 = {} if compiled.npt is None else {"prefixes": {"boxes": proof.prefix_boxes, "different": found}}
    return of_ipv6 | {
        "packets": {
            "boxes": proof.boxes,
            "different": [_difference_data(compiled, one) for one in proof.different],
        },
        "leaks": {
            "ways": proof.ways,
            "found": [
                {"packet": spelled(one.box.one()), "pool": one.pool, "source": range_text(one.way.now.source)}
                for one in proof.leaks
            ],
        },
        "later": {
            "boxes": proof.later_boxes,
            "different": [later_packets.as_data(compiled, one) for one in proof.later],
        },
        "sharing": {
            "subscribers": proof.sharing.subscribers,
            "found": [
                {
                    "protocol": one.protocol,
                    "global_ip": address_text(one.address),
                    "port": one.port,
                    "pools": [owner.pool for owner in one.owners],
                }
                for one in proof.sharing.found
            ],
        },
        "appending": {
            "lists": proof.lists,
            "moved": [
                {
                    "path": f"pools.{one.pool}.{one.what}",
                    "entry": range_text(one.entry),
                    "subscribers": [range_text(move.subscribers) for move in one.moved],
                }
                for one in proof.moved
            ],
        },
    }


def _difference_data(compiled: Compiled, found: Compared) -> dict[str, Any]:
    one = found.box.one()
    answer = _explained(compiled, one, found.is_closed)
    steps = [] if isinstance(answer, str) else answer.steps
    return {
        "packet": spelled(one) + (CLOSED if found.is_closed else ""),
        "site": _said(compiled, one, found.is_closed),
        "ruleset": answer if isinstance(answer, str) else answer.action,
        "steps": [{"path": dotted(step.path), "text": step.text} for step in steps],
    }
