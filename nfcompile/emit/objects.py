"""Tables, chains, rules, sets and maps as nft's manual names them.

Every object carries the path of the site that it serves (`origin`), so that an error of the kernel finds
its line.
"""

from typing import NamedTuple

from nfcompile.diagnostics import Path, dotted
from nfcompile.emit.expressions import Elements, Name
from nfcompile.emit.statements import Statement


class Rule(NamedTuple):
    """One rule. `note` is its comment where that says something else than the path."""

    statements: tuple[Statement, ...]
    origin: Path
    note: str = ""

    @property
    def comment(self) -> str:
        """What `nft list` shows beside the rule: the line of the site that it serves."""
        return self.note or dotted(self.origin)


PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
"""nft's words for hook priorities (nft(8), family ip)."""
NEAR = 10
"""Priorities so far from a word are written as an offset from it."""


class Hook(NamedTuple):
    """Where a base chain hangs; `priority` is nft's word, an offset from one ('srcnat + 10') or a number."""

    type: str
    hook: str
    priority: str

    @property
    def order(self) -> int:
        """The priority as a number: chains of a hook meet packets in ascending order. Raises ValueError.

        >>> Hook("filter", "postrouting", "srcnat + 1").order, Hook("filter", "forward", "-5").order
        (101, -5)
        """
        word, *offset = self.priority.replace("+ ", "+").replace("- ", "-").split()
        return (PRIORITIES[word] if word in PRIORITIES else int(word)) + sum(map(int, offset))


def priority_text(number: int) -> str:
    """The priority in nft's words.

    >>> priority_text(101), priority_text(-5), priority_text(300)
    ('srcnat + 1', 'filter - 5', '300')
    """
    word, base = min(PRIORITIES.items(), key=lambda one: abs(number - one[1]))
    offset = number - base
    if abs(offset) > NEAR:
        return str(number)
    return f"{word} {'+' if offset > 0 else '-'} {abs(offset)}" if offset else word


class Chain(NamedTuple):
    """A chain, with a hook if it is a base chain (policy accept)."""

    name: Name
    rules: tuple[Rule, ...]
    origin: Path
    hook: Hook | None = None

    @property
    def comment(self) -> str:
        """The line of the site that it serves; base chains serve all of it."""
        return "" if self.hook else dotted(self.origin)

    def comment_of(self, rule: Rule) -> str:
        """The comment that is written beside a rule: none where it says what the chain's does."""
        return "" if rule.comment == self.comment else rule.comment


class Set(NamedTuple):
    """A set with keys of the types `key`. `timeout` in seconds and `size` in elements; 0 leaves them out."""

    name: Name
    key: tuple[str, ...]
    origin: Path
    elements: Elements = ()
    flags: tuple[str, ...] = ()
    timeout: int = 0
    size: int = 0


class Map(NamedTuple):
    """A map from keys to data of the types `data` (('verdict',): a verdict map); the rest as in Set.

    `interval`: the data are ranges (`interval ipv4_addr . inet_service`), as NETMAP and port blocks need.
    """

    name: Name
    key: tuple[str, ...]
    data: tuple[str, ...]
    origin: Path
    elements: Elements = ()
    flags: tuple[str, ...] = ()
    timeout: int = 0
    size: int = 0
    interval: bool = False


class Counter(NamedTuple):
    """A named counter."""

    name: Name
    origin: Path


class CtTimeout(NamedTuple):
    """A conntrack timeout policy: seconds by state (tcp and udp are all that nft's grammar has)."""

    name: Name
    protocol: str
    policy: tuple[tuple[str, int], ...]
    origin: Path


class CtHelper(NamedTuple):
    """A conntrack helper (ALG) of the kernel: `type` is its name there."""

    name: Name
    type: str
    protocol: str
    origin: Path


class Flowtable(NamedTuple):
    """A flowtable: packets of its connections that come in on `devices` skip the rest of the ruleset."""

    name: Name
    devices: tuple[str, ...]
    origin: Path


Object = Counter | CtTimeout | CtHelper | Flowtable | Set | Map | Chain


FAMILY, FAMILY6 = "ip", "ip6"


class Table(NamedTuple):
    """One table of a family, its objects in the order in which they are written.

    `remarks` are comment lines below it: what the table needs and nft's grammar has no word for.
    """

    name: str
    objects: tuple[Object, ...]
    remarks: tuple[str, ...] = ()
    family: str = FAMILY

    @property
    def title(self) -> str:
        """Family and name, as nft's commands take them."""
        return f"{self.family} {self.name}"
