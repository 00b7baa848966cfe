"""Dynamic allocation in the kernel alone: blocks (cgnat) or addresses (nat) on demand, exclusive, sticky.

A subscriber's first packet takes a free block of the next address: the addresses take turns, so all fill
equally, and further blocks come from the address of the first. What is taken stays taken for `translation`
seconds after the subscriber's last packet, or as long as an idle connection lives, where that is longer: a
block is not assigned again while a connection of its last subscriber may still use it.

A look-up that misses ends its rule, which is how a map is asked whether it has a key: kernel 6.1 cannot look
up a map as a set.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as chained

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Counter, Map, Name, Object, Rule, Set
from nfcompile.emit.expressions import Numgen, Verdict
from nfcompile.emit.statements import (
    DROP,
    IP_DADDR,
    IP_SADDR,
    L4PROTO,
    META_MARK,
    ONCE,
    CtCount,
    Log,
    Nat,
    SetUpdate,
    add,
    concat,
    counter,
    goto,
    jump,
    lookup,
    match,
    set_mark,
    unlike,
    update,
)
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.exhaustion import no_room
from nfcompile.lower.nat import inbound_rule
from nfcompile.lower.numbered_ports import NumberedPorts, numbered_ports, ports_objects, tried
from nfcompile.lower.numbering import numbers, portless, translation
from nfcompile.lower.part import PoolPart, Statements, chain_of, pool_rule
from nfcompile.lower.search import (
    FOUND_NONE,
    TAKE_FLAG_OFF,
    anywhere,
    same_address,
    search_chains,
    tree,
)
from nfcompile.lower.trial import begins, moves, over_rate, stays, trial_objects, trial_seconds
from nfcompile.model.ranges import union

GRACE_SECONDS = 300
"""How much longer a number stays taken than its subscriber's entry."""
CLAIM_SECONDS = 10
WAIT_LOOKS = 512
"""How often a CPU looks for the entry that another one is just making for the same subscriber: as long as a
search takes in a pool that is nearly full (20 us)."""


def dynamic(context: Context, allocation: PoolAllocation) -> PoolPart:
    """The allocator of one pool."""
    pool, plan = allocation.pool, numbered_ports(allocation)
    inbound: tuple[Rule, ...] = ()
    if pool.can_be_reached:
        statement = Nat("dnat", lookup(IP_DADDR, names.owners(pool.name)))
        mine = match(IP_DADDR, *union(pool.global_ip))
        inbound = (inbound_rule(context, pool, mine, statement),)
    objects = tuple(
        chained(
            _state(context, allocation),
            numbers(allocation, plan is not None),
            () if plan is None else ports_objects(context, allocation, plan),
            search_chains(allocation),
            _chains(context, allocation, plan),
        )
    )
    return PoolPart(objects, (pool_rule(pool, goto(names.allocator("slots", pool.name))),), inbound)


def _state(context: Context, allocation: PoolAllocation) -> Iterator[Object]:
    """The sets and maps that the kernel fills, and the counters.

    The sizes are rounded, so that a few more addresses leave them, and what is in them, as they are.
    """
    pool, path, lifetime = allocation.pool, allocation.pool.path, allocation.pool.timeouts.longest
    name, address, mark = pool.name, ("ipv4_addr",), ("mark",)
    size = 2 << (allocation.stock.capacity - 1).bit_length()
    flags = ("dynamic", "timeout")
    for slot in range(1, allocation.blocks_each + 1):
        yield Map(names.assigned(slot, name), address, mark, path, (), flags, lifetime, size)
        yield Set(names.block_asking(slot, name), address, path, (), flags, 1, 65536)
        if allocation.blocks_each > 1:
            full = names.full(slot, name)
            yield Set(full, ("inet_proto", "ipv4_addr"), path, (), ("dynamic",), 0, 65536 * 3)
    yield Set(names.taken(name), mark, path, (), flags, lifetime + GRACE_SECONDS, size)
    yield Set(names.claimed(name), mark, path, (), flags, min(CLAIM_SECONDS, lifetime), size)
    if pool.can_be_reached:
        yield Map(names.owners(name), address, address, path, (), flags, lifetime, size)
    for word in ("assigned", "exhausted", "waiting"):
        yield Counter(names.pool_counter(name, word), path)
    yield from trial_objects(context, allocation, size)


def _chains(context: Context, allocation: PoolAllocation, plan: NumberedPorts | None) -> Iterator[Chain]:
    pool = allocation.pool
    if plan is not None:
        yield chain_of(pool, names.allocator("portless", pool.name), *portless(allocation))
    yield chain_of(pool, names.allocator("use", pool.name), *_use(allocation, plan))
    yield chain_of(pool, names.allocator("slots", pool.name), *_choose_slot(allocation))
    yield no_room(pool, names.allocator("exhausted", pool.name), names.pool_counter(pool.name, "exhausted"))
    for slot in range(1, allocation.blocks_each + 1):
        yield from _slot(context, allocation, slot)


