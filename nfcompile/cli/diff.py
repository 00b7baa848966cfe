"""`nfcompile diff`: what it takes to get to SITE, from the kernel's table, another site or a git revision."""

from __future__ import annotations

import json
import sys

from nfcompile.cli import files, site, state
from nfcompile.cli.comparison import Side, as_data, as_text
from nfcompile.cli.exit_status import DIFFERS, OK, REFUSED, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.cli.progress import working
from nfcompile.deploy import comparison
from nfcompile.deploy.comparison import Comparison
from nfcompile.diagnostics import SiteError
from nfcompile.pipeline import Compilation, Compiled


def run(options: Options) -> int:
    """Compare and tell; exit status 3 with `--exit-code` when something differs."""
    other = options.words[1] if len(options.words) > 1 else None
    _refuse_nonsense(other, options)
    wanted = site.compiled(options.site, options)
    found = None
    if wanted.compiled is not None:
        try:
            with working("comparing", options):
                before, found = _compared(other, wanted.document.name, wanted.compiled, options)
            if found is not None and options.html is not None:
                from nfcompile.cli.html_page import diff_page

                page = diff_page(found, before, Side(wanted.document.name, wanted.compiled))
                files.write(options.html, page)
        except SiteError as error:
            wanted = wanted.refused(error.diagnostics)
    if options.is_json:
        print(json.dumps(_as_data(wanted, found), indent=2))
    else:
        site.tell(wanted, options)
        if found is not None and not options.quiet:
            lines = as_text(found, options.color) if found.differs else ["nothing differs"]
            sys.stdout.writelines(f"{line}\n" for line in lines)
    if found is None:
        return REFUSED
    return DIFFERS if options.exit_code and found.differs else OK


def _refuse_nonsense(other: str | None, options: Options) -> None:
    if other is not None and options.git is not None:
        raise UsageProblem("compare with OTHER or with --git, not with both")
    if options.netns is not None and (other is not None or options.git is not None):
        raise UsageProblem("--netns is for comparing with the kernel, not with another site")
    if options.site == files.STDIN and (other == files.STDIN or options.git is not None):
        raise UsageProblem("SITE must be a file here, not standard input")


def _compared(
    other: str | None, name: str, new: Compiled, options: Options
) -> tuple[Side | None, Comparison | None]:
    """The other site, where it is known, and the difference; None, with diagnostics printed, where the other
    site is refused."""
    if other is None and options.git is None:
        from nfcompile.deploy import live_site

        state.examine(options)
        live = live_site.read(options.state_dir, options.netns)
        before: Side | None = None
        if live is not None and options.html is not None:
            loaded = site.compiled_text(live.data, live.file, options).compiled
            before = None if loaded is None else Side(live.file, loaded)
        return before, comparison.with_kernel(new, live, options.netns)
    old = site.compiled(other, options) if other is not None else _at_revision(options)
    if old.compiled is None:
        site.tell(old, options)
        return None, None
    before = Side(old.document.name, old.compiled)
    return before, comparison.with_site(before.name, before.compiled, name, new)


def _at_revision(options: Options) -> Compilation:
    from nfcompile.source.revision import RevisionError, content

    name, revision = options.site, options.git or ""
    try:
        data = content(name, revision)
    except RevisionError as error:
        raise UsageProblem(str(error)) from None
    return site.compiled_text(data, files.shown(f"{revision}:{name}"), options)


def _as_data(wanted: Compilation, found: Comparison | None) -> dict[str, object]:
    """The JSON form; docs/diff.md explains its fields."""
    return {
        "changed": found is not None and found.differs,
        "against": found.against if found else None,
        **as_data(found),
        "diagnostics": site.as_data(wanted),
    }
