"""The phrases of our rules as values: expressions, matches, statements, verdicts, as nft(8) has them."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.verify.walk.values import Key, Value


class UnknownPhrase(Exception):
    """A rule has words that the grammar does not have; the message holds the rule."""


class Field(NamedTuple):
    """Something of the packet or its connection, by nft's name ('ip saddr', 'ct mark')."""

    name: str


class Constant(NamedTuple):
    """Numbers, or a range of them from which the kernel chooses."""

    value: Value


class Masked(NamedTuple):
    """`field & mask | bits`."""

    field: Field
    mask: int
    bits: int = 0


class Numgen(NamedTuple):
    """A number that the kernel counts or draws: `first` to `last`."""

    first: int
    last: int


class Concat(NamedTuple):
    """`a . b . c`."""

    parts: tuple[Field | Masked, ...]


class Looked(NamedTuple):
    """`key map @name`, or of a map that stands in the rule."""

    key: Expression
    source: str | Inline


class Entry(NamedTuple):
    """One element: its key, the data or verdict that it leads to, and the spot of the site behind it."""

    key: Key
    data: Key = ()
    verdict: Verdict | None = None
    origin: Path = ()


Inline = tuple[Entry, ...]
Expression = Field | Constant | Masked | Numgen | Concat | Looked


class Match(NamedTuple):
    """The key lies in one of the patterns of a set (by name, or in the rule), or with `negated` in none."""

    key: Expression
    source: str | Inline
    negated: bool = False


class Assign(NamedTuple):
    """`meta mark set`, `ct mark set`, `ct original zone set`."""

    field: str
    value: Expression


class Limit(NamedTuple):
    """A token bucket that holds one packet in our time; `over` is true when it is empty."""

    over: bool


class Count(NamedTuple):
    """`ct count`: connections of one key."""

    most: int
    over: bool


class Change(NamedTuple):
    """`add`, `update` or `delete` of an element; a limit or count of the element may end the rule."""

    word: str
    name: str
    key: Expression
    data: Expression | None = None
    condition: Limit | Count | None = None


class Nat(NamedTuple):
    """`snat` or `dnat`; what is None stays. `prefix` is NETMAP: the host bits stay too."""

    kind: str
    address: Expression | None
    port: Expression | None
    prefix: bool


class Note(NamedTuple):
    """What leaves the packet as it is: counter, log, timeout, helper, events; `words` are its arguments."""

    kind: str
    words: tuple[str, ...]


class Verdict(NamedTuple):
    """accept, drop, return, reject; jump and goto with a chain."""

    word: str
    chain: str = ""


class Vmap(NamedTuple):
    """A verdict by key."""

    key: Expression
    source: str | Inline


Phrase = Match | Assign | Limit | Change | Nat | Note | Verdict | Vmap
