"""Deterministic allocation (RFC 7422): subscribers in order -> blocks of global addresses, in integers.

A *block* is one global address with a contiguous range of its ports. The blocks of one `global_ip`
entry are laid out block-major: first the first block of every address, then the second block of every
address. Subscriber number i of an entry with A addresses therefore gets block i div A, and the addresses
fill equally. Entries are used one after the other, so that an appended entry moves no subscriber.

Inside a CIDR prefix of 2^n addresses the kernel's NETMAP keeps the low n bits of the source, so any 2^n
neighbouring subscribers, aligned or not, take one block of each address: one *piece*, one map element.
Where neighbours end before the prefix is full, the addresses left over are cut into smaller prefixes for
the subscribers that follow. Where a subscriber lands depends only on those before it.

Pieces: entries x CIDR parts of an entry x blocks used, plus at most 2 log2(addresses) for each run of
subscribers; never one for each subscriber, unless the subscribers themselves lie scattered.

With `by_address` an address is filled before the next one (VyOS, the usual scripts of ISPs): subscriber
number i has block i mod K of address i div K. No prefix has both in common, so the layout is kept as sections
of neighbouring subscribers and their numbers, and a piece is one subscriber.

Knows nothing of pools, YAML or nft.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from nfcompile.model.ranges import Range, cidrs


class Block(NamedTuple):
    """One global address and the ports `first` to `last` of it (0 and 0: the whole address)."""

    address: int
    first: int
    last: int


class Piece(NamedTuple):
    """Neighbouring subscribers that share a rule of arithmetic: the global address of x is
    `base | (x & (2**bits - 1))`, the block is number `block` of that address."""

    first: int
    last: int
    base: int
    bits: int
    block: int

    def address(self, subscriber: int) -> int:
        return self.base | (subscriber & ((1 << self.bits) - 1))


class Straight(NamedTuple):
    """Neighbouring subscribers and their global addresses, neighbours too and as many; all have the block of
    that number."""

    subscribers: Range
    addresses: Range
    block: int


class Section(NamedTuple):
    """Neighbouring subscribers of a layout by address; the first one has that number of all."""

    first: int
    last: int
    number: int


class Stock(NamedTuple):
    """The blocks of a pool: its global addresses in order, and how each is cut.

    `ports` is the usable range of each address, `block_size` the ports of a block. Without `ports`
    the whole address is the block. `by_address`: all blocks of an address are used before the next address,
    so subscriber number i of an entry gets block i mod K of address i div K, for K blocks per address.
    """

    globals: tuple[Range, ...]
    ports: Range | None = None
    block_size: int = 1
    by_address: bool = False

    @property
    def blocks_per_address(self) -> int:
        return self.ports.size // self.block_size if self.ports else 1

    @property
    def addresses(self) -> int:
        return sum(one.size for one in self.globals)

    @property
    def capacity(self) -> int:
        """How many subscribers it serves."""
        return self.addresses * self.blocks_per_address

    def block_ports(self, size: int) -> tuple[Range, ...]:
        """The first `size` ports of each block of an address."""
        return _block_ports(self.ports, self.block_size, size)

    def block(self, address: int, number: int) -> Block:
        """Block `number` (from 0) of a global address."""
        if self.ports is None:
            return Block(address, 0, 0)
        first = self.ports.first + number * self.block_size
        return Block(address, first, first + self.block_size - 1)

    def number(self, port: int) -> int | None:
        """The number of the block that holds a port, or None where no block does."""
        if self.ports is None:
            return 0
        number = (port - self.ports.first) // self.block_size
        return number if 0 <= number < self.blocks_per_address else None


@cache
def _block_ports(ports: Range | None, block_size: int, size: int) -> tuple[Range, ...]:
    """Of all pools with the same settings once: an address can have 64,512 blocks."""
    if ports is None:
        return (Range(0, size - 1),)
    firsts = range(ports.first, ports.last - block_size + 2, block_size)
    return tuple(Range(first, first + size - 1) for first in firsts)


class Layout:
    """The block of each subscriber, and the subscriber of each block. Both directions cost O(log pieces).

    >>> layout = Layout(Stock((Range(8, 11),), Range(1024, 3071), 1024), [Range(100, 107)])
    >>> layout.pieces
    (Piece(first=100, last=103, base=8, bits=2, block=0), Piece(first=104, last=107, base=8, bits=2, block=1))
    >>> layout.binding(105)
    Block(address=9, first=2048, last=3071)
    >>> layout.owner(9, 2100), layout.owner(9, 5000), layout.binding(99)
    (105, None, None)
    """

    __slots__ = ("_address_counts", "_firsts", "_numbers", "_pieces", "_taken", "first", "sections", "stock")

    def __init__(self, stock: Stock, subscribers: Sequence[Range]) -> None:
        """Lay out; subscribers beyond `stock.capacity` get nothing. They must not repeat."""
        self.stock = stock
        self._pieces: tuple[Piece, ...] | None = None
        self._taken: list[tuple[int, int, int, Piece]] | None = None
        self.sections: tuple[Section, ...] = ()
        self.first: Piece | None = None
        """The piece of the first subscriber; none in a layout by address. Appending leaves it as it is."""
        if stock.by_address:
            self._numbers = tuple(_sections(stock, subscribers))
            self.sections = tuple(sorted(self._numbers))
            self._address_counts = list(accumulate(entry.size for entry in stock.globals))
            self._firsts = [section.first for section in self.sections]
        else:
            in_order = list(_pieces(stock, subscribers))
            self.first = in_order[0] if in_order else None
            self._pieces = tuple(sorted(in_order))
            self._firsts = [piece.first for piece in self._pieces]

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The whole layout, by ascending subscribers; one piece per subscriber in a layout by address."""
        if self._pieces is None:
            self._pieces = tuple(self._single_pieces())
        return self._pieces

    @property
    def piece_count(self) -> int:
        """How many pieces there are, without making them."""
        if self._pieces is None:
            return sum(section.last - section.first + 1 for section in self.sections)
        return len(self._pieces)

    def binding(self, subscriber: int) -> Block | None:
        """The block of a subscriber, None where it has none."""
        index = bisect_right(self._firsts, subscriber) - 1
        if index < 0:
            return None
        if self.stock.by_address:
            section = self.sections[index]
            if subscriber > section.last:
                return None
            return self._numbered(section.number + subscriber - section.first)
        piece = self.pieces[index]
        if subscriber > piece.last:
            return None
        return self.stock.block(piece.address(subscriber), piece.block)

    def owner(self, address: int, port: int) -> int | None:
        """The subscriber with a global address and port, None where there is none."""
        number = self.stock.number(port)
        if number is None:
            return None
        if self.stock.by_address:
            return self._subscriber(address, number)
        if self._taken is None:
            self._taken = sorted(_taken(self.pieces))
        index = bisect_right(self._taken, (number, address, 1 << 32)) - 1
        if index < 0:
            return None
        block, first, last, piece = self._taken[index]
        if block != number or not first <= address <= last:
            return None
        size = 1 << piece.bits
        return piece.first + (address - piece.base - piece.first) % size

    def owners(self, address: int) -> Iterator[int]:
        """Every subscriber of a global address, by block."""
        for number in range(self.stock.blocks_per_address):
            port = self.stock.block(address, number).first
            subscriber = self.owner(address, port)
            if subscriber is not None:
                yield subscriber

    def runs(self) -> Iterator[Straight]:
        """Each piece as one straight run, or two where its addresses begin again at the base."""
        for piece in self.pieces:
            turn = min(piece.first | ((1 << piece.bits) - 1), piece.last)
            for first, last in ((piece.first, turn), (turn + 1, piece.last)):
                if first <= last:
                    addresses = Range(piece.address(first), piece.address(last))
                    yield Straight(Range(first, last), addresses, piece.block)

    def prefix_runs(self) -> Iterator[tuple[Range, int, int]]:
        """Runs of neighbouring subscribers that share a global prefix, with its first address and host bits.
        In a layout by address one run per address."""
        if not self.stock.by_address:
            yield from _joined(self.pieces)
            return
        each = self.stock.blocks_per_address
        for section in self.sections:
            first, number = section.first, section.number
            while first <= section.last:
                last = min(section.last, first + each - 1 - number % each)
                yield Range(first, last), self._numbered(number).address, 0
                first, number = last + 1, number + last - first + 1

    def _numbered(self, number: int) -> Block:
        """Block `number` of all, address by address."""
        index, block = divmod(number, self.stock.blocks_per_address)
        entry = bisect_right(self._address_counts, index)
        before = self._address_counts[entry - 1] if entry else 0
        return self.stock.block(self.stock.globals[entry].first + index - before, block)

    def _subscriber(self, address: int, block: int) -> int | None:
        """Who has that block of that address."""
        before = 0
        for entry in self.stock.globals:
            if entry.first <= address <= entry.last:
                number = (before + address - entry.first) * self.stock.blocks_per_address + block
                index = bisect_right(self._numbers, number, key=lambda one: one.number) - 1
                if index < 0:
                    return None
                one = self._numbers[index]
                subscriber = one.first + number - one.number
                return subscriber if subscriber <= one.last else None
            before += entry.size
        return None

    def _single_pieces(self) -> Iterator[Piece]:
        for section in self.sections:
            for subscriber in range(section.first, section.last + 1):
                block = self._numbered(section.number + subscriber - section.first)
                number = self.stock.number(block.first)
                assert number is not None
                yield Piece(subscriber, subscriber, block.address, 0, number)


