"""Random sites of all pool types."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from nfcompile.diagnostics import SiteError
from nfcompile.pipeline import Compiled, answering, compile_site, parse
from support.random_parts import (
    NETWORKS,
    VLANS,
    acl,
    block,
    dnat_rule,
    egress,
    forwards,
    global_map,
    network,
    one_in,
    snat_rule,
)

HALVES = (("1024-32767", "32768-65535"), ("40000-65535", "1024-39999"))
"""Ports of one address for two pools."""


class RandomSite(NamedTuple):
    """A site that compiles; `name` says how to make it again."""

    name: str
    data: dict[str, Any]
    compiled: Compiled


def random_sites(
    count: int, seed: str = "", draw: Callable[[Random], dict[str, Any]] | None = None
) -> Iterator[RandomSite]:
    """So many sites that the compiler accepts; the same seed gives the same ones on every machine."""
    draw = draw or site
    for number in itertools.count():
        name = f"{number}/{seed}"
        data = draw(Random(name))
        compiled = accepted(data)
        if compiled is not None:
            yield RandomSite(name, data, compiled)
            count -= 1
        if not count:
            return


def accepted(data: dict[str, Any]) -> Compiled | None:
    """A site compiled, a fleet's for its first node; None where the compiler refuses it."""
    try:
        return compile_site(answering(parse(json.dumps(data, indent=1).encode(), "site.yaml"))[0])
    except SiteError:
        return None


def site(dice: Random) -> dict[str, Any]:
    vids = dice.choice(((), (101, 102), (102,), (101, 102)))
    rules = {f"a{n}": acl(dice, dice.choice((*vids, None))) for n in range(dice.randint(1, 3))}
    count = dice.choice((2, 1, 3, 2, 3, 4, 3, 0))
    inside = ["lan0"] if 101 in vids else dice.choice((["lan0", "lan1"], ["lan0"]))
    made: dict[str, Any] = {
        "version": 1,
        "interfaces": {"inside": inside, "outside": ["wan0"] if one_in(dice, 4) else ["wan0", "wan1"]},
        "nat_defaults": {"permit_invalid_flow": one_in(dice, 2), "port_block_size": 64},
        "acls": rules,
        "pools": {f"p{n}": pool(dice, n, sorted(rules), vids) for n in range(count)},
        "dnat": {f"d{n}": dnat_rule(dice) for n in range(dice.choice((0, 1, 2, 3)))},
        "snat": {f"s{n}": snat_rule(dice, n) for n in range(dice.choice((0, 0, 1, 2, 3)))},
    }
    if one_in(dice, 6):
        one_armed(dice, made["interfaces"])
    if one_in(dice, 6):
        made["nat_defaults"]["sessions_per_translation"] = 2
    if vids:
        made["nat_defaults"]["vlan_mode"] = "vlan"
        made["interfaces"]["vlans"] = {str(vid): VLANS[vid] for vid in vids}
    for one in made["pools"].values():
        if one["type"] == "cgnat" and one["allocation"] == "deterministic":
            taken_over(dice, one)
    shared = [one for one in made["pools"].values() if one["type"] == "cgnat"]
    if len(shared) > 1 and one_in(dice, 2) and all(one.get("randomize_ports") is not False for one in shared):
        shared[1]["global_ip"] = shared[0]["global_ip"]
        shared[0]["port_range"], shared[1]["port_range"] = dice.choice(HALVES)
    if one_in(dice, 4):
        made["nat_defaults"]["timeouts_by"] = "host"
    for one in made["pools"].values():
        # Without mapping entries a packet to a block has one fate, and so it must stay.
        if one["type"] in ("cgnat", "nat", "static") and "inbound" not in one and one_in(dice, 4):
            one["port_forwarding"] = True
    if one_in(dice, 5):
        among(dice, made["dnat"], "f", forwards(dice))
    if one_in(dice, 12):
        among(dice, made["snat"], "e", egress(dice))
    return made


def among(dice: Random, rules: dict[str, Any], word: str, more: list[dict[str, Any]]) -> None:
    """Put rules of one form before, after and between others."""
    items = list(rules.items())
    start = dice.randint(0, len(items))
    for number, rule in enumerate(more):
        start = min(start + dice.choice((1, 1, 1, 2)), len(items) + 1)
        items.insert(start - 1, (f"{word}{number}", rule))
    rules.clear()
    rules.update(items)


