"""The gate of a node in a pair: no new connection is forwarded until `takeover` has opened it.

A standby does not know whose blocks and ports are in use: if it translated before the connections of its
peer were committed, it would hand them out twice. The gate is a set of interfaces that packets may come from.
It is loaded empty, so a table which has just been loaded is closed; an `apply` to a live one leaves it as it
is. It stands first in destination NAT, which known connections pass by. VRRP passes (by multicast, and its
protocol as such), or each node would take the other one for dead; so does what is for a node's own addresses.
"""

from __future__ import annotations

from nfcompile.emit import Counter, Rule, Set
from nfcompile.emit.statements import DROP, IIFNAME, IP_DADDR, L4PROTO, counter, unlike
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.model.pair import Pair
from nfcompile.model.protocols import NUMBERS
from nfcompile.model.ranges import Range, union

MULTICAST = Range(0xE0000000, 0xEFFFFFFF)
VRRP = NUMBERS["vrrp"]
SIZE = 64


def gate(context: Context) -> Contribution:
    """The gate, where the site is of a node in a pair."""
    pair = context.site.pair
    if pair is None:
        return Contribution()
    closed = unlike(IIFNAME, names.GATE), *context.from_either
    spared = unlike(IP_DADDR, *spared_destinations(pair)), unlike(L4PROTO, VRRP)
    rule = Rule((*closed, *spared, counter(names.GATE_COUNTER), DROP), pair.path)
    objects = (
        Counter(names.GATE_COUNTER, pair.path),
        Set(names.GATE, ("ifname",), pair.path, (), ("dynamic",), 0, SIZE),
    )
    return Contribution(objects, prerouting=(rule,))


def spared_destinations(pair: Pair) -> tuple[Range, ...]:
    """Destinations that are never forwarded: multicast, and the own addresses of both nodes."""
    return union(
        [MULTICAST, *(Range(one.address, one.address) for node in pair.nodes for one in node.addresses)]
    )
