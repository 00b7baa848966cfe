"""What `sessions clear --mappings` takes out of the table: mapping entries, and assignments of dynamic pools.

Pure values; `kernel.purge` lists and deletes. Elements are as the kernel spells them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from nfcompile.allocation.numbering import Numbering
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Block
from nfcompile.kernel.state_policy import Listed
from nfcompile.live.sessions import SessionFilter
from nfcompile.lower import names
from nfcompile.model.parse import address
from nfcompile.model.protocols import NUMBERS
from nfcompile.pipeline import Compiled

Elements = Mapping[str, str]


class Purged(NamedTuple):
    """How many mapping entries and assignments were taken out."""

    mappings: int = 0
    assignments: int = 0


class Purge:
    """The elements of a site's pools that belong to what is wanted.

    An assignment is for all protocols and for a whole block: where one protocol or one port is wanted, only
    mapping entries go.
    """

    def __init__(self, compiled: Compiled, wanted: SessionFilter) -> None:
        self.wanted = wanted
        self.allocations = [
            one for one in compiled.allocations if wanted.pool in (None, one.pool.name) and not wanted.is_ipv6
        ]

    @property
    def keys(self) -> tuple[str, ...]:
        """The sets and maps that have to be listed."""
        found = [key for one in self.allocations for key, _ in self._entries(one)]
        found += (_opened(one) for one in self.allocations if one.pool.keeps_forwardings)
        for one in self._dynamic():
            found += (*_slots(one), *_numbers(one), f"map {names.owners(one.pool.name)}", _newcomers(one))
        return tuple(found)

    def choose(self, listed: Listed) -> Listed:
        """The elements that go."""
        found: dict[str, Elements] = {}
        for one in self.allocations:
            for key, inside_first in self._entries(one):
                found[key] = _kept(listed.get(key, {}), self._is_wanted_entry(inside_first))
            if one.pool.keeps_forwardings:
                entries = found[f"map {names.eif(one.pool.name)}"]
                found[_opened(one)] = {key: "" for key in listed.get(_opened(one), {}) if key in entries}
        for one in self._dynamic():
            found |= self._assignments(one, listed)
        return found

    def count(self, gone: Listed) -> Purged:
        """What elements that went mean."""
        entries = {
            key for one in self.allocations for key, inside_first in self._entries(one) if inside_first
        }
        slots = {key for one in self._dynamic() for key in _slots(one)}
        return Purged(
            sum(len(elements) for key, elements in gone.items() if key in entries),
            sum(len(elements) for key, elements in gone.items() if key in slots),
        )

    def _entries(self, allocation: PoolAllocation) -> Iterator[tuple[str, bool]]:
        """The maps of mapping entries, and whether the inside socket is the key."""
        if allocation.pool.keeps_mapping_entries:
            yield f"map {names.eim(allocation.pool.name)}", True
            yield f"map {names.eif(allocation.pool.name)}", False

    def _dynamic(self) -> list[PoolAllocation]:
        if self.wanted.protocol is not None or self.wanted.port is not None:
            return []
        return [one for one in self.allocations if one.pool.is_dynamic]

    def _is_wanted_entry(self, inside_first: bool) -> Callable[[str, str], bool]:
        """Test an entry, 'protocol . address . port' to 'address . port'."""

        def is_wanted(key: str, data: str) -> bool:
            protocol, _, end = key.partition(" . ")
            inside, outside = (end, data) if inside_first else (data, end)
            source = address(inside.partition(" . ")[0])
            global_ip, _, port = outside.partition(" . ")
            return (
                self.wanted.protocol in (None, NUMBERS[protocol])
                and self.wanted.port in (None, int(port))
                and self._meant(source, address(global_ip))
            )

        return is_wanted

    def _meant(self, subscriber: int, global_ip: int) -> bool:
        wanted = self.wanted
        inside = wanted.subscriber is None or wanted.subscriber.first <= subscriber <= wanted.subscriber.last
        return inside and wanted.translated in (None, global_ip)

    def _assignments(self, allocation: PoolAllocation, listed: Listed) -> dict[str, Elements]:
        """Assignments of a dynamic pool, the numbers that they free, and the owners of their addresses."""
        numbering = Numbering(allocation.stock)

        def is_wanted(subscriber: str, number: str) -> bool:
            block: Block | None = numbering.block(int(number, 16))
            return block is not None and self._meant(address(subscriber), block.address)

        found = {key: _kept(listed.get(key, {}), is_wanted) for key in _slots(allocation)}
        freed = {int(number, 16) for elements in found.values() for number in elements.values()}
        for key in _numbers(allocation):
            found[key] = _kept(listed.get(key, {}), lambda number, _: int(number, 16) in freed)
        # Interfaces may have as many new assignments as before: those subscribers come back at once.
        newcomers = _newcomers(allocation)
        found[newcomers] = listed.get(newcomers, {}) if freed else {}
        owners = f"map {names.owners(allocation.pool.name)}"
        found[owners] = _kept(
            listed.get(owners, {}), lambda key, data: self._meant(address(data), address(key))
        )
        return found


def _kept(elements: Elements, is_wanted: Callable[[str, str], bool]) -> Elements:
    return {key: data for key, data in elements.items() if is_wanted(key, data)}


def _opened(allocation: PoolAllocation) -> str:
    """The ports that subscribers have opened, which go with the entries that they lead to."""
    return f"set {names.forwarded(allocation.pool.name)}"


def _slots(allocation: PoolAllocation) -> list[str]:
    slots, pool = range(1, allocation.blocks_each + 1), allocation.pool.name
    return [f"map {name}" for slot in slots for name in names.assignments(slot, pool)]


def _newcomers(allocation: PoolAllocation) -> str:
    """The set that counts the new assignments of each interface."""
    return f"set {names.newcomers(allocation.pool.name)}"


def _numbers(allocation: PoolAllocation) -> list[str]:
    """The sets that keep a number from being handed out."""
    return [f"set {names.taken(allocation.pool.name)}", f"set {names.claimed(allocation.pool.name)}"]
