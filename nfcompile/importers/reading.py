"""What a reader hands on to the passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nfcompile.importers.form import Pool, Rule
from nfcompile.source.layout import Node


class Options(NamedTuple):
    """What the command line says: --inside, --outside, --address, --map-connection, --gateway."""

    inside: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    addresses: Mapping[str, int] = {}
    connections: Mapping[str, str] = {}
    gateway: str | None = None


class Reading(NamedTuple):
    """Rules of both stages in the order in which they are asked, pools that the input names as such, and what
    it says of the gateway.

    interfaces   every interface that the input names, in its order
    addresses    addresses that interfaces have
    site         a label
    one_armed    whether an interface may be on both sides
    sections     parts of a site that the input says in a site's own words
    """

    rules: tuple[Rule, ...] = ()
    pools: tuple[Pool, ...] = ()
    interfaces: tuple[str, ...] = ()
    addresses: Mapping[str, int] = {}
    site: str = ""
    one_armed: bool = False
    sections: Mapping[str, Node] = {}
