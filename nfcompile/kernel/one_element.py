"""One element of a set or map of our table, looked up as packets do it.

To look up one element nft 1.0.6 reads all of its set (34 us for each). The kernel itself finds it in a hash;
so the key is written here as the kernel has it, by the types that the set says it has. A tree of intervals,
and what has other types than ours, is nft's to ask.
"""

from __future__ import annotations

import errno
import sys

from nfcompile.kernel import NOT_PERMITTED, KernelError, netlink, nft, set_elements
from nfcompile.kernel.netlink import attribute
from nfcompile.kernel.set_elements import DATA, TABLE
from nfcompile.model.parse import Fault, address
from nfcompile.model.protocols import NUMBERS
from nfcompile.model.ranges import address_text

_GET_SET = 10 << 8 | 10
_SET_TABLE, _SET_NAME, _SET_FLAGS, _SET_KEY_TYPE, _SET_DATA_TYPE = 1, 2, 3, 4, 6
_INTERVAL = 0x4
_TYPE_BITS = 6
"""So many bits of a concatenation's type are each part's (nft's datatype.h)."""
_ADDRESS, _PROTOCOL, _PORT, _MARK = 7, 12, 13, 19
"""nft's numbers of data types."""
_READ = frozenset((_ADDRESS, _PORT, _MARK))
_REGISTER = 4
"""Bytes: each part of a key or of data fills whole registers."""


def element(name: str, key: str) -> str | None:
    """Look up one element: its data, '' in a set; None where there is none, or no such set.

    Key and data are in nft's words ('tcp . 100.64.0.1 . 5000'). Raises KernelError.
    """
    with netlink.opened(None) as link:
        try:
            of_set = attribute(_SET_TABLE, TABLE) + attribute(_SET_NAME, name.encode() + b"\0")
            told = netlink.ask(link, _GET_SET, of_set)
            data_types = _types(told, _SET_DATA_TYPE)
            written = _written(key.split(" . "), _types(told, _SET_KEY_TYPE))
            flags = int.from_bytes(told.get(_SET_FLAGS, b""), "big")
            if written is None or flags & _INTERVAL or not _READ.issuperset(data_types):
                return nft.element(name, key)
            found = set_elements.one(link, name, written)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            if error.errno == errno.EPERM:
                raise KernelError(NOT_PERMITTED.format("nftables ruleset")) from None
            raise KernelError(f"looking up an element of '{name}' failed: {error.strerror}") from None
    if found is None:
        return None
    return _read(set_elements.value(found, DATA) or b"", data_types) if data_types else ""


def _types(told: dict[int, bytes], kind: int) -> tuple[int, ...]:
    """The types of a key's or of data's parts; none in a set without data."""
    number = int.from_bytes(told.get(kind, b""), "big")
    parts: list[int] = []
    while number:
        parts.append(number & (1 << _TYPE_BITS) - 1)
        number >>= _TYPE_BITS
    return tuple(reversed(parts))


def _written(words: list[str], types: tuple[int, ...]) -> bytes | None:
    """A key as the kernel has it; None where it is not in words or types that are known here."""
    if len(words) != len(types):
        return None
    try:
        return b"".join(_register(word, one) for word, one in zip(words, types, strict=True))
    except (Fault, ValueError, OverflowError, KeyError):
        return None


def _register(word: str, datatype: int) -> bytes:
    if datatype == _ADDRESS:
        value = address(word).to_bytes(4, "big")
    elif datatype == _PORT:
        value = int(word).to_bytes(2, "big")
    elif datatype == _PROTOCOL:
        value = (NUMBERS[word] if word in NUMBERS else int(word)).to_bytes(1, "big")
    elif datatype == _MARK:
        value = int(word, 0).to_bytes(4, sys.byteorder)
    else:
        raise KeyError(datatype)
    return value.ljust(_REGISTER, b"\0")


def _read(data: bytes, types: tuple[int, ...]) -> str:
    """Data in nft's words."""
    words = []
    for at, datatype in enumerate(types):
        one = data[_REGISTER * at : _REGISTER * (at + 1)]
        if datatype == _ADDRESS:
            words.append(address_text(int.from_bytes(one, "big")))
        elif datatype == _PORT:
            words.append(str(int.from_bytes(one[:2], "big")))
        else:
            words.append(f"0x{int.from_bytes(one, sys.byteorder):08x}")
    return " . ".join(words)
