"""Subscribers that move between two sites: they had a binding and have another one, in runs.

The allocation of both sites is cut into straight runs, in which neighbours have neighbouring global
addresses and the same ports, so the work grows with the pieces and not with the subscribers. Old and new
runs are then laid over each other three times, and what finds its like is taken out:

    the same binding, in a pool of any name          stays (renaming a pool moves no subscriber)
    another binding in the pool of the same name     moves
    a binding in another pool                        moves from pool to pool

The rest is gone or new. The bindings of dynamic pools cannot be computed; `forgotten` yields the pools whose
assignments end.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from nfcompile.allocation.mappings import protocol_ports
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.model.ranges import Range, union

Ports = tuple[tuple[int, int, str], ...]
"""First port, last port and protocols ('tcp+udp'), as `mappings` lists them; () is the whole address."""


class BindingRun(NamedTuple):
    """Subscribers `first` to `last` of a pool: global addresses from `base` on, the same ports each."""

    rank: int
    pool: str
    vid: int | None
    first: int
    last: int
    base: int
    ports: Ports

    def part(self, first: int, last: int) -> BindingRun:
        """The subscribers `first` to `last` of it."""
        if (first, last) == (self.first, self.last):
            return self
        return self._replace(first=first, last=last, base=self.base + first - self.first)

    def binding(self) -> Binding:
        return Binding(self.pool, Range(self.base, self.base + self.last - self.first), self.ports)


class Binding(NamedTuple):
    """The binding of a run of subscribers: one global address each, in order, and ports of it."""

    pool: str
    global_ip: Range
    ports: Ports


class Move(NamedTuple):
    """A run of subscribers that change alike; `before` is None for new ones, `after` for removed ones."""

    subscribers: Range
    vid: int | None
    before: Binding | None
    after: Binding | None

    @property
    def pool(self) -> str:
        """The pool that serves them now, or did before."""
        binding = self.after or self.before
        assert binding is not None
        return binding.pool


class Moves(NamedTuple):
    """All subscribers whose binding changes, pool by pool in packet order."""

    moved: tuple[Move, ...]
    new: tuple[Move, ...]
    gone: tuple[Move, ...]


class Forgotten(NamedTuple):
    """A dynamic pool whose assignments in the kernel end, all or some.

    `kept` are the global addresses whose assignments stay as they are.
    """

    pool: str
    why: str
    kept: tuple[Range, ...] = ()


Pair = tuple[BindingRun | None, BindingRun | None]


def moves(before: Sequence[PoolAllocation], after: Sequence[PoolAllocation]) -> Moves:
    """Compare the bindings of two sites, given by the allocations of their pools."""
    old, new = list(_runs(before)), list(_runs(after))
    _, old, new = _overlaid(old, new, lambda run: (run.vid, run.base - run.first, run.ports))
    same_pool, old, new = _overlaid(old, new, lambda run: (run.vid, run.pool))
    other_pool, old, new = _overlaid(old, new, lambda run: run.vid)
    return Moves(
        _joined([*same_pool, *other_pool]),
        _joined((None, run) for run in new),
        _joined((run, None) for run in old),
    )


def moved_count(found: Moves) -> int:
    """How many subscribers move, each counted once however many pools it is in."""
    return subscriber_count(found.moved)


def subscriber_count(found: Iterable[Move]) -> int:
    """How many different subscribers there are in these runs."""
    by_vid: dict[int | None, list[Range]] = {}
    for one in found:
        by_vid.setdefault(one.vid, []).append(one.subscribers)
    return sum(run.size for runs in by_vid.values() for run in union(runs))


def forgotten(before: Sequence[PoolAllocation], after: Sequence[PoolAllocation]) -> Iterator[Forgotten]:
    """The dynamic pools of the old site whose assignments end, or some of them, with the reason."""
    now = {allocation.pool.name: allocation for allocation in after}
    for allocation in before:
        if not allocation.pool.is_dynamic:
            continue
        successor = now.get(allocation.pool.name)
        if successor is None:
            yield Forgotten(allocation.pool.name, "the pool is gone")
        elif not successor.pool.is_dynamic:
            yield Forgotten(allocation.pool.name, "the pool is no longer dynamic")
        elif successor.pool.type != allocation.pool.type:
            yield Forgotten(allocation.pool.name, f"the pool is now of type {successor.pool.type}")
        else:
            yield from _renumbered(allocation, successor)


def _renumbered(old: PoolAllocation, new: PoolAllocation) -> Iterator[Forgotten]:
    """Assignments name a block by its number: address for address, and each address' blocks in order."""
    name = old.pool.name
    if (old.stock.ports, old.stock.block_size) != (new.stock.ports, new.stock.block_size):
        yield Forgotten(name, "the blocks of an address are cut differently")
        return
    before, after = _in_order(old.stock.globals), _in_order(new.stock.globals)
    kept = tuple(_common_start(before, after))
    if sum(run.size for run in kept) < old.stock.addresses:
        yield Forgotten(name, "the addresses are counted differently", kept)
    elif new.blocks_each < old.blocks_each:
        why = f"of {old.blocks_each} blocks a subscriber keeps at most {new.blocks_each}"
        yield Forgotten(name, why, kept)


