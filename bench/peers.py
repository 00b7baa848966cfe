"""What others load for the same subscribers, each written from the structure of such rulesets.

- `VyOS shape`: four maps with an element for each subscriber (`vyos_shape.py`).
- `linear rules`: three rules for each subscriber (tcp, udp, the rest) in one chain, as scripts print them.
- `jump list`: a chain for each 32 subscribers with two rules each and one for the rest, and a list of jumps
  to these chains: the layout that guides for ISPs hand on.
- `chain tree`: the same chains below as many levels of chains as it takes for none to have more than 32
  jumps: the best that rules without maps can be.

None has counters, logs or timeouts, which the originals often have: these are the cheaper form.
Those with `iptables` are the same for `iptables-legacy-restore`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import csit
import sites
import vyos_shape
from lab import NFT, Verify

FAN = 5
"""2^5 subscribers in a leaf, and 2^5 chains below a chain."""

TOP = "POSTROUTING"


class Dialect(NamedTuple):
    """How a rule language says the few things that are needed."""

    loader: Sequence[str]
    head: str
    chain: str
    hook: str
    rule: str
    chain_end: str
    tail: str
    source: str
    ported: str
    plain: str
    jump: str


NFTABLES = Dialect(
    loader=NFT,
    head="table ip peer\ndelete table ip peer\ntable ip peer {\n",
    chain="\tchain {chain} {{\n",
    hook="\t\ttype nat hook postrouting priority srcnat; policy accept;\n",
    rule="\t\t{rule}\n",
    chain_end="\t}\n",
    tail="}\n",
    source="ip saddr {source} ",
    ported="ip protocol {protocol} snat to {address}:{ports}",
    plain="snat to {address}",
    jump="jump {chain}",
)
IPTABLES = Dialect(
    loader=("iptables-legacy-restore",),
    head="*nat\n",
    chain="",
    hook="",
    rule="-A {chain} {rule}\n",
    chain_end="",
    tail="COMMIT\n",
    source="-s {source} ",
    ported="-p {protocol} -j SNAT --to-source {address}:{ports}",
    plain="-j SNAT --to-source {address}",
    jump="-j {chain}",
)


class Peer(NamedTuple):
    """Its text for a number of subscribers, the command that loads it, and what must come of a packet."""

    text: Callable[[int], Iterable[str]]
    loader: Sequence[str]
    verify: Callable[[int], Verify]


class Block(NamedTuple):
    """What one subscriber has: address and ports, neighbours on the same address."""

    local: str
    address: str
    first: int
    last: int


def block(number: int) -> Block:
    """The block of subscriber `number`: blocks of an address one after the other, then the next address."""
    ports = csit.CSIT_PORTS
    address, place = divmod(number, sites.PORTS // ports)
    first = 1024 + place * ports
    return Block(
        sites.text(sites.FIRST_SUBSCRIBER + number),
        sites.text(sites.FIRST_GLOBAL + address),
        first,
        first + ports - 1,
    )


def linear(words: Dialect, subscribers: int) -> Iterator[str]:
    """Three rules for each subscriber, in one chain."""
    yield words.head
    yield from _chain(words, TOP, (rule for n in range(subscribers) for rule in _alone(words, block(n))))
    yield words.tail


def chains(words: Dialect, levels: int, subscribers: int) -> Iterator[str]:
    """Leaf chains of 32 subscribers below `levels` levels of jumps; 0: until no chain has over 32 jumps."""
    nodes = [subscribers >> FAN]
    while nodes[-1] > 1 << FAN and len(nodes) != levels:
        nodes.append(-(-nodes[-1] >> FAN))
    yield words.head
    if words is IPTABLES:
        yield from (f":c{level}_{n} - [0:0]\n" for level, count in enumerate(nodes) for n in range(count))
    for leaf in range(nodes[0]):
        yield from _chain(words, f"c0_{leaf}", _leaf(words, leaf))
    for level, count in enumerate(nodes[1:], 1):
        for node in range(count):
            below = range(node << FAN, min((node + 1) << FAN, nodes[level - 1]))
            yield from _chain(words, f"c{level}_{node}", _jumps(words, level - 1, below))
    yield from _chain(words, TOP, _jumps(words, len(nodes) - 1, range(nodes[-1])))
    yield words.tail


def _chain(words: Dialect, name: str, rules: Iterable[str]) -> Iterator[str]:
    yield words.chain.format(chain=name) + (words.hook if name == TOP else "")
    for rule in rules:
        yield words.rule.format(chain=name, rule=rule)
    yield words.chain_end


def _alone(words: Dialect, one: Block) -> Iterator[str]:
    yield from _ported(words, one)
    yield words.source.format(source=one.local) + words.plain.format(address=one.address)


def _leaf(words: Dialect, leaf: int) -> Iterator[str]:
    """Neighbours share an address, so one rule serves their other protocols."""
    for number in range(leaf << FAN, (leaf + 1) << FAN):
        yield from _ported(words, block(number))
    yield words.plain.format(address=block(leaf << FAN).address)


def _ported(words: Dialect, one: Block) -> Iterator[str]:
    for protocol in ("tcp", "udp"):
        yield words.source.format(source=one.local) + words.ported.format(
            protocol=protocol, address=one.address, ports=f"{one.first}-{one.last}"
        )


def _jumps(words: Dialect, level: int, below: range) -> Iterator[str]:
    bits = FAN * (level + 1)
    for node in below:
        prefix = f"{sites.text(sites.FIRST_SUBSCRIBER + (node << bits))}/{32 - bits}"
        yield words.source.format(source=prefix) + words.jump.format(chain=f"c{level}_{node}")


def _has_its_block(_: int) -> Verify:
    def verify(local: str, address: str, port: int) -> str:
        one = block(sites.number(local) - sites.FIRST_SUBSCRIBER)
        right = one.address == address and one.first <= port <= one.last
        return (
            "" if right else f"{local} has {address}:{port} instead of {one.address}:{one.first}-{one.last}"
        )

    return verify


def _vyos(subscribers: int) -> Iterable[str]:
    return vyos_shape.ruleset(vyos_shape.layout(subscribers, csit.CSIT_PORTS))


def _ruled(words: Dialect, text: Callable[[int], Iterable[str]]) -> Peer:
    return Peer(text, words.loader, _has_its_block)


PEERS: dict[str, Peer] = {
    "VyOS shape": Peer(_vyos, NFT, csit.verify),
    "linear rules": _ruled(NFTABLES, lambda n: linear(NFTABLES, n)),
    "linear rules, iptables": _ruled(IPTABLES, lambda n: linear(IPTABLES, n)),
    "jump list": _ruled(NFTABLES, lambda n: chains(NFTABLES, 1, n)),
    "chain tree": _ruled(NFTABLES, lambda n: chains(NFTABLES, 0, n)),
    "chain tree, iptables": _ruled(IPTABLES, lambda n: chains(IPTABLES, 0, n)),
}


def main(arguments: Sequence[str]) -> None:
    """python bench/peers.py "chain tree" 1024 FILE"""
    name, subscribers, path = arguments
    with open(Path(path), "w") as file:
        file.writelines(PEERS[name].text(int(subscribers)))


if __name__ == "__main__":
    main(sys.argv[1:])
