"""Tables, chains, rules, sets and maps as nft's manual names them.

Every object carries the path of the site that it serves (`origin`), so that an error of the kernel finds
its line. Phrases are finished nft text; `words` makes them from numbers and checked names only.
"""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.diagnostics import Path


class Rule(NamedTuple):
    """One rule: phrases, joined by single spaces in one place. `comment` is shown by `nft list`."""

    phrases: tuple[str, ...]
    origin: Path
    comment: str = ""


class Hook(NamedTuple):
    """Where a base chain hangs; `priority` is nft's word or an offset from one ('srcnat + 10')."""

    type: str
    hook: str
    priority: str


class Chain(NamedTuple):
    """A chain, with a hook if it is a base chain (policy accept)."""

    name: str
    rules: tuple[Rule, ...]
    origin: Path
    hook: Hook | None = None
    comment: str = ""


class Element(NamedTuple):
    """One element of a set (`data` empty) or a map, and the spot of the site that asked for it."""

    key: str
    data: str = ""
    origin: Path = ()


class Set(NamedTuple):
    """A set. `timeout` in seconds and `size` in elements; 0 leaves them out."""

    name: str
    type: str
    origin: Path
    elements: tuple[Element, ...] = ()
    flags: tuple[str, ...] = ()
    timeout: int = 0
    size: int = 0


class Map(NamedTuple):
    """A map from `type` to `data`; the rest as in Set."""

    name: str
    type: str
    data: str
    origin: Path
    elements: tuple[Element, ...] = ()
    flags: tuple[str, ...] = ()
    timeout: int = 0
    size: int = 0


class Counter(NamedTuple):
    """A named counter."""

    name: str
    origin: Path


class CtTimeout(NamedTuple):
    """A conntrack timeout policy: seconds by state (tcp and udp are all that nft's grammar has)."""

    name: str
    protocol: str
    policy: tuple[tuple[str, int], ...]
    origin: Path


class CtHelper(NamedTuple):
    """A conntrack helper (ALG) of the kernel: `type` is its name there."""

    name: str
    type: str
    protocol: str
    origin: Path


class Flowtable(NamedTuple):
    """A flowtable: packets of its connections that come in on `devices` skip the rest of the ruleset."""

    name: str
    devices: tuple[str, ...]
    origin: Path


Object = Counter | CtTimeout | CtHelper | Flowtable | Set | Map | Chain


class Table(NamedTuple):
    """One table of family ip, its objects in the order in which they are written.

    `remarks` are comment lines below it: what the table needs and nft's grammar has no word for.
    """

    name: str
    objects: tuple[Object, ...]
    remarks: tuple[str, ...] = ()
