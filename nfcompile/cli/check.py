"""`nfcompile check`: every problem of a site at once."""

from __future__ import annotations

import sys

from nfcompile.cli import outcome
from nfcompile.cli.guard import OK, REFUSED
from nfcompile.cli.outcome import Outcome
from nfcompile.diagnostics import SiteError

FORMATS = ("text", "json", "github", "sarif")


def run(
    site: str,
    *,
    strict: bool = False,
    lints: tuple[str, ...] = (),
    kernel: bool = False,
    format: str = "text",
    quiet: bool = False,
    color: bool = True,
) -> int:
    """Check SITE; in text form the problems go to stderr, in every other form to stdout."""
    found = _checked(site, lints)
    if kernel and not _refused(found):
        found = _asked_of_kernel(found)
    if strict:
        strictly = tuple(one._replace(severity="error") for one in found.diagnostics)
        found = found._replace(diagnostics=strictly)
    if format != "text":
        sys.stdout.write(outcome.rendered(found, format))
    elif found.diagnostics:
        outcome.tell(found, quiet, color)
    elif not quiet:
        print(f"{found.document.name}: no problems")
    return REFUSED if _refused(found) else OK


def _checked(site: str, lints: tuple[str, ...]) -> Outcome:
    from nfcompile import pipeline

    read = outcome.parsed(site)
    if read.diagnostics:
        return read
    try:
        return Outcome(read.document, None, tuple(pipeline.check(read.document, lints).diagnostics))
    except SiteError as error:
        return read.refused(error.diagnostics)


def _asked_of_kernel(found: Outcome) -> Outcome:
    """Add what this machine's kernel says of the ruleset, in a namespace made for the question."""
    from nfcompile import pipeline
    from nfcompile.kernel import apply

    try:
        text = pipeline.compile_site(found.document).text
        apply.check(text.text, text.origin)
    except SiteError as error:
        return found.refused(error.diagnostics)
    return found


def _refused(found: Outcome) -> bool:
    return any(one.severity == "error" for one in found.diagnostics)
