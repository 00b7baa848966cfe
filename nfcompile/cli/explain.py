"""`nfcompile explain`: what becomes of a packet, and which lines of the site decide."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from nfcompile.cli import site, state
from nfcompile.cli.ends import WrittenEnd, read_end_in_vlan
from nfcompile.cli.exit_status import OK, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.diagnostics import dotted

if TYPE_CHECKING:
    from nfcompile.diagnostics import Path
    from nfcompile.pipeline import Compiled
    from nfcompile.source.document import Document
    from nfcompile.verify.explain import Connection, Explanation, Question, Reason

CONNECTIONS = 5


def run(options: Options) -> int:
    """Walk the packet through the ruleset that `build` makes of SITE; exit status 0 for every answer."""
    if options.netns is not None and not options.live:
        raise UsageProblem("--netns goes with --live")
    question = read(options)
    compilation, compiled = site.compiled_or_refused(options._replace(quiet=True))
    from nfcompile.verify.explain import Undecided

    try:
        answer = _answer(compiled, question, options)
    except Undecided as problem:
        raise UsageProblem(str(problem)) from None
    if options.is_json:
        steps = [{"path": dotted(step.path), "text": step.text} for step in answer.steps]
        print(json.dumps(answer._asdict() | {"steps": steps}))
    else:
        print("\n".join(_text(compilation.document, answer)))
    return OK


def read(options: Options) -> Question:
    """Read the packet. Raises UsageProblem."""
    from nfcompile.model.protocols import WITH_PORTS
    from nfcompile.verify.explain import Question

    for option, value in (("--src", options.src), ("--dst", options.dst)):
        if not value:
            raise UsageProblem(f"missing option: {option}; a packet has a source and a destination")
    source, destination = _end(options.src), _end(options.dst)
    if source.is_ipv6 != destination.is_ipv6:
        raise UsageProblem("--src and --dst are of different IP versions")
    spelled = options.proto or ""
    protocol = _protocol(spelled, source.is_ipv6)
    if protocol not in WITH_PORTS and (source.port is not None or destination.port is not None):
        raise UsageProblem(f"protocol '{spelled}' has no ports; write the addresses alone")
    return Question(
        protocol,
        source.address,
        destination.address,
        source.port,
        destination.port,
        interface=options.interface,
        out=options.out,
        is_ipv6=source.is_ipv6,
    )


def _end(text: str) -> WrittenEnd:
    """An end of the packet. Its VLAN is that of the interface at which it arrives."""
    end = read_end_in_vlan(text)
    if end.vid is not None:
        raise UsageProblem(
            f"'~{end.vid}' in '{text}' is not part of a packet's address; name its interface with --in"
        )
    return end


def _protocol(spelled: str, is_ipv6: bool) -> int:
    """The number of a protocol; ICMP is another one in IPv6."""
    from nfcompile.model.protocols import NUMBERS, NUMBERS6

    numbers = NUMBERS6 if is_ipv6 else NUMBERS
    protocol = numbers.get(spelled, -1)
    if spelled.isascii() and spelled.isdigit() and len(spelled) <= 3 and int(spelled) <= 255:
        protocol = int(spelled)
    if protocol < 0:
        known = ", ".join(numbers)
        of = " of IPv6" if is_ipv6 else ""
        raise UsageProblem(f"'{spelled}' is not a protocol{of}; write {known} or a number from 0 to 255")
    return protocol


def _answer(compiled: Compiled, question: Question, options: Options) -> Explanation:
    from nfcompile.verify.explain import explain, explain_prefixes

    if not options.live:
        return explain_prefixes(compiled, question) if question.is_ipv6 else explain(compiled, question)
    state.examine(options)
    from nfcompile.kernel import NOT_LOADED, KernelError, netns, nft, one_element
    from nfcompile.verify.explain import explain_live, with_connections

    connections = _connections(question, options.netns)

    def ask() -> Explanation:
        if nft.structure() is None:
            raise KernelError(NOT_LOADED)
        if question.is_ipv6:
            return with_connections(explain_prefixes(compiled, question), connections)
        return explain_live(compiled, question, one_element.element, connections)

    return netns.inside(options.netns, ask)


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
            flow.is_ipv6,
        )
        for flow in conntrack.flows(namespace, is_ipv6=question.is_ipv6)
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
        yield visible(step.text)
        return
    yield f"{visible(document.name)}:{place.line}: {visible(step.text)}"
    yield f"    {visible(document.lines[place.line - 1].strip())}"


def _written(document: Document, path: Path) -> Path:
    """Where a value stands that a pool inherits: below nat_defaults, if it is there and not in the pool."""
    if path[:1] != ("pools",) or len(path) < 3:
        return path
    below = path[2:]
    inherited = ("nat_defaults", *below)
    missing = below[0] not in document.data["pools"][path[1]]
    return inherited if missing and below[0] in document.data.get("nat_defaults", {}) else path
