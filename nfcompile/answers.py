"""Who has which address and ports, both ways, from the same values that the ruleset is made of.

Answers are plain rows; the verbs print them. Nobody reads the ruleset again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.claims import Claim
from nfcompile.ipalloc import Block, Layout
from nfcompile.model.ranges import Range, address_text, range_text
from nfcompile.model.site import StaticEntry
from nfcompile.pipeline import Compiled

ALL = "all"


class Answer(NamedTuple):
    """One binding as `lookup` and `explain` say it; None where there is no such thing."""

    pool: str | None
    subscriber: str | None
    global_ip: str | None
    port_first: int | None
    port_last: int | None
    action: str


class Row(NamedTuple):
    """One line of `mappings`; empty text where a pool has no ports."""

    pool: str
    subscriber: str
    global_ip: str
    port_first: int | str
    port_last: int | str
    protocols: str


NOBODY = Answer(None, None, None, None, None, "none")


def lookups(
    compiled: Compiled, address: int, port: int | None = None, proto: str | None = None
) -> list[Answer]:
    """Every binding of an address: with a port as a global one first, else as a subscriber first.

    `proto` (tcp, udp, icmp) narrows the ports where protocols have different limits.
    """
    as_subscriber = list(_of_subscriber(compiled, address, proto))
    as_global = list(_of_global(compiled, address, port, proto))
    return as_global or as_subscriber if port is not None else as_subscriber or as_global


def _of_subscriber(compiled: Compiled, address: int, proto: str | None) -> Iterator[Answer]:
    text = address_text(address)
    for claim in compiled.claims:
        pool = claim.pool
        if pool.type == "static":
            for entry in pool.global_map:
                if entry.local.first <= address <= entry.local.last:
                    yield _static_answer(claim, entry, address)
        elif not any(run.first <= address <= run.last for run in claim.subscribers):
            continue
        elif pool.type == "fake":
            yield Answer(pool.name, text, None, None, None, "pass")
        elif pool.allocation == "dynamic":
            yield Answer(pool.name, text, None, None, None, "translate")
        else:
            block = claim.layout().binding(address)
            if block is not None:
                yield _answer(claim, address, block, proto)


def _of_global(compiled: Compiled, address: int, port: int | None, proto: str | None) -> Iterator[Answer]:
    for claim in compiled.claims:
        pool = claim.pool
        for entry in pool.global_map:
            if entry.globals.first <= address <= entry.globals.last:
                local = entry.local.first + address - entry.globals.first
                yield _static_answer(claim, entry, local)
        if pool.allocation == "dynamic" or not any(
            one.first <= address <= one.last for one in pool.global_ip
        ):
            continue
        layout = claim.layout()
        if claim.stock.ports is None or port is not None:
            owner = claim.owner(layout, address, port or 0)
            owners = [] if owner is None else [owner]
        else:
            owners = list(layout.owners(address))
        for owner in owners:
            block = layout.binding(owner)
            if block is None:
                continue
            low = claim.low_block(block)
            if low is not None and port is not None and low.first <= port <= low.last:
                block, proto = low, None
            answer = _answer(claim, owner, block, proto)
            if port is None or answer.port_last is None or port <= answer.port_last:
                yield answer


def _answer(claim: Claim, subscriber: int, block: Block, proto: str | None) -> Answer:
    last = block.last
    for words, size in claim.protocol_ports:
        if proto in words:
            last = block.first + size - 1
    ported = claim.stock.ports is not None
    return Answer(
        claim.pool.name,
        address_text(subscriber),
        address_text(block.address),
        block.first if ported else None,
        last if ported else None,
        "translate",
    )


def _static_answer(claim: Claim, entry: StaticEntry, local: int) -> Answer:
    global_ip = address_text(entry.globals.first + local - entry.local.first)
    return Answer(claim.pool.name, _local_text(entry, local), global_ip, None, None, "translate")


def _local_text(entry: StaticEntry, local: int) -> str:
    return address_text(local) + ("" if entry.vid is None else f"~{entry.vid}")


def mappings(compiled: Compiled, compact: bool = False) -> Iterator[Row]:
    """The whole allocation: pool by pool in packet order, subscribers ascending.

    Dynamic pools have none offline. With `compact` one row stands for a whole CIDR prefix of
    subscribers that keep their host bits in a global prefix.
    """
    for claim in compiled.claims:
        if claim.pool.type == "static":
            yield from _static_rows(claim, compact)
        elif claim.pool.global_ip and claim.pool.allocation == "deterministic":
            layout = claim.layout()
            yield from _compact_rows(claim, layout) if compact else _rows(claim, layout)


def _rows(claim: Claim, layout: Layout) -> Iterator[Row]:
    pool = claim.pool.name
    for piece in layout.pieces:
        ports = protocol_ports(claim, layout.stock.block(piece.base, piece.block))
        mask = (1 << piece.bits) - 1
        for subscriber in range(piece.first, piece.last + 1):
            local = address_text(subscriber)
            global_ip = address_text(piece.base | (subscriber & mask))
            if claim.stock.ports is None:
                yield Row(pool, local, global_ip, "", "", ALL)
                continue
            for first, last, words in ports:
                yield Row(pool, local, global_ip, first, last, words)


def protocol_ports(claim: Claim, block: Block) -> list[tuple[int, int, str]]:
    """The ports of a block by protocols, low ports last."""
    found = [(b.first, b.last, words) for words, b in claim.protocol_blocks(block)]
    low = claim.low_block(block)
    return found if low is None else [*found, (low.first, low.last, "tcp+udp")]


def _compact_rows(claim: Claim, layout: Layout) -> Iterator[Row]:
    from nfcompile.model.ranges import cidrs

    pool = claim.pool.name
    for piece in layout.pieces:
        ports = protocol_ports(claim, layout.stock.block(piece.base, piece.block))
        for base, bits in cidrs(Range(piece.first, piece.last)):
            local = range_text(Range(base, base + (1 << bits) - 1))
            start = piece.address(base)
            global_ip = range_text(Range(start, start + (1 << bits) - 1))
            if claim.stock.ports is None:
                yield Row(pool, local, global_ip, "", "", ALL)
                continue
            for first, last, words in ports:
                yield Row(pool, local, global_ip, first, last, words)


def _static_rows(claim: Claim, compact: bool) -> Iterator[Row]:
    pool = claim.pool.name
    for entry in sorted(claim.pool.global_map, key=lambda e: (e.local, e.vid or 0)):
        if compact:
            vid = "" if entry.vid is None else f"~{entry.vid}"
            yield Row(pool, range_text(entry.local) + vid, range_text(entry.globals), "", "", ALL)
            continue
        for local in range(entry.local.first, entry.local.last + 1):
            global_ip = address_text(entry.globals.first + local - entry.local.first)
            yield Row(pool, _local_text(entry, local), global_ip, "", "", ALL)
