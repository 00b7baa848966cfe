"""First packets on two processors at once: a block, and a subscriber, is taken only once.

The checker is tried too: with each claim of the ruleset replaced by what one would write first, a look-up
and then an add, the same storm has to end in a fault. Where the window between the two is a few nanoseconds
it is widened with rules that match nothing, for both forms: what is exclusive stays so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.contended_pools import (
    ADDRESSES,
    BLOCKS_EACH,
    FIRST_PORT,
    SUBSCRIBERS,
    connections,
    counted,
    dynamic,
    elements,
    homes,
    replaced,
)
from support.frames import TCP, UDP, Packet
from support.lab import Lab
from support.two_processors import TURNS, Meeting, Processors, Storm, storm, summary


def without_claims(text: str) -> str:
    """A free number is looked up, then added: no claim between the two."""
    text = replaced(text, r"add @claimed_homes \{ meta mark limit rate [^}]*\} (goto keep_homes)", r"\1")
    return replaced(text, r"\t\tmeta mark @taken_homes return.*\n", "")


def without_asking(text: str) -> str:
    """A subscriber without a block searches one, whoever else does so for him."""
    return replaced(text, r"add @asking1_homes \{ ip saddr limit rate [^}]*\} (goto search1_homes)", r"\1")


def widened(text: str) -> str:
    """Every look at a number or a subscriber takes some microseconds until it is acted on."""
    idle = "\tchain idle {\n" + "\t\tip protocol 255 drop\n" * 100 + "\t}\n\n"
    wait = "\t\tjump idle\n" * 20
    for chain in ("keep_homes", "search1_homes"):
        text = replaced(text, rf"(\tchain {chain} \{{\n(?:\t\tcomment .*\n)?)", rf"\1{wait}")
    text = replaced(text, r"(\t\tadd @ontrial1_homes)", rf"{wait}\1")
    return replaced(text, r"(?m)^(\tchain)", rf"{idle}\1", 1)


def as_it_is(text: str) -> str:
    return text


class Faults(NamedTuple):
    """What must not be; all zero where allocation is exclusive."""

    shared_blocks: int
    numbers_of_two: int
    subscribers_of_two: int
    leaked_numbers: int
    elsewhere: int


def places(lab: Lab) -> dict[int, tuple[int, int]]:
    """The address and the first port of each number, by the two maps that the kernel has."""
    blocks = {
        bits: int(verdict["jump"]["target"].rpartition("_")[2].partition("-")[0])
        for bits, verdict in elements(lab, "map", "blocks_homes")
    }
    return {
        number | bits: (address(at), port)
        for number, at in elements(lab, "map", "addresses_homes")
        for bits, port in blocks.items()
    }


def faults(lab: Lab, seen: Storm, halves: Sequence[Sequence[Packet]]) -> tuple[Faults, dict[str, int]]:
    """What is wrong with the blocks of all who sent; and the numbers that the kernel has them under."""
    place = places(lab)
    assert min(place) > 0
    size = sorted({port for _, port in place.values()})[1] - FIRST_PORT
    assigned = dict(elements(lab, "map", "assigned1_homes") + elements(lab, "map", "ontrial1_homes"))
    taken = set(elements(lab, "set", "taken_homes"))
    blocks_of, homes_of = defaultdict(set), defaultdict(set)
    for packet in (p for half in halves for p in half if p.token in seen.ends):
        end, port = seen.ends[packet.token]
        block = end, port - (port - FIRST_PORT) % size
        blocks_of[packet.source].add(block)
        homes_of[block].add(packet.source)
    elsewhere = sum(
        found != {place[assigned[address_text(home)]]}
        for home, found in blocks_of.items()
        if address_text(home) in assigned and len(found) == 1
    )
    return Faults(
        sum(len(found) > 1 for found in homes_of.values()),
        len(assigned) - len(set(assigned.values())),
        sum(len(found) > 1 for found in blocks_of.values()),
        len(taken ^ set(assigned.values())),
        elsewhere + sum(address_text(home) not in assigned for home in blocks_of),
    ), assigned


def filled(lab: Lab, assigned: dict[str, int]) -> Counter[str]:
    """How many subscribers each global address has."""
    place = places(lab)
    return Counter(address_text(place[number][0]) for number in assigned.values())


def fill(
    lab: Lab,
    processors: Processors,
    text: str,
    seeds: tuple[int, int],
    protocol: int = UDP,
    tries: int = 30,
) -> Faults:
    """As many new subscribers as blocks, three connections of each on both processors; what is wrong then."""
    lab.load(text)
    processors.met = Meeting()
    halves = [
        connections(lab, homes(SUBSCRIBERS, seed), 3, port, protocol=protocol)
        for seed, port in zip(seeds, (5000, 6000), strict=True)
    ]
    seen = storm(processors, halves, tries)
    found, assigned = faults(lab, seen, halves)
    counters = {word: counted(lab, word) for word in ("assigned", "exhausted", "waiting")}
    each = sorted(set(filled(lab, assigned).values()))
    print(
        f"{summary(seen, halves)}, {len(assigned)} assigned, {each=}, {found}, {counters}, {processors.met}"
    )
    if not any(found):
        assert seen.lost == 0
        assert len(assigned) == counters["assigned"] == SUBSCRIBERS
        assert each == [BLOCKS_EACH]
    return found


NO_FAULTS = Faults(0, 0, 0, 0, 0)


@pytest.mark.parametrize("slowed", [as_it_is, widened])
@pytest.mark.parametrize("protocol", [UDP, TCP])
@pytest.mark.parametrize("seeds", [(1, 2), (3, 3)], ids=["other-order", "same-order"])
def test_every_subscriber_one_block(
    lab: Lab,
    processors: Processors,
    slowed: Callable[[str], str],
    protocol: int,
    seeds: tuple[int, int],
) -> None:
    """512 subscribers on 512 blocks, all of them new to both processors at once."""
    text = slowed(dynamic(ADDRESSES, BLOCKS_EACH))
    for _ in range(TURNS):
        assert fill(lab, processors, text, seeds, protocol) == NO_FAULTS
        if processors.met.together > processors.met.frames / 10:
            return
    raise AssertionError("the two did not run at the same time")


def test_the_storm_finds_two_searches_for_one_subscriber(lab: Lab, processors: Processors) -> None:
    """Without the claim of the subscriber, both processors take him a block and one is leaked."""
    text = without_asking(dynamic(ADDRESSES, BLOCKS_EACH))

    def found() -> bool:
        seen = fill(lab, processors, text, (4, 4), tries=2)
        return bool(seen.leaked_numbers and seen.subscribers_of_two)

    assert any(found() for _ in range(TURNS))


def test_half_a_pool_is_spread_equally(lab: Lab, processors: Processors) -> None:
    lab.load(dynamic(ADDRESSES, BLOCKS_EACH))
    everybody = homes(SUBSCRIBERS // 2, 5)
    halves = [connections(lab, everybody[side::2], 3, 5000) for side in (0, 1)]
    seen = storm(processors, halves)
    found, assigned = faults(lab, seen, halves)
    assert found == NO_FAULTS
    assert seen.lost == 0
    assert set(filled(lab, assigned).values()) == {BLOCKS_EACH // 2}


ROUNDS, FEW, MANY = 40, 9, 32


def scramble(lab: Lab, processors: Processors, text: str) -> Faults:
    """Again and again 32 new subscribers on 9 blocks: both processors look for the ninth at the same time.

    What has been assigned is forgotten between the rounds.
    """
    lab.load(text)
    processors.met = Meeting()
    total, served, lost = NO_FAULTS, Counter[int](), 0
    for number in range(ROUNDS):
        everybody = homes(MANY, number)
        far = f"198.18.{10 + number}.1"
        halves = [connections(lab, everybody[side::2], 2, 5000, far) for side in (0, 1)]
        seen = storm(processors, halves, 2)
        found, assigned = faults(lab, seen, halves)
        total = Faults(*map(sum, zip(total, found, strict=True)))
        served[len(assigned)] += 1
        lost += sum(p.token not in seen.ends for h in halves for p in h if address_text(p.source) in assigned)
        names = "set asking1", "set claimed", "set taken", "map assigned1", "map ontrial1"
        lines = [f"flush {name.replace(' ', ' ip nfcompile ')}_homes" for name in names]
        lab.reload("\n".join(lines))
    print(f"{ROUNDS} rounds, blocks in use {dict(served)}, {lost} lost, {total}, {processors.met}")
    if not any(total):
        assert served == {FEW: ROUNDS}
        assert lost == 0
    return total


@pytest.mark.parametrize("slowed", [as_it_is, widened])
def test_few_blocks_for_many(lab: Lab, processors: Processors, slowed: Callable[[str], str]) -> None:
    """Every block is used, and by one subscriber; the others are refused."""
    assert scramble(lab, processors, slowed(dynamic(3, FEW // 3))) == NO_FAULTS


def test_the_scramble_finds_a_shared_block(lab: Lab, processors: Processors) -> None:
    """Without the claim of the number, both processors take the same free one."""
    text = widened(without_claims(dynamic(3, FEW // 3)))

    def found() -> bool:
        seen = scramble(lab, processors, text)
        return bool(seen.shared_blocks and seen.numbers_of_two)

    assert any(found() for _ in range(TURNS))
