"""Bring a ruleset into the kernel: compare it with what is live, then send what differs as one transaction.

The comparison lets the kernel spell both sides: the live table's listing against the listing of the
desired text in a scratch namespace. Knows no site: the caller says which path each line serves, and what the
state in the table means.

Killed at any point the table is the old one or the new one. Sessions are flushed after it: until that is
done the set `unflushed`, made by the same transaction, holds the addresses that they may have, and whoever
applies next goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from nfcompile.kernel import KernelError, batch, netns, nft
from nfcompile.kernel.batch import Difference, Elements, Line
from nfcompile.kernel.elements import listed, spelled
from nfcompile.kernel.errors import Origin, raise_refusals
from nfcompile.kernel.listing import difference
from nfcompile.kernel.lock import alone
from nfcompile.kernel.objects import Thing, Things, things
from nfcompile.kernel.stand_ins import stand_in
from nfcompile.kernel.state_policy import Changes, Listed, Meaning
from nfcompile.model.parse import addresses
from nfcompile.model.ranges import range_text, union

TRIES = 5
"""How often a batch is made again because somebody else changed the table meanwhile."""
UNFLUSHED = "unflushed"


class Loaded(NamedTuple):
    """What a scratch namespace made of a ruleset."""

    refusals: tuple[nft.Refusal, ...]
    listing: str


class Survey(NamedTuple):
    """What differs: lines of a unified diff, and the objects; how many sessions the change would flush,
    None where nobody asked or connection tracking cannot be read."""

    diff: list[str]
    objects: Difference
    sessions: int | None = None


class Result(NamedTuple):
    """What `bring` did: the objects that differed, and how many sessions it flushed."""

    objects: Difference
    flushed: int = 0


class _Done(NamedTuple):
    result: Result
    refusals: tuple[nft.Refusal, ...] = ()


def check(text: str, origin: Origin) -> None:
    """Ask this kernel, in a scratch namespace, whether it takes the ruleset; raise SiteError if not."""
    raise_refusals(netns.in_scratch(lambda: _check(text)), text, origin)


def _check(text: str) -> tuple[nft.Refusal, ...]:
    stand_in(text)
    return nft.check(text)


def survey(text: str, origin: Origin, namespace: str | None = None, meaning: Meaning | None = None) -> Survey:
    """What `bring` would change. Raises SiteError when the kernel refuses the ruleset."""
    desired = _desired(text, origin)
    return netns.inside(namespace, lambda: _survey(desired, meaning))


def _survey(desired: Things, meaning: Meaning | None) -> Survey:
    live = _live()
    unflushed = (live or {}).get(f"set {UNFLUSHED}")
    step = batch.compare(live or {}, desired)
    sessions = None if meaning is None else _losing(live or {}, desired, step, meaning, unflushed)
    return Survey(difference(live, desired, nft.TABLE), step, sessions)


def _losing(
    live: Things, desired: Things, step: Difference, meaning: Meaning, unflushed: Thing | None
) -> int | None:
    """How many sessions would lose their translation."""
    changed = _changes(live, desired, step)
    if not step.all or not (unflushed or meaning.moves(changed)):
        return 0
    from nfcompile.kernel.sessions import losing

    stale = _stale(meaning, [changed])
    kept = {
        key: {one: data for one, data in elements.items() if one not in stale.get(key, ())}
        for key, elements in listed(meaning.bindings).items()
    }
    try:
        former = tuple(map(addresses, _former(live.get(meaning.addresses), unflushed)))
        return sum(1 for _ in losing(meaning, former, kept))
    except KernelError:
        return None


def bring(text: str, origin: Origin, namespace: str | None = None, meaning: Meaning | None = None) -> Result:
    """Make the live table the desired one by a transaction of what differs, and flush the sessions that lost
    their translation; without `meaning` all state of unchanged objects is kept.

    Raises SiteError when the kernel refuses (the old table stands), KernelError when it cannot be asked,
    another nfcompile does not end, or somebody keeps changing the table.
    """
    desired = _desired(text, origin)
    done = netns.inside(namespace, lambda: _bring(text, desired, meaning))
    raise_refusals(done.refusals, text, origin)
    return done.result


def _bring(text: str, desired: Things, meaning: Meaning | None) -> _Done:
    with alone():
        first: Difference | None = None
        seen: list[Changes] = []
        refused = ""
        for _ in range(TRIES):
            live = _live()
            unflushed = None if live is None else live.pop(f"set {UNFLUSHED}", None)
            step = batch.compare(live or {}, desired)
            first = first or step
            if live is not None and not step.all:
                flushed = _settle(meaning, seen, unflushed)
                return _Done(Result(first, flushed))
            seen.append(_changes(live or {}, desired, step))
            lines = _lines(text, live, desired, step, seen[-1], meaning, unflushed)
            joined = "\n".join(line.text for line in lines) + "\n"
            refusals = nft.load(joined)
            if refusals and joined == refused:
                return _Done(Result(first), tuple(_placed(refusals, lines)))
            refused = joined if refusals else ""
        raise KernelError(
            f"another program keeps changing table {nft.TABLE}: after {TRIES} tries it differs from the site"
        )


def _lines(
    text: str,
    live: Things | None,
    desired: Things,
    step: Difference,
    changed: Changes,
    meaning: Meaning | None,
    unflushed: Thing | None,
) -> list[Line]:
    """The whole batch: the first load is the text as it is."""
    if live is None:
        lines = [Line(line, number) for number, line in enumerate(text.splitlines(), 1)]
    else:
        stale = _stale(meaning, [changed])
        remade = batch.rebuilt(live, desired, step)
        carried = [key for key in remade if batch.carried(live[key], desired[key])]
        contents = {key: spelled(listing) for key, listing in nft.contents(carried).items()}
        lines = batch.transaction(nft.TABLE, live, desired, things(text), step, stale, contents)
    if meaning is None or not (unflushed or meaning.moves(changed)):
        return lines
    former = live.get(meaning.addresses) if live else None
    return lines + _mark(former, unflushed)


def _former(*sets: Thing | None) -> list[str]:
    return [one for thing in sets if thing for one in thing.elements]


def _mark(former: Thing | None, unflushed: Thing | None) -> list[Line]:
    """The set of addresses whose sessions are to be looked at after this transaction."""
    spelled = ", ".join(range_text(one) for one in union(map(addresses, _former(former, unflushed))))
    lines = [f"delete set {nft.TABLE} {UNFLUSHED}"] if unflushed else []
    lines.append(f"add set {nft.TABLE} {UNFLUSHED} {{ type ipv4_addr; flags interval; }}")
    if spelled:
        lines.append(f"add element {nft.TABLE} {UNFLUSHED} {{ {spelled} }}")
    return [Line(line) for line in lines]


def _settle(meaning: Meaning | None, seen: list[Changes], unflushed: Thing | None) -> int:
    """After the table: what packets wrote between listing and load, then the sessions; how many."""
    if meaning is None:
        return 0
    for key, elements in _stale(meaning, seen).items():
        name = key.partition(" ")[2]
        lines = batch.without(nft.TABLE, name, elements)
        nft.load("\n".join(line.text for line in lines) + "\n")
    if unflushed is None:
        return 0
    from nfcompile.kernel.sessions import flush

    flushed = flush(meaning, tuple(map(addresses, unflushed.elements)), listed(meaning.bindings))
    nft.load(f"delete set {nft.TABLE} {UNFLUSHED}\n")
    return flushed


def _stale(meaning: Meaning | None, seen: Iterable[Changes]) -> Listed:
    """Elements written by packets that these changes leave without sense."""
    found: dict[str, Elements] = {}
    for changed in seen if meaning is not None else ():
        assert meaning is not None
        if keys := meaning.reviewed(changed):
            found |= meaning.stale(changed, listed(keys))
    return {key: elements for key, elements in found.items() if elements}


def _changes(live: Things, desired: Things, step: Difference) -> Changes:
    both = [key for key in step.changed if not desired[key].runtime and desired[key].kind in ("set", "map")]
    elements = {key: batch.changed_elements(live[key], desired[key]) for key in both}
    return Changes(step.all, elements)


def _live() -> Things | None:
    """Our table without what packets wrote. Where they write, sets of ours are listed one by one, so that
    what may be millions is never spelled."""
    structure = nft.structure()
    if structure is None:
        return None
    found = things(structure)
    if not any(thing.runtime for thing in found.values()):
        return things(nft.listing() or "")
    ours = [key for key, thing in found.items() if thing.kind in batch.ELEMENT_KINDS and not thing.runtime]
    for key, listing in nft.contents(ours).items():
        found[key] = found[key]._replace(elements=spelled(listing))
    return found


def _desired(text: str, origin: Origin) -> Things:
    loaded = _loaded(text)
    raise_refusals(loaded.refusals, text, origin)
    return things(loaded.listing)


@lru_cache(maxsize=1)
def _loaded(text: str) -> Loaded:
    """How the kernel spells a ruleset; a verb that shows a change and then makes it asks once."""
    return netns.in_scratch(lambda: _load_and_list(text))


def _placed(refusals: Iterable[nft.Refusal], lines: list[Line]) -> Iterable[nft.Refusal]:
    """Refusals of a batch at the lines of the text that they stand for."""
    for refusal in refusals:
        known = 0 < refusal.line <= len(lines)
        yield refusal._replace(line=lines[refusal.line - 1].origin if known else 0)


def load(text: str, origin: Origin, namespace: str | None = None) -> None:
    """Load a text as it is, whatever is live; when it is refused the old table stands unchanged."""

    def work() -> tuple[nft.Refusal, ...]:
        with alone():
            return nft.load(text)

    raise_refusals(netns.inside(namespace, work), text, origin)


def _load_and_list(text: str) -> Loaded:
    stand_in(text)
    refusals = nft.load(text)
    return Loaded(refusals, "" if refusals else nft.listing() or "")
