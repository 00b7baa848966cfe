"""Somebody else changes our table while `apply` works: it looks again, and gives up after five times."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Sequence

import pytest

from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError, apply, nft
from nfcompile.live.continuity import SiteStatePolicy
from support.applied_site import OTHER_SERVER, SITE, bring, empty, in_gateway, listing, listing_here
from support.lab import Lab, cannot
from support.privilege import is_root
from support.sites import site
from support.waiting import PATIENCE

GAVE_UP = "another program keeps changing table ip nfcompile: after 5 tries it differs from the site"
REFUSED = "the kernel refused the ruleset: Could not process rule: No such file or directory"
ADD = "add chain ip nfcompile by_hand\n"
DELETE = "delete chain ip nfcompile by_hand\n"
GONE = "delete table ip nfcompile\n"
EMPTIED = "flush map ip nfcompile inbound_servers\n"
FOREIGN = "chain by_hand"

Table = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]


def apply_here(text: str) -> str:
    """Apply a site in the namespace of this process; what the operator reads, '' where all is well."""
    compiled = site(text)
    try:
        apply.load_difference(compiled.text.text, compiled.text.origin, None, SiteStatePolicy(compiled))
    except KernelError as error:
        return str(error)
    except SiteError as error:
        return error.diagnostics[0].message
    return ""


def meddled(before: Sequence[str], after: Sequence[str], often: int = 1) -> str:
    """Apply another site while somebody does this before our first batches, and that after every one."""
    compiled = site(OTHER_SERVER)
    apply._desired(compiled.text.text, compiled.text.origin)
    load, times = nft.load, [*before] * often

    def between(text: str) -> tuple[nft.Refusal, ...]:
        for _ in before[: len(times)]:
            load(times.pop(0))
        answer = load(text)
        for one in after:
            load(one)
        return answer

    nft.load = between
    try:
        return apply_here(OTHER_SERVER)
    finally:
        nft.load = load


def both(lab: Lab) -> tuple[Table, Table]:
    """The table of each site; the first one is live."""
    empty(lab)
    bring(lab, OTHER_SERVER)
    new = listing(lab)
    bring(lab, SITE)
    return listing(lab), new


def without_theirs(table: Table) -> Table:
    """Neither with what says to the next apply that sessions are to be flushed."""
    return {key: one for key, one in table.items() if key not in (FOREIGN, "set unflushed")}


OLD_TABLE = site(SITE).text.text


@pytest.mark.parametrize(
    ("before", "after"),
    [((GONE,), ()), ((OLD_TABLE,), ()), ((EMPTIED,), ()), ((ADD, DELETE), (ADD, DELETE))],
    ids=["deletes the table", "puts the old table back", "empties a map", "comes and goes"],
)
def test_what_is_changed_before_the_load_is_seen_after_it(
    lab: Lab, before: Sequence[str], after: Sequence[str]
) -> None:
    _, new = both(lab)

    assert in_gateway(lab, meddled, before, after) == ""

    assert listing(lab) == new


@pytest.mark.parametrize(
    ("after", "left"),
    [
        ((ADD,), "theirs beside ours"),
        ((EMPTIED,), "ours without an element"),
        ((GONE,), "nothing"),
        ((OLD_TABLE,), "the old one"),
    ],
    ids=["adds a chain", "empties a map", "deletes the table", "puts the old table back"],
)
def test_who_never_stops_wins_and_apply_says_so(lab: Lab, after: Sequence[str], left: str) -> None:
    """What somebody else does after each of our transactions is theirs; nothing of ours is half done."""
    if left == "nothing" and not is_root():
        cannot("of an ordinary user, the first load is several batches, and the next one misses the table")
    old, new = both(lab)

    assert in_gateway(lab, meddled, (), after) == GAVE_UP

    now = listing(lab)
    emptied = new | {"map inbound_servers": (new["map inbound_servers"][0], ())}
    assert (
        without_theirs(now)
        == {
            "theirs beside ours": new,
            "ours without an element": emptied,
            "nothing": {},
            "the old one": old,
        }[left]
    ), now.keys()
    assert (FOREIGN in now) == (left == "theirs beside ours")
    assert in_gateway(lab, apply_here, OTHER_SERVER) == ""
    assert listing(lab) == new


def test_what_vanishes_whenever_it_is_to_be_deleted_is_a_refusal_and_the_old_ruleset_stands(lab: Lab) -> None:
    old, _ = both(lab)
    lab.must("nft", ADD)

    assert in_gateway(lab, meddled, (DELETE,), (ADD,), 2) == REFUSED

    assert without_theirs(listing(lab)) == old


def test_an_answer_that_is_lost_is_no_refusal(lab: Lab) -> None:
    """The kernel has done it, and what nft says is that it could not read the answer: apply looks."""
    _, new = both(lab)

    assert in_gateway(lab, answered_with, "Could not process rule: No buffer space available") == ""

    assert listing(lab) == new


def answered_with(message: str) -> str:
    """Apply with a library that does all it is asked and says this."""
    compiled = site(OTHER_SERVER)
    apply._desired(compiled.text.text, compiled.text.origin)
    load = nft.load

    def lossy(text: str) -> tuple[nft.Refusal, ...]:
        return load(text) or (nft.Refusal(0, 0, 0, message),)

    nft.load = lossy
    try:
        return apply_here(OTHER_SERVER)
    finally:
        nft.load = load


# ---- a process of its own, as fast as it can


@pytest.mark.parametrize(
    ("commands", "owns_nothing"),
    [
        ((ADD, DELETE), True),
        ((GONE, OLD_TABLE), False),
    ],
    ids=["a chain comes and goes", "the whole table"],
)
def test_beside_a_program_that_changes_the_table_all_the_time(
    lab: Lab, commands: Sequence[str], owns_nothing: bool
) -> None:
    """Each apply ends, well or with a sentence; where the other one touches nothing of ours, the table is
    either site's, whole. When it has stopped, the next apply brings what the site says."""
    old, new = both(lab)
    whole = {digest(old), digest(new)}

    ended = in_gateway(lab, beside, commands)

    assert isinstance(ended, list)
    assert len(ended) == TURNS
    for said, table in ended:
        assert said in ("", GAVE_UP, *REFUSALS)
        assert table in whole or not owns_nothing
    assert in_gateway(lab, apply_here, OTHER_SERVER) == ""
    assert listing(lab) == new


REFUSALS = tuple(
    f"the kernel refused the ruleset: Could not process rule: {why}"
    for why in ("No such file or directory", "File exists", "Device or resource busy")
)
TURNS = 2


def digest(table: Table) -> str:
    """A table in a few bytes, without what is theirs."""
    return hashlib.sha256(repr(sorted(without_theirs(table).items())).encode()).hexdigest()


def beside(commands: Sequence[str]) -> list[tuple[str, str]]:
    """Apply one site after the other beside such a program; what each said and left."""
    child = os.fork()
    if child == 0:
        for_ever(lambda: [nft.load(one) for one in commands])
    ended = []
    try:
        for turn in range(TURNS):
            said = apply_here((OTHER_SERVER, SITE)[turn % 2])
            ended.append((said, digest(listing_here())))
        return ended
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def for_ever(work: Callable[[], object]) -> None:
    """Until it is killed, but not for ever: without a pause it keeps an apply from its turn."""
    until = time.monotonic() + PATIENCE / 4
    try:
        while time.monotonic() < until:
            work()
            time.sleep(0.002)
    finally:
        os._exit(0)
