"""What has no room is refused with ICMP admin-prohibited (RFC 5508 REQ-8, RFC 6888 REQ-11), the second time.

Whether there is room is known after routing, where the kernel cannot answer (`reject` is for prerouting,
input, forward and output), and a chain in forward would cost 4 % of every packet. So the first packet is
dropped, counted and remembered for a moment, and its retransmission is refused before routing. With its port,
since what goes to another one may be for another pool or a `snat` rule.
"""

from __future__ import annotations

from nfcompile.emit import Chain, Counter, Name, Object, Rule, Set
from nfcompile.emit.expressions import Field
from nfcompile.emit.statements import (
    ADMIN_PROHIBITED,
    DROP,
    ICMP,
    IP_DADDR,
    IP_SADDR,
    L4PROTO,
    PORTED,
    TH_DPORT,
    add,
    concat,
    counter,
    goto,
    jump,
    match,
    unlike,
)
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.lower.part import pool_chain, pool_rule
from nfcompile.model.site import Pool

POOLS = ("pools",)
HOSTS = ("inet_proto", "ipv4_addr", "ipv4_addr")
SECONDS = 3
"""Longer than a client waits before it tries again (TCP: 1 s), shorter than a user does."""
SIZE = 65536


def exhaustion(context: Context) -> Contribution:
    """The memory, and the rule that refuses; ICMP alone can lack room in a deterministic cgnat pool."""
    pools = [allocation.pool for allocation in context.allocations if allocation.pool.allocates]
    all_protocols = any(_lacks_any(pool) for pool in pools)
    if not all_protocols and not any(pool.shares_addresses for pool in pools):
        return Contribution()
    reject = counter(names.REFUSED), ADMIN_PROHIBITED
    path, flags = POOLS, ("dynamic", "timeout")
    objects: list[Object] = [
        Counter(names.REFUSED, path),
        Set(names.REFUSED, HOSTS, path, (), flags, SECONDS, SIZE),
    ]
    known = match(concat(L4PROTO, IP_SADDR, IP_DADDR), names.REFUSED)
    if not all_protocols:
        rule = Rule((match(L4PROTO, ICMP), *context.from_inside, known, *reject), path)
        return Contribution(tuple(objects), prerouting=(rule,))
    ports = names.REFUSED_PORTS
    objects.append(Set(ports, (*HOSTS, "inet_service"), path, (), flags, SECONDS, SIZE))
    ported = match(concat(L4PROTO, IP_SADDR, IP_DADDR, TH_DPORT), ports)
    # Each packet is looked up once: udp and tcp by their ports, all others without.
    by_port = (Rule((match(L4PROTO, one), goto(names.REFUSE_PORTED)), path) for one in ("udp", "tcp"))
    objects += [
        Chain(names.REFUSE_PORTED, (Rule((ported, *reject), path),), path),
        Chain(names.REFUSE, (*by_port, Rule((known, *reject), path)), path),
    ]
    return Contribution(tuple(objects), prerouting=(Rule((*context.from_inside, jump(names.REFUSE)), path),))


def no_room(pool: Pool, name: Name, counted: Name) -> Chain:
    """Remember, count and drop; where the memory is full the packet is dropped all the same, untold."""
    hosts = L4PROTO, IP_SADDR, Field("ct original ip daddr")
    drop = pool_rule(pool, counter(counted), DROP)
    remember = add(names.REFUSED, concat(*hosts))
    if not _lacks_any(pool):
        return pool_chain(pool, name, pool_rule(pool, remember), drop)
    ported = add(names.REFUSED_PORTS, concat(*hosts, Field("ct original proto-dst")))
    return pool_chain(
        pool,
        name,
        pool_rule(pool, match(L4PROTO, *PORTED), ported),
        pool_rule(pool, unlike(L4PROTO, *PORTED), remember),
        drop,
    )


def _lacks_any(pool: Pool) -> bool:
    """Whether other protocols than ICMP may lack room before the translation."""
    return pool.is_dynamic or (pool.shares_addresses and pool.limits.sessions is not None)
