"""Dynamic allocation in the kernel alone: blocks (cgnat) or addresses (nat) on demand, exclusive, sticky.

A subscriber's first packet takes the next free number, in turns, so all addresses fill equally; further
blocks come from the address of the first. What is taken stays taken for `translation` seconds after the
subscriber's last packet, or as long as an idle connection lives, where that is longer: nobody may get a block
from which another one's connection may still speak.

A look-up that misses ends its rule, which is how a map is asked whether it has a key: kernel 6.1 cannot look
up a map as a set.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as chained

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Counter, Map, Rule, Set
from nfcompile.emit.objects import Object
from nfcompile.emit.words import one_of
from nfcompile.lower import names
from nfcompile.lower.exhaustion import no_room
from nfcompile.lower.gate import Gate
from nfcompile.lower.nat import inbound_rule
from nfcompile.lower.numbering import numbers
from nfcompile.lower.packet_marks import FOUND
from nfcompile.lower.part import Part, pool_rule
from nfcompile.lower.search import (
    ONCE,
    Phrases,
    anywhere,
    phrases_chain,
    same_address,
    search_chains,
    searches,
    tree,
)

GRACE_SECONDS = 300
"""How much longer a number stays taken than its subscriber's entry."""
CLAIM_SECONDS = 10
WAIT_LOOKS = 64
"""How often a CPU looks for the entry that another one is just making for the same subscriber (3 us)."""


def dynamic(gate: Gate, allocation: PoolAllocation) -> Part:
    """The allocator of one pool."""
    pool = allocation.pool
    inbound: tuple[Rule, ...] = ()
    if pool.can_be_reached:
        inbound = (inbound_rule(gate, pool, f"dnat ip to ip daddr map @owners_{pool.name}"),)
    objects = tuple(
        chained(_state(allocation), numbers(allocation), search_chains(allocation), _chains(allocation))
    )
    return Part(objects, (pool_rule(pool, f"goto slots_{pool.name}"),), inbound)


def _state(allocation: PoolAllocation) -> Iterator[Object]:
    """The sets and maps that the kernel fills, and the counters.

    The sizes are rounded, so that a few more addresses leave them, and what is in them, as they are.
    """
    pool, path, lifetime = allocation.pool, allocation.pool.path, allocation.pool.timeouts.longest
    size = 2 << (allocation.stock.capacity - 1).bit_length()
    flags = ("dynamic", "timeout")
    for slot in range(1, allocation.blocks_each + 1):
        yield Map(f"assigned{slot}_{pool.name}", "ipv4_addr", "mark", path, (), flags, lifetime, size)
        yield Set(f"asking{slot}_{pool.name}", "ipv4_addr", path, (), flags, 1, 65536)
        if allocation.blocks_each > 1:
            full = f"full{slot}_{pool.name}"
            yield Set(full, "inet_proto . ipv4_addr", path, (), ("dynamic",), 0, 65536 * 3)
    yield Set(f"taken_{pool.name}", "mark", path, (), flags, lifetime + GRACE_SECONDS, size)
    yield Set(f"claimed_{pool.name}", "mark", path, (), flags, min(CLAIM_SECONDS, lifetime), size)
    if pool.can_be_reached:
        yield Map(f"owners_{pool.name}", "ipv4_addr", "ipv4_addr", path, (), flags, lifetime, size)
    for word in ("assigned", "exhausted", "waiting"):
        yield Counter(names.pool_counter(pool.name, word), path)


def _chains(allocation: PoolAllocation) -> Iterator[Chain]:
    pool = allocation.pool
    yield phrases_chain(pool, f"use_{pool.name}", *_use(allocation))
    yield phrases_chain(pool, f"slots_{pool.name}", *_choose_slot(allocation))
    yield no_room(pool, f"exhausted_{pool.name}", names.pool_counter(pool.name, "exhausted"))
    for slot in range(1, allocation.blocks_each + 1):
        yield from _slot(allocation, slot)


