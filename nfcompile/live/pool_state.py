"""What the sets and maps of a pool remember of its subscribers, and what of it a change leaves without sense.

Assignments first, since mapping entries and opened ports follow from them. A number of a dynamic pool still
means what it meant if its elements have not changed. Elements are as the kernel spells them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from nfcompile.allocation.numbering import Numbering
from nfcompile.allocation.ownership import Bindings
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.ipalloc import Block
from nfcompile.lower import names
from nfcompile.model import protocols
from nfcompile.model.parse import address

if TYPE_CHECKING:
    from nfcompile.kernel.state_policy import Changes, Listed

Elements = Mapping[str, str]


def state_keys(allocation: PoolAllocation) -> list[str]:
    """The sets and maps in which a pool remembers what its subscribers have."""
    name, found = allocation.pool.name, assigned_maps(allocation)
    if found:
        found += (f"set {names.taken(name)}", f"map {names.owners(name)}", f"set {names.newcomers(name)}")
    if allocation.pool.keeps_forwardings:
        found.append(f"set {names.forwarded(name)}")
    return [*found, *(key for key, _ in _socket_maps(allocation))]


def assigned_maps(allocation: PoolAllocation) -> list[str]:
    """The maps from subscribers to numbers; none where the pool is not dynamic."""
    if not allocation.pool.is_dynamic:
        return []
    slots, pool = range(1, allocation.blocks_each + 1), allocation.pool.name
    return [f"map {name}" for slot in slots for name in names.assignments(slot, pool)]


def _socket_maps(allocation: PoolAllocation) -> Iterator[tuple[str, bool]]:
    """Maps of mapping entries, and whether the inside is the key."""
    if allocation.pool.keeps_mapping_entries:
        yield f"map {names.eim(allocation.pool.name)}", True
        yield f"map {names.eif(allocation.pool.name)}", False


def stale_state(allocation: PoolAllocation, changes: Changes, listed: Listed) -> dict[str, Elements]:
    """The listed elements of a pool that make no sense any more."""
    found: dict[str, Elements] = {}
    held: dict[int, list[Block]] = {}
    if allocation.pool.is_dynamic:
        found, held = _stale_assignments(allocation, changes, listed)
    given = Bindings(allocation, held)
    for key, inside_first in _socket_maps(allocation):
        entries = listed.get(key, {}).items()
        found[key] = {k: data for k, data in entries if not _is_mapped(given, k, data, inside_first)}
    return found | _closed_ports(allocation, found, listed)


def _stale_assignments(
    allocation: PoolAllocation, changes: Changes, listed: Listed
) -> tuple[dict[str, Elements], dict[int, list[Block]]]:
    """What goes of a dynamic pool, and the blocks that its subscribers keep."""
    name, served = allocation.pool.name, Bindings(allocation)
    meant = _meaning(allocation, changes)
    gone: dict[str, Elements] = {}
    freed: set[int] = set()
    for key in assigned_maps(allocation):
        gone[key] = {
            subscriber: mark
            for subscriber, mark in listed.get(key, {}).items()
            if meant(mark) is None or not served.serves(address(subscriber))
        }
        freed |= {int(mark, 16) for mark in gone[key].values()}
    taken, owners = f"set {names.taken(name)}", f"map {names.owners(name)}"
    gone[taken] = {
        mark: "" for mark in listed.get(taken, {}) if int(mark, 16) in freed or meant(mark) is None
    }
    held = held_blocks(served, listed, meant)
    if any(gone.values()):  # those subscribers come back at once
        counted = f"set {names.newcomers(name)}"
        gone[counted] = listed.get(counted, {})
    given = Bindings(allocation, held)
    gone[owners] = {
        key: data
        for key, data in listed.get(owners, {}).items()
        if not given.address(address(data), address(key))
    }
    return gone, held


def _meaning(allocation: PoolAllocation, changes: Changes) -> Callable[[str], Block | None]:
    """What a number means, if it means the same as before: the element for its address is the one of before,
    and so is the element for its block."""
    name, numbering = allocation.pool.name, Numbering(allocation.stock)
    blocks = f"map {names.blocks(name)}"
    others = _changed(changes, f"map {names.addresses(name)}")
    ports = _changed(changes, blocks)
    # Where a map of blocks is new, or there is none any more, the bits are counted otherwise.
    anew = blocks in changes.objects and blocks not in changes.elements

    def meant(mark: str) -> Block | None:
        number = int(mark, 16)
        same = number & ~numbering.block_mask not in others and number & numbering.block_mask not in ports
        return numbering.block(number) if same and not anew else None

    return meant


def _changed(changes: Changes, key: str) -> set[int]:
    """The keys of a map of numbers whose elements have changed."""
    found = changes.elements.get(key, frozenset())
    return {int(one, 16) for one in found if one.startswith("0x") and "-" not in one}


def held_blocks(
    served: Bindings, listed: Listed, meant: Callable[[str], Block | None]
) -> dict[int, list[Block]]:
    """The blocks of each subscriber by the listed assignments of a dynamic pool."""
    blocks: dict[int, list[Block]] = {}
    for key in assigned_maps(served.allocation):
        for text, mark in listed.get(key, {}).items():
            block, subscriber = meant(mark), address(text)
            if block is not None and served.serves(subscriber):
                blocks.setdefault(subscriber, []).append(block)
    return blocks


def _is_mapped(given: Bindings, key: str, data: str, inside_first: bool) -> bool:
    """Whether a mapping entry, 'protocol . address . port' to 'address . port', still makes sense."""
    protocol, _, end = key.partition(" . ")
    inside, outside = (end, data) if inside_first else (data, end)
    source, global_ip = (address(text.partition(" . ")[0]) for text in (inside, outside))
    return given.gives(protocols.NUMBERS[protocol], source, global_ip, int(outside.partition(" . ")[2]))


def _closed_ports(allocation: PoolAllocation, gone: Listed, listed: Listed) -> dict[str, Elements]:
    """Ports that a subscriber has opened and whose entry goes, or is gone: the next owner has not."""
    if not allocation.pool.keeps_forwardings:
        return {}
    opened, eif = f"set {names.forwarded(allocation.pool.name)}", f"map {names.eif(allocation.pool.name)}"
    kept = listed.get(eif, {}).keys() - gone[eif].keys()
    return {opened: {key: "" for key in listed.get(opened, {}) if key not in kept}}
