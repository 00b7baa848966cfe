"""What the kernel room has to be told of the state in a table, since it knows no pools.

The caller gives a StatePolicy: which elements that packets wrote, and which sessions, a change leaves without
sense. Elements are as the kernel spells them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from nfcompile.kernel.batch import Elements
from nfcompile.model.ranges import Range

if TYPE_CHECKING:
    from nfcompile.kernel.conntrack import Flow

Listed = Mapping[str, Elements]
"""Elements of sets and maps by their keys ('map m')."""


class Changes(NamedTuple):
    """What an apply changes: keys of objects, and of the elements that differ in sets written by us."""

    objects: tuple[str, ...]
    elements: Mapping[str, frozenset[str]]


class StatePolicy(Protocol):
    """What state means under the desired table."""

    @property
    def addresses(self) -> str:
        """Key of the set of addresses that sessions are translated to."""

    @property
    def inside(self) -> tuple[str, ...]:
        """Interfaces from which nothing may leave untranslated by `outside`."""

    @property
    def outside(self) -> tuple[str, ...]:
        """The interfaces on the other side."""

    @property
    def bindings(self) -> tuple[str, ...]:
        """Keys of the maps that say which address a source has, where packets decide that."""

    def sets_to_prune(self, changes: Changes) -> tuple[str, ...]:
        """Keys of the sets and maps written by packets that a change may leave without sense."""

    def stale(self, changes: Changes, listed: Listed) -> Listed:
        """Of these the elements that have none any more."""

    def may_orphan_sessions(self, changes: Changes) -> bool:
        """Whether sessions may have lost their translation."""

    def orphaned_flows(self, previous_globals: Sequence[Range], listed: Listed) -> Callable[[Flow], bool]:
        """Translated flows that would now get another address or port; `previous_globals` were addresses of
        pools."""

    def untranslated_flows(self) -> Callable[[Flow], bool]:
        """Untranslated flows whose source is translated now, if they go to the outside."""
