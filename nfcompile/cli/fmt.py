"""`nfcompile fmt`: a site in its canonical layout, comments kept."""

from __future__ import annotations

import difflib
import json
import sys
from typing import TYPE_CHECKING

from nfcompile.cli import files, outcome
from nfcompile.cli.guard import OK, REFUSED

if TYPE_CHECKING:
    from nfcompile.source.document import Document


def run(site: str, output: str | None, *, check: bool, quiet: bool = False, color: bool = True) -> int:
    """Write SITE laid out anew to stdout or `-o`; with `check` only show what would change, and exit 1."""
    from nfcompile.source import document

    data, name = files.read(site), files.shown(site)
    try:
        read = document.parse(data, name)
    except document.SourceError as error:
        outcome.tell(outcome.Outcome(error.document, None, error.diagnostics), quiet, color)
        return REFUSED
    text = laid_out(read)
    if check:
        return _compare(data, text, name, quiet)
    if output is None or output == files.STDIN:
        sys.stdout.write(text)
    else:
        files.write(output, text)
    return OK


def laid_out(read: Document) -> str:
    """The canonical text of a document, whose data it must not change."""
    from nfcompile.source import comments, document, layout

    text = layout.render(comments.tree(read))
    again = document.parse(text.encode(), read.name)
    if json.dumps(again.data) != json.dumps(read.data):
        raise AssertionError("the canonical layout says something else")
    return text


def _compare(data: bytes, text: str, name: str, quiet: bool) -> int:
    if data == text.encode():
        return OK
    if not quiet:
        before = data.decode().splitlines(keepends=True)
        after = text.splitlines(keepends=True)
        sys.stdout.writelines(difflib.unified_diff(before, after, name, f"{name} (fmt)"))
    return REFUSED
