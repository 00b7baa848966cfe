"""`nfcompile fmt`: a site in its canonical layout, comments kept."""

from __future__ import annotations

import difflib
import json
import sys
from typing import TYPE_CHECKING

from nfcompile.cli import files
from nfcompile.cli import site as cli_site
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.pipeline import parse_text

if TYPE_CHECKING:
    from nfcompile.source.document import Document


def run(options: Options) -> int:
    """Write SITE laid out anew to stdout or `-o`; with `--check` only show what would change, and exit 1."""
    if options.check and options.output is not None:
        raise UsageProblem("--check writes nothing, so it does not go with -o")
    data, name = files.read(options.site), files.shown(options.site)
    read = parse_text(data, name)
    if read.diagnostics:
        cli_site.tell(read, options)
        return REFUSED
    text = laid_out(read.document)
    if options.check:
        return _compare(data, text, name, options.quiet)
    if options.output is None or options.output == files.STDIN:
        sys.stdout.write(text)
    else:
        files.write(options.output, text)
    return OK


def laid_out(read: Document) -> str:
    """The canonical text of a document, whose data it must not change."""
    from nfcompile.source import comments, document, layout

    text = layout.render(comments.tree(read))
    again = document.parse(text.encode(), read.name)
    if json.dumps(again.data) != json.dumps(read.data):
        raise AssertionError("the canonical layout changes the site's data")
    return text


def _compare(data: bytes, text: str, name: str, quiet: bool) -> int:
    if data == text.encode():
        return OK
    if not quiet:
        before = data.decode().splitlines(keepends=True)
        after = text.splitlines(keepends=True)
        sys.stdout.writelines(difflib.unified_diff(before, after, name, f"{name} (fmt)"))
    return REFUSED
