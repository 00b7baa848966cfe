"""`nfcompile apply`: show what would change in the kernel, ask, and load it as one transaction."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.cli import files, site, state
from nfcompile.cli.exit_status import DIFFERS, OK, REFUSED, UsageProblem, note, say
from nfcompile.cli.options import Options
from nfcompile.cli.progress import working
from nfcompile.cli.prompt import confirmed
from nfcompile.deploy.host_warnings import host_warnings
from nfcompile.diagnostics import Diagnostic, SiteError
from nfcompile.pipeline import Compilation, Compiled

if TYPE_CHECKING:
    from nfcompile.deploy.comparison import Comparison
    from nfcompile.deploy.site_file import SiteFile
    from nfcompile.host.change import Change
    from nfcompile.kernel.apply import LoadResult


class ApplyResult(NamedTuple):
    """What came of it.

    comparison  what differed, None where the kernel was not asked
    loaded      what was loaded, None where nothing was
    seconds     the length of the trial, None where there is none
    refusals    what the kernel refuses
    unsafe      why `--max-moves` stopped it
    warnings    what the host has not done of its part
    host        with `--host`: what was done, or would be, of that part
    """

    comparison: Comparison | None = None
    loaded: LoadResult | None = None
    seconds: int | None = None
    refusals: tuple[Diagnostic, ...] = ()
    unsafe: str = ""
    warnings: tuple[Diagnostic, ...] = ()
    host: Change | None = None

    @property
    def differed(self) -> bool:
        ruleset = self.comparison is not None and bool(self.comparison.lines)
        return ruleset or (self.host is not None and self.host.differs)


def run(options: Options) -> int:
    """Compile SITE and bring it into the kernel; what is live already is not loaded again."""
    if options.exit_code and not options.dry_run:
        raise UsageProblem("--exit-code goes with --dry-run")
    data = files.read(options.site)
    compilation = site.compiled_text(data, files.shown(options.site), options)
    text = not options.is_json
    if text:
        site.tell(compilation, options)
    done = ApplyResult()
    if compilation.compiled is not None:
        done = _applied(data, compilation.compiled, options)
        if not done.refusals:
            done = done._replace(warnings=host_warnings(compilation.compiled, options.netns))
    if text:
        site.tell(compilation._replace(diagnostics=done.refusals + done.warnings), options)
    compilation = compilation.refused(done.refusals) if done.refusals else compilation
    compilation = compilation._replace(diagnostics=compilation.diagnostics + done.warnings)
    if not text:
        print(json.dumps(_as_data(compilation, done), indent=2))
    if compilation.compiled is None:
        return REFUSED
    if done.unsafe:
        return say(done.unsafe, REFUSED)
    if text and not options.quiet:
        print(_summary(done, options.dry_run))
        _tell_of_gate(compilation.compiled, done, options)
    if options.dry_run:
        return DIFFERS if done.differed and options.exit_code else OK
    return OK if done.loaded is not None or not done.differed else REFUSED


def _tell_of_gate(compiled: Compiled, done: ApplyResult, options: Options) -> None:
    """A table that was loaded anew is closed, also on a node that is the master of its pair already."""
    if compiled.site.pair is None or done.loaded is None:
        return
    from nfcompile.deploy import takeover

    master = not takeover.missing_address(compiled.site.pair, options.netns)
    if master and not takeover.is_open(compiled, options.netns):
        note("this node is the master of its pair and its gate is closed; 'nfcompile takeover' opens it")


def _applied(data: bytes, compiled: Compiled, options: Options) -> ApplyResult:
    """Show the change, ask, load; or learn what the kernel refuses."""
    from nfcompile.cli.comparison import as_text
    from nfcompile.deploy import change, comparison, guards, live_site
    from nfcompile.deploy.site_file import SiteFile
    from nfcompile.host import own_address, timeouts

    found = host = None
    state.examine(options)
    try:
        events_seen = change.event_count(options.state_dir, options.netns)
        live = live_site.read(options.state_dir, options.netns)
        with working("comparing with the kernel", options):
            known = live_site.known_here(compiled, options.state_dir, options.netns)
            found = comparison.with_kernel(compiled, live, options.netns, known)
        if found.lines and not options.is_json and not options.quiet:
            sys.stdout.writelines(f"{line}\n" for line in as_text(found, options.color))
            sys.stdout.flush()
        refused = own_address.refusals(compiled.site, options.netns)
        refused += timeouts.refusals(compiled.site, options.netns, options.host)
        if refused:
            return ApplyResult(found, refusals=refused)
        host = _host_change(compiled, options) if options.host else None
        planned = ApplyResult(found, host=host)
        if unsafe := guards.too_many_moves(found, options.max_moves):
            return planned._replace(unsafe=unsafe)
        unasked = not planned.differed or options.yes or options.site == files.STDIN
        if options.dry_run or not confirmed(lambda: "load this into the kernel?", unasked):
            return planned
        name = options.site if options.site == files.STDIN else os.path.abspath(options.site)
        file = SiteFile(data, files.shown(name), node_name(compiled))
        with working("loading", options):
            if options.host:
                return _both(file, compiled, options, planned, events_seen)
            loaded = _load(file, compiled, options, found, events_seen)
    except SiteError as error:
        return ApplyResult(found, refusals=error.diagnostics, host=host)
    if loaded is None:
        return ApplyResult(found)
    return ApplyResult(found, loaded, options.confirm)


def node_name(compiled: Compiled) -> str:
    """The node of the fleet that a site is of; '' where it is one gateway's."""
    return compiled.site.node.name if compiled.site.node else ""


