"""Bring a ruleset into the kernel: compare it with what is live, then send what differs as one transaction.

The comparison lets the kernel spell both sides: the live table's listing against the listing of the
desired text in a scratch namespace. Knows no site: the caller says which path each line serves, and what the
state in the table means.

Where the caller knows the text that is loaded, and the ruleset's generation says that no program has changed
a table since, nothing is listed: two texts of ours are compared, and what is sent is proved by the
generation after it.

Killed at any point the table is the old one or the new one. Sessions are flushed after it (`orphans.py`):
until that is done a set made by the same transaction holds their addresses, and the next apply goes on there.

Where a user may not send a first load at once, it goes in parts (`parts.py`), of which the last one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from nfcompile.kernel import KernelError, batch, generation, netns, nft, orphans, parts
from nfcompile.kernel.batch import BatchLine, TableDifference
from nfcompile.kernel.elements import spelled
from nfcompile.kernel.errors import Origin, raise_refusals
from nfcompile.kernel.interrupts import unless_interrupted
from nfcompile.kernel.listing import difference
from nfcompile.kernel.lock import exclusive
from nfcompile.kernel.objects import ListedObject, ListedObjects, parse_objects
from nfcompile.kernel.stand_ins import stand_in
from nfcompile.kernel.state_policy import Changes, StatePolicy

TRIES = 5
"""How often a batch is made again because another program changed the table meanwhile."""


class Loaded(NamedTuple):
    """What a scratch namespace made of a ruleset."""

    refusals: tuple[nft.Refusal, ...]
    listing: str


class KnownTable(NamedTuple):
    """The text that is loaded, if the ruleset still has this generation."""

    text: str
    generation: int


class Preview(NamedTuple):
    """What differs: lines of a unified diff, and the objects; how many sessions the change would flush,
    None where that was not asked or connection tracking cannot be read. `generation` is the ruleset's."""

    diff: list[str]
    objects: TableDifference
    sessions: int | None = None
    generation: int | None = None


class LoadResult(NamedTuple):
    """What `load_difference` did: the objects that differed, and how many sessions it flushed. `generation`
    is that of the ruleset with the table as desired, None where another program has changed something."""

    objects: TableDifference
    flushed: int = 0
    generation: int | None = None


class _LoadAttempt(NamedTuple):
    result: LoadResult
    refusals: tuple[nft.Refusal, ...] = ()


def check(text: str, origin: Origin) -> None:
    """Ask this kernel, in a scratch namespace, whether it takes the ruleset; raise SiteError if not."""
    raise_refusals(netns.in_scratch(lambda: _check(text)), text, origin)


def _check(text: str) -> tuple[nft.Refusal, ...]:
    stand_in(text)
    try:
        return nft.check(text)
    except nft.TooLargeForUser:  # nothing is lost: the namespace is a scratch one
        return parts.load(text)


def preview(
    text: str,
    origin: Origin,
    namespace: str | None = None,
    policy: StatePolicy | None = None,
    known: KnownTable | None = None,
) -> Preview:
    """What `load_difference` would change. Raises SiteError when the kernel refuses the ruleset."""
    if known is not None:
        foreseen = netns.inside(namespace, lambda: _foreseen(text, known, policy))
        if foreseen is not None:
            return foreseen
    desired = _desired(text, origin)
    return netns.inside(namespace, lambda: _preview(desired, policy))


def _foreseen(text: str, known: KnownTable, policy: StatePolicy | None) -> Preview | None:
    """The same without listing; None where something was changed, or the kernel would refuse."""
    if generation.read() != known.generation:
        return None
    if text == known.text:
        return Preview([], TableDifference((), (), ()), 0, known.generation)
    live, desired = _taken_apart(known.text), _taken_apart(text)
    step = batch.compare(live, desired)
    changed = _changes(live, desired, step)
    if nft.check(batch.text_of(_lines(text, live, desired, step, changed, policy, None))):
        return None
    sessions = None if policy is None else orphans.orphan_count(live, changed, policy, None)
    return Preview(difference(live, desired, nft.TABLE), step, sessions, known.generation)


