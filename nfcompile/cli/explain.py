"""`nfcompile explain`: what becomes of a packet, and which lines of the site decide."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.cli import outcome
from nfcompile.cli.guard import OK, REFUSED, UsageProblem
from nfcompile.cli.lookup import question as end
from nfcompile.diagnostics import dotted

if TYPE_CHECKING:
    from nfcompile.diagnostics import Path
    from nfcompile.pipeline import Compiled
    from nfcompile.source.document import Document
    from nfcompile.verify.explain import Connection, Explanation, Question, Reason


CONNECTIONS = 5


class Words(NamedTuple):
    """A packet as the command line has it."""

    src: str
    dst: str
    proto: str
    interface: str | None = None
    out: str | None = None


class Wish(NamedTuple):
    """How to answer."""

    live: bool = False
    netns: str | None = None
    format: str = "text"
    quiet: bool = False
    color: bool = True


def run(site: str, words: Words, wish: Wish) -> int:
    """Walk the packet through the ruleset that `build` makes of SITE; exit status 0 for every answer."""
    if wish.netns is not None and not wish.live:
        raise UsageProblem("--netns goes with --live")
    question = read(words)
    result = outcome.compiled(site)
    if result.compiled is None:
        outcome.tell(result, wish.quiet, wish.color)
        return REFUSED
    from nfcompile.verify.explain import Undecided

    try:
        answer = _answer(result.compiled, question, wish)
    except Undecided as problem:
        raise UsageProblem(str(problem)) from None
    if wish.format == "json":
        steps = [{"path": dotted(step.path), "text": step.text} for step in answer.steps]
        print(json.dumps(answer._asdict() | {"steps": steps}))
    else:
        print("\n".join(_text(result.document, answer)))
    return OK


def read(words: Words) -> Question:
    """Read the packet; UsageProblem for what is none."""
    from nfcompile.model.protocols import NUMBERS, WITH_PORTS
    from nfcompile.verify.explain import Question

    protocol = NUMBERS.get(words.proto, -1)
    if words.proto.isascii() and words.proto.isdigit() and len(words.proto) <= 3 and int(words.proto) <= 255:
        protocol = int(words.proto)
    if protocol < 0:
        known = ", ".join(NUMBERS)
        raise UsageProblem(f"'{words.proto}' is not a protocol; write {known} or a number from 0 to 255")
    for option, value in (("--src", words.src), ("--dst", words.dst)):
        if not value:
            raise UsageProblem(f"{option} is missing: say where the packet comes from and where it goes")
    source, source_port = end(words.src)
    destination, destination_port = end(words.dst)
    ported = protocol in WITH_PORTS
    if not ported and (source_port is not None or destination_port is not None):
        raise UsageProblem(f"protocol '{words.proto}' has no ports; write the addresses alone")
    return Question(protocol, source, destination, source_port, destination_port, words.interface, words.out)


def _answer(compiled: Compiled, question: Question, wish: Wish) -> Explanation:
    from nfcompile.verify.explain import explain

    if not wish.live:
        return explain(compiled, question)
    from nfcompile.kernel import KernelError, netns, nft
    from nfcompile.verify.explain import explain_live

    connections = _connections(question, wish.netns)

    def ask() -> Explanation:
        if nft.structure() is None:
            raise KernelError("the kernel has no ruleset of ours; load one with 'nfcompile apply'")
        return explain_live(compiled, question, nft.element, connections)

    return netns.inside(wish.netns, ask)


def _connections(question: Question, namespace: str | None) -> list[Connection]:
    """What the kernel tracks of the connection; several where a port is left open: the first few."""
    from nfcompile.kernel import conntrack
    from nfcompile.verify.explain import Connection

    asked = (question.source, question.source_port, question.destination, question.destination_port)
    found = (
        Connection(
            flow[1:5],
            (flow.reply_src, flow.reply_sport, flow.reply_dst, flow.reply_dport),
            flow.timeout,
        )
        for flow in conntrack.flows(namespace)
        if flow.protocol == question.protocol
        and all(want in (None, have) for want, have in zip(asked, flow[1:5], strict=True))
    )
    return list(islice(found, CONNECTIONS))


def _text(document: Document, answer: Explanation) -> Iterator[str]:
    """The result, then each step with its place and its source line."""
    rows = [("action", answer.action), ("pool", answer.pool), ("subscriber", answer.subscriber)]
    rows.append(("global address", answer.global_ip))
    if answer.port_first is not None:
        single = answer.port_first == answer.port_last
        rows.append(("ports", str(answer.port_first) + ("" if single else f"-{answer.port_last}")))
    rows += [("mark", None if answer.mark is None else str(answer.mark)), ("to", answer.to)]
    yield from (f"{word + ':':<16}{value}" for word, value in rows if value is not None)
    for step in answer.steps:
        yield ""
        yield from _step(document, step)


def _step(document: Document, step: Reason) -> Iterator[str]:
    from nfcompile.report import visible

    place = document.place(_written(document, step.path), key=True)
    if place is None:
        yield step.text
        return
    yield f"{visible(document.name)}:{place.line}: {step.text}"
    yield f"    {visible(document.lines[place.line - 1].strip())}"


def _written(document: Document, path: Path) -> Path:
    """Where a value stands that a pool inherits: below nat_defaults, if it is there and not in the pool."""
    if path[:1] != ("pools",) or len(path) < 3:
        return path
    below = path[2:]
    inherited = ("nat_defaults", *below)
    missing = below[0] not in document.data["pools"][path[1]]
    return inherited if missing and below[0] in document.data.get("nat_defaults", {}) else path
