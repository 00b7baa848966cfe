"""Who moves between two sites, against a comparison of every single subscriber."""

import copy
import json
from collections import Counter, defaultdict
from itertools import permutations
from random import Random

import pytest

from nfcompile import pipeline
from nfcompile.allocation.mappings import mappings
from nfcompile.allocation.moves import (
    Binding,
    Forgotten,
    Move,
    forgotten,
    moved_count,
    moves,
    subscriber_count,
)
from nfcompile.model.ranges import Range, address_text, range_text
from support.sites import site

HOMES = 0x64400000
HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\nnat_defaults: {vlan_mode: vlan}\n"
LIMITS = "{portlimit_tcp: 8064, portlimit_udp: 8064}"


def allocated(pools, acls="homes: {10: allow ip 100.64.0.0/28}"):
    return site(f"{HEAD}acls:\n  {acls}\npools:\n  {pools}\n").allocations


def homes(global_ip="203.0.113.0/30", name="homes", limits=LIMITS, priority=1):
    listed = f"{{type: cgnat, acl: homes, priority: {priority}, global_ip: [{global_ip}]"
    return f"{name}: {listed}, limits_peruser: {limits}}}"


# Against every single subscriber

ORIGINS = 300
"""So many random sites; each is compared with two changes of it, and these with each other, both ways."""
OFTEN = {
    "moved": 2000,
    "new": 800,
    "gone": 800,
    "to another pool": 80,
    "tagged moved": 15,
    "two at once": 60,
}
"""Runs that are met among them."""


def runs(dice, start, count, longest):
    """Disjoint ranges in any order."""
    found, at = [], start
    for _ in range(dice.randint(1, count)):
        at += dice.randint(0, 5)
        last = at + dice.randint(0, longest)
        found.append(Range(at, last))
        at = last + 1
    dice.shuffle(found)
    return found


def random_site(dice):
    places = dice.sample(range(6), 3)
    pools = {name: pool(dice, places.pop()) for name in dice.sample("abc", dice.randint(1, 3))}
    return {"pools": pools, "low": dice.choice(["nolimit", 128])}


def pool(dice, place):
    """A pool whose global addresses are at one of the places."""
    kind = dice.choice(["cgnat", "cgnat", "nat", "static", "dynamic"])
    made = {"place": place, "type": kind}
    if kind == "static":
        return made | {"global_map": entries(dice)}
    made |= {"global_ip": runs(dice, 0, 2, 12), "subscribers": written(runs(dice, HOMES, 3, 10))}
    if kind == "cgnat":
        tcp, udp = dice.choice([(8064, 8064), (8064, 4032), (16128, 128)])
        made["limits_peruser"] = {"portlimit_tcp": tcp, "portlimit_udp": udp, "portlimit_icmp": 64}
    elif kind == "nat":
        made["allocation"] = "deterministic"
    else:
        made |= {"type": "cgnat", "allocation": "dynamic"}
    return made


def entries(dice):
    """Of a static pool: local addresses, as they are written, and global ones of its place."""
    found = {}
    for number in range(dice.randint(1, 3)):
        bits = dice.choice([0, 0, 1, 2, 3])
        first = HOMES + (dice.randrange(8) << 3)
        tag = "~7" if not bits and dice.random() < 0.7 else ""
        found[range_text(Range(first, first + (1 << bits) - 1)) + tag] = Range(
            8 * number, 8 * number + (1 << bits) - 1
        )
    return found


def written(ranges):
    return [range_text(one) for one in ranges]


