"""Dynamic allocation in the kernel alone: blocks (cgnat) or addresses (nat) on demand, exclusive, sticky.

A subscriber's first packet takes the next free number, round robin, so all addresses fill equally. Which of
two CPUs gets a number is decided by the token of a short-lived set element (`limit rate 1/week burst 1`): an
insert and a token bucket are atomic, a look-up followed by an add is not. What is taken stays taken for
`translation` seconds after the last new connection, and a little longer than the subscriber's own entry.

A look-up that misses ends its rule, which is how a map is asked whether it has a key: kernel 6.1 cannot look
up a map as a set. Numbers start at the pool's own packet marks, so that nobody takes them for firewall marks.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as chained

from nfcompile.claims import Claim
from nfcompile.emit import Chain, Counter, Element, Map, Rule, Set
from nfcompile.emit.objects import Object
from nfcompile.emit.words import one_of
from nfcompile.lower import names
from nfcompile.lower.cgnat import BLOCK_DATA
from nfcompile.lower.gate import Gate
from nfcompile.lower.mapping import FIRST_NUMBER, mark_base
from nfcompile.lower.nat import inbound_rule
from nfcompile.lower.part import Part, pool_chain, pool_rule
from nfcompile.model.ranges import address_text

GRACE_SECONDS = 300
"""How much longer a number stays taken than its subscriber's entry."""
CLAIM_SECONDS = 10
SEARCH_FACTOR = 8
SEARCH_LIMIT = 4096
"""A search looks at this many numbers at most; deep ones are limited to 50 a second."""
SHALLOW_SEARCH = 64
WAIT_LOOKS = 64
"""How often a CPU looks for the entry that another one is just making for the same subscriber (3 us)."""


def dynamic(gate: Gate, claim: Claim) -> Part:
    """The allocator of one pool."""
    allocator = _Allocator(claim, mark_base(gate, claim) + FIRST_NUMBER)
    inbound: tuple[Rule, ...] = ()
    if claim.pool.can_be_reached:
        ids, owners = allocator.named("ids"), allocator.named("owners")
        statement = f"meta mark set ip daddr map @{ids} dnat to meta mark map @{owners}"
        inbound = (inbound_rule(gate, claim.pool, statement),)
    objects = tuple(chained(allocator.state(), allocator.numbers(), allocator.chains()))
    return Part(objects, (pool_rule(claim.pool, f"goto {allocator.named('slots')}"),), inbound)


