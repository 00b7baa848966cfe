"""A few random sites in which as many features as possible meet, for tests that work long on each.

What costs in a site is how many addresses its ruleset tells apart; what counts is how many pairs of words it
has that no other has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import combinations

from support.random_sites import RandomSite, random_sites

CANDIDATES, LIGHT = 60, 26
"""So many sites are drawn, and the lighter ones of them looked at."""
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
NAME = re.compile(r"[a-z]\d|\d+|.*\..*")
"""Names of pools, ACLs and rules in a random site, numbers of rules, addresses: no words."""
CHOICES = ("type", "allocation", "filtering", "protocol", "hairpin", "randomize_ports", "permit_invalid_flow")

Pair = tuple[str, str]


@cache
def varied_sites(count: int) -> tuple[RandomSite, ...]:
    """Always the same sites, the best first."""
    drawn = sorted(random_sites(CANDIDATES), key=weight)[:LIGHT]
    left = {site.name: (site, pairs(site)) for site in drawn}
    met: set[Pair] = set()
    chosen = []
    for _ in range(count):
        site, mine = max(left.values(), key=lambda one: len(one[1] - met) / weight(one[0]))
        met |= mine
        chosen.append(left.pop(site.name)[0])
    return tuple(chosen)


def weight(site: RandomSite) -> float:
    """About how long a proof of it takes: many elements cost, too."""
    text = site.compiled.text.text
    return len(set(ADDRESS.findall(text))) + len(text) / 50_000


def pairs(site: RandomSite) -> set[Pair]:
    """What the site has at the same time."""
    return set(combinations(sorted(set(words(site.data))), 2))


def words(value: object, path: str = "") -> Iterator[str]:
    """The keys of a site, what was chosen where there is a choice, and the words of ACL rules."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from words(inner, path if NAME.fullmatch(str(key)) else f"{path}.{key}")
    elif isinstance(value, list):
        yield f"{path} {len(value)}"
    elif path == ".acls":
        yield from (f"{path}={word}" for word in re.findall(r"[a-z]+|~", str(value)))
    else:
        yield f"{path}={value}" if path.endswith(CHOICES) else path
