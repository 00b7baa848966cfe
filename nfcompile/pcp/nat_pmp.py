"""The bytes of NAT-PMP (RFC 6886): a request as values, and the answer to one. Nothing here raises."""

from __future__ import annotations

import struct

from nfcompile.model.protocols import TCP, UDP
from nfcompile.pcp.messages import AskAddress, Asked, AskMap, ResultCode, Told

VERSION = 0
ADDRESS = 0
PROTOCOLS = {1: UDP, 2: TCP}
"""Opcodes that map a port, and the protocol of each."""
_ANSWER = 0x80
_MAP = struct.Struct(">BBxxHHI")
_HEADER, _ADDRESS, _MAPPED = struct.Struct(">BBHI"), struct.Struct(">I"), struct.Struct(">HHI")
_REFUSED, _NETWORK_FAILURE, _OUT_OF_RESOURCES, _UNSUPPORTED_OPCODE = 2, 3, 4, 5
RESULTS = {
    ResultCode.SUCCESS: 0,
    ResultCode.NOT_AUTHORIZED: _REFUSED,
    ResultCode.NETWORK_FAILURE: _NETWORK_FAILURE,
    ResultCode.NO_RESOURCES: _OUT_OF_RESOURCES,
    ResultCode.USER_EX_QUOTA: _OUT_OF_RESOURCES,
    ResultCode.UNSUPP_OPCODE: _UNSUPPORTED_OPCODE,
}
"""Result codes of PCP as those of NAT-PMP (RFC 6886, section 3.5)."""


def decode(data: bytes) -> Asked | ResultCode | None:
    """What a request of version 0 asks for; UNSUPP_OPCODE; None where no answer may be sent: to an answer, or
    to too few bytes."""
    if len(data) < 2 or data[1] & _ANSWER:
        return None
    opcode = data[1]
    if opcode == ADDRESS:
        return AskAddress()
    if opcode not in PROTOCOLS:
        return ResultCode.UNSUPP_OPCODE
    if len(data) < _MAP.size:
        return None
    _, _, port, wish_port, lifetime = _MAP.unpack_from(data)
    return AskMap(PROTOCOLS[opcode], port, lifetime, wish_port)


def answer(data: bytes, asked: Asked | None, told: Told, epoch: int) -> bytes:
    """The answer to a request; `asked` is None where its opcode is not known."""
    result = RESULTS.get(told.result, _REFUSED)
    header = _HEADER.pack(VERSION, data[1] | _ANSWER, result, epoch & 0xFFFFFFFF)
    if isinstance(asked, AskAddress):
        return header + _ADDRESS.pack(told.address if not result else 0)
    if isinstance(asked, AskMap):
        port, lifetime = (told.port, told.lifetime) if not result else (0, 0)
        return header + _MAPPED.pack(asked.port, port, lifetime)
    return header
