"""`nfcompile sessions`: the connections of a site's pools, listed or ended, one after the other."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.cli import files, outcome
from nfcompile.cli.consent import agreed
from nfcompile.cli.guard import OK, REFUSED, UsageProblem
from nfcompile.cli.lookup import question
from nfcompile.diagnostics import dotted
from nfcompile.kernel import conntrack, tally
from nfcompile.model import parse, protocols
from nfcompile.model.ranges import address_text

if TYPE_CHECKING:
    from nfcompile.live.sessions import Session, Wanted
    from nfcompile.pipeline import Compiled

CHUNK_LINES = 1024
WORTH_A_BAR = 50_000
"""Connections from which on going through them takes long enough to show how far it is."""
NUMBERED = protocols.TRACKED_BY_PORTS | protocols.IN_BLOCK
TCP_STATES = (
    "none", "syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack", "time_wait", "close",
    "syn_sent2",
)  # fmt: skip
FIELDS = (
    "pool", "path", "direction", "protocol", "subscriber", "subscriber_port", "global_ip", "global_port",
    "remote_ip", "remote_port", "state", "timeout", "mark",
)  # fmt: skip
_TEXT = "{:<24} {:<3} {:<5} {:<21} {:<21} {:<21} {:<11} {:>7}"


class Filters(NamedTuple):
    """The words on the command line that say which sessions are meant."""

    pool: str | None = None
    subscriber: str | None = None
    global_: str | None = None
    protocol: str | None = None


class Wish(NamedTuple):
    """How to look, and how to say it."""

    netns: str | None = None
    yes: bool = False
    format: str = "text"
    quiet: bool = False
    color: bool = True


def show(site: str, filters: Filters, wish: Wish) -> int:
    """Write one line a session while the kernel lists them."""
    result = outcome.compiled(site)
    outcome.tell(result, wish.quiet, wish.color)
    if result.compiled is None:
        return REFUSED
    found = _found(result.compiled, filters, wish, bar=not sys.stdout.isatty())
    forms = {"text": _text_lines, "csv": _csv_lines, "json": _json_lines}
    lines = forms[wish.format](map(_row, found))
    while chunk := "".join(islice(lines, CHUNK_LINES)):
        sys.stdout.write(chunk)
    return OK


def clear(site: str, filters: Filters, wish: Wish) -> int:
    """End exactly what `show` lists; exit status 0 also when there was nothing to end."""
    result = outcome.compiled(site)
    outcome.tell(result, wish.quiet, wish.color)
    if result.compiled is None:
        return REFUSED
    found = _found(result.compiled, filters, wish, bar=True)
    if not _agreed(site, filters, wish):
        return REFUSED
    cleared = conntrack.delete((one.flow for one in found), wish.netns)
    if wish.format == "json":
        print(json.dumps({"cleared": cleared}))
    elif not wish.quiet:
        print(f"cleared {cleared} session{'' if cleared == 1 else 's'}")
    return OK


def _found(compiled: Compiled, filters: Filters, wish: Wish, bar: bool) -> Iterator[Session]:
    from nfcompile.live.sessions import sessions

    wanted = _wanted(compiled, filters)
    tally.read(wish.netns)
    flows = conntrack.flows(wish.netns)
    if bar and sys.stderr.isatty() and not wish.quiet:
        flows = _with_bar(flows, conntrack.count(wish.netns)[0])
    return sessions(compiled, flows, wanted)


def _with_bar(flows: Iterator[conntrack.Flow], total: int) -> Iterator[conntrack.Flow]:
    if total < WORTH_A_BAR:
        return flows
    from rich.console import Console
    from rich.progress import track

    return iter(track(flows, "connections", total, console=Console(stderr=True), transient=True))


def _wanted(compiled: Compiled, filters: Filters) -> Wanted:
    from nfcompile.live.sessions import Wanted

    names = [allocation.pool.name for allocation in compiled.allocations]
    if filters.pool is not None and filters.pool not in names:
        raise UsageProblem(
            f"no enabled pool is called '{filters.pool}'; there are: {', '.join(names) or 'none'}"
        )
    address, port = (None, None) if filters.global_ is None else question(filters.global_)
    try:
        subscriber = None if filters.subscriber is None else parse.addresses(filters.subscriber)
    except parse.Fault as fault:
        raise UsageProblem(f"--subscriber: {fault.message}") from None
    return Wanted(filters.pool, subscriber, address, port, _protocol(filters.protocol))


def _protocol(word: str | None) -> int | None:
    if word is None or word in protocols.NUMBERS:
        return None if word is None else protocols.NUMBERS[word]
    if not (word.isascii() and word.isdigit()) or int(word) > 255:
        raise UsageProblem(
            f"'{word}' is not a protocol: {', '.join(protocols.NUMBERS)}, or a number up to 255"
        )
    return int(word)


def _agreed(site: str, filters: Filters, wish: Wish) -> bool:
    """Ask before everything is ended."""

    def asked() -> str:
        return f"end all sessions of this site, among {conntrack.count(wish.netns)[0]} connections?"

    return agreed(asked, wish.yes or any(filters) or site == files.STDIN)


def _row(session: Session) -> tuple[str | int | None, ...]:
    """The values of FIELDS."""
    flow = session.flow
    subscriber, inside = session.subscriber
    global_ip, outside = session.translated
    remote, far = session.remote
    numbered = flow.protocol in NUMBERED
    return (
        session.pool,
        dotted(session.path),
        "in" if session.inward else "out",
        protocols.protocol_name(flow.protocol),
        address_text(subscriber) + (f"~{flow.zone}" if flow.zone_one_way else ""),
        inside if numbered else None,
        address_text(global_ip),
        outside if numbered else None,
        address_text(remote),
        far if flow.protocol in protocols.TRACKED_BY_PORTS else None,
        _state(flow),
        flow.timeout,
        flow.mark,
    )


def _state(flow: conntrack.Flow) -> str:
    if flow.protocol == protocols.TCP and flow.tcp_state < len(TCP_STATES):
        return TCP_STATES[flow.tcp_state]
    return "replied" if flow.status & conntrack.SEEN_REPLY else "unreplied"


def _text_lines(rows: Iterable[tuple[str | int | None, ...]]) -> Iterator[str]:
    yield _TEXT.format("path", "dir", "proto", "subscriber", "global", "remote", "state", "timeout") + "\n"
    for _, path, way, protocol, *ends, state, timeout, _ in rows:
        spelled = [f"{a}" if p is None else f"{a}:{p}" for a, p in zip(ends[::2], ends[1::2], strict=True)]
        yield _TEXT.format(path, way, protocol, *spelled, state, timeout) + "\n"


def _csv_lines(rows: Iterable[tuple[str | int | None, ...]]) -> Iterator[str]:
    """Nothing is quoted: addresses, numbers and the names of pools need none."""
    yield ",".join(FIELDS) + "\n"
    for row in rows:
        yield ",".join("" if value is None else str(value) for value in row) + "\n"


def _json_lines(rows: Iterable[tuple[str | int | None, ...]]) -> Iterator[str]:
    """An array with one object a line."""
    encode = json.JSONEncoder().encode
    before = "[\n"
    for row in rows:
        yield before + encode(dict(zip(FIELDS, row, strict=True)))
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"
