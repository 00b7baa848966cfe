"""The port of a new socket, computed from its source port and claimed before the translation.

The kernel's own choice is a port that is free towards one server; that another socket owns it is known only
afterwards, when the packet must be dropped. Here the global port is written into the packet itself, as the
one register in which nft can compute a port: the chain of a block keeps the low bits of the source port and
puts those of the block above them, and further candidates are `^` constants, the same in all blocks. Each is
claimed in `eif`; the rule ends at the first one that was free. Then the entry of `eim` is made, the packet
gets the source back that it had, and is translated by what `eim` holds: of two packets of one socket on two
CPUs both get the same port. The checksum never changes: `th sport` has none, and what is written is undone.

So the text grows by one short rule for each block of an address, and pools share those chains.
Where blocks are no aligned powers of two, the two largest aligned parts of each are tried in turn.
Where all candidates are taken, low bits are turned over at random, and the same constants are tried again.
(Two new sockets of one subscriber that claim one port within some 50 ns can leave the entry of the one in the
name of the other: then what comes unasked to that port reaches the other one of the same subscriber.)
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.allocation.residues import Shape, shape
from nfcompile.emit import Chain, Element, Map, Object, Rule
from nfcompile.emit.expressions import Bitwise, Constant, Field, Numgen, number
from nfcompile.emit.statements import (
    CT_MARK,
    DROP,
    IP_SADDR,
    L4PROTO,
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
    jump,
    lookup,
    match,
    set_field,
    set_mark,
)
from nfcompile.ipalloc import Layout, Stock
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.packet_marks import KNOWN
from nfcompile.lower.part import Statements, chain_of
from nfcompile.lower.piece_maps import piece_maps
from nfcompile.lower.renewal import INSIDE, PROTOCOLS, lifetimes, socket_key
from nfcompile.lower.tokens import FIRST_TOKEN, TOKEN_BYTE, UNANSWERED
from nfcompile.lower.trial import for_trial, trial_seconds
from nfcompile.model.ranges import Range, cidrs
from nfcompile.model.site import Pool

CLAIM = Limit(1, "week", 1, over=True)
PATTERNS = (0x0000, 0x5B6A, 0x15FE, 0xBF1C, 0xEBF0, 0xC2B2, 0x163D, 0xDCF9)
"""What a candidate turns over in a source port. Of six low bits or more no two pairs differ in the same bits:
sockets that meet in one candidate meet in no other. The first four keep the parity (RFC 4787 REQ-4)."""
AGAIN = 3
"""Rounds with low bits turned over at random. Of 1,024 ports with 600 owners 1 socket of 1,000 finds none in
one such round, and 1 of 200 with 750 in two."""
MOST_CHAINS = 256
"""So many chains of ports and addresses at most, 0.3 KB each of the 208 KB that a user without privileges can
load in one batch. (An element has 0.1 KB: some 600 pieces in all.)"""
PARTS = 2
"""So many aligned parts of a block are tried: three quarters of one that is wholly unaligned."""
POOLS = ("pools",)
SUBSCRIBER = Field("ct original ip saddr")


class Spread(NamedTuple):
    """Where the candidates of some protocols lie: in aligned parts of the first `size` ports of a block.
    `bits` is how many low bits may be turned over in each."""

    protocols: tuple[str, ...]
    size: int
    parts: int
    bits: int

    def part(self, block: int, number: int) -> Range | None:
        """The ports of one part of the block that begins at a port."""
        found = _parts(block, self.size)
        return found[number] if number < len(found) else None


class PortPlan(NamedTuple):
    """How a pool computes ports, and the prefixes on which its subscribers are; or the two look-ups that lead
    to the chains of its blocks (`fill: address`), which know the rest."""

    layout: Layout
    spreads: tuple[Spread, ...]
    prefixes: tuple[tuple[int, int], ...]
    shape: Shape | None = None

    @property
    def single(self) -> bool:
        """Whether all prefixes are single addresses, as a map holds them."""
        return not any(bits for _, bits in self.prefixes)


def port_plan(allocation: PoolAllocation) -> PortPlan | None:
    """How a deterministic pool with mapping entries computes the ports of its sockets. None: it does not."""
    pool = allocation.pool
    if not (pool.keeps_mapping_entries and pool.is_deterministic) or pool.ports_at_random is False:
        return None
    layout = allocation.layout()
    short = shape(layout) if layout.stock.by_address else None
    each = layout.stock.blocks_per_address
    numbers = set(range(each)) if short else {piece.block for piece in layout.pieces}
    blocks = frozenset(layout.stock.block(0, number).first for number in numbers)
    spreads = tuple(
        spread(tuple(word for word in words if word != "icmp"), allocation.stock._replace(globals=()), size)
        for words, size in allocation.protocol_ports
        if words != ("icmp",)
    )
    prefixes = () if short else tuple(dict.fromkeys((one.base, one.bits) for one in layout.pieces))
    plan = PortPlan(layout, spreads, prefixes, short)
    count = len(_every_part(spreads, blocks)) + (0 if plan.single else len(prefixes))
    return plan if 0 < count <= MOST_CHAINS else None


@cache
def _every_part(spreads: tuple[Spread, ...], blocks: frozenset[int]) -> frozenset[Range]:
    """All ports that get a chain; pools with the same settings have the same."""
    return frozenset(part for one in spreads for block in blocks for part in _parts(block, one.size))


@cache
def spread(protocols: tuple[str, ...], stock: Stock, size: int) -> Spread:
    """The two largest aligned parts of each block, or the one that it is.

    >>> spread(("tcp",), Stock((), Range(1024, 65535), 1024), 1024)
    Spread(protocols=('tcp',), size=1024, parts=1, bits=10)
    >>> one = spread(("tcp",), Stock((), Range(1024, 65535), 1008), 1008)
    >>> one.parts, one.bits, one.part(2032, 0), one.part(2032, 1)
    (2, 8, Range(first=2048, last=2559), Range(first=2560, last=2815))
    """
    blocks = (stock.block(0, number).first for number in range(stock.blocks_per_address))
    found = [_parts(block, size) for block in blocks]
    smallest = min((part.size for parts in found for part in parts), default=1)
    return Spread(protocols, size, max(map(len, found), default=0), smallest.bit_length() - 1)


@cache
def _parts(block: int, size: int) -> tuple[Range, ...]:
    """Parts that are much smaller than the largest are left out."""
    parts = sorted(cidrs(Range(block, block + size - 1)), key=lambda one: -one[1])
    large = [(base, bits) for base, bits in parts[:PARTS] if bits + 2 >= parts[0][1]]
    return tuple(Range(base, base + (1 << bits) - 1) for base, bits in large)


def computed_ports(
    context: Context, allocation: PoolAllocation, plan: PortPlan
) -> tuple[list[Object], list[Statements]]:
    """The objects of a pool, and the rules that a socket meets which has no entries yet."""
    pool = allocation.pool
    objects: list[Object] = []
    rules: list[Statements] = []
    address: Field | Bitwise = IP_SADDR
    if len(plan.prefixes) == 1:
        ((base, bits),) = plan.prefixes
        address = Bitwise(IP_SADDR, (1 << bits) - 1, base)
    else:
        more, rule = _addresses(pool, plan)
        objects += more
        rules.append(rule)
    alone = len(plan.spreads) == 1
    for one in plan.spreads:
        objects += _ports(pool, plan, one)
        objects.append(candidates_chain(pool, one.bits, address, [(goto(names.claimed_socket(pool.name)),)]))
        tried = list(_tried(pool, plan, one))
        if alone:
            rules += tried
        else:
            name = names.new_socket(pool.name, one.protocols)
            objects.append(chain_of(pool, name, *tried))
            rules.append((match(L4PROTO, *one.protocols), goto(name)))
    objects.append(chain_of(pool, names.claimed_socket(pool.name), *claimed(context, pool, address)))
    return list(dict.fromkeys(objects)), rules


def _tried(pool: Pool, plan: PortPlan, spread: Spread) -> Iterator[Statements]:
    """Part by part, then what is left to chance; what comes back has found no port."""
    for turn in range(spread.parts + (AGAIN if spread.bits else 0)):
        part = turn % spread.parts
        if turn == 0 or spread.parts > 1:
            source = IP_SADDR if len(plan.prefixes) == 1 else SUBSCRIBER
            for one in piece_maps(plan.layout):
                table = names.pieces(pool.name, part, _words(plan, spread), one.rest)
                yield (VerdictMap(one.key(source), table),)
        if spread.bits and (pool.ports_at_random or turn >= spread.parts):
            yield (jump(names.shuffle(spread.bits)),)
        yield (jump(names.candidates(pool.name, spread.bits)),)
    yield counter(names.pool_counter(pool.name, "conflict")), DROP


def _words(plan: PortPlan, spread: Spread) -> tuple[str, ...]:
    return spread.protocols if len(plan.spreads) > 1 else ()


def _ports(pool: Pool, plan: PortPlan, spread: Spread) -> Iterator[Object]:
    """For each part a map from subscribers to the chain that puts the port there, and those chains."""
    stock = plan.layout.stock._replace(globals=())
    maps = piece_maps(plan.layout)
    numbers = tuple(dict.fromkeys(piece.block for piece in plan.layout.pieces))
    if spread.bits:
        yield shuffle_chain(spread.bits)
    for part in range(spread.parts):
        chains = _chains_of_blocks(stock, spread, part, numbers)
        leads = {block: jump(chain.name) for block, chain in chains.items()}
        for one in maps:
            yield from (
                chains[block]
                for block in dict.fromkeys(piece.block for piece in one.pieces)
                if block in chains
            )
            elements = (
                one.element(piece, leads[piece.block]) for piece in one.pieces if piece.block in leads
            )
            name = names.pieces(pool.name, part, _words(plan, spread), one.rest)
            yield Map(name, ("ipv4_addr",), ("verdict",), pool.path, tuple(elements), one.flags)


@cache
def _chains_of_blocks(stock: Stock, spread: Spread, part: int, numbers: tuple[int, ...]) -> dict[int, Chain]:
    """By the number of the block; one without such a part has none. Pools with the same settings share
    them."""
    found = ((number, spread.part(stock.block(0, number).first, part)) for number in numbers)
    return {number: port_chain(ports) for number, ports in found if ports is not None}


def _addresses(pool: Pool, plan: PortPlan) -> tuple[list[Object], Statements]:
    """The rule that puts the global address into the packet: a map of addresses, or of chains of prefixes."""
    name, interval = names.prefixes(pool.name), ("interval",)
    runs = list(plan.layout.prefix_runs())
    if plan.single:
        known = tuple(Element((run,), (number(base),)) for run, base, _ in runs)
        table = Map(name, ("ipv4_addr",), ("ipv4_addr",), pool.path, known, interval)
        return [table], (set_field(IP_SADDR, lookup(IP_SADDR, name)),)
    chains: list[Object] = []
    elements = []
    for run, base, bits in runs:
        chain = names.address_chain(base, bits)
        address = Bitwise(IP_SADDR, (1 << bits) - 1, base) if bits else Constant(number(base))
        chains.append(Chain(chain, (Rule((set_field(IP_SADDR, address),), POOLS),), POOLS))
        elements.append(Element((run,), jump(chain)))
    table = Map(name, ("ipv4_addr",), ("verdict",), pool.path, tuple(elements), interval)
    return [table, *chains], (VerdictMap(IP_SADDR, name),)


@cache
def port_chain(ports: Range) -> Chain:
    """The chain that puts a source port among these."""
    return Chain(names.port_chain(ports), (Rule((port_among(ports),), POOLS),), POOLS)


def port_among(ports: Range) -> Statement:
    """Keep the low bits of the source port, and put it among these ports; a source port there stays."""
    port = Bitwise(TH_SPORT, ports.size - 1, xor=ports.first) if ports.size > 1 else Constant(ports)
    return set_field(TH_SPORT, port)


@cache
def shuffle_chain(bits: int) -> Chain:
    """Turn over each of the low bits of the source port, or not."""
    turned = (set_field(TH_SPORT, Bitwise(TH_SPORT, xor=1 << bit)) for bit in range(bits))
    rules = (Rule((match(Numgen("random", 2), 0), one), POOLS) for one in turned)
    return Chain(names.shuffle(bits), tuple(rules), POOLS)


def candidates_chain(pool: Pool, bits: int, address: Field | Bitwise, found: Sequence[Statements]) -> Chain:
    """Claim one of the ports that differ from the source port in some low bits; come back if all are taken.
    What gets here is one of PROTOCOLS; the match is for nft, which else cannot tell what `proto-src` is."""
    eif = names.eif(pool.name)
    tries: list[Statement] = [match(L4PROTO, *PROTOCOLS)]
    now = 0
    for pattern in dict.fromkeys(pattern & (1 << bits) - 1 for pattern in PATTERNS):
        if pattern != now:
            tries.append(set_field(TH_SPORT, Bitwise(TH_SPORT, xor=pattern ^ now)))
        tries.append(SetUpdate("add", eif, concat(L4PROTO, address, TH_SPORT), INSIDE, CLAIM))
        now = pattern
    return chain_of(pool, names.candidates(pool.name, bits), (*tries, RETURN), *found)


def claimed(context: Context, pool: Pool, address: Field | Bitwise) -> Iterator[Statements]:
    """Translate by what `eim` holds now. Entries that live as long as the maps say need nothing more, and on
    trial both get its time here: the packet mark stays the number, which `stale_on_trial` lets pass. What is
    marked is renewed at once: entries that live longer, and those of a connection with an operator's mark."""
    eim, eif, ported = names.eim(pool.name), names.eif(pool.name), match(L4PROTO, *PROTOCOLS)
    made = SetUpdate("add", eim, socket_key(INSIDE), concat(address, TH_SPORT))
    undo: list[Statement] = [set_field(TH_SPORT, INSIDE.parts[1])]
    if address == IP_SADDR:
        undo.append(set_field(IP_SADDR, SUBSCRIBER))
    translated: Statements = *undo, Nat("snat", lookup(concat(L4PROTO, IP_SADDR, TH_SPORT), eim))
    lives = list(lifetimes(context, pool))
    if seconds := trial_seconds(context, pool):
        claim = SetUpdate("update", eif, concat(L4PROTO, address, TH_SPORT), INSIDE, timeout=seconds)
        yield match(CT_MARK, UNANSWERED), ported, claim, *for_trial(made, seconds), *translated
        yield (set_mark(KNOWN),)
        answered = match(Bitwise(CT_MARK, TOKEN_BYTE), FIRST_TOKEN)
        yield from ((answered, match(L4PROTO, *words), set_mark(0)) for words, more in lives if not more)
    else:
        yield (set_mark(0),)
        yield from ((match(L4PROTO, *words), set_mark(KNOWN)) for words, more in lives if more)
    yield ported, made, *translated
    yield counter(names.pool_counter(pool.name, "full")), DROP
