"""`nfcompile log`: the daemon that logs assignments and connections, and its figures."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nfcompile.cli import site, state
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem, to_stderr
from nfcompile.cli.options import Options

if TYPE_CHECKING:
    from nfcompile.log.daemon import LogSettings
    from nfcompile.log.statistics import LogFigures

FOLDER = "log"
KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20


def run(options: Options) -> int:
    """Log until SIGINT or SIGTERM; with `--stats` print the figures of the one that runs."""
    from nfcompile.records import store

    folder = os.path.join(store.directory(options.state_dir or store.DEFAULT, options.netns), FOLDER)
    if options.stats:
        return _show(folder, options)
    if not options.to:
        raise UsageProblem("missing option: --to OUTPUT, such as --to json:FILE")
    if options.keep and not any(one.startswith("postgresql://") for one in options.to):
        raise UsageProblem("--keep is for --to postgresql://...; files are yours to delete")
    return _log(folder, options)


def _log(folder: str, options: Options) -> int:
    from nfcompile.live.follow import ScrapedSite
    from nfcompile.log.daemon import Daemon
    from nfcompile.log.destination import BadDestination, OutputSettings
    from nfcompile.log.outputs import opened
    from nfcompile.log.process import alone, signals

    compilation, compiled = site.compiled_or_refused(options)
    state.examine(options)
    settings = OutputSettings(_gateway(options), options.keep)
    begins = ScrapedSite(compiled, "", compilation.document.name, site.choice(options))
    say = _silent if options.quiet else to_stderr
    with alone(folder, "log"):
        try:
            outputs = [opened(one, settings) for one in options.to]
        except BadDestination as problem:
            raise UsageProblem(str(problem)) from None
        with signals() as asked:
            daemon = Daemon(_settings(folder, options), begins, outputs, say)
            say(f"logging to {', '.join(one.name for one in outputs)}")
            figures = daemon.run(asked)
    for one in figures.outputs:
        if one.away:
            say(f"{one.away}; {one.spooled} bytes are kept for the next start")
    if figures.lost:
        say(f"{figures.lost} messages or records were lost")
    return OK if asked.ends() else REFUSED


def _gateway(options: Options) -> str:
    """The name of this gateway where many log to one place: its node, else the host."""
    return re.sub(r"[^\w.-]", "_", options.node or os.uname().nodename, flags=re.ASCII)


def _settings(folder: str, options: Options) -> LogSettings:
    from nfcompile.log.daemon import BLOCKS, CONNECTIONS, LogSettings

    sources = (options.only,) if options.only else (BLOCKS, CONNECTIONS)
    return LogSettings(
        folder,
        options.state_dir,
        options.netns,
        sources,
        options.begins,
        options.buffer * KIBIBYTE,
        options.spool * MEBIBYTE,
    )


def _show(folder: str, options: Options) -> int:
    from nfcompile.log import statistics

    figures = statistics.read(folder)
    if options.format == "prometheus":
        sys.stdout.write(statistics.exposition(figures))
    elif options.is_json:
        print(json.dumps(statistics.as_data(figures) | {"runs": _runs(figures.pid)}))
    else:
        print("\n".join(_text(figures)))
    return OK


def _text(figures: LogFigures) -> Iterator[str]:
    runs = "runs" if _runs(figures.pid) else "does not run"
    yield f"started {figures.started}, figures of {figures.written}; it {runs}"
    yield f"{figures.held} blocks are held"
    for source in figures.sources:
        yield (
            f"{source.name + ':':<14}{source.read} read, {source.foreign} of them not of this site, "
            f"{source.lost} lost"
        )
    for one in figures.outputs:
        yield f"{one.name}: {one.delivered} delivered, {one.waiting} waiting, {one.lost} lost"
        if one.spooled or one.away:
            yield f"  {one.spooled} bytes on the disk; {one.away or 'takes records'}"


def _runs(pid: int) -> bool:
    """Whether the daemon's process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _silent(text: str) -> None:
    """Say nothing."""
