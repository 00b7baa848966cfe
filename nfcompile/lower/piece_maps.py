"""The map of a piece of a deterministic pool's subscribers: a hash of the masked source, or a tree.

A hash is quicker (3 % of a new connection), but takes prefixes of one length: that of the first piece, which
stays the first when subscribers or addresses are appended, so that no other element changes with them.
"""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.emit import Element
from nfcompile.emit.expressions import Bitwise, Field, Key, Verdict
from nfcompile.ipalloc import Layout, Piece
from nfcompile.model.ranges import ADDRESS_LAST, Range


class PieceMap(NamedTuple):
    """Pieces in one map. `bits` are the host bits that a hash masks, None in a tree; `rest` is a tree of what
    the hash beside it does not take."""

    pieces: tuple[Piece, ...]
    bits: int | None
    rest: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of the map."""
        return ("interval",) if self.bits is None else ()

    def key(self, source: Field) -> Field | Bitwise:
        """What a source is looked up by."""
        return source if self.bits is None else Bitwise(source, ADDRESS_LAST >> self.bits << self.bits)

    def element(self, piece: Piece, data: Key | Verdict) -> Element:
        """The element of a piece."""
        return Element((Range(piece.first, piece.last if self.bits is None else piece.first),), data)


def piece_maps(layout: Layout) -> tuple[PieceMap, ...]:
    """The pieces of a layout, by the maps that have them; one map where all are alike.

    >>> from nfcompile.ipalloc import Stock
    >>> stock = Stock((Range(8, 11),), Range(1024, 4095), 1024)
    >>> [(len(one.pieces), one.bits) for one in piece_maps(Layout(stock, [Range(100, 107), Range(50, 51)]))]
    [(2, 2), (1, None)]
    """
    first = layout.first
    if first is None or not _is_prefix(first, first.bits) or not first.bits:
        return (PieceMap(layout.pieces, None),)
    others = tuple(piece for piece in layout.pieces if not _is_prefix(piece, first.bits))
    if not others:
        return (PieceMap(layout.pieces, first.bits),)
    alike = tuple(piece for piece in layout.pieces if _is_prefix(piece, first.bits))
    return PieceMap(alike, first.bits), PieceMap(others, None, True)


def _is_prefix(piece: Piece, bits: int) -> bool:
    """Whether a piece is a CIDR prefix of so many host bits, and its global addresses are one, too."""
    first, last, _, host, _ = piece
    size = 1 << bits
    return host == bits and last - first + 1 == size and first & (size - 1) == 0
