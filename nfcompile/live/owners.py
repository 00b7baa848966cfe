"""The owners of dynamic blocks as the kernel has them now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from nfcompile.allocation.mappings import Holding
from nfcompile.allocation.numbering import FIRST_NUMBER
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.kernel import NOT_LOADED, KernelError, elements, netns, nft, one_element
from nfcompile.lower import names
from nfcompile.lower.numbering import looked_up
from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from nfcompile.records.lookup_at import HeldNumber, KnownSite


class KernelOwners:
    """Asks for single elements. Only the owner of a cgnat block takes a listing: there is no map from block
    to subscriber."""

    __slots__ = ("_netns",)

    def __init__(self, namespace: str | None) -> None:
        self._netns = namespace
        if not netns.inside(namespace, nft.has_table):
            raise KernelError(NOT_LOADED)

    def owners(
        self, known: KnownSite, allocation: PoolAllocation, numbers: list[int], at: str
    ) -> list[HeldNumber]:
        """The holders of these numbers now; `at` is ignored."""
        self._agree(known, allocation, numbers[0])
        found = netns.inside(self._netns, lambda: _subscribers(known, allocation, numbers))
        return [HeldNumber(address(subscriber), number) for number, subscriber in found]

    def owned(
        self, known: KnownSite, allocation: PoolAllocation, subscriber: int, at: str
    ) -> list[HeldNumber]:
        """The numbers that a subscriber holds now."""

        def ask() -> list[str | None]:
            text = address_text(subscriber)
            return [one_element.element(name, text) for _, name in _maps(allocation)]

        said = netns.inside(self._netns, ask)
        found = list(dict.fromkeys(int(one, 16) for one in said if one is not None))
        for number in found:
            self._agree(known, allocation, number)
        return [HeldNumber(subscriber, number) for number in found]

    def holdings(self, known: KnownSite) -> dict[str, list[Holding]]:
        """The blocks of all subscribers by pools: lists the assignments of all dynamic pools."""

        def ask() -> dict[str, list[Holding]]:
            return {allocation.pool.name: list(_holdings(known, allocation)) for allocation in known.dynamic}

        return netns.inside(self._netns, ask)

    def on_trial(self, known: KnownSite) -> dict[str, set[int]]:
        """The subscribers whose assignment nothing has answered, by pools."""
        found: dict[str, set[int]] = {}
        for one in known.dynamic:
            slots = range(1, one.blocks_each + 1)
            keys = [f"map {names.ontrial(slot, one.pool.name)}" for slot in slots]
            listed = netns.inside(self._netns, partial(elements.listed, keys))
            found[one.pool.name] = {address(member) for some in listed.values() for member in some}
        return found

    def _agree(self, known: KnownSite, allocation: PoolAllocation, number: int) -> None:
        """The live table must be that of the site, or its numbers mean something else."""
        wanted = looked_up(allocation, number)

        def ask() -> bool:
            return all(one_element.element(name, _mark(key)) == data for name, key, data in wanted)

        if not wanted or not netns.inside(self._netns, ask):
            raise _differs(allocation)


def _mark(number: int) -> str:
    return f"0x{number:08x}"


def _differs(allocation: PoolAllocation) -> KernelError:
    return KernelError(f"the live table is not that of the site: pool '{allocation.pool.name}' differs")


def _holdings(known: KnownSite, allocation: PoolAllocation) -> Iterator[Holding]:
    """What is assigned, in the kernel's own words for what a number stands for."""
    try:
        first = looked_up(allocation, FIRST_NUMBER)
        said = {name: dict(elements.every(name)) for name, _, _ in first}
        listed = _assigned(allocation)
    except KernelError:
        raise _differs(allocation) from None
    for (slot, subscriber), number in sorted(listed.items(), key=lambda one: one[0][0]):
        block, wanted = known.block(allocation, int(number, 16)), looked_up(allocation, int(number, 16))
        if block is None or any(said[name].get(_mark(key)) != data for name, key, data in wanted):
            raise _differs(allocation)
        yield Holding(address(subscriber), slot, block)


def _maps(allocation: PoolAllocation) -> list[tuple[int, str]]:
    """The slots and maps of a pool's assignments."""
    slots, pool = range(1, allocation.blocks_each + 1), allocation.pool.name
    return [(slot, str(name)) for slot in slots for name in names.assignments(slot, pool)]


def _assigned(allocation: PoolAllocation) -> dict[tuple[int, str], str]:
    """Slot and subscriber -> number, of all that is assigned. KernelError where the pool has no maps."""
    maps = _maps(allocation)
    listed = elements.listed(f"map {name}" for _, name in maps)
    if f"map {names.assigned(1, allocation.pool.name)}" not in listed:
        raise _differs(allocation)
    found = ((slot, listed.get(f"map {name}", {})) for slot, name in maps)
    return {(slot, subscriber): number for slot, held in found for subscriber, number in held.items()}


def _subscribers(known: KnownSite, allocation: PoolAllocation, numbers: list[int]) -> list[tuple[int, str]]:
    """Numbers that are taken, each with its subscriber."""
    pool = allocation.pool.name
    if allocation.pool.can_be_reached:
        ends = ((number, known.block(allocation, number)) for number in numbers)
        asked = (
            (n, one_element.element(f"owners_{pool}", address_text(end.address))) for n, end in ends if end
        )
        return [(number, subscriber) for number, subscriber in asked if subscriber is not None]
    wanted = set(numbers)
    listed = ((int(data, 16), subscriber) for (_, subscriber), data in _assigned(allocation).items())
    return sorted(one for one in listed if one[0] in wanted)
