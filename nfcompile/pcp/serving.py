"""Which pool has a subscriber, and which global ports it may open: read off the site, as a packet would.

A port is opened to everybody, so of an ACL the rules count that hold for every destination: the first one
that hits the subscriber's socket. What others say of single destinations the ruleset asks of each connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nfcompile.allocation.numbering import Numbering
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Block
from nfcompile.model.protocols import ANY_PROTOCOL, NAMES
from nfcompile.model.ranges import EVERYWHERE, Range
from nfcompile.model.site import AclRule, Site, StaticEntry

MOST = 32
"""So many ports one subscriber opens at most, of tcp and udp together."""
PART = 4
"""And no more than this part of its ports, so that the others are left for its own connections."""
TRIES = 256
"""So many ports are looked at for a free one."""
KNOWN = 1 << 16
"""Subscribers whose rules are remembered."""


class Inside(NamedTuple):
    """A subscriber's socket, and the interface behind which it is."""

    interface: str
    protocol: int
    address: int
    port: int


class ServedPools:
    """The pools of a site, for many questions."""

    def __init__(self, site: Site, allocations: Sequence[PoolAllocation]) -> None:
        self.site = site
        self.pools = {one.pool.name: ServedPool(site, one) for one in allocations}

    def of(self, inside: Inside) -> ServedPool | None:
        """The pool that takes the socket's packets to any destination; None where there is none, or it opens
        nothing."""
        for served in self.pools.values():
            if served.takes(inside):
                return served if served.pool.opens_ports else None
        return None


class ServedPool:
    """One pool: whose packets it takes, and the ports of its subscribers."""

    def __init__(self, site: Site, allocation: PoolAllocation) -> None:
        self.allocation = allocation
        self.pool = allocation.pool
        self.numbering = Numbering(allocation.stock) if self.pool.is_dynamic else None
        self._vlan = site.interfaces.vlan
        self._layout = allocation.layout() if self.pool.is_deterministic else None
        rules = self.pool.acl.rules if self.pool.acl else ()
        everywhere = (one for one in rules if one.destination == EVERYWHERE and not one.destination_ports)
        self._rules = sorted(everywhere, key=lambda one: one.number)
        self._known: dict[int, tuple[list[AclRule], list[StaticEntry]]] = {}

    def takes(self, inside: Inside) -> bool:
        """Whether the pool takes the socket's packets to any destination."""
        if self.pool.subscribers is not None and not _has(self.pool.subscribers, inside.address):
            return False
        rules, _ = self._about(inside.address)
        verdict = next((rule.allow for rule in rules if self._hits(rule, inside)), None)
        if not self.pool.is_static:
            return verdict is True
        return verdict is not False and self._entry(inside) is not None

    def blocks(self, inside: Inside, held: Sequence[Block]) -> list[Block]:
        """The blocks of a subscriber; `held` are those that the kernel has assigned, in their order. In a
        pool whose subscribers have whole addresses a block is one."""
        if self.pool.is_static:
            entry = self._entry(inside)
            assert entry is not None, "the pool takes the subscriber"
            return [Block(entry.globals.first + inside.address - entry.local.first, 0, 0)]
        if self._layout is None:
            most = dict(self.allocation.protocol_blocks_each).get(NAMES[inside.protocol], 0)
            return list(held[: most if self.pool.shares_addresses else 1])
        block = self._layout.binding(inside.address)
        return [] if block is None else [block]

    def ports(self, protocol: int, blocks: Sequence[Block]) -> list[Range]:
        """The global ports of blocks that a protocol may use."""
        if self.pool.is_dynamic:
            return [Range(one.first, one.last) for one in blocks]
        word = NAMES[protocol]
        parts = (part for one in blocks for part in self.allocation.protocol_blocks(one))
        return [Range(part.first, part.last) for words, part in parts if word in words.split("+")]

    def low_ports(self, blocks: Sequence[Block]) -> list[Range]:
        """The ports below 1024 that belong to blocks (`portlimit_low`)."""
        found = (self.allocation.low_block(one) for one in blocks) if self.allocation.low else ()
        return [Range(one.first, one.last) for one in found if one is not None]

    def gives(self, inside: Inside, end: tuple[int, int], held: Sequence[Block]) -> bool:
        """Whether a subscriber of the pool, which shares addresses, has that global address and port; `held`
        as in `blocks`."""
        blocks = self.blocks(inside, held)
        runs = (*self.ports(inside.protocol, blocks), *self.low_ports(blocks)) if blocks else ()
        return bool(blocks) and blocks[0].address == end[0] and _has(runs, end[1])

    def _hits(self, rule: AclRule, inside: Inside) -> bool:
        return (
            rule.protocol in (ANY_PROTOCOL, inside.protocol)
            and (rule.vid is None or self._vlan(rule.vid) == inside.interface)
            and (not rule.source_ports or _has(rule.source_ports, inside.port))
        )

    def _entry(self, inside: Inside) -> StaticEntry | None:
        _, entries = self._about(inside.address)
        mine = (one for one in entries if one.vid is None or self._vlan(one.vid) == inside.interface)
        return next(mine, None)

    def _about(self, address: int) -> tuple[list[AclRule], list[StaticEntry]]:
        """The rules and the static entries that hold an address: there may be ten thousand others."""
        if address not in self._known:
            if len(self._known) >= KNOWN:
                self._known.clear()
            rules = [one for one in self._rules if _has((one.source,), address)]
            entries = [one for one in self.pool.global_map if _has((one.local,), address)]
            self._known[address] = rules, entries
        return self._known[address]


def quota(ports: Sequence[Range]) -> int:
    """How many ports a subscriber with these may open."""
    return min(MOST, max(1, sum(run.size for run in ports) // PART))


def candidates(ports: Sequence[Range], low: Sequence[Range], wish: int, inside: int) -> Iterator[int]:
    """Global ports in the order in which they are tried: the wish, the inside port, then from a place on that
    the inside port decides. The same question is so answered alike after a restart."""
    if any(run.first <= wish <= run.last for run in (*ports, *low)):
        yield wish
    if any(run.first <= inside <= run.last for run in ports):
        yield inside
    size = sum(run.size for run in ports)
    for turn in range(min(size, TRIES)):
        yield _port(ports, (inside * 31 + turn) % size)


def _port(ports: Sequence[Range], index: int) -> int:
    for run in ports:
        if index < run.size:
            return run.first + index
        index -= run.size
    raise AssertionError("an index beyond all ports")


def _has(ranges: Sequence[Range], value: int) -> bool:
    return any(run.first <= value <= run.last for run in ranges)