def _choose_slot(allocation: PoolAllocation) -> Iterator[Statements]:
    """The first block that is not full, of as many as its protocol may use.

    A count holds all connections that have asked for a block, those too that found it full and took a later
    one. So where all seem full one is drawn; the kernel drops the packet if that one is full indeed.
    """
    name, slots, by_word = allocation.pool.name, allocation.blocks_each, allocation.protocol_blocks_each
    several = [word for word, most in by_word if most > 1]

    def go(slot: int) -> Verdict:
        return goto(names.allocator(f"slot{slot}", name))

    if not several:
        yield (go(1),)
        return
    yield unlike(L4PROTO, *several), go(1)
    for slot in range(1, slots + 1):
        words = [word for word, most in by_word if most >= max(slot, 2)]
        count = CtCount(allocation.stock.block_size)
        yield match(L4PROTO, *words), add(names.full(slot, name), concat(L4PROTO, IP_SADDR), count), go(slot)
    for last in sorted({most for _, most in by_word if most > 1}):
        protocol = match(L4PROTO, *(word for word, most in by_word if most == last))
        for slot in range(1, last):
            yield protocol, match(Numgen("random", last - slot + 1), 0), go(slot)
        yield protocol, go(last)


def _slot(context: Context, allocation: PoolAllocation, slot: int) -> Iterator[Chain]:
    """Use the slot's block; make one if there is none, beside the first one."""
    pool = allocation.pool
    name = pool.name

    def chain(word: str) -> Name:
        return names.allocator(word, name)

    def numbered(other: int, word: str) -> Statements:
        return set_mark(lookup(IP_SADDR, names.assigned(other, name))), goto(chain(f"{word}{slot}"))

    def tried(other: int, word: str) -> Statements:
        return set_mark(lookup(IP_SADDR, names.ontrial(other, name))), goto(chain(f"{word}{slot}"))

    trial = trial_seconds(context, pool) > 0
    known = [numbered(slot, "known"), *([tried(slot, "trial")] if trial else [])]
    refresh = (
        (update(names.assigned(slot, name), IP_SADDR, META_MARK),),
        (update(names.taken(name), META_MARK),),
    )
    exhausted, use = goto(chain("exhausted")), goto(chain("use"))
    yield chain_of(
        pool,
        chain(f"slot{slot}"),
        *known,
        (add(names.block_asking(slot, name), IP_SADDR, ONCE), goto(chain(f"search{slot}"))),
        (jump(chain(f"wait{slot}x{WAIT_LOOKS}")),),
        (counter(names.pool_counter(name, "waiting")), DROP),
    )
    yield chain_of(pool, chain(f"known{slot}"), *refresh, (use,))
    if trial and slot > 1:
        moved = *moves(pool, slot, IP_SADDR), goto(chain(f"known{slot}"))
        waiting = counter(names.pool_counter(name, "waiting")), DROP
        yield chain_of(pool, chain(f"moved{slot}"), moved, numbered(slot, "known"), waiting)
    if trial:
        first = [numbered(1, "moved")] if slot > 1 else []
        stay = stays(context, pool, slot, goto(chain(f"known{slot}")))
        yield chain_of(pool, chain(f"trial{slot}"), *first, *stay, (use,))
    # Who has found nothing gives the token back: the next packet searches anew, and does not wait in vain.
    give_back = SetUpdate("delete", names.block_asking(slot, name), IP_SADDR)
    word = "begin" if trial else "assign"
    none = FOUND_NONE, give_back, exhausted
    yield chain_of(
        pool,
        chain(f"search{slot}"),
        *known,
        *([numbered(1, "beside")] if slot > 1 else []),
        *([tried(1, "trialbeside")] if slot > 1 and trial else []),
        *over_rate(context, allocation, give_back),
        *anywhere(allocation),
        none,
        (TAKE_FLAG_OFF, goto(chain(f"{word}{slot}"))),
    )
    if slot > 1:
        beside = *same_address(allocation), none
        yield chain_of(pool, chain(f"beside{slot}"), *beside, (TAKE_FLAG_OFF, goto(chain(f"assign{slot}"))))
        if trial:
            rate = over_rate(context, allocation, give_back)
            begin = TAKE_FLAG_OFF, goto(chain(f"begin{slot}"))
            yield chain_of(pool, chain(f"trialbeside{slot}"), *rate, *beside, begin)
    counted = (counter(names.pool_counter(name, "assigned")),), *_log(allocation), (use,)
    if trial:
        yield chain_of(pool, chain(f"begin{slot}"), *begins(context, pool, slot), *counted)
    if slot > 1 or not trial:
        yield chain_of(pool, chain(f"assign{slot}"), *refresh, *counted)
    yield chain_of(pool, chain(f"wait{slot}x1"), *known)
    yield from tree(pool, f"wait{slot}x", WAIT_LOOKS)


def _log(allocation: PoolAllocation) -> list[Statements]:
    if not allocation.pool.connection_logging:
        return []
    return [(Log(f"nfcompile assign {allocation.pool.name} ", names.LOG_GROUP),)]


def _use(allocation: PoolAllocation, plan: NumberedPorts | None) -> Iterator[Statements]:
    """Translate by the number in the packet mark; ports that are computed are claimed first."""
    yield from translation(allocation, plan is not None)
    if plan is not None:
        yield from tried(allocation, plan)
