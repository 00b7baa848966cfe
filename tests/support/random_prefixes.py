"""Random sites of npt pools."""

from __future__ import annotations

from random import Random

from nfcompile.model.ranges import ipv6_text

LENGTHS = (44, 48, 56, 61, 64, 128)
PARTLY_SHARED = (("lan0, wan0", "wan0"), ("wan0", "wan0, wan1"), ("lan0, wan0", "wan0, wan1"))
"""One interface is on both sides, others are on one."""


def random_site(seed: int) -> str:
    """Pools of both kinds, whose prefixes begin and end anywhere."""
    dice = Random(seed)
    pools = []
    for number in range(dice.randint(1, 4)):
        pairs = {}
        for pair in range(dice.randint(1, 3)):
            length = dice.choice(LENGTHS)
            bits, low = 128 - length, number << 108 | pair << 100 | dice.getrandbits(99)
            local = (0xFD << 120 | low) >> bits << bits
            there = (0x2001 << 112 | low) >> bits << bits
            pairs[f"{ipv6_text(local)}/{length}"] = f"{ipv6_text(there)}/{length}"
        words = [f'"{a}": "{b}"' for a, b in pairs.items()]
        flags = f"stateless: {dice.choice(('on', 'off'))}, hairpin: {dice.choice(('on', 'off'))}"
        pools.append(
            f"  p{number}: {{type: npt, priority: {number}, {flags}, global_map: {{{', '.join(words)}}}}}"
        )
    inside, outside = dice.choice(
        (("lan0", "wan0"), ("lan0, lan1", "wan0"), ("wan0", "wan0"), *PARTLY_SHARED)
    )
    return f"interfaces: {{inside: [{inside}], outside: [{outside}]}}\npools:\n" + "\n".join(pools)
