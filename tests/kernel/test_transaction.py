"""`apply` changes what differs and nothing else: objects, elements, counters, lifetimes; at any moment."""

from __future__ import annotations

import math
import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError, apply, batch, lock, nft
from nfcompile.model.parse import address
from support.applied_site import (
    OTHER_SERVER,
    SITE,
    bring,
    bring_here,
    elements,
    empty,
    in_gateway,
    left,
    listing,
    listing_here,
)
from support.frames import ECHO, ICMP, UDP, Packet
from support.lab import Lab
from support.sites import ROOT, site
from support.waiting import PATIENCE

GOLDEN = sorted(path.parent for path in ROOT.glob("tests/golden/*/ruleset.nft"))
LOADABLE = [path for path in GOLDEN if path.name != "alg-rtsp"]
"""No kernel.org kernel has a helper for RTSP."""

WRITTEN = ("map assigned1_homes", "set taken_homes", "map eim_homes", "map eif_homes")


def fill(lab: Lab, count: int = 20) -> None:
    """Sessions of so many subscribers, and of one in the office."""
    far = address("198.18.0.1")
    packets = [("lan0", Packet(UDP, address(f"100.64.0.{n}"), 5000, far, 53)) for n in range(1, count + 1)]
    packets.append(("lan0", Packet(UDP, address("10.9.0.7"), 5000, far, 53)))
    assert all(len(one.out) == 1 for one in lab.exchange(packets))


def names(lab: Lab) -> set[str]:
    return set(listing(lab))


def text_of(path: Path) -> str:
    return (path / "site.yaml").read_text()


def loaded_alone(text: str) -> object:
    """What a site's table is that nothing was before."""
    nft.load("table ip nfcompile\ndelete table ip nfcompile\n" + site(text).text.text)
    return listing_here()


def applied_here(text: str) -> object:
    """What the table is after an `apply` of a site."""
    bring_here(text)
    return listing_here()


def has_flowtable(case: Path) -> bool:
    """Kernels without flowtables do not load it; test_loads says so of each."""
    return "\tflowtable " in (case / "ruleset.nft").read_text()


@pytest.fixture(scope="module")
def alone(lab: Lab) -> dict[Path, object]:
    """Every golden site that this kernel can load, and its table."""
    flowtables = lab.has_flowtable()
    paths = [path for path in LOADABLE if flowtables or not has_flowtable(path)]
    return {path: in_gateway(lab, loaded_alone, text_of(path)) for path in paths}


