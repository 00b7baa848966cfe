"""The search for a free number of a dynamic pool, in the kernel alone.

nft has no loops: a chain that jumps eight times to a chain that jumps eight times ... looks 8^n times at
most, and returns from all of them as soon as a number is found. Which of two CPUs gets a number is decided
by the token of a short-lived set element (`limit rate 1/week burst 1`): an insert and a token bucket are
atomic, a look-up followed by an add is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Name
from nfcompile.emit.expressions import Bitwise, Numgen
from nfcompile.emit.statements import (
    META_MARK,
    ONCE,
    RETURN,
    Limit,
    Match,
    add,
    goto,
    jump,
    lookup,
    match,
    set_mark,
    unlike,
)
from nfcompile.lower import names
from nfcompile.lower.numbering import has_turns
from nfcompile.lower.packet_marks import FOUND, NUMBERS, TURNS
from nfcompile.lower.part import Statements, chain_of
from nfcompile.model.site import Pool

DEEP = Limit(50, "second", 50)
FACTOR = 8
MOST = 4096
"""A search looks at this many numbers at most; deep ones are limited to 50 a second."""
SHALLOW = 64


class Search(NamedTuple):
    """One way of looking: `found` and `missing` are the tests of the packet mark after a look."""

    word: str
    looks: int
    found: Match
    missing: Match


def anywhere(allocation: PoolAllocation) -> Search:
    """For a subscriber without a block: the next turn, and the one after it. The mark is 0 or the number."""
    return Search("try", allocation.stock.capacity, unlike(META_MARK, 0), match(META_MARK, 0))


def same_address(allocation: PoolAllocation) -> Search:
    """For a further block: along the address of the number in the mark, never beyond it (RFC 7857 section 4).
    What is found has FOUND set; the last number seen stays in the mark where nothing is."""
    flag = Bitwise(META_MARK, FOUND)
    return Search("walk", allocation.stock.blocks_per_address, unlike(flag, 0), match(flag, 0))


def search_chains(allocation: PoolAllocation) -> Iterator[Chain]:
    """The chains of both searches, the second one only where there are further blocks."""
    yield from _anywhere(allocation)
    if allocation.blocks_each > 1:
        yield from _same_address(allocation)


def searches(pool: Pool, search: Search) -> list[Statements]:
    """One shallow search, then a deep one where there is more to look at."""
    if search.looks <= 1:
        return [(jump(_look(search.word, 1, pool)),)]
    sizes = [FACTOR**n for n in range(1, 5) if FACTOR ** (n - 1) < search.looks]
    shallow = min(SHALLOW, sizes[-1])
    rules: list[Statements] = [(jump(_look(search.word, shallow, pool)),)]
    if sizes[-1] > shallow:
        rules.append((search.missing, DEEP, jump(_look(search.word, sizes[-1], pool))))
    return rules


def tree(pool: Pool, word: str, looks: int, done: Match | None = None) -> Iterator[Chain]:
    """Chains that go through `<word>1` so many times at most, or until a test holds."""
    size = 1
    while size < looks:
        inner, size = size, size * FACTOR
        look: list[Statements] = [(jump(_look(word, inner, pool)),)]
        if done:
            look.append((done, RETURN))
        yield chain_of(pool, _look(word, size, pool), *(look * FACTOR))


def _look(word: str, looks: int, pool: Pool) -> Name:
    """The chain that looks so many times at most."""
    return names.allocator(f"{word}{looks}", pool.name)


def _claim(pool: Pool, take: str) -> Statements:
    free = unlike(META_MARK, names.taken(pool.name))
    token = add(names.claimed(pool.name), META_MARK, ONCE)
    return free, token, goto(names.allocator(take, pool.name))


def _anywhere(allocation: PoolAllocation) -> Iterator[Chain]:
    pool, search = allocation.pool, anywhere(allocation)
    turns = has_turns(allocation)
    first = TURNS if turns else NUMBERS
    draw: list[Statements] = [(set_mark(Numgen("inc", search.looks, first)),)]
    if turns:
        draw.append((set_mark(lookup(META_MARK, names.turns(pool.name))),))
    taken = names.taken(pool.name)
    yield chain_of(
        pool,
        _look(search.word, 1, pool),
        (search.found, RETURN),
        *draw,
        _claim(pool, "take"),
        (set_mark(0),),
    )
    yield chain_of(
        pool,
        names.allocator("take", pool.name),
        (match(META_MARK, taken), set_mark(0), RETURN),
        (add(taken, META_MARK),),
    )
    yield from tree(pool, search.word, min(search.looks, MOST), search.found)


def _same_address(allocation: PoolAllocation) -> Iterator[Chain]:
    pool, search = allocation.pool, same_address(allocation)
    taken = names.taken(pool.name)
    yield chain_of(
        pool,
        _look(search.word, 1, pool),
        (set_mark(lookup(META_MARK, names.following(pool.name))),),
        _claim(pool, "keep"),
    )
    yield chain_of(
        pool,
        names.allocator("keep", pool.name),
        (match(META_MARK, taken), RETURN),
        (add(taken, META_MARK),),
        (set_mark(Bitwise(META_MARK, bits=FOUND)),),
    )
    yield from tree(pool, search.word, min(search.looks, MOST), search.found)
