"""The facts: which pool took the packet, what it leaves with, where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.lower.context import lowering_context
from nfcompile.lower.tokens import UNANSWERED
from nfcompile.model.protocols import IN_BLOCK, TCP, UDP, WITH_PORTS
from nfcompile.model.ranges import EVERYWHERE, PORT_LAST, Range, address_text, port_text, range_text
from nfcompile.model.site import Pool, Site
from nfcompile.pipeline import Compiled
from nfcompile.verify.chosen_values import INTERFACE_ADDRESS, DrawnNumber
from nfcompile.verify.explain.reasons import reasons
from nfcompile.verify.explain.scene import Reason, block_is_open, comes_from_outside, pool_of, static_entry
from nfcompile.verify.walk import (
    LOCAL,
    Outcome,
    Packet,
    Program,
    Route,
    State,
    gate_open,
    one,
    outcomes,
    read,
)

ANY_PORT = Range(0, PORT_LAST)
A_SOCKET = 49152
"""Stands for a source port that is left out: a mapping entry is of one socket, not of all ports at once."""
MANY = 4096
"""Ways of one question that are walked: a second of work."""
PORT_NEEDED = "the answer depends on a port that is not given; write --src A:P and --dst A:P"


class Question(NamedTuple):
    """The first packet of a connection. Without an interface it comes from the first inside one, and `out` is
    what the site knows of routes. Ports of None are any, or what the protocol does not have."""

    protocol: int
    source: int
    destination: int
    source_port: int | None = None
    destination_port: int | None = None
    interface: str | None = None
    out: str | None = None
    opens: bool = True
    is_ipv6: bool = False


class Explanation(NamedTuple):
    """The answer; `to` is the destination after dnat. None: absent, or known to the kernel only."""

    action: str
    pool: str | None
    subscriber: str | None
    global_ip: str | None
    port_first: int | None
    port_last: int | None
    mark: int | None
    to: str
    steps: tuple[Reason, ...]


class Undecided(Exception):
    """The packet is not described well enough; the message says what is missing."""


def explain(
    compiled: Compiled,
    question: Question,
    state: State | None = None,
    route: Route | None = None,
    program: Program | None = None,
) -> Explanation:
    """Walk the packet through the compiled ruleset, as nobody has used it; on a node of a pair the gate is
    open. `program` is that ruleset, `read` once for many questions. Raises Undecided."""
    if state is None:
        both = lowering_context(compiled.site, compiled.allocations)
        state = gate_open((*both.inside, *both.outside))
    packet = Packet(
        question.interface or compiled.site.interfaces.inside[0],
        question.protocol,
        one(question.source),
        _port(question.source_port),
        one(question.destination),
        _port(question.destination_port),
        question.opens,
    )

    def sited(address: Range) -> str:
        if address == packet.source:
            return str(packet.interface)
        return question.out or towards(compiled, address.first)

    program, sent = program or read(compiled.table), route or sited
    outcome = _only(outcomes(program, packet, sent, state))
    if outcome.verdict == "drop" and question.source_port is None and question.protocol in WITH_PORTS:
        socket = next(outcomes(program, packet._replace(source_port=one(A_SOCKET)), sent, state))
        if state.ask and socket.verdict != "drop":
            raise Undecided(PORT_NEEDED)
        outcome = socket
    outcome = outcome if state.ask else _any_port(compiled, outcome)
    return _answer(compiled, packet, outcome)


def _only(found: Iterator[Outcome]) -> Outcome:
    """The outcome that all ports share. Raises Undecided, also where these are too many to ask."""
    first = next(found)
    for number, other in enumerate(found):
        if _facts(other) != _facts(first) or number > MANY:
            raise Undecided(PORT_NEEDED)
    return first


def _facts(outcome: Outcome) -> tuple[str, Packet, bool, bool]:
    return outcome.verdict, _told(outcome.packet), outcome.dnat, outcome.snat


def _told(packet: Packet) -> Packet:
    """A packet as an answer has it: of numbers that a ruleset drew, only where they lie."""

    def where(number: Range) -> Range:
        return Range(*number) if isinstance(number, DrawnNumber) else number

    return packet._replace(source=where(packet.source), source_port=where(packet.source_port))


def _any_port(compiled: Compiled, outcome: Outcome) -> Outcome:
    """A socket gets the port that is computed for it if no other one has it, which the kernel alone knows:
    without the kernel the answer is every port of the block."""
    pool, left = pool_of(compiled.site, outcome), outcome.packet
    if pool is None or not pool.shares_addresses or left.source_port.size > 1 or not outcome.snat:
        return outcome
    stock, limits = next((a.stock, {TCP: a.tcp, UDP: a.udp}) for a in compiled.allocations if a.pool == pool)
    number, limit = stock.number(left.source_port.first), limits.get(left.protocol)
    if pool.is_dynamic or number is None or limit is None:
        return outcome
    first = stock.block(left.source.first, number).first
    ports = Range(first, first + limit - 1)
    steps = (
        step._replace(
            effects=tuple(
                one._replace(values=(one.values[0], ports)) if one.kind == "snat" else one
                for one in step.effects
            )
        )
        for step in outcome.steps
    )
    return outcome._replace(packet=left._replace(source_port=ports), steps=tuple(steps))


def towards(compiled: Compiled, address: int) -> str:
    """Where an address is, as far as a site tells: the gateway itself, an inside interface, outside."""
    interfaces, gateway = compiled.site.interfaces, compiled.site.gateway
    if address == gateway.primary_ip or _among(gateway.secondary_ips, address):
        return LOCAL
    for allocation in compiled.allocations:
        for entry in allocation.pool.global_map:
            if _among((entry.local,), address):
                return interfaces.inside[0] if entry.vid is None else interfaces.vlan(entry.vid)
        enumerable = not allocation.unbounded and EVERYWHERE not in allocation.subscribers
        if enumerable and _among(allocation.subscribers, address):
            return interfaces.inside[0]
    return interfaces.outside[0]


def _among(ranges: tuple[Range, ...], address: int) -> bool:
    return any(part.first <= address <= part.last for part in ranges)


def _port(port: int | None) -> Range:
    return ANY_PORT if port is None else one(port)


def _answer(compiled: Compiled, asked: Packet, outcome: Outcome) -> Explanation:
    rewritten = [
        (effect.kind, step.rule.origin[:1])
        for step in outcome.steps
        for effect in step.effects
        if effect.kind in ("snat", "dnat")
    ]
    kinds = [kind for kind, _ in rewritten]
    pool = pool_of(compiled.site, outcome)
    inbound = ("dnat", ("pools",)) in rewritten and "snat" not in kinds
    from_outside = comes_from_outside(compiled, asked)
    action = "untranslated"
    if outcome.verdict == "drop":
        action = "drop"
    elif "snat" in kinds or inbound or (kinds and from_outside):
        action = "translate"
    elif pool is not None and not pool.translates:
        action = "pass"
    left = outcome.packet
    answer = Explanation(
        action,
        pool.name if pool else None,
        _subscriber(compiled.site, pool, asked) if pool or "snat" in kinds else None,
        None,
        None,
        None,
        _mark(outcome),
        _end(left.destination, left.destination_port),
        tuple(reasons(compiled, asked, outcome)),
    )
    if action != "translate":
        return answer
    if inbound and pool is not None:
        return _to_inside(answer, compiled.site, pool, asked, left)
    return _from_inside(answer, compiled, pool, asked, left) if "snat" in kinds else answer


def _to_inside(answer: Explanation, site: Site, pool: Pool, asked: Packet, left: Packet) -> Explanation:
    """Who was reached by which global address, and by which port where the pool shares addresses."""
    port = asked.destination_port.first if pool.shares_addresses else None
    host = left._replace(source=left.destination)
    return answer._replace(
        subscriber=_subscriber(site, pool, host),
        global_ip=_known(asked.destination),
        port_first=port,
        port_last=port,
    )


def _from_inside(
    answer: Explanation, compiled: Compiled, pool: Pool | None, asked: Packet, left: Packet
) -> Explanation:
    """The resulting source. What a dynamic pool will take is not known; an snat rule names a range."""
    address = range_text(left.source) if pool is None else _known(left.source)
    if left.source == INTERFACE_ADDRESS:
        address = None
    shared = left.source_port != asked.source_port if pool is None else pool.shares_addresses
    is_open = pool is not None and block_is_open(compiled, pool, asked, left.source_port)
    if address is None or not shared or is_open or left.protocol not in IN_BLOCK:
        return answer._replace(global_ip=address)
    first, last = left.source_port
    return answer._replace(global_ip=address, port_first=first, port_last=last)


def _known(address: Range) -> str | None:
    return address_text(address.first) if address.size == 1 else None


def _subscriber(site: Site, pool: Pool | None, packet: Packet) -> str:
    """The source, with its VLAN where the pool's entry has one."""
    entry = static_entry(site, pool, packet) if pool else None
    vid = "" if entry is None or entry.vid is None else f"~{entry.vid}"
    return range_text(packet.source) + vid


def _mark(outcome: Outcome) -> int | None:
    """The operator's mark; what is drawn at random is our own token, and so is that of a trial."""
    first, last = outcome.mark
    if first == UNANSWERED:
        return None
    return first if first == last and first else None


def _end(address: Range, port: Range) -> str:
    """'A:P', or 'A' where no port was given."""
    return range_text(address) + ("" if port == ANY_PORT else f":{port_text(port)}")