def _choose_slot(allocation: PoolAllocation) -> Iterator[Phrases]:
    """The first block that is not full, of as many as its protocol may use.

    A count holds all connections that have asked for a block, those too that found it full and took a later
    one. So where all seem full one is drawn; the kernel drops the packet if that one is full indeed.
    """
    name, slots, by_word = allocation.pool.name, allocation.blocks_each, allocation.protocol_blocks_each
    several = [word for word, most in by_word if most > 1]
    if not several:
        yield (f"goto slot1_{name}",)
        return
    yield f"meta l4proto != {one_of(several)}", f"goto slot1_{name}"
    for slot in range(1, slots + 1):
        words = [word for word, most in by_word if most >= max(slot, 2)]
        count = f"{{ meta l4proto . ip saddr ct count {allocation.stock.block_size} }}"
        yield f"meta l4proto {one_of(words)}", f"add @full{slot}_{name} {count}", f"goto slot{slot}_{name}"
    for last in sorted({most for _, most in by_word if most > 1}):
        match = f"meta l4proto {one_of([word for word, most in by_word if most == last])}"
        for slot in range(1, last):
            yield match, f"numgen random mod {last - slot + 1} 0", f"goto slot{slot}_{name}"
        yield match, f"goto slot{last}_{name}"


def _slot(allocation: PoolAllocation, slot: int) -> Iterator[Chain]:
    """Use the slot's block; make one if there is none, beside the first one."""
    pool = allocation.pool
    name = pool.name
    known = f"meta mark set ip saddr map @assigned{slot}_{name} goto known{slot}_{name}"
    refresh = (
        (f"update @assigned{slot}_{name} {{ ip saddr : meta mark }}",),
        (f"update @taken_{name} {{ meta mark }}",),
    )
    exhausted = (f"goto exhausted_{name}",)
    yield phrases_chain(
        pool,
        f"slot{slot}_{name}",
        (known,),
        (f"add @asking{slot}_{name} {{ ip saddr {ONCE} }} goto search{slot}_{name}",),
        (f"jump wait{slot}x{WAIT_LOOKS}_{name}",),
        (f"counter name {names.pool_counter(name, 'waiting')} drop",),
    )
    yield phrases_chain(pool, f"known{slot}_{name}", *refresh, (f"goto use_{name}",))
    search, walk = anywhere(allocation), same_address(allocation)
    beside = f"meta mark set ip saddr map @assigned1_{name} goto beside{slot}_{name}"
    yield phrases_chain(
        pool,
        f"search{slot}_{name}",
        (known,),
        *([(beside,)] if slot > 1 else []),
        ("meta mark set 0",),
        *searches(pool, search),
        (search.missing, *exhausted),
        (f"goto assign{slot}_{name}",),
    )
    if slot > 1:
        yield phrases_chain(
            pool,
            f"beside{slot}_{name}",
            *searches(pool, walk),
            (walk.missing, *exhausted),
            (f"meta mark set meta mark & 0x{FOUND - 1:x}",),
            (f"goto assign{slot}_{name}",),
        )
    yield phrases_chain(
        pool,
        f"assign{slot}_{name}",
        *refresh,
        (f"counter name {names.pool_counter(name, 'assigned')}",),
        *_log(allocation),
        (f"goto use_{name}",),
    )
    yield phrases_chain(pool, f"wait{slot}x1_{name}", (known,))
    yield from tree(pool, f"wait{slot}x", WAIT_LOOKS)


def _log(allocation: PoolAllocation) -> list[Phrases]:
    if not allocation.pool.connection_logging:
        return []
    return [(f'log prefix "nfcompile assign {allocation.pool.name} " group {names.LOG_GROUP}',)]


def _use(allocation: PoolAllocation) -> Iterator[Phrases]:
    """Translate by the number in the packet mark."""
    name = allocation.pool.name
    choice = " random" if allocation.pool.randomize_ports else ""
    if allocation.stock.ports is not None:
        yield "meta l4proto { tcp, udp, icmp }", f"snat ip to meta mark map @blocks_{name}{choice}"
    yield (f"snat ip to meta mark map @addresses_{name}",)
    yield (f"counter name {names.dropped(name)} drop",)