def changed(dice, site):
    """What an operator makes of a site: one pool is another one, or elsewhere, or has another name."""
    site = copy.deepcopy(site)
    pools = site["pools"]
    name = dice.choice(sorted(pools))
    change = dice.choice(["redrawn", "subscribers", "globals", "place", "renamed", "order", "low", "added"])
    (spare,) = dice.sample(sorted({*range(6)} - {one["place"] for one in pools.values()}), 1)
    if change == "redrawn":
        pools[name] = pool(dice, pools[name]["place"])
    elif change == "subscribers" and "subscribers" in pools[name]:
        pools[name]["subscribers"] = written(runs(dice, HOMES, 3, 10))
    elif change == "globals" and "global_ip" in pools[name]:
        pools[name]["global_ip"] = runs(dice, 0, 2, 12)
    elif change == "place":
        pools[name]["place"] = spare
    elif change == "renamed":
        pools["d"] = pools.pop(name)
    elif change == "order":
        pools[name] = pools.pop(name)
    elif change == "low":
        site["low"] = 64 if site["low"] == 128 else 128
    else:
        pools["e"] = pool(dice, spare)
    return site


def at(place, one):
    """A global address or range, counted from its place."""
    start = 0xCB007100 + 4096 * place
    return range_text(Range(start + one.first, start + one.last))


def allocations_of(site):
    """What a site gives to whom, or None where the compiler refuses it."""
    acls, pools = {}, {}
    for priority, (name, made) in enumerate(site["pools"].items()):
        pools[name] = {key: value for key, value in made.items() if key != "place"} | {"priority": priority}
        if "global_ip" in made:
            pools[name]["global_ip"] = [at(made["place"], one) for one in made["global_ip"]]
        else:
            pools[name]["global_map"] = {k: at(made["place"], one) for k, one in made["global_map"].items()}
        if made["type"] != "static":
            acls[name] = {"10": f"allow ip any dst 192.0.2.{priority}"}
            pools[name]["acl"] = name
    data = {
        "version": 1,
        "interfaces": {"inside": ["lan0"], "outside": ["wan0"]},
        "nat_defaults": {"vlan_mode": "vlan", "portlimit_low": site["low"]},
        "acls": acls,
        "pools": pools,
    }
    finding = pipeline.check(pipeline.parse(json.dumps(data).encode(), "site.yaml"))
    refused = any(one.severity == "error" for one in finding.diagnostics)
    return None if refused else finding.checked[1]


def allocation(allocations):
    """Subscriber -> [(pool, global address, ports)] in packet order, one by one."""
    found = defaultdict(dict)
    for pool, subscriber, global_ip, first, last, words in mappings(allocations):
        ports = found[subscriber].setdefault((pool, global_ip), [])
        if first != "":
            ports.append((first, last, words))
    return {who: [(*key, tuple(ports)) for key, ports in has.items()] for who, has in found.items()}


def expected(before, after):
    """(subscriber, binding before, binding after) of everybody whose binding is another."""
    for who in sorted({*before, *after}):
        old, new = before.get(who, []), after.get(who, [])
        stays = {one[1:] for one in old} & {one[1:] for one in new}
        old = [one for one in old if one[1:] not in stays]
        new = [one for one in new if one[1:] not in stays]
        for one in list(old):
            for other in new:
                if one[0] == other[0]:
                    yield who, one, other
                    old.remove(one)
                    new.remove(other)
                    break
        for number in range(max(len(old), len(new))):
            yield who, *(side[number] if number < len(side) else None for side in (old, new))


def single(found):
    """The same from runs."""
    for one in (*found.moved, *found.new, *found.gone):
        for offset in range(one.subscribers.size):
            vid = "" if one.vid is None else f"~{one.vid}"
            yield (
                address_text(one.subscribers.first + offset) + vid,
                *(
                    side and (side.pool, address_text(side.global_ip.first + offset), side.ports)
                    for side in (one.before, one.after)
                ),
            )


def compare(before, after, met):
    """Both ways to say what has moved; `met` counts what was to be said."""
    found = moves(before, after)
    wanted = list(expected(allocation(before), allocation(after)))
    assert sorted(single(found), key=str) == sorted(wanted, key=str)
    moved = {who for who, old, new in wanted if old and new}
    assert moved_count(found) == len(moved)
    assert all(one.before and one.after for one in found.moved)
    assert all(one.after and not one.before for one in found.new)
    assert all(one.before and not one.after for one in found.gone)
    met.update(moved=len(found.moved), new=len(found.new), gone=len(found.gone))
    met["to another pool"] += sum(one.before.pool != one.after.pool for one in found.moved)
    met["tagged moved"] += sum(one.vid is not None for one in found.moved)
    met["two at once"] += len(found.moved) - len({(one.subscribers.first, one.vid) for one in found.moved})


