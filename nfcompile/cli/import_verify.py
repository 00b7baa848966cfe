"""`nfcompile import --verify`: what came of comparing the site with the original, for people and programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nfcompile import pipeline
from nfcompile.cli.counterexamples import spelled
from nfcompile.diagnostics import dotted
from nfcompile.importers.importing import Imported
from nfcompile.model.ranges import address_text, port_text, range_text
from nfcompile.source.document import Document
from nfcompile.verify.foreign import AGREE, ANNOUNCED, UNCLEAR, Difference, verify
from nfcompile.verify.walk import UnknownStatement

SHOWN = 5


class Agreement(NamedTuple):
    """Boxes of packets by what came of them, and the lines that were refuted, each with its example.

    `reason` says why there was no comparison.
    """

    boxes: Mapping[str, int]
    rows: int
    examples: tuple[str, ...]
    refuted: Mapping[tuple[int, int], str]
    complete: bool
    reason: str = ""

    def as_data(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "verified": not self.reason and self.complete and not self.examples,
            "boxes": dict(self.boxes),
            "rows": self.rows,
            "differences": list(self.examples),
            "reason": self.reason or ("" if self.complete else "too many boxes"),
        }

    def as_text(self) -> list[str]:
        """What stderr says."""
        if self.reason:
            return [f"not verified: {self.reason}"]
        lines = [f"differs: {example}" for example in self.examples[:SHOWN]]
        counts = f"{self.boxes[AGREE]} boxes of packets agree, {len(self.examples)} differences"
        more = [f"{self.boxes[ANNOUNCED]} differ as announced"] if self.boxes[ANNOUNCED] else []
        more += [f"{self.boxes[UNCLEAR]} are of lines that are not translated"] if self.boxes[UNCLEAR] else []
        more += [f"{self.rows} rows of pools"] if self.rows else []
        word = "verified" if self.complete and not self.examples else "not verified"
        end = "" if self.complete else "; gave up, there are more"
        return [*lines, f"{word}: {', '.join([counts, *more])}{end}"]


def compare(found: Imported, document: Document | None) -> Agreement:
    """Compare packet by packet; without a document `check` has refused the site."""
    nothing = Agreement(dict.fromkeys((AGREE, ANNOUNCED, UNCLEAR), 0), 0, (), {}, True)
    if document is None:
        return nothing._replace(reason="check refuses the site")
    if not found.program.starts and not found.pools:
        return nothing._replace(reason="the original has the words of a site; there is nothing to walk")
    try:
        result = verify(found, pipeline.compile_site(document))
    except (UnknownStatement, ValueError) as problem:
        return nothing._replace(reason=str(problem))
    refuted: dict[tuple[int, int], str] = {}
    examples = []
    for one in result.different:
        example = _example(one)
        examples.append(example)
        for place in _blamed(found, one):
            refuted[place] = f"the site does something else: {example}"
    for pool, subscriber in result.wrong_rows:
        examples.append(f"pools.{pool}: {address_text(subscriber)} has another block")
    return Agreement(result.boxes, result.rows, tuple(examples), refuted, result.complete)


def _blamed(found: Imported, one: Difference) -> Iterator[tuple[int, int]]:
    """The line that decides in the original; where none does, those whose entry of the site does."""
    if one.line is not None:
        yield one.line.file, one.line.line
        return
    names = {dotted(path[:2]) for path in one.entries}
    for entry in found.account.entries:
        if names & set(entry.to.split(", ")):
            yield entry.number, entry.line


def _example(one: Difference) -> str:
    """A packet, what the original makes of it, and what the site."""
    fate, outcome = one.fate, one.outcome
    source = "the interface's address" if fate.interface else range_text(fate.source)
    ports = f":{port_text(fate.source_port)}" if fate.source_port else ""
    original = f"{source}{ports} > {range_text(fate.destination)}"
    left = outcome.packet
    site = (
        "drop" if outcome.verdict == "drop" else f"{range_text(left.source)} > {range_text(left.destination)}"
    )
    return f"{spelled(one.box.one())}: original {original}, site {site}"
