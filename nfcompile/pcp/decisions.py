"""What becomes of a request: a pure function of the pools, of what is open, and of what was asked.

It says what to try; whether a port is free the kernel decides (`store`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nfcompile.ipalloc import Block
from nfcompile.model.protocols import TCP, UDP
from nfcompile.pcp.messages import AskMap, ResultCode, Told, refused
from nfcompile.pcp.serving import Inside, ServedPool, candidates, quota

LEAST_SECONDS, MOST_SECONDS = 120, 86400
"""Lifetimes (RFC 6887, section 15)."""


class Forwarding(NamedTuple):
    """An open port: the socket of the subscriber and the global one, who may change it, and for how many
    seconds it lasts."""

    pool: str
    protocol: int
    address: int
    port: int
    global_address: int
    global_port: int
    nonce: bytes
    left: float


class Attempt(NamedTuple):
    """Open one of these ports of an address, the first that is free; where none is, `otherwise` is told."""

    pool: str
    address: int
    ports: Sequence[int]
    lifetime: int
    otherwise: ResultCode


class Closing(NamedTuple):
    """Close these, and tell that."""

    forwardings: tuple[Forwarding, ...]
    told: Told


def lifetime(served: ServedPool, wanted: int) -> int:
    """The lifetime that is given. In a dynamic pool no longer than the subscriber keeps its block."""
    most = min(MOST_SECONDS, served.pool.timeouts.longest) if served.pool.is_dynamic else MOST_SECONDS
    return min(most, max(LEAST_SECONDS, wanted))


def closing(asked: AskMap, mine: Sequence[Forwarding]) -> Told | Closing:
    """Close a port, or all. One that is not open is closed already (RFC 6887, section 15)."""
    found = [one for one in mine if asked.protocol in (0, one.protocol) and (asked.port in (0, one.port))]
    allowed = tuple(one for one in found if one.nonce == asked.nonce)
    if found and not allowed:
        return _of_another(found[0])
    told = Told(ResultCode.SUCCESS)
    if asked.port and allowed:
        told = told._replace(address=allowed[0].global_address, port=allowed[0].global_port)
    return Closing(allowed, told)


def opening(
    asked: AskMap,
    inside: Inside,
    served: ServedPool | None,
    held: Sequence[Block],
    mine: Sequence[Forwarding],
    mapped: tuple[int, int] | None,
) -> Told | Attempt:
    """Open a port. `held` are the subscriber's assigned blocks, `mine` its open ports, `mapped` is the global
    socket that the inside one has already."""
    if asked.protocol not in (TCP, UDP) or asked.port == 0:
        return refused(ResultCode.UNSUPP_PROTOCOL)
    if served is None:
        return refused(ResultCode.NOT_AUTHORIZED)
    blocks = served.blocks(inside, held)
    if not blocks:
        # A dynamic pool assigns a block to the first packet that goes out.
        return refused(ResultCode.NO_RESOURCES if served.pool.is_dynamic else ResultCode.NOT_AUTHORIZED)
    seconds = lifetime(served, asked.lifetime)
    if served.pool.owns_addresses:
        return _told_all_open(asked, blocks[0].address, seconds)
    known = next((one for one in mine if (one.protocol, one.port) == (asked.protocol, asked.port)), None)
    if known is not None:
        return _again(asked, known, seconds)
    ports = served.ports(asked.protocol, blocks)
    if len(mine) >= quota(ports):
        return refused(ResultCode.USER_EX_QUOTA)
    return _anew(asked, served, blocks, mapped, seconds)


def _anew(
    asked: AskMap, served: ServedPool, blocks: Sequence[Block], mapped: tuple[int, int] | None, seconds: int
) -> Told | Attempt:
    address = blocks[0].address
    ports, low = served.ports(asked.protocol, blocks), served.low_ports(blocks)
    if mapped is not None:
        # A socket keeps the global port that its own packets have (endpoint-independent mapping).
        tried = [mapped[1]] if mapped[0] == address else []
        tried = [one for one in tried if any(run.first <= one <= run.last for run in (*ports, *low))]
    else:
        tried = list(dict.fromkeys(candidates(ports, low, asked.wish_port, asked.port)))
    if asked.prefer_failure:
        tried = [one for one in tried if _is_wish(asked, address, one)]
        return Attempt(served.pool.name, address, tried, seconds, ResultCode.CANNOT_PROVIDE_EXTERNAL)
    return Attempt(served.pool.name, address, tried, seconds, ResultCode.NO_RESOURCES)


def _again(asked: AskMap, known: Forwarding, seconds: int) -> Told | Attempt:
    """Renew what is open: it keeps its global port, whatever is wished for."""
    if known.nonce != asked.nonce:
        return _of_another(known)
    if asked.prefer_failure and not _is_wish(asked, known.global_address, known.global_port):
        return refused(ResultCode.CANNOT_PROVIDE_EXTERNAL)
    ports = (known.global_port,)
    return Attempt(known.pool, known.global_address, ports, seconds, ResultCode.NO_RESOURCES)


def _told_all_open(asked: AskMap, address: int, seconds: int) -> Told | Attempt:
    """A subscriber with a whole address: each of its ports is open, by the same number."""
    if asked.prefer_failure and not _is_wish(asked, address, asked.port):
        return refused(ResultCode.CANNOT_PROVIDE_EXTERNAL)
    return Told(ResultCode.SUCCESS, seconds, address, asked.port)


def _is_wish(asked: AskMap, address: int, port: int) -> bool:
    return asked.wish_port in (0, port) and asked.wish_address in (0, address)


def _of_another(one: Forwarding) -> Told:
    """It was opened with another nonce: refused for as long as it lasts (RFC 6887, section 11.3)."""
    return Told(ResultCode.NOT_AUTHORIZED, max(1, int(one.left)))
