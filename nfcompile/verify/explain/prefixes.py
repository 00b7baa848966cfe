"""A packet of IPv6 and the npt pools: a walk through their table, told as `explain` tells of IPv4."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.lower.drop_reasons import drop_reason
from nfcompile.model.npt import NptPool, PrefixPair
from nfcompile.model.ranges import Range, ipv6_text, port_text
from nfcompile.pipeline import Compiled
from nfcompile.verify.explain.answer import ANY_PORT, Explanation, Question
from nfcompile.verify.explain.scene import Reason
from nfcompile.verify.walk import LOCAL, Outcome, Packet, Route, Step, one, read, walk

WORDS = {
    "snat": "the source becomes",
    "dnat": "the destination becomes",
    "ip6 saddr": "the source becomes",
    "ip6 daddr": "the destination becomes",
}
"""What a statement of NAT, or a write into a field of the packet, does."""
UNTRACKED = "stateless: the packet is rewritten by itself, without connection tracking"


def explain_prefixes(compiled: Compiled, question: Question, route: Route | None = None) -> Explanation:
    """Walk the first packet of a connection of IPv6 through the table of the npt pools."""
    packet = _packet(compiled, question)

    def sited(address: Range) -> str:
        if address == packet.source:
            return str(packet.interface)
        return question.out or _towards(compiled, address.first)

    if compiled.npt is None:
        text = "the site has no npt pool: packets of IPv6 are forwarded as they are"
        return _plain(packet, packet)._replace(steps=(Reason(("pools",), text),))
    (outcome,) = walk(read(compiled.npt), packet, route or sited)
    left, steps = outcome.packet, tuple(_steps(compiled, packet, outcome))
    answer = _plain(packet, left)._replace(steps=steps)
    source, destination = _pool(compiled, packet.source), _pool(compiled, left.destination)
    if outcome.verdict == "drop":
        subscriber = None if source is None else _text(packet.source)
        return answer._replace(action="drop", pool=source and source.name, subscriber=subscriber)
    if left.source != packet.source:
        return _translated(answer, source, packet.source, left.source)
    if left.destination != packet.destination:
        return _translated(answer, destination, left.destination, packet.destination)
    return answer


def _translated(answer: Explanation, pool: NptPool | None, inside: Range, outside: Range) -> Explanation:
    ends = _text(inside), _text(outside)
    return answer._replace(action="translate", pool=pool and pool.name, subscriber=ends[0], global_ip=ends[1])


def _packet(compiled: Compiled, question: Question) -> Packet:
    source, destination = (
        ANY_PORT if port is None else one(port) for port in (question.source_port, question.destination_port)
    )
    ends = one(question.source), source, one(question.destination), destination
    interface = question.interface or compiled.site.interfaces.inside[0]
    return Packet(interface, question.protocol, *ends, question.opens)


def _plain(asked: Packet, left: Packet) -> Explanation:
    """The answer for a packet that no pool translates."""
    to = _text(left.destination)
    if left.destination_port != ANY_PORT:
        to = f"[{to}]:{port_text(left.destination_port)}"
    return Explanation("untranslated", None, None, None, None, None, None, to, ())


def _towards(compiled: Compiled, address: int) -> str:
    """Local prefixes are inside, all else is outside."""
    interfaces = compiled.site.interfaces
    return interfaces.inside[0] if _pair(compiled, address, local=True) else interfaces.outside[0]


def _pair(compiled: Compiled, address: int, *, local: bool) -> PrefixPair | None:
    for pool in _pools(compiled):
        for pair in pool.pairs:
            prefix = (pair.local if local else pair.globals).range
            if prefix.first <= address <= prefix.last:
                return pair
    return None


def _pools(compiled: Compiled) -> Iterator[NptPool]:
    return (pool for pool in compiled.site.npt if pool.enable)


def _pool(compiled: Compiled, local: Range) -> NptPool | None:
    """The pool that has an address in a local prefix."""
    pair = _pair(compiled, local.first, local=True)
    return pair and next(pool for pool in _pools(compiled) if pair in pool.pairs)


def _text(address: Range) -> str:
    return ipv6_text(address.first)


# ---- steps


def _steps(compiled: Compiled, asked: Packet, outcome: Outcome) -> Iterator[Reason]:
    for step in outcome.steps:
        yield from _step(compiled, asked, step)
    if outcome.verdict == "accept" and (outcome.packet.source, outcome.packet.destination) == (
        asked.source,
        asked.destination,
    ):
        yield _unchanged(compiled, asked, outcome)


def _step(compiled: Compiled, asked: Packet, step: Step) -> Iterator[Reason]:
    for effect in step.effects:
        if effect.kind in ("snat", "dnat"):
            address = effect.values[0]
        elif effect.kind == "rewrite":
            address = effect.values[1]
        elif effect.kind == "drop":
            yield _dropped(compiled, asked, step)
            continue
        elif effect.kind == "notrack":
            yield Reason((*step.origin[:2], "stateless"), UNTRACKED)
            continue
        else:
            continue
        assert isinstance(address, Range)
        word = WORDS[effect.kind if effect.kind != "rewrite" else str(effect.values[0])]
        yield Reason(step.origin, f"pool '{step.origin[1]}': {word} {_text(address)}")


def _dropped(compiled: Compiled, asked: Packet, step: Step) -> Reason:
    counter = next((effect.name for effect in step.effects if effect.kind == "counter"), None)
    reason = None if counter is None else drop_reason(counter)
    owner = _pair(compiled, asked.destination.first, local=False)
    pool = owner and next(pool for pool in _pools(compiled) if owner in pool.pairs)
    if pool is not None and not pool.hairpin and asked.interface in compiled.site.interfaces.inside:
        return Reason((*pool.path, "hairpin"), f"hairpin is off in pool '{pool.name}': the packet is dropped")
    return Reason(step.origin or ("pools",), "dropped" if reason is None else f"dropped: {reason.text}")


def _unchanged(compiled: Compiled, asked: Packet, outcome: Outcome) -> Reason:
    """Why a packet keeps its addresses."""
    interfaces = compiled.site.interfaces
    if outcome.out == LOCAL:
        return Reason(("gateway",), "the packet is for the gateway itself: not translated")
    if asked.interface in interfaces.outside and asked.interface not in interfaces.inside:
        text = "what comes from outside to no global prefix is forwarded as it is"
        return Reason(("interfaces", "outside"), text)
    if asked.interface not in interfaces.inside:
        text = f"'{asked.interface}' is not an inside interface: not translated"
        return Reason(("interfaces", "inside"), text)
    if _pool(compiled, asked.source) is None:
        return Reason(("pools",), f"no npt pool has {_text(asked.source)}: the packet keeps its source")
    return Reason(("interfaces",), f"from '{asked.interface}' to '{outcome.out}' nothing is translated")
