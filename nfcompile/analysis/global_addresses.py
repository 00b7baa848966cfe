"""Global addresses: each has one owner, and none is a subscriber's own address.

### pool-overlap

One global address is given twice: in one pool, in two pools, in a static entry, or as an address of the
gateway itself. Both owners would use the same ports of the address, and no log could tell their subscribers
apart. Several cgnat pools may have an address if their `port_range`s do not overlap (with `portlimit_low` all
deterministic pools have ports below 1024; subscribers with one address in two VLANs are told apart by the
global address alone), and a cgnat pool may have the gateway's `primary_ip`.

```yaml
acls: {a: {10: allow ip 10.0.0.0/30}, b: {10: allow ip 10.1.0.0/30}}
pools:
  a: {type: cgnat, acl: a, priority: 100, global_ip: [203.0.113.0/28]}
  b: {type: nat, acl: b, priority: 110, global_ip: [203.0.113.8/29]}
```

```yaml
acls: {a: {10: allow ip 10.0.0.0/30}, b: {10: allow ip 10.1.0.0/30}}
pools:
  a: {type: cgnat, acl: a, priority: 100, global_ip: [203.0.113.0/29]}
  b: {type: nat, acl: b, priority: 110, global_ip: [203.0.113.8/29]}
```

### global-inside

A global address is also the inside address of a subscriber. Packets of that subscriber could be translated
twice, and replies could go to the wrong host; RFC 4787 REQ-7 requires that inside and global addresses do
not overlap.

```yaml
acls: {homes: {10: allow ip 10.0.0.0/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [10.0.0.128/26]}
```

```yaml
acls: {homes: {10: allow ip 10.0.0.0/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/26]}
```

### snat-in-pool

An `snat` rule translates to an address of a pool (a warning). The kernel keeps the connections apart, but a
port of that address no longer identifies the subscriber.

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/29]}
snat: {mail: {protocol: tcp, dst_port: 25, snat_ip: 203.0.113.1}}
```

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/29]}
snat: {mail: {protocol: tcp, dst_port: 25, snat_ip: 203.0.113.9}}
```
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.allocation.pools import LOW_PORT_LAST
from nfcompile.analysis.check_input import CheckInput, UnreadPaths
from nfcompile.diagnostics import Diagnostic, Note, Path
from nfcompile.model.ranges import Cover, Range, intersect, range_text
from nfcompile.model.site import Pool, Site
from nfcompile.model.vlans import shared_addresses

PRIMARY: Path = ("gateway", "primary_ip")


class GlobalAddresses(NamedTuple):
    """A global range, its owner, and where it is written; `ports` of a pool that shares its addresses."""

    range: Range
    owner: str
    path: Path
    ports: tuple[Range, ...] = ()

    def may_share(self, other: GlobalAddresses) -> bool:
        """Whether both may have one address: cgnat pools with other ports, or one and the gateway."""
        if self.ports and other.ports:
            return self.owner != other.owner and not intersect(self.ports, other.ports)
        return PRIMARY in (self.path, other.path) and bool(self.ports or other.ports)


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """Compare all global ranges with each other in one ascending pass, then with the subscribers."""
    found = list(given(checked.site, checked.unread))
    order = {id(one): index for index, one in enumerate(found)}
    reaching: list[GlobalAddresses] = []
    for one in sorted(found, key=lambda g: (g.range, order[id(g)])):
        reaching = [other for other in reaching if one.range.first <= other.range.last]
        conflicts = [other for other in reaching if not one.may_share(other)]
        if conflicts:
            widest = max(conflicts, key=lambda g: g.range.last)
            early, late = sorted((widest, one), key=lambda g: order[id(g)])
            yield _overlap(early, late)
        reaching.append(one)
    yield from _inside(checked, found)
    yield from _snat(checked.site, found)


def given(site: Site, unread: UnreadPaths) -> Iterator[GlobalAddresses]:
    """Every global range of a site, with its owner.

    Where VLANs have the same subscribers, the address alone says into which VLAN an answer goes, so none has
    ports.
    """
    if site.gateway.primary_ip is not None:
        primary = Range(site.gateway.primary_ip, site.gateway.primary_ip)
        yield GlobalAddresses(primary, "gateway 'primary_ip'", PRIMARY)
    for index, one in enumerate(site.gateway.secondary_ips):
        yield GlobalAddresses(
            one, "gateway 'secondary_ips'", unread.entry(("gateway", "secondary_ips"), index)
        )
    by_vlan = any(shared_addresses(site))
    for pool in site.pools:
        if not pool.enable:
            continue
        ports = () if by_vlan else _ports(site, pool)
        for index, one in enumerate(pool.global_ip):
            path = unread.entry((*pool.path, "global_ip"), index)
            yield GlobalAddresses(one, f"pool '{pool.name}'", path, ports)
        for entry in pool.global_map:
            yield GlobalAddresses(entry.globals, f"pool '{pool.name}'", entry.path)


def _ports(site: Site, pool: Pool) -> tuple[Range, ...]:
    """The ports of a pool that may share its addresses; none for other pools."""
    if not pool.shares_addresses:
        return ()
    low = site.defaults.portlimit_low
    if low is None or not pool.is_deterministic:
        return (pool.port_range,)
    return Range(low, LOW_PORT_LAST), pool.port_range


def _overlap(early: GlobalAddresses, late: GlobalAddresses) -> Diagnostic:
    shared = Range(max(early.range.first, late.range.first), min(early.range.last, late.range.last))
    hint = "give each global address to one owner"
    if early.owner == late.owner:
        message = f"{late.owner} has {range_text(shared)} twice"
        hint = "remove one of them"
    else:
        message = f"{early.owner} and {late.owner} share {range_text(shared)}"
    note = Note(f"{early.owner} has it here", early.path)
    return Diagnostic("pool-overlap", message, late.path, hint=hint, notes=(note,))


def _inside(checked: CheckInput, given: list[GlobalAddresses]) -> Iterator[Diagnostic]:
    everything: Cover[None] = Cover()
    for one in given:
        everything.add(one.range, None)
    for allocation in checked.allocations:
        if allocation.unbounded or allocation.pool.name not in checked.exact:
            continue
        both = tuple(sorted(part for run in allocation.subscribers for part in everything.parts(run)))
        for one in given if both else ():
            shared = _part_of(one.range, both)
            if shared:
                message = (
                    f"global address {range_text(shared)} of {one.owner} is a subscriber"
                    f" of pool '{allocation.pool.name}'"
                )
                note = Note(f"'{allocation.pool.name}' serves it", allocation.pool.path, key=True)
                yield Diagnostic("global-inside", message, one.path, notes=(note,))


def _part_of(one: Range, ranges: tuple[Range, ...]) -> Range | None:
    """The first stretch of a range that lies in sorted, disjoint ranges."""
    index = bisect_left(ranges, one.first, key=lambda other: other.last)
    if index == len(ranges) or ranges[index].first > one.last:
        return None
    return Range(max(one.first, ranges[index].first), min(one.last, ranges[index].last))


def _snat(site: Site, given: list[GlobalAddresses]) -> Iterator[Diagnostic]:
    of_pools = sorted((one for one in given if one.path[0] == "pools"), key=lambda one: one.range)
    firsts = [one.range.first for one in of_pools]
    for rule in site.snat:
        if rule.snat_ip is None:
            continue
        # Addresses with one owner are disjoint: no range further back reaches this rule's addresses.
        for index in range(bisect_right(firsts, rule.snat_ip.last) - 1, -1, -1):
            one = of_pools[index]
            shared = intersect([rule.snat_ip], [one.range])
            if not shared:
                break
            message = f"snat rule '{rule.name}' translates to {range_text(shared[0])} of {one.owner}"
            yield Diagnostic(
                "snat-in-pool",
                message,
                (*rule.path, "snat_ip"),
                notes=(Note(f"{one.owner} has it here", one.path),),
                severity="warning",
            )
