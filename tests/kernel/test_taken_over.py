"""`apply` of the keys of a pool that is taken over: sessions end of those who move."""

from __future__ import annotations

from nfcompile.allocation.lookup import lookups
from nfcompile.model.parse import address
from support.applied_site import bring, empty
from support.frames import UDP, Packet
from support.lab import Lab
from support.sites import site

SPREAD = """
nat_defaults: {port_block_size: 1000}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/28], port_range: 1024-5023,
          hairpin: off, limits_peruser: {portlimit_tcp: 1000, portlimit_udp: 1000}}
"""
BY_ADDRESS = SPREAD.replace("hairpin: off", "hairpin: off, fill: address")
SHIFTED = BY_ADDRESS.replace("1024-5023", "2024-6023")
INBOUND = BY_ADDRESS.replace("fill: address", "fill: address, inbound: subscriber")
SUBSCRIBERS = [address("100.64.0.0") + number for number in range(64)]
FAR = address("198.18.0.1")


def moved(old: str, new: str) -> int:
    """How many subscribers have another address or other ports in the other site."""
    before, after = (site(text).allocations for text in (old, new))
    return sum(lookups(before, one) != lookups(after, one) for one in SUBSCRIBERS)


def test_sessions_end_of_those_that_move(lab: Lab) -> None:
    for old, new in ((SPREAD, BY_ADDRESS), (BY_ADDRESS, SHIFTED), (BY_ADDRESS, INBOUND), (INBOUND, SPREAD)):
        empty(lab)
        bring(lab, old)
        out = lab.flight([("lan0", Packet(UDP, one, 5000, FAR, 53)) for one in SUBSCRIBERS])
        assert all(out)
        done = bring(lab, new)
        assert done.flushed == moved(old, new), (done, old, new)
        assert bring(lab, new).flushed == 0
    assert moved(SPREAD, BY_ADDRESS) > 50
    assert moved(BY_ADDRESS, INBOUND) == 0


def test_what_the_outside_has_opened_to_a_block_ends_where_the_block_goes_to_another(lab: Lab) -> None:
    empty(lab)
    bring(lab, INBOUND)
    ((seen,),) = lab.flight([("wan0", Packet(UDP, FAR, 99, address("203.0.113.2"), 4500))])
    assert seen.packet.destination == address("100.64.0.11")
    assert bring(lab, INBOUND.replace("fill: address, ", "")).flushed == 1
    empty(lab)
