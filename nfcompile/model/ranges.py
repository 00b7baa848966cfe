"""IPv4 addresses and ports as integers, ranges of them, and the set arithmetic of sorted ranges.

Knows nothing of pools. `ipaddress` is not used: its objects cost 2 microseconds each, and a static
pool has tens of thousands of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

ADDRESS_LAST = 0xFFFFFFFF
PORT_LAST = 0xFFFF


class Range(NamedTuple):
    """Integers from `first` to `last`, both included: addresses or ports."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


EVERYWHERE = Range(0, ADDRESS_LAST)


def address_text(value: int) -> str:
    """Spell an address.

    >>> address_text(0x64400001)
    '100.64.0.1'
    """
    return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def ipv6_text(value: int) -> str:
    """Spell an IPv6 address (RFC 5952).

    >>> ipv6_text(0x20010DB8 << 96 | 0x10)
    '2001:db8::10'
    """
    import ipaddress

    return str(ipaddress.IPv6Address(value))


def range_text(value: Range) -> str:
    """Spell an address range the shortest way that nft and people read.

    >>> range_text(Range(0x64400000, 0x6440003F)), range_text(Range(1, 3)), range_text(Range(5, 5))
    ('100.64.0.0/26', '0.0.0.1-0.0.0.3', '0.0.0.5')
    """
    first, last = value
    if first == last:
        return address_text(first)
    size = last - first + 1
    if size & (size - 1) == 0 and first & (size - 1) == 0:
        return f"{address_text(first)}/{32 - (size.bit_length() - 1)}"
    return f"{address_text(first)}-{address_text(last)}"


def port_text(value: Range) -> str:
    """Spell ports: '80' or '8000-8080'."""
    return str(value.first) if value.first == value.last else f"{value.first}-{value.last}"


def cidrs(value: Range) -> Iterator[tuple[int, int]]:
    """Cut a range into the fewest CIDR blocks, ascending: (first address, bits of the host part).

    >>> list(cidrs(Range(1, 6)))
    [(1, 0), (2, 1), (4, 1), (6, 0)]
    """
    first, last = value
    while first <= last:
        align = (first & -first).bit_length() - 1 if first else 32
        bits = min(align, (last - first + 1).bit_length() - 1)
        yield first, bits
        first += 1 << bits


def union(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Sort ranges and join those that overlap or touch."""
    ascending = sorted(ranges)
    if not ascending:
        return ()
    joined: list[Range] = []
    first, last = ascending[0]
    for start, end in ascending:
        if start > last + 1:
            joined.append(Range(first, last))
            first, last = start, end
        elif end > last:
            last = end
    joined.append(Range(first, last))
    return tuple(joined)


def intersect(left: Iterable[Range], right: Iterable[Range]) -> tuple[Range, ...]:
    """The intersection of two sets of ranges; both are joined first."""
    found: list[Range] = []
    a, b = union(left), union(right)
    i = j = 0
    while i < len(a) and j < len(b):
        first, last = max(a[i].first, b[j].first), min(a[i].last, b[j].last)
        if first <= last:
            found.append(Range(first, last))
        if a[i].last < b[j].last:
            i += 1
        else:
            j += 1
    return tuple(found)


def subtract(ranges: Iterable[Range], holes: Iterable[Range]) -> tuple[Range, ...]:
    """Ranges less `holes`, in the order in which they came (not sorted, not joined).

    >>> subtract([Range(10, 20), Range(1, 3)], [Range(2, 2), Range(15, 99)])
    (Range(first=10, last=14), Range(first=1, last=1), Range(first=3, last=3))
    """
    cut = union(holes)
    ends = [hole.last for hole in cut]
    left: list[Range] = []
    for first, last in ranges:
        index = bisect_left(ends, first)
        while index < len(cut) and cut[index].first <= last:
            if first < cut[index].first:
                left.append(Range(first, cut[index].first - 1))
            first = cut[index].last + 1
            index += 1
        if first <= last:
            left.append(Range(first, last))
    return tuple(left)


Owner = TypeVar("Owner")


class Cover(Generic[Owner]):
    """A growing union of ranges; each question costs O(log n).

    >>> cover = Cover()
    >>> cover.add(Range(1, 5), "a"); cover.add(Range(6, 9), "b"); cover.covers(Range(2, 8))
    True
    >>> list(cover.parts(Range(0, 3))), list(cover.rest(Range(0, 3)))
    ([Range(first=1, last=3)], [Range(first=0, last=0)])
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._owners: list[Owner] = []

    def covers(self, value: Range) -> bool:
        """Whether every member of `value` has been added."""
        index = bisect_right(self._firsts, value.first) - 1
        return index >= 0 and value.last <= self._lasts[index]

    def nearest(self, value: Range) -> Owner:
        """The owner of the stretch with the first member of `value`, which must be covered."""
        return self._owners[bisect_right(self._firsts, value.first) - 1]

    def parts(self, value: Range) -> Iterator[Range]:
        """The parts of a range that have been added, ascending."""
        for index in range(bisect_left(self._lasts, value.first), len(self._firsts)):
            first, last = max(value.first, self._firsts[index]), min(value.last, self._lasts[index])
            if first > last:
                return
            yield Range(first, last)

    def rest(self, value: Range) -> Iterator[Range]:
        """The parts of a range that have not been added, ascending."""
        first = value.first
        for part in self.parts(value):
            if first < part.first:
                yield Range(first, part.first - 1)
            first = part.last + 1
        if first <= value.last:
            yield Range(first, value.last)

    def add(self, value: Range, owner: Owner) -> None:
        """Add a range; it is joined with those that it meets."""
        first, last = value
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
            owner = self._owners[low] if self._firsts[low] <= value.first else owner
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]
        self._owners[low:high] = [owner]