@lru_cache(maxsize=2)
def _taken_apart(text: str) -> ListedObjects:
    """A text of ours, which a verb that shows a change and then makes it needs three times."""
    return parse_objects(text)


def _preview(desired: ListedObjects, policy: StatePolicy | None) -> Preview:
    now = generation.read()
    live = _live()
    unflushed = (live or {}).get(f"set {orphans.UNFLUSHED}")
    step = batch.compare(live or {}, desired)
    sessions = None
    if policy is not None:
        changed = _changes(live or {}, desired, step)
        sessions = orphans.orphan_count(live or {}, changed, policy, unflushed)
    return Preview(difference(live, desired, nft.TABLE), step, sessions, now)


def load_difference(
    text: str,
    origin: Origin,
    namespace: str | None = None,
    policy: StatePolicy | None = None,
    known: KnownTable | None = None,
) -> LoadResult:
    """Make the live table the desired one by a transaction of what differs, and flush the sessions that lost
    their translation; without `policy` all state of unchanged objects is kept.

    Raises SiteError when the kernel refuses (the old table stands), KernelError when it cannot be asked,
    another nfcompile does not end, or another program keeps changing the table.
    """
    if known is not None:
        quick = netns.inside(namespace, lambda: _load_change(text, known, policy))
        if quick is not None:
            return quick
    desired = _desired(text, origin)
    unless_interrupted()
    done = netns.inside(namespace, lambda: _load_difference(text, desired, policy))
    raise_refusals(done.refusals, text, origin)
    return done.result


def _load_change(text: str, known: KnownTable, policy: StatePolicy | None) -> LoadResult | None:
    """The same from the text that is loaded; None where another program has changed something, or where the
    kernel refuses: then everything is listed and compared."""
    with exclusive():
        if generation.read() != known.generation:
            return None
        live, desired = _taken_apart(known.text), _taken_apart(text)
        step = batch.compare(live, desired)
        if not step.all:
            return LoadResult(step, 0, known.generation)
        changed = _changes(live, desired, step)
        joined = batch.text_of(_lines(text, live, desired, step, changed, policy, None))
        unless_interrupted()
        refused = nft.load(joined)
        if refused or generation.read() != known.generation + 1:
            return None
        unflushed = None
        if policy is not None and policy.may_orphan_sessions(changed):
            marked = orphans.elements_of(live.get(policy.addresses))
            unflushed = ListedObject("set", orphans.UNFLUSHED, (), marked, False, (), 0)
        flushed, changes = orphans.settle(policy, [changed], unflushed)
        return LoadResult(step, flushed, generation.after(known.generation, 1 + changes))


def _load_difference(text: str, desired: ListedObjects, policy: StatePolicy | None) -> _LoadAttempt:
    with exclusive():
        first: TableDifference | None = None
        seen: list[Changes] = []
        refused = ""
        for _ in range(TRIES):
            before = generation.read()
            live = _live()
            if live is not None and parts.is_unfinished(live, desired):
                live = None
            unflushed = None if live is None else live.pop(f"set {orphans.UNFLUSHED}", None)
            step = batch.compare(live or {}, desired)
            first = first or step
            if live is not None and not step.all:
                flushed, changes = orphans.settle(policy, seen, unflushed)
                return _LoadAttempt(LoadResult(first, flushed, generation.after(before, changes)))
            seen.append(_changes(live or {}, desired, step))
            lines = _lines(text, live, desired, step, seen[-1], policy, unflushed)
            joined = batch.text_of(lines)
            unless_interrupted()
            refusals = _loaded_anew(text, lines) if live is None else nft.load(joined)
            if refusals and joined == refused:
                return _LoadAttempt(LoadResult(first), tuple(_placed(refusals, lines)))
            refused = joined if refusals else ""
        raise KernelError(
            f"another program keeps changing table {nft.TABLE}: after {TRIES} tries it differs from the site"
        )


