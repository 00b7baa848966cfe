"""The keys of the schema that few sites have: labels, further addresses, ports with a timeout of their own,
fleets. Drawn after all else, so that a random site without them is what it was before.
"""

from __future__ import annotations

from random import Random
from typing import Any

from support.random_parts import one_in

LABELS = ("", "metro-1", "Zürich 7; x", "\u202e", "#{}", "a" * 64)
HOST_NAMES = ("", "gw1.example.net", "a b;#{}$x", "z" * 255)
SECONDARY = (
    ["172.32.0.201-172.32.0.210"],
    ["172.32.0.203"],
    ["172.32.0.0/30", "172.32.0.203"],
    ["203.1.0.1"],  # an snat rule's
)
SPECIAL_PORTS = ([], [22], [22, 5222], [1, 65535], [65535, 443, 22])


def add_rare_keys(dice: Random, made: dict[str, Any]) -> None:
    """Add some of them to a site, none to most."""
    if one_in(dice, 8):
        made["site"] = dice.choice(LABELS)
    if one_in(dice, 8):
        made["nat_defaults"]["lldp_hostname"] = dice.choice(HOST_NAMES)
    if one_in(dice, 8):
        made["gateway"] = made.get("gateway", {}) | {"secondary_ips": dice.choice(SECONDARY)}
    pools = [pool for pool in made["pools"].values() if pool["type"] in ("cgnat", "nat", "static")]
    for values in (made["nat_defaults"], *pools):
        if one_in(dice, 8):
            timeouts = values.get("timeouts_inactivity") or {}
            ports = dice.choice(SPECIAL_PORTS)
            values["timeouts_inactivity"] = timeouts | {"special": 600, "special_tcp_ports": ports}
    if one_in(dice, 8):
        make_fleet(dice, made)


def make_fleet(dice: Random, made: dict[str, Any]) -> None:
    """Spread a site over one or two pairs and a node that stands alone; each pool is on one of them."""
    pairs = dice.choice((("east",), ("east", "west"), ()))
    alone = ("lonely",) if not pairs or one_in(dice, 2) else ()
    made["pairs"] = {name: _pair(dice, number) for number, name in enumerate(pairs)}
    made["nodes"] = {
        f"{name}-{half}": _half(dice, name, number, half)
        for number, name in enumerate(pairs)
        for half in (1, 2)
    }
    made["nodes"] |= {name: _alone(dice, made["interfaces"]) for name in alone}
    groups = (*pairs, *alone)
    if "secondary_ips" in made.get("gateway", {}):
        made["gateway"]["secondary_ips"] = {dice.choice(groups): made["gateway"]["secondary_ips"]}
    for pool in made["pools"].values():
        _placed(dice, pool, groups)
    for rule in (*made["dnat"].values(), *made["snat"].values()):
        if one_in(dice, 2):
            rule["pair"] = dice.choice(groups)


def _placed(dice: Random, pool: dict[str, Any], groups: tuple[str, ...]) -> None:
    """A pool of one pair, by its key or by those of its addresses."""
    where = dice.choice(groups)
    keys = [key for key in ("global_ip", "subscribers") if key in pool]
    if keys and one_in(dice, 2):
        pool |= {key: {where: pool[key]} for key in keys}
    elif len(groups) > 1 or one_in(dice, 2):
        pool["pair"] = where


def _pair(dice: Random, number: int) -> dict[str, Any]:
    """Virtual addresses of both sides, and some of the keys of VRRP."""
    made: dict[str, Any] = {
        "virtual": {"lan0": [f"100.127.{number}.1/24"], "wan0": [f"192.0.2.{16 * number + 2}/28"]}
    }
    given = {
        "virtual_router_id": dice.choice((1, 51, 247)),
        "advert": dice.choice((1, 40, "0.1", "0.01", "2.5")),
        "unicast": one_in(dice, 2),
    }
    return made | {key: value for key, value in given.items() if one_in(dice, 2)}


def _half(dice: Random, pair: str, number: int, half: int) -> dict[str, Any]:
    """One of the two nodes of a pair."""
    made: dict[str, Any] = {
        "pair": pair,
        "sync": {"interface": "sync0", "address": f"10.255.0.{half}"},
        "addresses": {
            "lan0": f"100.127.{number}.{half + 1}/24",
            "wan0": f"192.0.2.{16 * number + half + 2}/28",
        },
    }
    return made | ({"priority": dice.choice((1, 150, 254))} if one_in(dice, 2) else {})


def _alone(dice: Random, interfaces: dict[str, Any]) -> dict[str, Any]:
    """A node without a peer; its interfaces are those of the site, or fewer."""
    made: dict[str, Any] = {"primary_ip": "172.32.0.11"} if one_in(dice, 2) else {}
    if one_in(dice, 2):
        made["interfaces"] = {side: interfaces[side][:1] for side in ("inside", "outside")}
    return made