def taken_over(dice: Random, made: dict[str, Any]) -> None:
    """Keys of a pool that is taken over from another system; drawn last, so sites stay what they were."""
    if one_in(dice, 2):
        made["fill"] = "address"
        if len(made["global_ip"]) == 3 or made["global_ip"][0].endswith("/27"):
            # Few blocks per address, or all subscribers would be on the first one.
            limits = (made["limits_peruser"][f"portlimit_{word}"] for word in ("tcp", "udp"))
            size = -(-max(limits) // 64) * 64
            made["port_range"] = f"60000-{59999 + size * dice.choice((8, 12, 16))}"
    if one_in(dice, 3):
        made["inbound"] = "subscriber"
        if one_in(dice, 2):
            # Without mapping entries a packet to a block has one fate, whatever came before.
            made |= {"hairpin": False, "filtering": "address_and_port_dependent"}
            made.pop("randomize_ports", None)


def one_armed(dice: Random, interfaces: dict[str, Any]) -> None:
    """Put an interface on both sides, or all; what is inside there ends within a network."""
    interfaces["inside"] = sorted({*interfaces["inside"], dice.choice(("lan0", "wan0"))})
    interfaces["outside"] = sorted({*interfaces["outside"], dice.choice(("lan0", "wan0"))})
    if one_in(dice, 4):
        interfaces["outside"] = interfaces["inside"]
    networks = ("10.0.0.0/26", "10.0.0.0-10.0.0.40", "10.0.0.0/8", "198.18.0.0/27", "198.18.1.7", "0.0.0.0/0")
    if set(interfaces["inside"]) & set(interfaces["outside"]):
        interfaces["inside_networks"] = sorted(dice.sample(networks, dice.randint(1, 3)))


def pool(dice: Random, number: int, names: list[str], vids: tuple[int, ...]) -> dict[str, Any]:
    kind = dice.choice(("cgnat", "cgnat", "cgnat", "nat", "nat", "static", "fake"))
    made: dict[str, Any] = {"type": kind, "priority": dice.randint(0, 50) * 10 + number}
    made["acl"] = dice.choice(names)
    if kind == "static" and one_in(dice, 2):
        made["acl"] = "none"
    if one_in(dice, 10):
        made["enable"] = False
    if kind in ("nat", "static"):
        made["allow_external_connect"] = one_in(dice, 2)
    made["hairpin"] = kind != "fake" and one_in(dice, 2)
    if kind in ("nat", "cgnat"):
        made["allocation"] = dice.choice(("deterministic", "deterministic", "dynamic"))
        made["subscribers"] = subscribers(dice)
    if kind == "nat":
        made["global_ip"] = [f"203.0.{number}.0/24"]
        if made["allocation"] == "dynamic":
            # Who has which address is for the kernel to choose, so nobody can say who would be reached.
            made["allow_external_connect"] = made["hairpin"] = False
    if kind == "cgnat":
        made |= cgnat(dice, number, made["allocation"])
    if kind == "static":
        made["global_map"] = global_map(dice, number, vids)
    return made


def subscribers(dice: Random) -> list[str]:
    """Runs that may split a network, in any order; now and then neighbours of odd sizes."""
    if one_in(dice, 3):
        start = network(dice)
        return [f"{start}40-{start}63", f"{start}0-{start}6", f"{start}7", f"{start}9-{start}38"]
    starts = dice.sample(sorted(NETWORKS.values()), dice.randint(1, 3))
    return [dice.choice((f"{one}0/26", block(dice, one))) for one in starts]


def cgnat(dice: Random, number: int, allocation: str) -> dict[str, Any]:
    """What a cgnat pool has to give, and how."""
    first, made = f"203.0.{number}.", dict[str, Any]()
    if allocation == "dynamic":
        made["global_ip"] = dice.choice(([first + "0/29"], [first + "0/30", first + "7"]))
        made["port_range"] = dice.choice(("1024-2047", "64512-65535"))
    else:
        several = [first + "3-" + first + "21", first + "64/29", first + "1"]
        made["global_ip"] = dice.choice(
            ([first + "0/27"], [first + "7"], several, [first + "255", first + "0"])
        )
        made["port_range"] = dice.choice(("1024-65535", "1024-65535", "65024-65535", "1025-60000"))
    if one_in(dice, 4):
        made["randomize_ports"] = one_in(dice, 2) if allocation == "deterministic" else True
        if not made["randomize_ports"]:
            made["port_range"] = "60000-65535"  # in order, a ruleset has an element for each
    sizes = (64, 128, 200, 256)
    made["limits_peruser"] = {"portlimit_tcp": dice.choice(sizes), "portlimit_udp": dice.choice(sizes)}
    if one_in(dice, 3):
        made["limits_peruser"]["portlimit_icmp"] = 64
    made["filtering"] = dice.choice(("address_and_port_dependent", "endpoint_independent"))
    return made
