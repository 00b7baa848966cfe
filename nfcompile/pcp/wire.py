"""The bytes of PCP (RFC 6887): a request as values, and the answer to one.

Any bytes are answered or dropped as section 8.2 says; nothing here raises.
"""

from __future__ import annotations

import struct

from nfcompile.pcp.messages import MOST_BYTES, AskAnnounce, Asked, AskMap, ResultCode, Told, refused

VERSION = 2
ANNOUNCE, MAP = 0, 1
PREFER_FAILURE = 2
_ANSWER = 0x80
_MANDATORY_LAST = 127
"""Options up to this one must be understood, others may be passed over (section 7.3)."""
_LEAST_BYTES, _MAP_BYTES = 24, 36
_REQUEST, _MAP = struct.Struct(">BBHI16s"), struct.Struct(">12sBxxxHH16s")
_HEADER, _OPTION = struct.Struct(">BBxBII12x"), struct.Struct(">BxH")
_MAPPED = bytes(10) + b"\xff\xff"
"""Begins an IPv4 address that is written as one of IPv6 (section 5)."""


def decode(data: bytes, source: int) -> Asked | ResultCode | None:
    """What an address asks for; the result code of the refusal; None where no answer may be sent."""
    if len(data) < 2 or data[1] & _ANSWER:
        return None
    if data[0] != VERSION:
        return ResultCode.UNSUPP_VERSION
    if not _LEAST_BYTES <= len(data) <= MOST_BYTES or len(data) % 4:
        return ResultCode.MALFORMED_REQUEST
    _, opcode, _, lifetime, client = _REQUEST.unpack_from(data)
    if client != mapped(source):
        return ResultCode.ADDRESS_MISMATCH
    if opcode == ANNOUNCE:
        options = _options(data[_LEAST_BYTES:])
        return options if isinstance(options, ResultCode) else _announce(options)
    if opcode != MAP:
        return ResultCode.UNSUPP_OPCODE
    if len(data) < _LEAST_BYTES + _MAP_BYTES:
        return ResultCode.MALFORMED_REQUEST
    options = _options(data[_LEAST_BYTES + _MAP_BYTES :])
    if isinstance(options, ResultCode):
        return options
    return _map(data, lifetime, options)


def _announce(options: list[tuple[int, bytes]]) -> AskAnnounce | ResultCode:
    unknown = any(code <= _MANDATORY_LAST for code, _ in options)
    return ResultCode.UNSUPP_OPTION if unknown else AskAnnounce()


def _map(data: bytes, lifetime: int, options: list[tuple[int, bytes]]) -> AskMap | ResultCode:
    nonce, protocol, port, wish_port, wish = _MAP.unpack_from(data, _LEAST_BYTES)
    prefers = False
    for code, value in options:
        if code == PREFER_FAILURE:
            if value or prefers or not lifetime:
                return ResultCode.MALFORMED_OPTION
            prefers = True
        elif code <= _MANDATORY_LAST:
            # Among them THIRD_PARTY and FILTER: each subscriber opens its own ports, to everybody.
            return ResultCode.UNSUPP_OPTION
    if protocol == 0 and port != 0:
        return ResultCode.MALFORMED_REQUEST
    address = int.from_bytes(wish[12:], "big") if wish.startswith(_MAPPED) else 0
    if prefers and not wish.startswith(_MAPPED):
        return ResultCode.CANNOT_PROVIDE_EXTERNAL
    return AskMap(protocol, port, lifetime, wish_port, address, nonce, prefers)


def _options(data: bytes) -> list[tuple[int, bytes]] | ResultCode:
    """Options with their values; each is padded to a multiple of four bytes."""
    found = []
    at = 0
    while at < len(data):
        code, length = _OPTION.unpack_from(data, at)
        end = at + _OPTION.size + length
        if end > len(data):
            return ResultCode.MALFORMED_OPTION
        found.append((code, data[at + _OPTION.size : end]))
        at = (end + 3) & ~3
    return found


def answer(data: bytes, asked: Asked | None, told: Told, epoch: int) -> bytes:
    """The answer to a request (section 8.3). `asked` is None where it could not be understood: then, as in
    every refusal, what follows the header is the request's own."""
    kept = data[:MOST_BYTES]
    kept += bytes(-len(kept) % 4)
    rest = kept[_LEAST_BYTES:]
    if told.result is ResultCode.SUCCESS and isinstance(asked, AskMap):
        rest = _MAP.pack(asked.nonce, asked.protocol, asked.port, told.port, mapped(told.address))
        if asked.prefer_failure:
            rest += _OPTION.pack(PREFER_FAILURE, 0)
    elif told.result is ResultCode.SUCCESS:
        rest = b""
    return _HEADER.pack(VERSION, data[1] | _ANSWER, told.result, told.lifetime, epoch & 0xFFFFFFFF) + rest


def refusal(data: bytes, result: ResultCode, epoch: int) -> bytes:
    """The answer to a request that cannot be understood."""
    return answer(data, None, refused(result), epoch)


def announcement(epoch: int) -> bytes:
    """What is sent to all subscribers when the server has lost its mappings (section 14.1.1)."""
    return _HEADER.pack(VERSION, ANNOUNCE | _ANSWER, ResultCode.SUCCESS, 0, epoch)


def mapped(address: int) -> bytes:
    """An IPv4 address as one of IPv6."""
    return _MAPPED + address.to_bytes(4, "big")