def _joined(pieces: Sequence[Piece]) -> Iterator[tuple[Range, int, int]]:
    start, end, of_run, size_of_run = -1, -1, -1, -1
    for first, last, base, bits, _ in pieces:
        if first == end + 1 and base == of_run and bits == size_of_run:
            end = last
            continue
        if start >= 0:
            yield Range(start, end), of_run, size_of_run
        start, end, of_run, size_of_run = first, last, base, bits
    if start >= 0:
        yield Range(start, end), of_run, size_of_run


def _pieces(stock: Stock, subscribers: Sequence[Range]) -> Iterator[Piece]:
    runs = iter(subscribers)
    run = next(runs, None)
    if run is None:
        return
    first, end = run
    for entry in stock.globals:
        parts = list(cidrs(entry))
        for number in range(stock.blocks_per_address):
            for part in parts:
                free = [part]
                while free:
                    base, bits = free.pop()
                    last = first + (1 << bits) - 1
                    if last > end:
                        last = end
                        free += _left_over(base, bits, first, last)
                    yield Piece(first, last, base, bits, number)
                    first = last + 1
                    if first > end:
                        run = next(runs, None)
                        if run is None:
                            return
                        first, end = run


def _sections(stock: Stock, subscribers: Sequence[Range]) -> Iterator[Section]:
    number = 0
    for run in subscribers:
        free = stock.capacity - number
        if free <= 0:
            return
        yield Section(run.first, min(run.last, run.first + free - 1), number)
        number += run.size


def _left_over(base: int, bits: int, first: int, last: int) -> list[tuple[int, int]]:
    """The prefixes of a part that subscribers `first` to `last` do not take; the next one is at the end."""
    size = 1 << bits
    free = size - (last - first + 1)
    if not free:
        return []
    start = (last + 1) & (size - 1)
    straight = min(free, size - start)
    parts = list(cidrs(Range(base + start, base + start + straight - 1)))
    if free > straight:
        parts += cidrs(Range(base, base + free - straight - 1))
    return parts[::-1]


def _taken(pieces: Sequence[Piece]) -> Iterator[tuple[int, int, int, Piece]]:
    """The global addresses of each piece as straight runs: (block, first, last, piece)."""
    for piece in pieces:
        start, end = piece.address(piece.first), piece.address(piece.last)
        if start <= end and piece.last - piece.first < 1 << piece.bits:
            yield piece.block, start, end, piece
        else:
            yield piece.block, start, piece.base + (1 << piece.bits) - 1, piece
            yield piece.block, piece.base, end, piece