def _host_change(compiled: Compiled, options: Options) -> Change:
    """What would change of the host, which is shown."""
    from nfcompile.deploy import host_half
    from nfcompile.host.planning import plan
    from nfcompile.records import store

    found = host_half.foreseen(store.state_dir(options.state_dir, options.netns), plan(compiled))
    if not options.is_json and not options.quiet:
        sys.stdout.writelines(f"host, undo: {step.command}\n" for step in found.undone)
        sys.stdout.writelines(f"host: {step.command}\n" for step in found.made)
        sys.stdout.flush()
    return found


def _both(
    file: SiteFile, compiled: Compiled, options: Options, planned: ApplyResult, events_seen: int
) -> ApplyResult:
    """Make both halves live; nothing where they are already."""
    from nfcompile.deploy import both_halves, change
    from nfcompile.host.planning import plan
    from nfcompile.records import store

    records = store.state_dir(options.state_dir, options.netns)
    if not planned.differed and not change.on_trial(records):
        change.record_live(records, file, events_seen)
        return planned
    done = both_halves.apply(
        records, file, compiled, plan(compiled), seconds=options.confirm, events_seen=events_seen
    )
    return planned._replace(loaded=done.result, seconds=options.confirm, host=done.host)


def _load(
    file: SiteFile, compiled: Compiled, options: Options, found: Comparison, events_seen: int
) -> LoadResult | None:
    """Make a site live and record it; None where it is live already."""
    from nfcompile.deploy import change, live_site
    from nfcompile.records import history, store

    differs = bool(found.lines)
    if options.confirm is not None:
        records = store.state_dir(options.state_dir, options.netns)
        if differs or change.on_trial(records):
            trial = change.apply_and_record(records, file, compiled, history.TRIAL, seconds=options.confirm)
            return trial.result
        change.record_live(records, file, events_seen)
        return None
    writable, reason = change.writable(options.state_dir, options.netns)
    if reason and not options.quiet:
        note(f"no history is kept: {reason}")
    if not differs:
        if writable is not None:
            change.record_live(writable, file, events_seen)
            live_site.note_loaded(writable, compiled, found.generation)
        return None
    if writable is None:
        return change.load_site(compiled, options.netns)
    return change.apply_and_record(writable, file, compiled, history.APPLIED).result


def _as_data(compilation: Compilation, done: ApplyResult) -> dict[str, object]:
    from nfcompile.cli.comparison import as_data

    trial = {} if done.seconds is None else {"trial_seconds": done.seconds}
    host = {} if done.host is None else {"host": _host_data(done.host)}
    return (
        trial
        | host
        | {
            "changed": done.differed,
            "applied": done.loaded is not None,
            **as_data(done.comparison),
            "refused": done.unsafe or None,
            "flushed": 0 if done.loaded is None else done.loaded.flushed,
            "diagnostics": site.as_data(compilation),
        }
    )


def _host_data(host: Change) -> dict[str, list[str]]:
    return {
        "done": [step.command for step in host.made],
        "undone": [step.command for step in host.undone],
        "left": [*host.left],
    }


def _summary(done: ApplyResult, dry_run: bool) -> str:
    flushed = "" if done.loaded is None else _flushed(done.loaded.flushed)
    if done.seconds is not None:
        return f"on trial for {done.seconds} s: 'nfcompile confirm' keeps it{flushed}"
    if done.loaded is not None:
        return f"applied{flushed}"
    if not done.differed:
        return "nothing to change"
    return "not applied (dry run)" if dry_run else "not applied"


def _flushed(count: int) -> str:
    """How many sessions were ended, where some were."""
    return f", {count} session{'' if count == 1 else 's'} flushed" if count else ""