def _lines(
    text: str,
    live: ListedObjects | None,
    desired: ListedObjects,
    step: TableDifference,
    changed: Changes,
    policy: StatePolicy | None,
    unflushed: ListedObject | None,
) -> list[BatchLine]:
    """The whole batch: the first load is the text as it is."""
    if live is None:
        lines = [BatchLine(line, number) for number, line in enumerate(text.splitlines(), 1)]
    else:
        stale = orphans.stale_elements(policy, [changed])
        remade = batch.rebuilt(live, desired, step)
        carried = [key for key in remade if batch.carried(live[key], desired[key])]
        contents = {key: spelled(listing) for key, listing in nft.contents(carried).items()}
        lines = batch.transaction(nft.TABLE, live, desired, _taken_apart(text), step, stale, contents)
    if policy is None or not (unflushed or policy.may_orphan_sessions(changed)):
        return lines
    previous_globals = live.get(policy.addresses) if live else None
    return lines + orphans.marking_lines(previous_globals, unflushed)


def _changes(live: ListedObjects, desired: ListedObjects, step: TableDifference) -> Changes:
    both = [key for key in step.changed if not desired[key].runtime and desired[key].kind in ("set", "map")]
    elements = {key: batch.changed_elements(live[key], desired[key]) for key in both}
    return Changes(step.all, elements)


def _live() -> ListedObjects | None:
    """Our table without what packets wrote. Where they write, sets of ours are listed one by one, so that
    what may be millions is never spelled."""
    structure = nft.structure()
    if structure is None:
        return None
    found, second = parse_objects(structure), parse_objects(nft.listing6())
    if not any(thing.runtime for thing in found.values()):
        return parse_objects(nft.listing() or "") | second
    ours = [key for key, thing in found.items() if thing.kind in batch.ELEMENT_KINDS and not thing.runtime]
    for key, listing in nft.contents(ours).items():
        found[key] = found[key]._replace(elements=spelled(listing))
    return found | second


def _desired(text: str, origin: Origin) -> ListedObjects:
    loaded = _loaded(text)
    raise_refusals(loaded.refusals, text, origin)
    return parse_objects(loaded.listing)


@lru_cache(maxsize=1)
def _loaded(text: str) -> Loaded:
    """How the kernel spells a ruleset; a verb that shows a change and then makes it asks once."""
    return netns.in_scratch(lambda: _load_and_list(text))


def _loaded_anew(text: str, lines: Sequence[BatchLine] = ()) -> tuple[nft.Refusal, ...]:
    """Load a text where there is no table; `lines` are those of the whole batch, that of the text first."""
    try:
        return nft.load(batch.text_of(lines) if lines else text)
    except nft.TooLargeForUser:
        return parts.load(text, lines[len(text.splitlines()) :])


def _placed(refusals: Iterable[nft.Refusal], lines: list[BatchLine]) -> Iterable[nft.Refusal]:
    """Refusals of a batch at the lines of the text that they stand for."""
    for refusal in refusals:
        known = 0 < refusal.line <= len(lines)
        yield refusal._replace(line=lines[refusal.line - 1].origin if known else 0)


def load(text: str, origin: Origin, namespace: str | None = None) -> None:
    """Load a text as it is, whatever is live; when it is refused the old table stands unchanged."""

    def work() -> tuple[nft.Refusal, ...]:
        with exclusive():
            return nft.load(text)

    raise_refusals(netns.inside(namespace, work), text, origin)


def _load_and_list(text: str) -> Loaded:
    stand_in(text)
    refusals = _loaded_anew(text)
    return Loaded(refusals, "" if refusals else (nft.listing() or "") + nft.listing6())