@pytest.mark.parametrize("stride", [1, 7, 29])
def test_from_any_site_to_any_other_is_as_loading_the_other(
    lab: Lab, alone: dict[Path, object], stride: int
) -> None:
    """A walk through all golden sites, each time to the next one or to one further off."""
    circle = list(alone)
    assert len(circle) > 60
    rounds = math.gcd(len(circle), stride)
    walk = [
        circle[(first + step * stride) % len(circle)]
        for first in range(rounds)
        for step in range(len(circle) // rounds)
    ]
    assert set(walk) == set(circle)
    for before, path in pairwise([walk[-1], *walk]):
        assert in_gateway(lab, applied_here, text_of(path)) == alone[path], f"{before.name} -> {path.name}"


def test_a_second_apply_sends_nothing(lab: Lab) -> None:
    empty(lab)
    bring(lab, SITE)
    before = lab.must("nft", "-a", "list", "ruleset")

    again = bring(lab, SITE)

    assert (again.objects.all, again.flushed) == ((), 0)
    assert lab.must("nft", "-a", "list", "ruleset") == before


def test_state_stays_when_another_pool_changes(lab: Lab) -> None:
    empty(lab)
    bring(lab, SITE)
    fill(lab)
    before = {thing: elements(lab, thing) for thing in WRITTEN}
    counted = lab.must("nft", "list", "counters", "table", "ip", "nfcompile")

    result = bring(lab, OTHER_SERVER)

    assert set(result.objects.all) == {
        "map outward_servers",
        "map inbound_servers",
        "set global_addresses",
    }
    assert result.flushed == 0
    assert "packets" in counted
    assert lab.must("nft", "list", "counters", "table", "ip", "nfcompile") == counted
    for thing in WRITTEN:
        now = elements(lab, thing)
        assert len(now) >= 20
        assert now.keys() == before[thing].keys()
        assert all(left(now[key]) <= left(before[thing][key]) for key in now), thing


def test_counts_of_sessions_go_on(lab: Lab) -> None:
    """Two ICMP sessions are allowed, and two there are, before and after the apply."""
    text = SITE.replace("portlimit_udp: 128", "portlimit_udp: 128, portlimit_icmp: 2")
    far = address("198.18.0.1")
    pings = [("lan0", Packet(ICMP, address("100.64.0.1"), number, far, 0, ECHO)) for number in (1, 2, 3)]
    empty(lab)
    bring(lab, text)
    assert [len(places) for places in lab.flight(pings[:2])] == [1, 1]

    assert bring(lab, text.replace("200.0.0.4", "200.0.0.9")).objects.changed

    assert [len(places) for places in lab.flight(pings)] == [1, 1, 0]


def test_only_the_elements_that_differ_are_sent(lab: Lab) -> None:
    """One server of two hundred moves: two elements go, two come."""
    entries = ", ".join(f"192.168.2.{n}: 200.0.1.{n}" for n in range(1, 201))
    many = SITE.replace("192.168.0.5:", f"{entries}, 192.168.0.5:")
    empty(lab)
    bring(lab, many)

    lines = in_gateway(lab, lines_to, many.replace("200.0.0.4", "200.0.0.9"))

    assert sorted(line for line in lines if "ward_" in line or "inbound_" in line) == [  # type: ignore[attr-defined]
        "add element ip nfcompile inbound_servers { 200.0.0.9 : 192.168.0.6 }",
        "add element ip nfcompile outward_servers { 192.168.0.6 : 200.0.0.9 }",
        "delete element ip nfcompile inbound_servers { 200.0.0.4 }",
        "delete element ip nfcompile outward_servers { 192.168.0.6 }",
    ]


def lines_to(text: str) -> list[str]:
    """The batch that leads from the live table to a site."""
    compiled = site(text)
    live = apply._live() or {}
    desired = apply._desired(compiled.text.text, compiled.text.origin)
    own = apply.parse_objects(compiled.text.text)
    sent = batch.transaction("ip nfcompile", live, desired, own, batch.compare(live, desired), {}, {})
    return [line.text for line in sent]


def test_a_pool_that_goes_leaves_nothing(lab: Lab) -> None:
    empty(lab)
    bring(lab, SITE)
    fill(lab)
    head, _, tail = SITE.partition("  homes: {type")
    without = (
        head.replace("homes: {10: allow ip 100.64.0.0/24}, ", "") + "  office" + tail.partition("  office")[2]
    )

    result = bring(lab, without)

    assert "map assigned1_homes" in result.objects.removed
    assert not [name for name in names(lab) if "homes" in name]
    assert "map assigned1_office" in names(lab)
    assert len(elements(lab, "map assigned1_office")) == 1
    assert result.flushed == 20


def test_another_lifetime_carries_the_contents_over(lab: Lab) -> None:
    """Elements keep what is left of their lives, but no more than the new one."""
    empty(lab)
    bring(lab, SITE)
    fill(lab)
    before = {thing: elements(lab, thing) for thing in WRITTEN}
    times = "timeouts_inactivity: {translation: 900, udp: 200}, limits_peruser"

    result = bring(lab, SITE.replace("limits_peruser", times, 1))

    assert "map assigned1_homes" in result.objects.changed
    assert result.flushed == 0
    for thing in WRITTEN:
        now = elements(lab, thing)
        assert now.keys() == before[thing].keys(), thing
        assert all(0 < left(one) <= 1200 for one in now.values()), thing
    data = [one.rpartition(" : ")[2] for one in elements(lab, "map assigned1_homes").values()]
    assert sorted(data) == sorted(one.rpartition(" : ")[2] for one in before["map assigned1_homes"].values())
    packet = Packet(UDP, address("100.64.0.1"), 5000, address("198.18.0.77"), 53)
    ((seen,),) = lab.flight([("lan0", packet)])
    known = before["map eim_homes"]["udp . 100.64.0.1 . 5000"].rpartition(" : ")[2]
    assert f"{seen.packet.source_port}" == known.rpartition(" . ")[2]


def test_numbers_that_mean_something_else_are_forgotten(lab: Lab) -> None:
    """One of four addresses is taken away: who was on it is assigned anew, the others keep their blocks."""
    empty(lab)
    bring(lab, SITE)
    fill(lab)
    eim = elements(lab, "map eim_homes")
    on_last = {key for key, one in eim.items() if " : 203.0.113.3 " in one}
    assert 0 < len(on_last) < len(eim)

    result = bring(lab, SITE.replace("203.0.113.0/30", "203.0.113.0-203.0.113.2"))

    kept = elements(lab, "map eim_homes")
    assert kept.keys() == eim.keys() - on_last
    assert result.flushed == len(on_last)
    subscribers = {key.split(" . ")[1] for key in kept}
    assert elements(lab, "map assigned1_homes").keys() == subscribers
    assert len(elements(lab, "set taken_homes")) == len(subscribers)
    assert not [one for one in elements(lab, "map eif_homes") if one.startswith("udp . 203.0.113.3 ")]


def test_an_appended_address_forgets_nobody(lab: Lab) -> None:
    empty(lab)
    bring(lab, SITE)
    fill(lab)
    before = elements(lab, "map assigned1_homes").keys()

    result = bring(lab, SITE.replace("[203.0.113.0/30]", "[203.0.113.0/30, 203.0.113.9]"))

    assert result.flushed == 0
    assert elements(lab, "map assigned1_homes").keys() == before
    assert len(elements(lab, "map eim_homes")) == 20


# ---- at any moment


def test_a_batch_that_the_kernel_refuses_changes_nothing(lab: Lab) -> None:
    empty(lab)
    bring(lab, SITE)
    before = lab.must("nft", "-a", "list", "ruleset")

    message = in_gateway(lab, refused)

    assert "No such file or directory" in str(message)
    assert lab.must("nft", "-a", "list", "ruleset") == before


def refused() -> str:
    """A batch with a last line that cannot be done."""
    made = batch.transaction
    batch.transaction = lambda *a: [*made(*a), batch.BatchLine("delete chain ip nfcompile nowhere")]  # type: ignore[assignment]
    try:
        bring_here(OTHER_SERVER)
    except SiteError as error:
        return error.diagnostics[0].message
    finally:
        batch.transaction = made
    return "not refused"


def test_who_changes_the_table_meanwhile_is_noticed(lab: Lab) -> None:
    empty(lab)
    bring(lab, SITE)

    in_gateway(lab, disturbed)

    found = listing(lab)
    assert "chain by_hand" not in found
    assert found == in_gateway(lab, loaded_alone, OTHER_SERVER)


def disturbed() -> None:
    """Somebody adds a chain, and takes an element away that the batch takes away, after it was made."""
    made, foreign = (
        batch.transaction,
        ["add chain ip nfcompile by_hand", "flush map ip nfcompile outward_servers"],
    )

    def and_then(*arguments: object) -> list[batch.BatchLine]:
        lines = made(*arguments)  # type: ignore[arg-type]
        if foreign:
            assert nft.load("\n".join(foreign) + "\n") == ()
            foreign.clear()
        return lines

    batch.transaction = and_then
    try:
        bring_here(OTHER_SERVER)
    finally:
        batch.transaction = made


def test_killed_at_any_moment_the_table_is_the_old_one_or_the_new_one(lab: Lab) -> None:
    empty(lab)
    bring(lab, SITE)
    old = listing(lab)
    bring(lab, OTHER_SERVER)
    new = listing(lab)
    began = time.monotonic()
    bring(lab, SITE)
    step = (time.monotonic() - began) / 16
    delay, seen = 0.0, list[bool]()
    while len(seen) < 25 or True not in seen:
        killed = in_gateway(lab, kill_after, OTHER_SERVER, delay)
        now = listing(lab)
        now.pop("set unflushed", None)
        assert now in (old, new), f"killed after {delay} s: {killed}"
        seen.append(now == new)
        bring(lab, OTHER_SERVER)
        assert listing(lab) == new
        bring(lab, SITE)
        # A machine that has other work to do now needs longer than it just did.
        delay = delay + step if len(seen) < 25 else 2 * delay
        assert delay < PATIENCE
    assert False in seen


def kill_after(text: str, seconds: float) -> bool:
    """Apply in a child and kill it, unless it is ready before."""
    child = os.fork()
    if child == 0:
        try:
            bring_here(text)
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0


def test_two_at_once_wait_for_each_other(lab: Lab) -> None:
    empty(lab)
    bring(lab, SITE)
    both = in_gateway(lab, at_once, [OTHER_SERVER, SITE] * 3)

    assert both == [0] * 6
    after = listing(lab)
    assert after in [in_gateway(lab, loaded_alone, text) for text in (SITE, OTHER_SERVER)]


def at_once(texts: list[str]) -> list[int]:
    """Apply several sites, each in a process of its own; how they ended."""
    children = []
    for text in texts:
        child = os.fork()
        if child == 0:
            status = 1
            lock.PATIENCE_SECONDS = PATIENCE  # five others may come before it
            try:
                bring_here(text)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def test_who_waits_too_long_is_refused(lab: Lab) -> None:
    assert in_gateway(lab, second_one) == (
        "another nfcompile has been changing this network namespace for 0.2 s; "
        "nothing was changed, try again when it has ended"
    )


def second_one() -> str:
    with lock.exclusive():
        try:
            with lock.exclusive(0.2):
                return "both are alone"
        except KernelError as error:
            return str(error)


def test_golden_sites_compile() -> None:
    """The circle above is made of these."""
    for path in LOADABLE:
        assert site((path / "site.yaml").read_text()).text.text
