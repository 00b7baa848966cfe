"""`nfcompile check`: every problem of a site at once."""

from __future__ import annotations

import sys

from nfcompile.cli import files, site
from nfcompile.cli.exit_status import OK, REFUSED
from nfcompile.cli.options import Options
from nfcompile.diagnostics import SiteError
from nfcompile.pipeline import Compilation


def run(options: Options) -> int:
    """Check SITE; in text form the problems go to stderr, in every other form to stdout."""
    found = _checked(options)
    if options.kernel and not _refused(found):
        found = _asked_of_kernel(found)
    if options.strict:
        errors = {"warning": "error"}
        found = found._replace(
            diagnostics=tuple(
                one._replace(severity=errors.get(one.severity, one.severity)) for one in found.diagnostics
            )
        )
    if options.format != "text":
        sys.stdout.write(site.rendered(found, options.format))
    elif found.diagnostics:
        site.tell(found, options)
    elif not options.quiet:
        print(f"{files.printable(options.site)}: no problems")
    return REFUSED if _refused(found) else OK


def _checked(options: Options) -> Compilation:
    from nfcompile import pipeline

    parsed = site.parsed(options)
    if not parsed.document.complete:
        return parsed
    lints = () if options.lint is None else (options.lint,)
    try:
        return Compilation(parsed.document, None, tuple(pipeline.check(parsed.document, lints).diagnostics))
    except SiteError as error:
        return parsed.refused(error.diagnostics)


def _asked_of_kernel(found: Compilation) -> Compilation:
    """Add this kernel's refusals of the ruleset, which it is asked for in a scratch namespace."""
    from nfcompile import pipeline
    from nfcompile.kernel import apply

    try:
        for document in pipeline.answering(found.document):
            text = pipeline.compile_site(document).text
            apply.check(text.text, text.origin)
    except SiteError as error:
        return found.refused(error.diagnostics)
    return found


def _refused(found: Compilation) -> bool:
    return any(one.severity == "error" for one in found.diagnostics)
