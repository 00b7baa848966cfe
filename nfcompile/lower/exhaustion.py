"""What has no room is refused with ICMP admin-prohibited (RFC 5508 REQ-8, RFC 6888 REQ-11), the second time.

Whether there is room is known after routing, where the kernel cannot answer (`reject` is for prerouting,
input, forward and output), and a chain in forward would cost 4 % of every packet. So the first packet is
dropped, counted and remembered for a moment, and its retransmission is refused before routing. With its port,
since what goes to another one may be for another pool or a `snat` rule.
"""

from __future__ import annotations

from nfcompile.emit import Chain, Counter, Rule, Set
from nfcompile.emit.objects import Object
from nfcompile.lower.gate import Gate
from nfcompile.lower.part import pool_chain, pool_rule
from nfcompile.model.site import Pool

POOLS = ("pools",)
REFUSED = "refused"
REFUSED_PORTS = "refused_ports"
HOSTS = "inet_proto . ipv4_addr . ipv4_addr"
PORTED = "meta l4proto { tcp, udp }"
SECONDS = 3
"""Longer than a client waits before it tries again (TCP: 1 s), shorter than a user does."""
SIZE = 65536


def refusals(gate: Gate) -> tuple[tuple[Object, ...], tuple[Rule, ...]]:
    """The memory, and the rule that refuses; ICMP alone can lack room in a deterministic cgnat pool."""
    pools = [allocation.pool for allocation in gate.allocations if allocation.pool.type in ("cgnat", "nat")]
    all_protocols = any(pool.allocation == "dynamic" for pool in pools)
    if not all_protocols and not any(pool.type == "cgnat" for pool in pools):
        return (), ()
    reject = f"counter name {REFUSED}", "reject with icmp type admin-prohibited"
    path, flags = POOLS, ("dynamic", "timeout")
    objects: list[Object] = [Counter(REFUSED, path), Set(REFUSED, HOSTS, path, (), flags, SECONDS, SIZE)]
    known = f"meta l4proto . ip saddr . ip daddr @{REFUSED}"
    match = () if all_protocols else ("meta l4proto icmp",)
    rules = [Rule((*match, gate.from_inside, known, *reject), path, "pools")]
    if all_protocols:
        objects.append(Set(REFUSED_PORTS, f"{HOSTS} . inet_service", path, (), flags, SECONDS, SIZE))
        known = f"meta l4proto . ip saddr . ip daddr . th dport @{REFUSED_PORTS}"
        rules.append(Rule((PORTED, gate.from_inside, known, *reject), path, "pools"))
    return tuple(objects), tuple(rules)


def no_room(pool: Pool, name: str, counter: str) -> Chain:
    """Remember, count and drop; where the memory is full the packet is dropped all the same."""
    key = "meta l4proto . ip saddr . ct original ip daddr"
    drop = pool_rule(pool, f"counter name {counter} drop")
    if pool.allocation != "dynamic":
        return pool_chain(pool, name, pool_rule(pool, f"add @{REFUSED} {{ {key} }}"), drop)
    ported = f"add @{REFUSED_PORTS} {{ {key} . ct original proto-dst }}"
    return pool_chain(
        pool,
        name,
        pool_rule(pool, PORTED, ported),
        pool_rule(pool, "meta l4proto != { tcp, udp }", f"add @{REFUSED} {{ {key} }}"),
        drop,
    )
