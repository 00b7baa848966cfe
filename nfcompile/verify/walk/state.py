"""What packets have left in the dynamic sets and maps: an input of a walk, and its outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from nfcompile.emit import Name
from nfcompile.lower import names
from nfcompile.lower.tokens import FIRST_TOKEN, TOKENS
from nfcompile.model.ranges import Range
from nfcompile.verify.boxes import Names, among
from nfcompile.verify.chosen_values import DrawnNumber
from nfcompile.verify.field_values import FieldValues
from nfcompile.verify.walk.values import Key, Value, certain, within

Ask = Callable[[Name, Key], Key | None]
"""The data of one element of a set or map by name ((): it has none); None where there is no such element."""
Learned = Mapping[tuple[Name, Key], Key | None]
ANY_TOKEN = Range(FIRST_TOKEN, FIRST_TOKEN | (TOKENS - 1))


class State(NamedTuple):
    """Elements that are known (None: known to be gone), and whom to ask for others.

    Without `ask` there are no others, as in a ruleset that has just been loaded. `unknown`: packets may have
    left anything behind, so every look-up goes both ways.
    """

    learned: Learned = MappingProxyType({})
    ask: Ask | None = None
    unknown: bool = False

    def data(self, name: Name, key: Key) -> Key | None:
        """The data of an element, () in a set; None where it is not there.

        Of a key that stands for many only this is known: whether all are there, and a search finds none free.
        """
        if (name, key) in self.learned:
            return self.learned[name, key]
        if certain(key):
            return self.ask(name, key) if self.ask else None
        there = sum(
            at == name and data is not None and all(within(a, b) for a, b in zip(one, key, strict=True))
            for (at, one), data in self.learned.items()
        )
        part = key[0]
        count = part.many if isinstance(part, DrawnNumber) else part.size if isinstance(part, Range) else 0
        return () if len(key) == 1 and count and there >= count else None

    def lacks(self, name: Name) -> bool:
        """Whether there is certainly no element in that set or map."""
        return not self.unknown and self.ask is None and all(at != name for at, _ in self.learned)

    def named(self, name: Name, key: Key) -> Key:
        """A key of several interfaces as that of one of them, where elements of all are known. Raises Split
        where they are of some."""
        part = key[0]
        if len(key) > 1 or not isinstance(part, Names):
            return key
        elements = (other for (at, other), data in self.learned.items() if at == name and data is not None)
        known = {one for (one, *_) in elements if isinstance(one, str)}
        if (there := among(part, known)) is None:
            raise part.together(known)
        return (min(part.names),) if there else key

    def may_hold(self, name: Name, key: Key) -> bool:
        """Whether packets may have left an element that is not known. Tokens that are young are tokens."""
        return self.unknown and (name != names.RECENT_TOKENS or within(key[0], ANY_TOKEN) is not False)

    def may_be(self, name: Name, anything: Key) -> Key:
        """What the data of such an element can be: a number of the data's type, a token where it is one."""
        return (ANY_TOKEN,) if name == names.NOW else anything

    def perhaps(self, name: Name, key: Key) -> list[Key]:
        """The data of elements of other packets of the box: a packet has one of these keys, or none."""
        return [
            data
            for (at, other), data in self.learned.items()
            if at == name and data is not None and other != key and _may_meet(key, other)
        ]

    def after(self, learned: Learned) -> State:
        """The state when a packet has passed."""
        return self._replace(learned={**self.learned, **learned})


def gate_open(interfaces: Iterable[str]) -> State:
    """The state of a node of a pair that `takeover` has opened for packets from these interfaces."""
    return State({(names.GATE, (interface,)): () for interface in interfaces})


def _may_meet(key: Key, other: Key) -> bool:
    boxed = any(isinstance(part, FieldValues) for part in (*key, *other))
    return boxed and all(_share(a, b) for a, b in zip(key, other, strict=True))


def _share(a: Value, b: Value) -> bool:
    """Whether two parts of keys may be the same value. A box may lack numbers between its first and last."""
    if not isinstance(a, Range) or not isinstance(b, Range):
        return a == b
    if a.first > b.last or b.first > a.last:
        return False
    for part, other in ((a, b), (b, a)):
        if isinstance(part, FieldValues) and not isinstance(other, FieldValues):
            return 0 in part.divided([Range(*other)])
    return True


NOTHING = State()
ANYHOW = State(unknown=True)