def test_runs_say_what_a_comparison_one_by_one_says():
    met = Counter()
    for number in range(ORIGINS):
        dice = Random(number)
        origin = random_site(dice)
        sites = [origin, changed(dice, origin), changed(dice, origin)]
        accepted = [(site, found) for site in sites if (found := allocations_of(site)) is not None]
        for (left, before), (right, after) in permutations(accepted, 2):
            try:
                compare(before, after, met)
            except AssertionError:
                print("random site", number, json.dumps([left, right], indent=1))
                raise
            met["pairs"] += 1
    assert not {word: met[word] for word, often in OFTEN.items() if met[word] < often}, met


# What an operator changes


def test_the_same_site_moves_nobody():
    assert moves(allocated(homes()), allocated(homes())) == ((), (), ())


def test_a_renamed_pool_moves_nobody():
    assert moves(allocated(homes()), allocated(homes(name="houses"))) == ((), (), ())


def test_another_order_of_pools_moves_nobody():
    both = (homes(priority=1), "web: {type: static, priority: 9, global_map: {10.0.0.1: 198.51.100.1}}")
    again = (both[1].replace("9", "0", 1), both[0])

    assert moves(allocated("\n  ".join(both)), allocated("\n  ".join(again))) == ((), (), ())


def test_appended_addresses_move_nobody():
    assert moves(allocated(homes()), allocated(homes("203.0.113.0/30, 203.0.113.8"))) == ((), (), ())


def test_another_prefix_moves_whole_runs():
    found = moves(allocated(homes()), allocated(homes("198.51.100.0/30")))

    ports = ((1024, 9087, "tcp+udp+icmp"),)
    assert found.moved[0] == Move(
        Range(HOMES, HOMES + 3),
        None,
        Binding("homes", Range(0xCB007100, 0xCB007103), ports),
        Binding("homes", Range(0xC6336400, 0xC6336403), ports),
    )
    assert len(found.moved) == 4
    assert moved_count(found) == 16
    assert found[1:] == ((), ())


def test_who_changes_the_pool_moves_from_one_to_the_other():
    office = (
        "office: {type: nat, acl: office, priority: 0, allocation: deterministic, global_ip: [198.51.100.9]}"
    )
    acls = "homes: {10: allow ip 100.64.0.0/28}\n  office: {10: allow ip 100.64.0.3}"
    found = moves(allocated(homes()), allocated(f"{homes()}\n  {office}", acls))

    (first, *others) = found.moved
    assert first.subscribers == Range(HOMES + 3, HOMES + 3)
    assert (first.before.pool, first.after.pool) == ("homes", "office")
    assert first.after == Binding("office", Range(0xC6336409, 0xC6336409), ())
    assert {one.after.pool for one in others} == {"homes"}
    assert found[1:] == ((), ())


def test_new_and_gone_are_apart():
    before = allocated(homes(), "homes: {10: allow ip 100.64.0.0/29}")
    after = allocated(homes(), "homes: {10: allow ip 100.64.0.4/30, 20: allow ip 100.64.0.8/30}")
    found = moves(before, after)

    assert [one.subscribers for one in found.gone] == [Range(HOMES, HOMES + 3)]
    assert [one.subscribers for one in found.new] == [Range(HOMES + 8, HOMES + 11)]
    assert [one.subscribers for one in found.moved] == [Range(HOMES + 4, HOMES + 7)]


def test_a_smaller_limit_of_one_protocol_is_another_binding():
    smaller = LIMITS.replace("udp: 8064", "udp: 4032")
    found = moves(allocated(homes()), allocated(homes(limits=smaller)))

    assert moved_count(found) == 16
    assert {one.before.global_ip for one in found.moved} == {one.after.global_ip for one in found.moved}


