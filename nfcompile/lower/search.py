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
from nfcompile.emit import Chain
from nfcompile.lower.numbering import has_turns
from nfcompile.lower.packet_marks import FOUND, NUMBERS, TURNS
from nfcompile.lower.part import pool_chain, pool_rule
from nfcompile.model.site import Pool

Phrases = tuple[str, ...]

ONCE = "limit rate 1/week burst 1 packets"
FACTOR = 8
MOST = 4096
"""A search looks at this many numbers at most; deep ones are limited to 50 a second."""
SHALLOW = 64


class Search(NamedTuple):
    """One way of looking: `found` and `missing` are the tests of the packet mark after a look."""

    word: str
    looks: int
    found: str
    missing: str


def anywhere(allocation: PoolAllocation) -> Search:
    """For a subscriber without a block: the next turn, and the one after it. The mark is 0 or the number."""
    return Search("try", allocation.stock.capacity, "meta mark != 0", "meta mark 0")


def same_address(allocation: PoolAllocation) -> Search:
    """For a further block: along the address of the number in the mark, never beyond it (RFC 7857 section 4).
    What is found has FOUND set; the last number seen stays in the mark where nothing is."""
    flag = f"meta mark & 0x{FOUND:x}"
    return Search("walk", allocation.stock.blocks_per_address, f"{flag} != 0", f"{flag} == 0")


def search_chains(allocation: PoolAllocation) -> Iterator[Chain]:
    """The chains of both searches, the second one only where there are further blocks."""
    yield from _anywhere(allocation)
    if allocation.blocks_each > 1:
        yield from _same_address(allocation)


def searches(pool: Pool, search: Search) -> list[Phrases]:
    """One shallow search, then a deep one where there is more to look at."""
    if search.looks <= 1:
        return [(f"jump {search.word}1_{pool.name}",)]
    sizes = [FACTOR**n for n in range(1, 5) if FACTOR ** (n - 1) < search.looks]
    shallow = min(SHALLOW, sizes[-1])
    rules: list[Phrases] = [(f"jump {search.word}{shallow}_{pool.name}",)]
    if sizes[-1] > shallow:
        gate = f"{search.missing} limit rate 50/second burst 50 packets"
        rules.append((gate, f"jump {search.word}{sizes[-1]}_{pool.name}"))
    return rules


def tree(pool: Pool, word: str, looks: int, done: str = "") -> Iterator[Chain]:
    """Chains that go through `<word>1` so many times at most, or until a test holds."""
    size = 1
    while size < looks:
        inner, size = size, size * FACTOR
        look: list[Phrases] = [(f"jump {word}{inner}_{pool.name}",)]
        if done:
            look.append((done, "return"))
        yield phrases_chain(pool, f"{word}{size}_{pool.name}", *(look * FACTOR))


def phrases_chain(pool: Pool, name: str, *rules: Phrases) -> Chain:
    """A chain of a pool from the phrases of its rules."""
    return pool_chain(pool, name, *(pool_rule(pool, *phrases) for phrases in rules))


def _claim(pool: Pool, take: str) -> Phrases:
    token = f"add @claimed_{pool.name} {{ meta mark {ONCE} }}"
    return (f"meta mark != @taken_{pool.name} {token} goto {take}_{pool.name}",)


def _anywhere(allocation: PoolAllocation) -> Iterator[Chain]:
    pool, search = allocation.pool, anywhere(allocation)
    turns = has_turns(allocation)
    first = TURNS if turns else NUMBERS
    draw: list[Phrases] = [(f"meta mark set numgen inc mod {search.looks} offset 0x{first:x}",)]
    if turns:
        draw.append((f"meta mark set meta mark map @turns_{pool.name}",))
    yield phrases_chain(
        pool,
        f"try1_{pool.name}",
        (search.found, "return"),
        *draw,
        _claim(pool, "take"),
        ("meta mark set 0",),
    )
    yield phrases_chain(
        pool,
        f"take_{pool.name}",
        (f"meta mark @taken_{pool.name}", "meta mark set 0", "return"),
        (f"add @taken_{pool.name} {{ meta mark }}",),
    )
    yield from tree(pool, search.word, min(search.looks, MOST), search.found)


def _same_address(allocation: PoolAllocation) -> Iterator[Chain]:
    pool, search = allocation.pool, same_address(allocation)
    yield phrases_chain(
        pool,
        f"walk1_{pool.name}",
        (f"meta mark set meta mark map @next_{pool.name}",),
        _claim(pool, "keep"),
    )
    yield phrases_chain(
        pool,
        f"keep_{pool.name}",
        (f"meta mark @taken_{pool.name}", "return"),
        (f"add @taken_{pool.name} {{ meta mark }}",),
        (f"meta mark set meta mark | 0x{FOUND:x}",),
    )
    yield from tree(pool, search.word, min(search.looks, MOST), search.found)