class _Allocator:
    """Names and numbers of one pool's allocator; methods yield its objects."""

    def __init__(self, claim: Claim, first: int) -> None:
        self.claim = claim
        self.first = first
        self.pool = claim.pool
        self.total = claim.stock.capacity
        self.slots = claim.blocks_each

    def named(self, word: str) -> str:
        return f"{word}_{self.pool.name}"

    def slot_chain(self, slot: int) -> str:
        return f"slot{slot}_{self.pool.name}"

    def assigned(self, slot: int) -> str:
        return f"assigned{slot}_{self.pool.name}"

    def chain(self, name: str, *rules: tuple[str, ...]) -> Chain:
        return pool_chain(self.pool, name, *(pool_rule(self.pool, *phrases) for phrases in rules))

    def state(self) -> Iterator[Object]:
        """The sets and maps that the kernel fills, and the counters."""
        path, lifetime, size = self.pool.path, self.pool.timeouts.translation, 2 * self.total
        flags = ("dynamic", "timeout")
        claim_seconds = min(CLAIM_SECONDS, lifetime)
        for slot in range(1, self.slots + 1):
            name = self.assigned(slot)
            yield Map(name, "ipv4_addr", "mark", path, (), flags, lifetime, size)
            yield Set(f"asking{slot}_{self.pool.name}", "ipv4_addr", path, (), flags, 1, 65536)
            if slot > 1:
                full = f"full{slot - 1}_{self.pool.name}"
                yield Set(full, "inet_proto . ipv4_addr", path, (), ("dynamic",), 0, 65536 * 3)
        yield Set(self.named("taken"), "mark", path, (), flags, lifetime + GRACE_SECONDS, size)
        yield Set(self.named("claimed"), "mark", path, (), flags, claim_seconds, size)
        if self.pool.can_be_reached:
            yield Map(self.named("owners"), "mark", "ipv4_addr", path, (), flags, lifetime, size)
        for word in ("assigned", "exhausted", "waiting"):
            yield Counter(names.pool_counter(self.pool.name, word), path)

    def numbers(self) -> Iterator[Object]:
        """What each number stands for: number k is address k mod A, block k div A."""
        path, stock = self.pool.path, self.claim.stock
        addresses = [a for one in stock.globals for a in range(one.first, one.last + 1)]
        texts = [address_text(address) for address in addresses]
        plain = tuple(Element(f"0x{self.first + k:x}", texts[k % len(texts)]) for k in range(self.total))
        yield Map(self.named("addresses"), "mark", "ipv4_addr", path, plain)
        if stock.ports is not None:
            blocks = tuple(self._blocks(texts))
            yield Map(self.named("blocks"), "mark", BLOCK_DATA, path, blocks)
        if self.pool.can_be_reached:
            ids = sorted((address, self.first + k) for k, address in enumerate(addresses))
            elements = tuple(Element(address_text(a), f"0x{number:x}") for a, number in ids)
            yield Map(self.named("ids"), "ipv4_addr", "mark", path, elements)

    def _blocks(self, texts: list[str]) -> Iterator[Element]:
        for k in range(self.total):
            _, first, last = self.claim.stock.block(0, k // len(texts))
            yield Element(f"0x{self.first + k:x}", f"{texts[k % len(texts)]} . {first}-{last}")

    def chains(self) -> Iterator[Object]:
        """The search, shared by all slots, and the chains of each slot."""
        pool = self.pool.name
        taken, claimed = self.named("taken"), self.named("claimed")
        yield self.chain(f"use_{pool}", *self._use())
        yield self.chain(self.named("slots"), *self._choose_slot())
        for slot in range(1, self.slots + 1):
            yield from self._slot(slot)
        once = "limit rate 1/week burst 1 packets"
        yield self.chain(
            f"try1_{pool}",
            ("meta mark != 0", "return"),
            (f"meta mark set numgen inc mod {self.total} offset {self.first}",),
            (f"meta mark != @{taken} add @{claimed} {{ meta mark {once} }} goto take_{pool}",),
            ("meta mark set 0",),
        )
        yield self.chain(
            f"take_{pool}",
            (f"meta mark @{taken}", "meta mark set 0", "return"),
            (f"add @{taken} {{ meta mark }}",),
        )
        yield from self._tree("try", min(self.total, SEARCH_LIMIT))

    def _choose_slot(self) -> Iterator[tuple[str, ...]]:
        """The first block that is not full: of as many as its protocol may use, the last one unasked."""
        for slot in range(1, self.slots):
            more = [word for word, most in self._slots_of() if most > slot]
            last = [word for word, most in self._slots_of() if most == slot]
            count = f"{{ meta l4proto . ip saddr ct count {self.claim.stock.block_size} }}"
            go = f"goto {self.slot_chain(slot)}"
            if more:
                yield f"meta l4proto {one_of(more)}", f"add @full{slot}_{self.pool.name} {count}", go
            if last:
                yield f"meta l4proto {one_of(last)}", go
            if slot == 1:
                yield f"meta l4proto != {one_of(('tcp', 'udp', 'icmp'))}", go
        yield (f"goto {self.slot_chain(self.slots)}",)

    def _tree(self, word: str, looks: int) -> Iterator[Chain]:
        size = 1
        while size < looks:
            inner, size = size, size * SEARCH_FACTOR
            look: list[tuple[str, ...]] = [(f"jump {word}{inner}_{self.pool.name}",)]
            if word == "try":
                look.append(("meta mark != 0", "return"))
            yield self.chain(f"{word}{size}_{self.pool.name}", *(look * SEARCH_FACTOR))

    def _searches(self) -> list[tuple[str, ...]]:
        """One shallow search, then a deep one where there is more to look at."""
        pool = self.pool.name
        if self.total <= 1:
            return [(f"jump try1_{pool}",)]
        sizes = [SEARCH_FACTOR**n for n in range(1, 5) if SEARCH_FACTOR ** (n - 1) < self.total]
        shallow = min(SHALLOW_SEARCH, sizes[-1])
        found: list[tuple[str, ...]] = [(f"jump try{shallow}_{pool}",)]
        if sizes[-1] > shallow:
            gate = "meta mark 0 limit rate 50/second burst 50 packets"
            found.append((gate, f"jump try{sizes[-1]}_{pool}"))
        return found

    def _slot(self, slot: int) -> Iterator[Chain]:
        """Use the slot's block; make one if there is none."""
        pool, assigned = self.pool.name, self.assigned(slot)
        known = f"meta mark set ip saddr map @{assigned} goto known{slot}_{pool}"
        once = "limit rate 1/week burst 1 packets"
        yield self.chain(
            self.slot_chain(slot),
            (known,),
            (f"add @asking{slot}_{pool} {{ ip saddr {once} }} goto search{slot}_{pool}",),
            (f"jump wait{slot}x{WAIT_LOOKS}_{pool}",),
            (f"counter name {names.pool_counter(pool, 'waiting')} drop",),
        )
        refresh: list[tuple[str, ...]] = [
            (f"update @{assigned} {{ ip saddr : meta mark }}",),
            (f"update @{self.named('taken')} {{ meta mark }}",),
        ]
        if self.pool.can_be_reached:
            refresh.append((f"update @{self.named('owners')} {{ meta mark : ip saddr }}",))
        yield self.chain(f"known{slot}_{pool}", *refresh, (f"goto use_{pool}",))
        exhausted = names.pool_counter(pool, "exhausted")
        yield self.chain(
            f"search{slot}_{pool}",
            (known,),
            ("meta mark set 0",),
            *self._searches(),
            ("meta mark 0", f"counter name {exhausted} drop"),
            *refresh,
            (f"counter name {names.pool_counter(pool, 'assigned')}",),
            *self._log(),
            (f"goto use_{pool}",),
        )
        yield self.chain(f"wait{slot}x1_{pool}", (known,))
        yield from self._tree(f"wait{slot}x", WAIT_LOOKS)

    def _slots_of(self) -> tuple[tuple[str, int], ...]:
        """How many blocks each protocol may use."""
        size, claim = self.claim.stock.block_size, self.claim
        icmp = min(self.slots, -(-claim.pool.limits.portlimit_icmp // size))
        return ("tcp", claim.tcp // size), ("udp", claim.udp // size), ("icmp", icmp)

    def _log(self) -> list[tuple[str, ...]]:
        if not self.pool.connection_logging:
            return []
        return [(f'log prefix "nfcompile assign {self.pool.name} " group {names.LOG_GROUP}',)]

    def _use(self) -> Iterator[tuple[str, ...]]:
        """Translate by the number in the packet mark."""
        choice = " random" if self.pool.randomize_ports else ""
        if self.claim.stock.ports is not None:
            yield (
                "meta l4proto { tcp, udp, icmp }",
                f"snat ip to meta mark map @{self.named('blocks')}{choice}",
            )
        yield (f"snat to meta mark map @{self.named('addresses')}",)
        yield (f"counter name {names.dropped(self.pool.name)} drop",)
