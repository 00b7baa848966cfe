"""The port of a new socket, computed from its source port and claimed before the translation.

The kernel's own choice is a port that is free towards one server; that another socket owns it is known only
afterwards, when the packet must be dropped. Here a block's chain tries several ports, each made of constants
and the low bits of the source port, and claims one in `eif`: the rule goes on while a candidate is another
socket's and ends at the first one that was free. The mark then says which it was, its entry is written into
`eim`, and the translation reads that: of two packets of one socket on two CPUs both get the same port.

nft computes ports from constants only, so each block has a chain of its own. Candidates are spread over the
block's aligned parts of a power of two in proportion to their size. Where all are taken the kernel chooses.
(Two new sockets of one subscriber that claim one port within some 50 ns can leave the entry of the one in the
name of the other: then what comes unasked to that port reaches the other one of the same subscriber.)
"""

from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit import Chain, Element, Map, Object, Rule
from nfcompile.emit.expressions import Bitwise, Concat
from nfcompile.emit.statements import (
    DROP,
    IP_SADDR,
    L4PROTO,
    META_MARK,
    RETURN,
    TH_SPORT,
    Limit,
    Nat,
    SetUpdate,
    Statement,
    VerdictMap,
    concat,
    counter,
    goto,
    lookup,
    match,
    set_mark,
)
from nfcompile.ipalloc import Layout, Piece
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.packet_marks import CANDIDATES, FRESH, KNOWN
from nfcompile.lower.part import Statements, chain_of, pool_rule
from nfcompile.lower.renewal import PROTOCOLS, lifetimes
from nfcompile.model.ranges import Range, cidrs

CLAIM = Limit(1, "week", 1, over=True)
PATTERNS = (0x0000, 0x5555, 0xAAAA, 0x00FF, 0x3333, 0x0F0E, 0x6D6C, 0xC3C1)
"""What a candidate turns round in a source port: any n low bits of these differ from each other for n > 2."""
MOST = ((64, 8), (256, 4))
"""So many chains at most have so many candidates; above that the kernel chooses all ports."""


class Candidate(NamedTuple):
    """A port: `source port & mask ^ bits`."""

    mask: int
    bits: int


def computed_ports(context: Context, allocation: PoolAllocation) -> tuple[list[Object], list[Rule]]:
    """The chains of the blocks, and the rules that lead to them; none where there would be too many."""
    pool = allocation.pool
    if pool.is_dynamic or pool.randomize_ports is not None:
        return [], []
    layout = allocation.layout()
    each = next((tries for chains, tries in MOST if layout.piece_count <= chains), 0)
    if not each or not layout.piece_count:
        return [], []
    chains: dict[Piece, Chain] = {}
    elements: list[Element] = []
    for piece in layout.pieces:
        name = names.block_chain(pool.name, piece.base, piece.bits, piece.block)
        same = piece._replace(first=0, last=0)
        chains.setdefault(same, chain_of(pool, name, *_block(allocation, layout, piece, each)))
        elements.append(Element((Range(piece.first, piece.last),), goto(name)))
    pieces = names.pieces(pool.name)
    by_source = Map(pieces, ("ipv4_addr",), ("verdict",), pool.path, tuple(elements), ("interval",))
    translated = chain_of(pool, names.claimed_socket(pool.name), *_translated(context, allocation))
    return [by_source, *chains.values(), translated], [pool_rule(pool, VerdictMap(IP_SADDR, pieces))]


def _block(allocation: PoolAllocation, layout: Layout, piece: Piece, each: int) -> Iterator[Statements]:
    first = layout.stock.block(piece.base, piece.block).first
    eim, eif = names.eim(allocation.pool.name), names.eif(allocation.pool.name)
    inside = concat(IP_SADDR, TH_SPORT)
    for protocols, size in allocation.protocol_ports:
        words = [word for word in protocols if word != "icmp"]
        if not words:
            continue
        # What gets here is one of PROTOCOLS; a match of several would be a set of its own in each rule.
        ported: Statements = (match(L4PROTO, *words),) if len(words) < len(PROTOCOLS) else ()
        ends = [_end(piece, one) for one in candidates(Range(first, first + size - 1), each)]
        tries: list[Statement] = [*ported]
        for number, end in enumerate(ends):
            key = concat(L4PROTO, *end.parts)
            tries += set_mark(CANDIDATES + number), SetUpdate("add", eif, key, inside, CLAIM)
        yield (*tries, set_mark(FRESH), RETURN)
        for number, end in enumerate(ends):
            made = SetUpdate("add", eim, concat(L4PROTO, IP_SADDR, TH_SPORT), end)
            mark = match(META_MARK, CANDIDATES + number)
            yield *ported, mark, made, goto(names.claimed_socket(allocation.pool.name))


def _translated(context: Context, allocation: PoolAllocation) -> Iterator[Statements]:
    """By what the map holds now. Entries that live longer than the map says are renewed at once."""
    pool = allocation.pool
    mapped = Nat("snat", lookup(concat(L4PROTO, IP_SADDR, TH_SPORT), names.eim(pool.name)))
    yield (set_mark(0),)
    yield from ((match(L4PROTO, *words), set_mark(KNOWN)) for words, more in lifetimes(context, pool) if more)
    yield match(L4PROTO, *PROTOCOLS), mapped
    yield counter(names.dropped(pool.name)), DROP


def _end(piece: Piece, candidate: Candidate) -> Concat:
    """The global address of a source in this piece, and a port computed from its source port."""
    address = Bitwise(IP_SADDR, (1 << piece.bits) - 1, piece.base)
    return concat(address, Bitwise(TH_SPORT, candidate.mask, xor=candidate.bits))


def candidates(ports: Range, most: int) -> tuple[Candidate, ...]:
    """Ports to try, in their order: the next one lies in the part that has the most ports for each so far.

    >>> [hex(one.bits) for one in candidates(Range(1024, 2047), 3)]
    ['0x400', '0x555', '0x6aa']
    >>> [hex(one.mask) for one in candidates(Range(2032, 3039), 8)]
    ['0x1ff', '0x1ff', '0xff', '0x1ff', '0x1ff', '0xff', '0x7f', '0x1ff']
    """
    parts = {one: list[int]() for one in cidrs(ports)}
    found: list[Candidate] = []
    for _ in range(most):
        free = [one for one, used in parts.items() if len(used) < min(1 << one[1], len(PATTERNS))]
        if not free:
            break
        base, bits = max(free, key=lambda one: (1 << one[1]) / (len(parts[one]) + 1))
        mask, used = (1 << bits) - 1, parts[base, bits]
        turned = next(pattern & mask for pattern in PATTERNS if pattern & mask not in used)
        used.append(turned)
        found.append(Candidate(mask, base | turned))
    return tuple(found)
