"""What a change of the table leaves without sense: elements that packets wrote, and sessions.

The transaction of the change makes the set `unflushed` of the addresses whose sessions may have lost their
translation; it is deleted when those sessions are flushed. A StatePolicy says which elements and sessions.
"""

from __future__ import annotations

from collections.abc import Iterable

from nfcompile.kernel import KernelError, batch, nft
from nfcompile.kernel.batch import BatchLine, Elements
from nfcompile.kernel.elements import listed
from nfcompile.kernel.objects import ListedObject, ListedObjects
from nfcompile.kernel.state_policy import Changes, Listed, StatePolicy
from nfcompile.model.parse import addresses
from nfcompile.model.ranges import range_text, union

UNFLUSHED = "unflushed"


def stale_elements(policy: StatePolicy | None, seen: Iterable[Changes]) -> Listed:
    """Elements written by packets that these changes leave without sense."""
    found: dict[str, Elements] = {}
    for changed in seen if policy is not None else ():
        assert policy is not None
        if keys := policy.sets_to_prune(changed):
            found |= policy.stale(changed, listed(keys))
    return {key: elements for key, elements in found.items() if elements}


def orphan_count(
    live: ListedObjects, changed: Changes, policy: StatePolicy, unflushed: ListedObject | None
) -> int | None:
    """How many sessions would lose their translation; None where connection tracking cannot be read."""
    if not changed.objects or not (unflushed or policy.may_orphan_sessions(changed)):
        return 0
    from nfcompile.kernel.sessions import losing

    stale = stale_elements(policy, [changed])
    kept = {
        key: {one: data for one, data in elements.items() if one not in stale.get(key, ())}
        for key, elements in listed(policy.bindings).items()
    }
    try:
        previous_globals = tuple(map(addresses, elements_of(live.get(policy.addresses), unflushed)))
        return sum(1 for _ in losing(policy, previous_globals, kept))
    except KernelError:
        return None


def elements_of(*sets: ListedObject | None) -> tuple[str, ...]:
    """The elements of those sets that there are."""
    return tuple(one for listed_set in sets if listed_set for one in listed_set.elements)


def marking_lines(previous_globals: ListedObject | None, unflushed: ListedObject | None) -> list[BatchLine]:
    """Make the set of addresses whose sessions are to be looked at after this transaction."""
    ranges = union(map(addresses, elements_of(previous_globals, unflushed)))
    lines = [f"delete set {nft.TABLE} {UNFLUSHED}"] if unflushed else []
    lines.append(f"add set {nft.TABLE} {UNFLUSHED} {{ type ipv4_addr; flags interval; }}")
    if spelled := ", ".join(map(range_text, ranges)):
        lines.append(f"add element {nft.TABLE} {UNFLUSHED} {{ {spelled} }}")
    return [BatchLine(line) for line in lines]


def settle(
    policy: StatePolicy | None, seen: list[Changes], unflushed: ListedObject | None
) -> tuple[int, int]:
    """After the table: delete what packets wrote between listing and load, then flush the sessions. Returns
    how many sessions were flushed, and how many transactions that took."""
    if policy is None:
        return 0, 0
    flushed = changes = 0
    for key, elements in stale_elements(policy, seen).items():
        lines = batch.without(nft.TABLE, key.partition(" ")[2], elements)
        changes += not nft.load(batch.text_of(lines))
    if unflushed is not None:
        from nfcompile.kernel.sessions import flush

        flushed = flush(policy, tuple(map(addresses, unflushed.elements)), listed(policy.bindings))
        changes += not nft.load(f"delete set {nft.TABLE} {UNFLUSHED}\n")
    return flushed, changes
