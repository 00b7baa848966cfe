"""`nfcompile sessions`: the connections of a site's pools, listed or ended, one after the other."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from nfcompile.cli import files, rows, site, state
from nfcompile.cli.ends import read_end, with_port
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.cli.prompt import confirmed
from nfcompile.cli.table import streamed
from nfcompile.diagnostics import dotted
from nfcompile.kernel import conntrack, tally
from nfcompile.model import parse, protocols
from nfcompile.model.npt import addresses6
from nfcompile.model.ranges import address_text, ipv6_text

if TYPE_CHECKING:
    from nfcompile.live.sessions import Session, SessionFilter
    from nfcompile.pipeline import Compiled

CHUNK_LINES = 1024
PASSES = 3
WORTH_A_BAR = 50_000
"""Connections from which on reading them takes long enough to show progress."""
KNOWN_PROTOCOLS = protocols.NUMBERS | protocols.OF_IPV6
NUMBERED = protocols.TRACKED_BY_PORTS | protocols.IN_BLOCK | {protocols.ICMPV6}
TCP_STATES = (
    "none", "syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack", "time_wait", "close",
    "syn_sent2",
)  # fmt: skip
FIELDS = (
    "pool", "path", "direction", "protocol", "subscriber", "subscriber_port", "global_ip", "global_port",
    "remote_ip", "remote_port", "state", "timeout", "mark",
)  # fmt: skip
TEXT_COLUMNS = ("path", "dir", "proto", "subscriber", "global", "remote", "state", ">timeout")
TEXT_WIDTHS = (24, 3, 5, 21, 21, 21, 11, 7)


def run(options: Options) -> int:
    """List the sessions that the filters describe, or end them."""
    action, *rest = (
        options.words if options.words[:1] in (("list",), ("clear",)) else ("list", *options.words)
    )
    if len(rest) > 1:
        raise UsageProblem(f"one site at a time, not {len(rest)}")
    if options.mappings and action != "clear":
        raise UsageProblem("--mappings goes with 'sessions clear'; 'mappings --live' lists assignments")
    options = options._replace(words=tuple(rest))
    state.examine(options)
    return _clear(options) if action == "clear" else _show(options)


def _show(options: Options) -> int:
    """Write one line for each session while the kernel lists them."""
    _, compiled = site.compiled_or_refused(options)
    found = map(_row, _found(compiled, options, bar=not sys.stdout.isatty()))
    if options.format != "text":
        rows.write(FIELDS, found, options.format)
        return OK
    lines = (f"{line}\n" for line in streamed(TEXT_COLUMNS, TEXT_WIDTHS, map(_cells, found)))
    while chunk := "".join(islice(lines, CHUNK_LINES)):
        sys.stdout.write(chunk)
    return OK


def _clear(options: Options) -> int:
    """End exactly what `list` lists; exit status 0 also where there was nothing to end."""
    _, compiled = site.compiled_or_refused(options)
    found = _found(compiled, options, bar=True)
    if not _confirmed(options):
        if options.is_json:
            print(json.dumps({"cleared": 0}))
        return REFUSED
    if options.mappings:
        return _clear_all(compiled, options)
    cleared = conntrack.delete((one.flow for one in found), options.netns)
    if options.is_json:
        print(json.dumps({"cleared": cleared}))
    elif not options.quiet:
        print(f"cleared {_many(cleared, 'session')}")
    return OK


def _clear_all(compiled: Compiled, options: Options) -> int:
    """End sessions and take out their mapping entries and assignments.

    The sessions end last: none of them outlives its assignment, whose block may be another subscriber's at
    once. What a packet has renewed in between is taken out in another pass.
    """
    from nfcompile.kernel.purge import purge
    from nfcompile.live.purge import Purge, Purged

    plan = Purge(compiled, _wanted(compiled, options))
    cleared, total = 0, Purged()
    for _ in range(PASSES):
        purged = plan.count(purge(plan.keys, plan.choose, options.netns))
        cleared += conntrack.delete((one.flow for one in _found(compiled, options, bar=False)), options.netns)
        total = Purged(total.mappings + purged.mappings, total.assignments + purged.assignments)
        if not any(purged):
            break
    if options.is_json:
        print(json.dumps({"cleared": cleared, **total._asdict()}))
    elif not options.quiet:
        entries, assignments = _many(total.mappings, "mapping"), _many(total.assignments, "assignment")
        print(f"cleared {_many(cleared, 'session')}, {entries}, {assignments}")
    return OK


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _found(compiled: Compiled, options: Options, bar: bool) -> Iterator[Session]:
    from nfcompile.live.sessions import sessions, tracked_npt

    wanted = _wanted(compiled, options)
    tally.read(options.netns)
    flows = conntrack.flows(options.netns)
    if tracked_npt(compiled):
        flows = chain(flows, conntrack.flows(options.netns, is_ipv6=True))
    if bar and sys.stderr.isatty() and not options.quiet:
        flows = _with_bar(flows, conntrack.count(options.netns)[0])
    return sessions(compiled, flows, wanted)


def _with_bar(flows: Iterator[conntrack.Flow], total: int) -> Iterator[conntrack.Flow]:
    if total < WORTH_A_BAR:
        return flows
    from rich.console import Console
    from rich.progress import track

    return iter(track(flows, "connections", total, console=Console(stderr=True), transient=True))


def _wanted(compiled: Compiled, options: Options) -> SessionFilter:
    from nfcompile.live.sessions import SessionFilter

    names = [allocation.pool.name for allocation in compiled.allocations]
    names += [pool.name for pool in compiled.site.npt if pool.enable]
    if options.pool is not None and options.pool not in names:
        raise UsageProblem(
            f"no enabled pool is called '{options.pool}'; there are: {', '.join(names) or 'none'}"
        )
    if any(pool.name == options.pool and pool.stateless for pool in compiled.site.npt):
        raise UsageProblem(f"pool '{options.pool}' is stateless: the kernel tracks no connection of it")
    wanted = SessionFilter(options.pool, protocol=_protocol(options.proto))
    if options.subscriber is not None:
        of_ipv6 = ":" in options.subscriber
        read = addresses6 if of_ipv6 else parse.addresses
        try:
            wanted = wanted._replace(subscriber=read(options.subscriber), is_ipv6=of_ipv6)
        except parse.Fault as fault:
            raise UsageProblem(f"--subscriber: {fault.message}") from None
    if options.global_ is None:
        return wanted
    end = read_end(options.global_)
    if wanted.is_ipv6 not in (None, end.is_ipv6):
        raise UsageProblem("--subscriber and --global are of different IP versions")
    return wanted._replace(translated=end.address, port=end.port, is_ipv6=end.is_ipv6)


def _protocol(word: str | None) -> int | None:
    if word is None or word in KNOWN_PROTOCOLS:
        return None if word is None else KNOWN_PROTOCOLS[word]
    if not (word.isascii() and word.isdigit() and len(word) <= 3) or int(word) > 255:
        known = ", ".join(KNOWN_PROTOCOLS)
        raise UsageProblem(f"'{word}' is not a protocol: {known}, or a number up to 255")
    return int(word)


def _confirmed(options: Options) -> bool:
    """Ask before everything is ended."""

    def asked() -> str:
        return f"end all sessions of this site, among {conntrack.count(options.netns)[0]} connections?"

    filtered = any((options.pool, options.subscriber, options.global_, options.proto))
    return confirmed(asked, options.yes or filtered or options.site == files.STDIN)


def _row(session: Session) -> tuple[str | int | None, ...]:
    """The values of FIELDS."""
    flow = session.flow
    subscriber, inside = session.subscriber
    global_ip, outside = session.translated
    remote, far = session.remote
    numbered = flow.protocol in NUMBERED
    spelled = ipv6_text if flow.is_ipv6 else address_text
    return (
        session.pool,
        dotted(session.path),
        "in" if session.inward else "out",
        protocols.protocol_name(flow.protocol),
        spelled(subscriber) + (f"~{flow.zone}" if flow.zone_one_way else ""),
        inside if numbered else None,
        spelled(global_ip),
        outside if numbered else None,
        spelled(remote),
        far if flow.protocol in protocols.TRACKED_BY_PORTS else None,
        _state(flow),
        flow.timeout,
        flow.mark,
    )


def _state(flow: conntrack.Flow) -> str:
    if flow.protocol == protocols.TCP and flow.tcp_state < len(TCP_STATES):
        return TCP_STATES[flow.tcp_state]
    return "replied" if flow.status & conntrack.SEEN_REPLY else "unreplied"


def _cells(row: tuple[str | int | None, ...]) -> tuple[str, ...]:
    """The cells of TEXT_COLUMNS."""
    _, path, direction, protocol, *ends, state, timeout, _ = row
    pairs = zip(ends[::2], ends[1::2], strict=True)
    spelled = [with_port(str(address), "" if port is None else str(port)) for address, port in pairs]
    return (str(path), str(direction), str(protocol), *spelled, str(state), str(timeout))
