"""A log that is read again: what each kind of log offers to `log/answers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from nfcompile.kernel import KernelError
from nfcompile.log.records import Record


class BadArchive(KernelError):
    """A log that cannot be read."""


class ArchivedRecord(NamedTuple):
    """A record, and the gateway that logged it ('' where the log does not say)."""

    gateway: str
    record: Record


class Archive(Protocol):
    """A log. All times are microseconds since 1970; more records than asked for do no harm. Raises
    BadArchive."""

    name: str

    def of_address(self, address: int, port: int | None, at: int) -> Sequence[ArchivedRecord]:
        """The blocks of a global address until then, of those that have the port; with a port also its
        connections, of any time."""

    def of_subscriber(self, subscriber: int, at: int) -> Sequence[ArchivedRecord]:
        """The blocks that a subscriber was given until then."""

    def events(self) -> Sequence[ArchivedRecord]:
        """Where the log was started and stopped, and what it lost."""