def _in_order(runs: Iterable[Range]) -> list[Range]:
    """Join neighbours that go on where the one before ends, without sorting."""
    joined: list[Range] = []
    for run in runs:
        if joined and joined[-1].last + 1 == run.first:
            joined[-1] = Range(joined[-1].first, run.last)
        else:
            joined.append(run)
    return joined


def _common_start(before: Iterable[Range], after: Iterable[Range]) -> Iterator[Range]:
    """The addresses with which both lists begin."""
    for old, new in zip(before, after, strict=False):
        if old.first != new.first:
            return
        yield Range(old.first, min(old.last, new.last))
        if old.last != new.last:
            return


def _runs(allocations: Sequence[PoolAllocation]) -> Iterator[BindingRun]:
    """The allocation as straight runs, pool by pool in packet order."""
    for rank, allocation in enumerate(allocations):
        pool = allocation.pool
        for entry in pool.global_map:
            yield BindingRun(rank, pool.name, entry.vid, *entry.local, entry.globals.first, ())
        if pool.is_deterministic:
            yield from _laid_out(rank, allocation)


def _laid_out(rank: int, allocation: PoolAllocation) -> Iterator[BindingRun]:
    layout = allocation.layout()
    for run in layout.runs():
        block = layout.stock.block(run.addresses.first, run.block)
        allowed = tuple(protocol_ports(allocation, block)) if allocation.stock.ports else ()
        yield BindingRun(rank, allocation.pool.name, None, *run.subscribers, run.addresses.first, allowed)


def _overlaid(
    old: list[BindingRun], new: list[BindingRun], likeness: Callable[[BindingRun], Hashable]
) -> tuple[list[Pair], list[BindingRun], list[BindingRun]]:
    """Pair old and new runs of one likeness subscriber by subscriber; and what finds no partner."""
    groups: dict[Hashable, tuple[list[BindingRun], list[BindingRun]]] = {}
    for side, runs in enumerate((old, new)):
        for run in runs:
            groups.setdefault(likeness(run), ([], []))[side].append(run)
    pairs: list[Pair] = []
    old_left: list[BindingRun] = []
    new_left: list[BindingRun] = []
    for befores, afters in groups.values():
        if not befores or not afters:
            old_left += befores
            new_left += afters
            continue
        for before, after in _stretches(befores, afters):
            if after is None and before is not None:
                old_left.append(before)
            elif before is None and after is not None:
                new_left.append(after)
            else:
                pairs.append((before, after))
    return pairs, old_left, new_left


def _stretches(old: list[BindingRun], new: list[BindingRun]) -> Iterator[Pair]:
    """Cut runs where any begins or ends; in each stretch pair them in packet order."""
    events: list[tuple[int, int, int, BindingRun]] = []
    for side, runs in enumerate((old, new)):
        for run in runs:
            events += ((run.first, side, 1, run), (run.last + 1, side, 0, run))
    events.sort(key=lambda event: event[0])
    here: tuple[list[BindingRun], list[BindingRun]] = ([], [])
    start = 0
    for at, side, begins, run in events:
        if at > start:
            last = at - 1
            for number in range(max(len(here[0]), len(here[1]))):
                before, after = (runs[number] if number < len(runs) else None for runs in here)
                yield before and before.part(start, last), after and after.part(start, last)
            start = at
        if begins:
            insort(here[side], run)
        else:
            here[side].remove(run)


def _joined(pairs: Iterable[Pair]) -> tuple[Move, ...]:
    """Put together what goes on where the run before it ends, on both sides."""

    def order(pair: Pair) -> tuple[int, int, int]:
        run = pair[1] or pair[0]
        assert run is not None
        return run.rank, run.vid or 0, run.first

    done: list[Pair] = []
    for before, after in sorted(pairs, key=order):
        if done and _goes_on(done[-1][0], before) and _goes_on(done[-1][1], after):
            done[-1] = _longer(done[-1][0], before), _longer(done[-1][1], after)
        else:
            done.append((before, after))
    return tuple(_move(*pair) for pair in done)


def _goes_on(run: BindingRun | None, next_one: BindingRun | None) -> bool:
    if run is None or next_one is None:
        return run is next_one
    whole = next_one.part(run.first, next_one.last)
    return run.last + 1 == next_one.first and whole == run._replace(last=next_one.last)


def _longer(run: BindingRun | None, next_one: BindingRun | None) -> BindingRun | None:
    return run and next_one and run._replace(last=next_one.last)


def _move(before: BindingRun | None, after: BindingRun | None) -> Move:
    run = after or before
    assert run is not None
    return Move(Range(run.first, run.last), run.vid, before and before.binding(), after and after.binding())
