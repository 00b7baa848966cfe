"""The search for a free number of a dynamic pool, in the kernel alone.

The addresses take turns, so that all fill equally. On an address the search begins at a random block; the
next one differs from it in one bit, in the order of a Gray code, so that each block is looked at once. nft
has no loops, and chains may not be nested deeply: `look8` is `look1` eight times, with a bit turned over
between two of them, `look64` that eight times with further bits, and so on.
Which of two CPUs gets a number is decided by the token of a short-lived set element (`limit rate 1/week burst
1`): an insert and a token bucket are atomic, a look-up followed by an add is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.numbering import FIRST_NUMBER, Numbering
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
    match,
    set_mark,
    unlike,
)
from nfcompile.lower import names
from nfcompile.lower.packet_marks import FOUND, NUMBERS_LAST
from nfcompile.lower.part import Statements, chain_of
from nfcompile.model.ranges import Range
from nfcompile.model.site import Pool

DEEP = Limit(50, "second", 50)
FACTOR = 8
MOST = 4096
"""A search looks at this many numbers at most; deep ones are limited to 50 a second."""
SHALLOW = 64
FLAG = Bitwise(META_MARK, FOUND)
FOUND_ONE, FOUND_NONE = unlike(FLAG, 0), match(FLAG, 0)
TAKE_FLAG_OFF = set_mark(Bitwise(META_MARK, FOUND - 1))


class Depth:
    """How much a search looks at: blocks on an address, and addresses; powers of two and of FACTOR."""

    def __init__(self, allocation: PoolAllocation, most: int) -> None:
        blocks = 1 << Numbering(allocation.stock).block_bits
        self.blocks = min(blocks, most)
        wanted = min(allocation.stock.addresses, most // self.blocks)
        self.addresses = 1
        while self.addresses < wanted:
            self.addresses *= FACTOR


def anywhere(allocation: PoolAllocation) -> list[Statements]:
    """For a subscriber without a block: a few looks, then many where there is more to look at."""
    pool, shallow, deep = allocation.pool, Depth(allocation, SHALLOW), Depth(allocation, MOST)
    rules: list[Statements] = [(jump(_turn(pool, shallow, shallow.addresses)),)]
    if (deep.blocks, deep.addresses) != (shallow.blocks, shallow.addresses):
        rules.append((FOUND_NONE, DEEP, jump(_turn(pool, deep, deep.addresses))))
    return rules


def same_address(allocation: PoolAllocation) -> list[Statements]:
    """For a further block: on the address of the number in the mark, never beyond it (RFC 7857 section 4)."""
    pool, shallow, deep = allocation.pool, Depth(allocation, SHALLOW), Depth(allocation, MOST)
    rules: list[Statements] = []
    if Numbering(allocation.stock).block_bits:
        rules.append((jump(names.allocator("scatter", pool.name)),))
    rules.append((jump(_look(pool, shallow.blocks)),))
    if deep.blocks > shallow.blocks:
        rules.append((FOUND_NONE, DEEP, jump(_look(pool, deep.blocks))))
    return rules


def search_chains(allocation: PoolAllocation) -> Iterator[Chain]:
    """All chains of the search. What is found has FOUND set beside its number."""
    pool, numbering = allocation.pool, Numbering(allocation.stock)
    shallow, deep = Depth(allocation, SHALLOW), Depth(allocation, MOST)
    yield from _looks(pool, numbering, deep.blocks)
    if numbering.block_bits:
        clear = (set_mark(Bitwise(META_MARK, 0xFFFFFFFF & ~numbering.block_mask)),)
        bits = (1 << bit for bit in range(numbering.shift, numbering.shift + numbering.block_bits))
        coins = ((match(Numgen("random", 2), 0), set_mark(Bitwise(META_MARK, bits=bit))) for bit in bits)
        yield chain_of(pool, names.allocator("scatter", pool.name), clear, *coins)
    for depth in {(one.blocks): one for one in (shallow, deep)}.values():
        draw = set_mark(Numgen("inc", allocation.stock.addresses, FIRST_NUMBER))
        scatter = [(jump(names.allocator("scatter", pool.name)),)] if numbering.block_bits else []
        look = (jump(_look(pool, depth.blocks)),)
        yield chain_of(pool, _turn(pool, depth, 1), (draw,), *scatter, look)
        yield from tree(pool, _word(depth), depth.addresses, FOUND_ONE)


def _looks(pool: Pool, numbering: Numbering, most: int) -> Iterator[Chain]:
    taken, keep = names.taken(pool.name), names.allocator("keep", pool.name)
    rules: list[Statements] = []
    if numbering.each < 1 << numbering.block_bits:
        beyond = FIRST_NUMBER + (numbering.each << numbering.shift)
        rules.append((match(META_MARK, Range(beyond, NUMBERS_LAST)), RETURN))
    free, token = unlike(META_MARK, taken), add(names.claimed(pool.name), META_MARK, ONCE)
    yield chain_of(pool, _look(pool, 1), *rules, (free, token, goto(keep)))
    found = set_mark(Bitwise(META_MARK, bits=FOUND))
    yield chain_of(pool, keep, (match(META_MARK, taken), RETURN), (add(taken, META_MARK),), (found,))
    size, bit = 1, 1 << numbering.shift
    while size < most:
        inner, factor = (jump(_look(pool, size)),), min(FACTOR, most // size)
        walk: list[Statements] = [inner]
        for step in range(1, factor):
            turned = set_mark(Bitwise(META_MARK, xor=bit * (step & -step)))
            walk += (FOUND_ONE, RETURN), (turned,), inner
        size, bit = size * factor, bit * factor
        yield chain_of(pool, _look(pool, size), *walk)


def tree(pool: Pool, word: str, looks: int, done: Match | None = None) -> Iterator[Chain]:
    """Chains that go through `<word>1` so many times at most, or until a test holds."""
    size = 1
    while size < looks:
        inner, size = size, size * FACTOR
        look: list[Statements] = [(jump(names.allocator(f"{word}{inner}", pool.name)),)]
        if done:
            look.append((done, RETURN))
        yield chain_of(pool, names.allocator(f"{word}{size}", pool.name), *(look * FACTOR))


def _look(pool: Pool, blocks: int) -> Name:
    """The chain that looks at so many blocks of an address at most."""
    return names.allocator(f"look{blocks}", pool.name)


def _word(depth: Depth) -> str:
    return f"turn{depth.blocks}x"


def _turn(pool: Pool, depth: Depth, addresses: int) -> Name:
    """The chain that looks at so many addresses, one after the other."""
    return names.allocator(f"{_word(depth)}{addresses}", pool.name)