def test_a_host_on_another_vlan_is_another_subscriber():
    before, after = (
        allocated(f"web: {{type: static, priority: 1, global_map: {{10.0.0.1{vid}: 198.51.100.1}}}}")
        for vid in ("", "~7")
    )
    found = moves(before, after)

    assert (found.moved, [one.vid for one in found.new], [one.vid for one in found.gone]) == ((), [7], [None])
    assert subscriber_count((*found.new, *found.gone)) == 2


def test_a_subscriber_of_two_pools_counts_once():
    def both(first, second):
        acls = "homes: {10: allow ip 100.64.0.0/28 dst 192.0.2.0/24}\n  rest: {10: allow ip 100.64.0.0/28}"
        other = homes(second, "rest", priority=2).replace("acl: homes", "acl: rest")
        return allocated(f"{homes(first)}\n  {other}", acls)

    found = moves(both("203.0.113.0/30", "203.0.113.8/30"), both("198.51.100.0/30", "198.51.100.8/30"))

    assert sum(one.subscribers.size for one in found.moved) == 32
    assert moved_count(found) == 16


# Dynamic pools


def dynamic(global_ip="203.0.113.0/30", size=128, kind="cgnat", limit=1024, name="homes"):
    limits = (
        f", limits_peruser: {{portlimit_tcp: {limit}, portlimit_udp: {limit}}}" if kind == "cgnat" else ""
    )
    listed = f"{{type: {kind}, acl: all, priority: 1, allocation: dynamic, global_ip: [{global_ip}]"
    pool = f"{name}: {listed}{limits}}}"
    head = HEAD.replace("vlan_mode", f"port_block_size: {size}, vlan_mode")
    return site(f"{head}acls:\n  all: {{10: allow ip any}}\npools:\n  {pool}\n").allocations


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (dynamic("198.51.100.0/30"), "the addresses are counted differently"),
        (dynamic(size=256), "the blocks of an address are cut differently"),
        (dynamic(kind="nat"), "the pool is now of type nat"),
        (dynamic(name="other"), "the pool is gone"),
        (allocated(homes()), "the pool is no longer dynamic"),
    ],
)
def test_what_ends_the_assignments_of_a_dynamic_pool(after, why):
    assert list(forgotten(dynamic(), after)) == [Forgotten("homes", why)]
    assert moves(dynamic(), after).moved == ()


@pytest.mark.parametrize(
    "after", ["203.0.113.0/30, 198.51.100.1", "203.0.113.0/29", "203.0.113.0-203.0.113.1, 203.0.113.2/31"]
)
def test_assignments_outlive_appended_addresses(after):
    assert list(forgotten(dynamic(), dynamic(after))) == []


def test_a_lower_limit_ends_further_blocks_only():
    why = "of 8 blocks a subscriber keeps at most 2"

    assert list(forgotten(dynamic(), dynamic(limit=256))) == [
        Forgotten("homes", why, (Range(0xCB007100, 0xCB007103),))
    ]
    assert list(forgotten(dynamic(limit=256), dynamic())) == []


def test_assignments_before_a_removed_address_stay():
    (found,) = forgotten(dynamic("203.0.113.0/30, 198.51.100.1"), dynamic("203.0.113.0/31, 198.51.100.1"))

    assert found.kept == (Range(0xCB007100, 0xCB007101),)


# Size


def test_a_million_subscribers_are_compared_by_runs():
    """Addresses that start in the middle of a prefix: every subscriber moves, and the runs stay few."""

    def million(first, last):
        listed = f"{{type: cgnat, acl: homes, priority: 1, global_ip: [198.{first}-198.{last}]"
        limits = "limits_peruser: {portlimit_tcp: 896, portlimit_udp: 896, portlimit_icmp: 896}}"
        return allocated(f"homes: {listed}, {limits}", "homes: {10: allow ip 100.64.0.0/12}")

    found = moves(million("18.0.1", "18.63.255"), million("20.77.9", "20.140.255"))

    assert moved_count(found) == 1 << 20
    assert len(found.moved) < 20_000
