"""`nfcompile status`: what is in use of each pool now, and what was dropped and why."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from nfcompile.cli import site, state
from nfcompile.cli.exit_status import OK, UsageProblem, to_stderr
from nfcompile.cli.options import Options
from nfcompile.cli.table import TableSection, drawn, plain, terminal
from nfcompile.diagnostics import dotted
from nfcompile.model.ranges import address_text

if TYPE_CHECKING:
    from nfcompile.live.session_counts import TopSubscriber
    from nfcompile.live.usage import Drop, PoolUsage, RuleUse, Usage

MAX_INTERVAL_SECONDS = 86400


def run(options: Options) -> int:
    """Show the use of SITE's pools in the kernel."""
    from nfcompile.live import usage

    if options.watch and options.format == "prometheus":
        raise UsageProblem("--watch does not go with --format prometheus; 'exporter' serves it")
    if not 0.1 <= options.interval <= MAX_INTERVAL_SECONDS:
        raise UsageProblem(f"--interval is 0.1 to {MAX_INTERVAL_SECONDS} seconds, not {options.interval:g}")
    compilation, compiled = site.compiled_or_refused(options)
    state.examine(options)

    def read() -> Usage:
        return usage.read(compiled, options.netns, options.full, options.top)

    found = read()
    if found.missing and not options.quiet:
        to_stderr(
            f"{compilation.document.name}: warning: the ruleset in the kernel is not this site's "
            f"(it has no counter '{found.missing[0]}'); apply the site to see all of it"
        )
    if options.watch:
        _watch(found, read, options)
    sys.stdout.write(_written(found, options))
    return OK


def as_data(found: Usage) -> dict[str, Any]:
    """The fields of `--format json`."""

    def named(value: PoolUsage | RuleUse | Drop | TopSubscriber) -> dict[str, Any]:
        return value._asdict() | {"path": dotted(value.path)}

    return {
        "connections": found.connections,
        "connections_limit": found.connections_limit,
        "sessions_counted": found.walked,
        "pools": [named(pool) for pool in found.pools],
        "snat": [named(rule) for rule in found.rules],
        "drops": [
            named(drop) | {"reason": drop.reason.word, "text": drop.reason.text} for drop in found.drops
        ],
        "top": [named(busy) | {"subscriber": address_text(busy.subscriber)} for busy in found.top],
        "missing": list(found.missing),
    }


def _written(found: Usage, options: Options) -> str:
    if options.is_json:
        return json.dumps(as_data(found), indent=None if options.watch else 2) + "\n"
    if options.format == "prometheus":
        from nfcompile.cli import metrics

        return metrics.exposition(found)
    if sys.stdout.isatty():
        return _on_terminal(found, options)
    return "".join(f"{line}\n" for line in plain(_head(found), _sections(found)))


def _watch(found: Usage, read: Callable[[], Usage], options: Options) -> NoReturn:
    """Refresh until interrupted: in place on a terminal, one block after the other in a pipe."""
    interrupts = _noticed_interrupts()
    if options.is_json or not sys.stdout.isatty():
        while not interrupts:
            sys.stdout.write(_written(found, options) + ("" if options.is_json else "\n"))
            sys.stdout.flush()
            time.sleep(options.interval)
            found = read()
        raise KeyboardInterrupt
    from rich.live import Live

    with Live(console=terminal(options.color), auto_refresh=False, screen=True) as live:
        while not interrupts:
            live.update(drawn(_head(found), _sections(found)), refresh=True)
            time.sleep(options.interval)
            found = read()
    raise KeyboardInterrupt


def _noticed_interrupts() -> list[int]:
    """Filled as they come. Python drops a KeyboardInterrupt that is raised in a destructor, and the binding
    of libnftables has one."""
    interrupts: list[int] = []

    def interrupt(number: int, _: object) -> NoReturn:
        interrupts.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    return interrupts


def _head(found: Usage) -> Iterator[str]:
    limit = found.connections_limit
    share = f" of {limit} ({100 * found.connections // limit} %)" if limit else ""
    yield f"connections: {found.connections}{share}"
    if not found.walked:
        yield "sessions, active subscribers and used addresses are not counted; --full counts them"


def _sections(found: Usage) -> Iterator[TableSection]:
    if found.pools:
        opens = any(pool.open_ports is not None for pool in found.pools)
        opened = (">open ports",) if opens else ()
        columns = ("pool", "type", ">subscribers", ">blocks", ">addresses", ">mappings", *opened, ">sessions")
        yield TableSection(columns, tuple(_pool_row(pool, opens) for pool in found.pools), "pools")
    if found.rules:
        rows = tuple(_cells(r.rule, r.active_subscribers, r.sessions) for r in found.rules)
        yield TableSection(("rule", ">active", ">sessions"), rows, "snat rules")
    dropped = [drop for drop in found.drops if drop.packets]
    if dropped:
        rows = tuple(_cells(d.packets, d.bytes, dotted(d.path), d.reason.text) for d in dropped)
        yield TableSection((">packets", ">bytes", "by", "reason"), rows, "dropped")
    if found.top:
        rows = tuple(
            _cells(address_text(b.subscriber), dotted(b.path), b.sessions, b.tcp, b.udp, b.icmp)
            for b in found.top
        )
        yield TableSection(("subscriber", "of", ">sessions", ">tcp", ">udp", ">icmp"), rows, "most sessions")


def _pool_row(pool: PoolUsage, opens: bool) -> tuple[str, ...]:
    """A pool's row; `opens`: with its open ports, which only some sites have."""
    return _cells(
        pool.pool,
        f"{pool.type}, dynamic" if pool.is_dynamic else pool.type,
        _part(pool.active_subscribers, pool.subscribers),
        _part(pool.blocks_assigned, pool.blocks),
        _part(pool.addresses_used, pool.addresses),
        pool.mapping_entries,
        *((pool.open_ports,) if opens else ()),
        pool.sessions,
    )


def _part(used: int | None, total: int | None) -> str:
    """'3/256': in use, and all."""
    if used is None and total is None:
        return "-"
    return f"{'-' if used is None else used}/{'any' if total is None else total}"


def _cells(*values: str | int | None) -> tuple[str, ...]:
    return tuple("-" if value in (None, "") else str(value) for value in values)


def _on_terminal(found: Usage, options: Options) -> str:
    console = terminal(options.color)
    with console.capture() as captured:
        console.print(drawn(_head(found), _sections(found)))
    return captured.get()
