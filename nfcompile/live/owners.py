"""The owners of dynamic blocks as the kernel has them now."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.mappings import Holding
from nfcompile.allocation.numbering import FIRST_NUMBER
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.kernel import NOT_LOADED, KernelError, elements, netns, nft
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
            slots = range(1, allocation.blocks_each + 1)
            text = address_text(subscriber)
            return [nft.element(f"assigned{slot}_{allocation.pool.name}", text) for slot in slots]

        found = [int(one, 16) for one in netns.inside(self._netns, ask) if one is not None]
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
        keys = {one.pool.name: f"set {names.ontrial(one.pool.name)}" for one in known.dynamic}
        found = netns.inside(self._netns, lambda: elements.listed(keys.values()))
        return {pool: {address(one) for one in found.get(key, {})} for pool, key in keys.items()}

    def _agree(self, known: KnownSite, allocation: PoolAllocation, number: int) -> None:
        """The live table must be that of the site, or its numbers mean something else."""
        wanted = looked_up(allocation, number)

        def ask() -> bool:
            return all(nft.element(name, _mark(key)) == data for name, key, data in wanted)

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
        slots = [
            [*elements.every(f"assigned{n}_{allocation.pool.name}")]
            for n in range(1, allocation.blocks_each + 1)
        ]
    except KernelError:
        raise _differs(allocation) from None
    for slot, assigned in enumerate(slots, 1):
        for subscriber, number in assigned:
            block, wanted = known.block(allocation, int(number, 16)), looked_up(allocation, int(number, 16))
            if block is None or any(said[name].get(_mark(key)) != data for name, key, data in wanted):
                raise _differs(allocation)
            yield Holding(address(subscriber), slot, block)


def _subscribers(known: KnownSite, allocation: PoolAllocation, numbers: list[int]) -> list[tuple[int, str]]:
    """Numbers that are taken, each with its subscriber."""
    pool = allocation.pool.name
    if allocation.pool.can_be_reached:
        ends = ((number, known.block(allocation, number)) for number in numbers)
        asked = ((n, nft.element(f"owners_{pool}", address_text(end.address))) for n, end in ends if end)
        return [(number, subscriber) for number, subscriber in asked if subscriber is not None]
    wanted = set(numbers)
    listed = (
        (int(data, 16), subscriber)
        for slot in range(1, allocation.blocks_each + 1)
        for subscriber, data in elements.every(f"assigned{slot}_{pool}")
    )
    return sorted(one for one in listed if one[0] in wanted)
