"""What a reader hands on to the passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nfcompile.importers.chains import Chains, Statement
from nfcompile.importers.form import ForeignRule, FoundPool, Unsaid
from nfcompile.source.layout import LaidOutNode


class ImportOptions(NamedTuple):
    """What the command line says: --inside, --outside, --address, --map-connection, --gateway."""

    inside: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    addresses: Mapping[str, int] = {}
    connections: Mapping[str, str] = {}
    gateway: str | None = None


class ForeignProgram(NamedTuple):
    """The foreign form as it is: its chains, and the one in which each stage begins."""

    chains: Chains = {}
    starts: Mapping[str, str] = {}


def flat(rules: Sequence[ForeignRule]) -> ForeignProgram:
    """The program of a kind without chains: the rules of each stage in their order."""
    chains: dict[str, list[Statement]] = {"dnat": [], "snat": []}
    for rule in rules:
        doubt = rule.action if isinstance(rule.action, Unsaid) else None
        chains[rule.stage].append(Statement(rule.match, rule.action, rule.lines[0], rule.name, doubt))
    return ForeignProgram(chains, {"dnat": "dnat", "snat": "snat"})


class Reading(NamedTuple):
    """Rules of both stages in the order in which they are asked, pools that the input names as such, and what
    it says of the gateway.

    interfaces   every interface that the input names, in its order
    addresses    addresses that interfaces have
    site         a label
    one_armed    whether an interface may be on both sides
    sections     parts of a site that the input says in a site's own words
    program      the input as it is walked to verify the site
    """

    rules: tuple[ForeignRule, ...] = ()
    pools: tuple[FoundPool, ...] = ()
    interfaces: tuple[str, ...] = ()
    addresses: Mapping[str, int] = {}
    site: str = ""
    one_armed: bool = False
    sections: Mapping[str, LaidOutNode] = {}
    program: ForeignProgram = ForeignProgram()
