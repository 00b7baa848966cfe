"""What a node's ruleset has to remember when its peer's connections become its own: assignments, owners,
mapping entries.

conntrackd carries connections, and nothing of our sets. All of it can be read off them: a translated
connection says which subscriber has which block, and which socket which global one. A subscriber without a
connection is known from the last copy of the peer's assignments only; what contradicts a connection is left
out of it.

Pure values; `kernel.filling` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nfcompile.allocation.numbering import Numbering
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Map, Name, Set
from nfcompile.kernel.conntrack import DESTINATION_NAT, SEEN_REPLY, SOURCE_NAT, Flow
from nfcompile.kernel.ends import FlowEnds
from nfcompile.kernel.filling import Filled, Values
from nfcompile.live.continuity import EXPECTED
from nfcompile.lower import names
from nfcompile.lower.context import lowering_context
from nfcompile.lower.renewal import entry_seconds
from nfcompile.lower.trial import TAKEN_EXTRA, trial_seconds
from nfcompile.model.protocols import IN_BLOCK, TCP, UDP
from nfcompile.pipeline import Compiled


class CopiedBlock(NamedTuple):
    """An assignment as the peer had it: the subscriber, and its block by its first global port."""

    pool: str
    subscriber: int
    address: int
    first_port: int


class Rebuilt(NamedTuple):
    """New contents of the sets and maps that packets write, and what they were made of.

    flows         connections that were read
    assignments   blocks with a subscriber; `copied` of them come from the copy alone
    mappings      sockets with an entry
    clashes       connections that contradict an earlier one: two subscribers of one block, or two sockets of
                  one global port
    """

    contents: tuple[Filled, ...]
    flows: int
    assignments: int
    copied: int
    mappings: int
    clashes: int


def rebuilt(
    compiled: Compiled, flows: Iterable[Flow | FlowEnds], copy: Iterable[CopiedBlock] = ()
) -> Rebuilt:
    """Work all of it out from connections, which are read once."""
    pools = [_LearnedPool(compiled, one) for one in compiled.allocations if one.pool.renews]
    owners = {pool.name: pool for pool in pools}
    owner = _PoolsOfAddresses(pools).owner
    count = 0
    for flow in flows if pools else ():
        count += 1
        # A connection's translated ends, spelled out: a gateway has a hundred thousand, and waits for this.
        if flow.status & SOURCE_NAT and (pool := owner(flow.reply_dst, flow.reply_dport)):
            pool.learn(flow, flow.src, flow.sport, flow.reply_dst, flow.reply_dport)
        if flow.status & DESTINATION_NAT and (pool := owner(flow.dst, flow.dport)):
            pool.learn(flow, flow.reply_src, flow.reply_sport, flow.dst, flow.dport)
    copied = sum(owners[one.pool].remember(one) for one in copy if one.pool in owners)
    return Rebuilt(
        tuple(filled for pool in pools for filled in pool.contents()),
        count,
        sum(len(pool.taken) for pool in pools),
        copied,
        sum(len(pool.inside) for pool in pools),
        sum(pool.clashes for pool in pools),
    )


class _PoolsOfAddresses:
    """Which pool has a global address and port; the pools of an address are searched for once."""

    def __init__(self, pools: list[_LearnedPool]) -> None:
        self._pools = pools
        self._known: dict[int, list[_LearnedPool]] = {}
        self._alone: dict[int, _LearnedPool | None] = {}

    def owner(self, address: int, port: int) -> _LearnedPool | None:
        """The only pool of an address, or of several the one whose ports are asked for."""
        if address in self._alone:
            return self._alone[address]
        found = self._known.get(address)
        if found is None:
            found = self._known[address] = [pool for pool in self._pools if pool.has(address)]
        if len(found) < 2:
            self._alone[address] = found[0] if found else None
            return self._alone[address]
        ranges = ((pool, pool.pool.port_range) for pool in found)
        return next((pool for pool, run in ranges if run.first <= port <= run.last), found[0])


class _LearnedPool:
    """One pool, and what has been learned of it.

    taken     number -> the subscriber that has it
    numbers   subscriber -> its numbers, in the order of the slots
    owners    global address -> the subscriber behind it, where addresses are not shared
    answered  subscribers of which the peer has seen an answer; the others are on trial
    inside    protocol, inside address, port -> global address, port; `outside` the other way
    """

    def __init__(self, compiled: Compiled, allocation: PoolAllocation) -> None:
        context = lowering_context(compiled.site, compiled.allocations)
        self.allocation, self.pool, self.name = allocation, allocation.pool, allocation.pool.name
        self.numbering = Numbering(allocation.stock) if self.pool.is_dynamic else None
        self.taken: dict[int, int] = {}
        self.numbers: dict[int, list[int]] = {}
        self.owners: dict[int, int] = {}
        self.answered: set[int] = set()
        self.inside: dict[Values, Values] = {}
        self.outside: dict[Values, Values] = {}
        self.clashes = 0
        self._trial = trial_seconds(context, self.pool)
        self._keeps = self.pool.keeps_mapping_entries
        seconds = entry_seconds(context, self.pool)
        self._tcp_seconds = 0 if seconds["tcp"] == seconds["udp"] else seconds["tcp"]
        objects = (one for one in compiled.table.objects if isinstance(one, Set | Map))
        self._objects = {one.name: one for one in objects}

    def has(self, address: int) -> bool:
        return any(run.first <= address <= run.last for run in self.pool.global_ranges)

    def learn(self, flow: Flow | FlowEnds, source: int, port: int, address: int, global_port: int) -> None:
        """Take one end of a connection in. A port that a helper chose lies outside the block."""
        if flow.status & EXPECTED:
            return
        if self.numbering is not None and not self._assign(flow, source, address, global_port):
            return
        if flow.status & SEEN_REPLY:
            self.answered.add(source)
        protocol = flow.protocol
        if self._keeps and (protocol in (UDP, TCP)):
            inside, outside = (protocol, source, port), (protocol, address, global_port)
            # The first connection of a socket, and of a global port, speaks for both.
            if self.outside.setdefault(outside, inside) != inside:
                self.clashes += 1
            else:
                self.inside.setdefault(inside, outside)

    def _assign(self, flow: Flow | FlowEnds, source: int, address: int, port: int) -> bool:
        """False where another subscriber has the block."""
        assert self.numbering is not None
        stock = self.allocation.stock
        if stock.ports is not None and flow.protocol not in IN_BLOCK:
            return True
        block = stock.number(port)
        number = None if block is None else self.numbering.number(address, block)
        if number is None:
            return True
        if self.taken.setdefault(number, source) != source:
            self.clashes += 1
            return False
        self._hold(source, number, address)
        return True

    def _hold(self, source: int, number: int, address: int) -> None:
        held = self.numbers.setdefault(source, [])
        if number not in held:
            held.append(number)
        if self.pool.can_be_reached:
            self.owners[address] = source

    def remember(self, one: CopiedBlock) -> bool:
        """Take a copied assignment in, unless a connection says otherwise; whether it was new."""
        block = self.allocation.stock.number(one.first_port) if self.numbering is not None else None
        number = (
            None if block is None or self.numbering is None else self.numbering.number(one.address, block)
        )
        held = self.numbers.get(one.subscriber, [])
        if number is None or number in self.taken or len(held) >= self.allocation.blocks_each:
            return False
        if held and self.numbering is not None and self.numbering.block(held[0]) is not None:
            first = self.numbering.block(held[0])
            if first is not None and first.address != one.address:
                return False
        self.taken[number] = one.subscriber
        self.answered.add(one.subscriber)
        self._hold(one.subscriber, number, one.address)
        return True

    def contents(self) -> Iterator[Filled]:
        """What the pool's sets and maps are to hold."""
        if self.numbering is not None:
            for slot in range(1, self.allocation.blocks_each + 1):
                held = self._held(slot)
                full = [one for one in held if not self._on_trial(one[0])]
                yield self._filled(names.assigned(slot, self.name), _elements(full))
                if self._trial:
                    tried = (one for one in held if self._on_trial(one[0]))
                    yield self._filled(names.ontrial(slot, self.name), _elements(tried))
            taken = ((number, self._on_trial(source, TAKEN_EXTRA)) for number, source in self.taken.items())
            yield self._filled(names.taken(self.name), [((number,), (), left) for number, left in taken])
            if self.pool.can_be_reached:
                owners = [((at,), (one,), self._on_trial(one)) for at, one in self.owners.items()]
                yield self._filled(names.owners(self.name), owners)
        if self.pool.keeps_mapping_entries:
            yield self._filled(names.eim(self.name), self._entries(self.inside.items()))
            yield self._filled(names.eif(self.name), self._entries(self.outside.items(), key=False))
        if self.pool.keeps_forwardings:
            # Who has opened which port no connection says: `pcp` opens the peer's behind the open gate.
            yield self._filled(names.forwarded(self.name), ())

    def _held(self, slot: int) -> list[tuple[int, int]]:
        """Which number each subscriber has in a slot."""
        return [
            (source, numbers[slot - 1]) for source, numbers in self.numbers.items() if len(numbers) >= slot
        ]

    def _on_trial(self, source: int, extra: int = 0) -> int:
        """The seconds of what is on trial; 0: the full time."""
        return self._trial + extra if self._trial and source not in self.answered else 0

    def _entries(
        self, entries: Iterable[tuple[Values, Values]], key: bool = True
    ) -> list[tuple[Values, Values, int]]:
        """Entries from one end to the other; the inside is the key, or the data."""
        return [(one, end[1:], self._seconds(one if key else end)) for one, end in entries]

    def _seconds(self, inside: Values) -> int:
        return self._on_trial(int(inside[1])) or (self._tcp_seconds if inside[0] == TCP else 0)

    def _filled(self, name: Name, elements: Iterable[tuple[Values, Values, int]]) -> Filled:
        one = self._objects[name]
        return Filled(str(name), one.key, one.data if isinstance(one, Map) else (), elements)


def _elements(held: Iterable[tuple[int, int]]) -> list[tuple[Values, Values, int]]:
    """Subscribers to numbers, for the time of their map."""
    return [((source,), (number,), 0) for source, number in held]
