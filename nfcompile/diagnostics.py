"""A fault of a site as a value: code, message, path, notes, hint.

Knows nothing of YAML, NAT or nft: a diagnostic names a path, and the document turns it into a line.
"""

from typing import NamedTuple

Path = tuple[str | int, ...]
"""Keys from the top of site.yaml to a spot in it: ('pools', 'residential', 'global_ip', 0)."""


PROBLEMS_LIMIT = 1000
"""A search for problems ends with the thousandth: a wrong file may have millions."""


class Place(NamedTuple):
    """A stretch of one line; all numbers count from 1 and `end_column` is the last column in it."""

    line: int
    column: int
    end_column: int


class Note(NamedTuple):
    """A second place of a diagnostic."""

    message: str
    path: Path
    key: bool = False
    span: tuple[int, int] | None = None


class Diagnostic(NamedTuple):
    """One problem of a site.

    `key` points at the key of `path` instead of its value; `span` is a half-open stretch of characters
    inside the scalar at `path`; `place` overrides the path where there is none (a YAML error).
    """

    code: str
    message: str
    path: Path = ()
    key: bool = False
    span: tuple[int, int] | None = None
    hint: str = ""
    notes: tuple[Note, ...] = ()
    severity: str = "error"
    place: Place | None = None


class SiteError(Exception):
    """The site is refused; `diagnostics` has every problem."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("; ".join(one.message for one in diagnostics))
        self.diagnostics = diagnostics


def dotted(path: Path) -> str:
    """Spell a path as people write it.

    >>> dotted(("pools", "residential", "global_ip", 0))
    'pools.residential.global_ip[0]'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
