"""Who has a global address and port, and which block a subscriber has, from the values of the ruleset.

Answers are plain rows; the verbs print them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from nfcompile.allocation.mappings import local_text
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Block, Layout
from nfcompile.model.ranges import Range, address_text, union
from nfcompile.model.rules import Qualifiers, SnatRule
from nfcompile.model.site import StaticEntry


class Answer(NamedTuple):
    """One binding as `lookup` and `explain` say it; None where there is no such thing."""

    pool: str | None
    subscriber: str | None
    global_ip: str | None
    port_first: int | None
    port_last: int | None
    action: str


NOBODY = Answer(None, None, None, None, None, "none")


def lookups(
    allocations: tuple[PoolAllocation, ...],
    address: int,
    port: int | None = None,
    proto: str | None = None,
    snat: Sequence[SnatRule] = (),
) -> list[Answer]:
    """Every binding of an address: with a port as a global one first, else as a subscriber first.

    `proto` (tcp, udp, icmp) narrows the ports where protocols have different limits.
    """
    return Index(allocations, snat).lookups(address, port, proto)


def is_in_vlan(answer: Answer, address: int, vid: int | None) -> bool:
    """Whether a binding is that of the subscriber with an address in a VLAN; with None, of any. Where the
    binding names no VLAN, the address alone is the subscriber."""
    text = address_text(address)
    return vid is None or answer.subscriber in (text, f"{text}~{vid}")


class Index:
    """The pools of a site, ready for many questions: each costs O(log pieces) for each pool.

    Of the snat rules those matter that give the address of the interface, since it is in no pool, and those
    that map one to one: the others do not say which of their sources has an address.
    """

    __slots__ = ("_layouts", "_masquerade", "_one_to_one", "_snat", "_statics", "_subscribers", "allocations")

    def __init__(self, allocations: tuple[PoolAllocation, ...], snat: Sequence[SnatRule] = ()) -> None:
        self.allocations = allocations
        self._snat = tuple(snat)
        self._masquerade = [rule for rule in snat if rule.snat_ip is None and not rule.exclude]
        self._one_to_one = [rule for rule in snat if _is_one_to_one(rule)]
        self._layouts: dict[int, Layout] = {}
        self._statics: dict[int, _Entries] = {}
        self._subscribers: dict[int, tuple[Range, ...]] = {}

    def lookups(self, address: int, port: int | None, proto: str | None) -> list[Answer]:
        """As the function of that name."""
        if port is not None:
            return list(self._of_global(address, port, proto)) or self._of_inside(address, proto, True)
        return self._of_inside(address, proto, False) or list(self._of_global(address, port, proto))

    def _of_inside(self, address: int, proto: str | None, named: bool) -> list[Answer]:
        """The pools of a subscriber, and the snat rules that give it the address of the interface or one of
        its own: before the pools if every packet of it meets the rule. `named`: only rules that name their
        sources."""
        found = list(self._of_subscriber(address, proto))
        rules = [rule for rule in self._masquerade if _is_source(rule.match, address, named)]
        if rules:
            answer = Answer(None, address_text(address), None, None, None, "interface")
            found = [answer, *found] if any(map(_only_source, rules)) else [*found, answer]
        for rule in reversed(self._one_to_one):
            if _is_source(rule.match, address, True) and not self._is_taken(rule, address):
                own = _own_answer(rule, address)
                found = [own, *found] if _only_source(rule) else [*found, own]
        return found

    def _is_taken(self, rule: SnatRule, source: int) -> bool:
        """Whether an earlier rule takes every packet of a source."""
        earlier = self._snat[: self._snat.index(rule)]
        return any(_only_source(one) and _is_source(one.match, source, False) for one in earlier)

    def _of_subscriber(self, address: int, proto: str | None) -> Iterator[Answer]:
        for number, allocation in enumerate(self.allocations):
            pool = allocation.pool
            if pool.is_static:
                for entry in self._entries(number).of_local(address):
                    yield _static_answer(allocation, entry, address)
            elif pool.is_deterministic:
                block = self._layout(number).binding(address)
                if block is not None:
                    yield _answer(allocation, address, block, proto)
            elif self._serves(number, address):
                action = "translate" if pool.translates else "pass"
                yield Answer(pool.name, address_text(address), None, None, None, action)

    def _of_global(self, address: int, port: int | None, proto: str | None) -> Iterator[Answer]:
        for number, allocation in enumerate(self.allocations):
            pool = allocation.pool
            for entry in self._entries(number).of_global(address) if pool.global_map else ():
                local = entry.local.first + address - entry.globals.first
                yield _static_answer(allocation, entry, local)
            if not pool.is_deterministic:
                continue
            layout = self._layout(number)
            if allocation.stock.ports is None or port is not None:
                owner = allocation.owner(layout, address, port or 0)
                owners = [] if owner is None else [owner]
            elif any(one.first <= address <= one.last for one in pool.global_ip):
                owners = list(layout.owners(address))
            else:
                continue
            for owner in owners:
                block = layout.binding(owner)
                if block is None:
                    continue
                low, word = allocation.low_block(block), proto
                if low is not None and port is not None and low.first <= port <= low.last:
                    block, word = low, None
                answer = _answer(allocation, owner, block, word)
                if port is None or answer.port_last is None or port <= answer.port_last:
                    yield answer
        for rule in self._one_to_one:
            if rule.addresses.first <= address <= rule.addresses.last and _has_port(rule, port):
                source = _sources(rule).first + address - rule.addresses.first
                if not self._is_taken(rule, source):
                    yield _own_answer(rule, source)

    def _layout(self, number: int) -> Layout:
        if number not in self._layouts:
            self._layouts[number] = self.allocations[number].layout()
        return self._layouts[number]

    def _entries(self, number: int) -> _Entries:
        if number not in self._statics:
            self._statics[number] = _Entries(self.allocations[number].pool.global_map)
        return self._statics[number]

    def _serves(self, number: int, address: int) -> bool:
        if number not in self._subscribers:
            self._subscribers[number] = union(self.allocations[number].subscribers)
        runs = self._subscribers[number]
        at = bisect_right(runs, address, key=lambda run: run.first) - 1
        return at >= 0 and address <= runs[at].last


def _is_source(asked: Qualifiers, address: int, named: bool) -> bool:
    """Whether a rule is for packets from an address; `named`: and names its sources."""
    source = asked.src_cidr
    if source is None:
        return not named
    return any(one.first <= address <= one.last for one in source.values) != source.negated


def _only_source(rule: SnatRule) -> bool:
    """Whether the source alone decides that a packet meets a rule."""
    return rule.mark is None and all(part is None for part in rule.match._replace(src_cidr=None))


def _is_one_to_one(rule: SnatRule) -> bool:
    """Whether each source of a rule has a global address of its own."""
    asked = rule.match.src_cidr
    if rule.snat_ip is None or asked is None or asked.single is None:
        return False
    return rule.prefix or asked.single.size == rule.snat_ip.size == 1


def _has_port(rule: SnatRule, port: int | None) -> bool:
    ports = rule.snat_port
    return port is None or ports is None or ports.first <= port <= ports.last


def _sources(rule: SnatRule) -> Range:
    asked = rule.match.src_cidr
    assert asked is not None
    return asked.values[0]


def _own_answer(rule: SnatRule, source: int) -> Answer:
    """What a one-to-one rule gives a source; the port stays, unless the rule says ports."""
    global_ip = address_text(rule.addresses.first + source - _sources(rule).first)
    first, last = rule.snat_port or (None, None)
    return Answer(None, address_text(source), global_ip, first, last, "translate")


class _Entries:
    """The entries of a `global_map` by either side. A local address may be in several, on several VLANs."""

    __slots__ = ("_globals", "_locals", "_reach", "entries")

    def __init__(self, entries: Sequence[StaticEntry]) -> None:
        self.entries = entries
        order = range(len(entries))
        self._globals = sorted((entries[n].globals.first, n) for n in order)
        self._locals = sorted((entries[n].local.first, n) for n in order)
        self._reach = list(accumulate((entries[n].local.last for _, n in self._locals), max))

    def of_global(self, address: int) -> list[StaticEntry]:
        at = bisect_right(self._globals, (address, len(self.entries))) - 1
        if at < 0 or address > self.entries[self._globals[at][1]].globals.last:
            return []
        return [self.entries[self._globals[at][1]]]

    def of_local(self, address: int) -> list[StaticEntry]:
        """In the order of the file."""
        found = []
        at = bisect_right(self._locals, (address, len(self.entries))) - 1
        while at >= 0 and self._reach[at] >= address:
            number = self._locals[at][1]
            if address <= self.entries[number].local.last:
                found.append(number)
            at -= 1
        return [self.entries[number] for number in sorted(found)]


def _answer(allocation: PoolAllocation, subscriber: int, block: Block, proto: str | None) -> Answer:
    last = block.last
    for words, size in allocation.protocol_ports:
        if proto in words:
            last = block.first + size - 1
    ported = allocation.stock.ports is not None
    return Answer(
        allocation.pool.name,
        address_text(subscriber),
        address_text(block.address),
        block.first if ported else None,
        last if ported else None,
        "translate",
    )


def _static_answer(allocation: PoolAllocation, entry: StaticEntry, local: int) -> Answer:
    global_ip = address_text(entry.globals.first + local - entry.local.first)
    return Answer(allocation.pool.name, local_text(entry, local), global_ip, None, None, "translate")
