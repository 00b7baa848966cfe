"""Two gateways that stand in for each other: what keepalived and conntrackd need, and what they do not carry.

### pair-incomplete

A pair lacks what its daemons need: two nodes, two priorities, a sync link with an address on each, and on
every interface with a virtual address an own address of each node, from which it sends its adverts.

```yaml
pairs: {east: {virtual: {lan0: [10.0.0.1/24]}}}
nodes:
  gw1: {pair: east, addresses: {lan0: 10.0.0.2/24}}
  gw2: {pair: east, addresses: {lan0: 10.0.0.3/24}}
```

```yaml
pairs: {east: {virtual: {lan0: [10.0.0.1/24]}}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.2/24}}
  gw2: {pair: east, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.3/24}}
```

### pair-vlan

A node of a pair translates addresses in VLANs (`~vid`). Connections in VLANs have conntrack zones, and
conntrackd 1.4.7 does not synchronise zones: after a failover all of them are lost.

```yaml
nat_defaults: {vlan_mode: vlan}
acls: {homes: {10: allow ip 10.0.0.0/30~101}}
pairs: {east: {virtual: {lan0: [10.0.0.1/24]}}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.2/24}}
  gw2: {pair: east, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.3/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/30]}
```

```yaml
acls: {homes: {10: allow ip 10.0.0.0/30}}
pairs: {east: {virtual: {lan0: [10.0.0.1/24]}}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.2/24}}
  gw2: {pair: east, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.3/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/30]}
```

### pair-alg

FTP's helper is on in a pair (a warning). Where it has changed the length of a PORT command, the sequence
numbers of that control connection are corrected by the node that did it; the other one does not know the
correction, and after a failover that connection hangs. New ones work.

```yaml
nat_defaults: {alg: {ftp: on}}
acls: {homes: {10: allow ip 10.0.0.0/30}}
pairs: {east: {virtual: {lan0: [10.0.0.1/24]}}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.2/24}}
  gw2: {pair: east, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.3/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/30]}
```

```yaml
acls: {homes: {10: allow ip 10.0.0.0/30}}
pairs: {east: {virtual: {lan0: [10.0.0.1/24]}}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.2/24}}
  gw2: {pair: east, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.3/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/30]}
```

### pair-idle

A dynamic pool is on a pair (a warning). The other node rebuilds its assignments from the connections that it
was told of; a subscriber without a connection at that moment is known only from the last copy
(`nfcompile-ha-copy.timer` of the bundle, every minute). Without that timer it gets another block.

```yaml
acls: {homes: {10: allow ip 10.0.0.0/30}}
pairs: {east: {virtual: {lan0: [10.0.0.1/24]}}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.2/24}}
  gw2: {pair: east, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.3/24}}
pools:
  homes: {type: cgnat, allocation: dynamic, acl: homes, priority: 100, global_ip: [203.0.113.0/30]}
```

```yaml
acls: {homes: {10: allow ip 10.0.0.0/30}}
pairs: {east: {virtual: {lan0: [10.0.0.1/24]}}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.2/24}}
  gw2: {pair: east, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.3/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/30]}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Note
from nfcompile.model.pair import Node, Pair
from nfcompile.model.site import Site
from nfcompile.model.vlans import tagged_addresses

NODES = 2


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """What the pair of a node lacks, then what it does not keep of the site's connections."""
    pair = checked.site.pair
    if pair is None or not checked.knows(("nodes",), ("pairs",)):
        return
    yield from _nodes(pair)
    for node in pair.nodes:
        yield from _of_node(pair, node)
    yield from _vlans(checked.site, pair)
    yield from _lost(checked.site)


def _nodes(pair: Pair) -> Iterator[Diagnostic]:
    if len(pair.nodes) != NODES:
        names = ", ".join(f"'{node.name}'" for node in pair.nodes)
        message = f"pair '{pair.name}' needs two nodes, and has {len(pair.nodes)}: {names}"
        yield Diagnostic("pair-incomplete", message, pair.path, key=True)
        return
    first, second = pair.nodes
    if first.priority == second.priority:
        message = f"'{first.name}' and '{second.name}' have the same priority, {first.priority}"
        note = Note(f"pair '{pair.name}' is here", pair.path, key=True)
        hint = "give the node that begins as master the higher one"
        yield Diagnostic("pair-incomplete", message, (*second.path, "priority"), hint=hint, notes=(note,))
    if first.sync and second.sync and first.sync.address == second.sync.address:
        message = f"'{first.name}' and '{second.name}' have the same address on the sync link"
        yield Diagnostic("pair-incomplete", message, (*second.sync.path, "address"))


def _of_node(pair: Pair, node: Node) -> Iterator[Diagnostic]:
    if node.sync is None:
        hint = "add 'sync: {interface: sync0, address: 10.255.0.1}'"
        message = f"node '{node.name}' of pair '{pair.name}' has no 'sync'"
        yield Diagnostic("pair-incomplete", message, node.path, key=True, hint=hint)
    for interface in pair.interfaces:
        if not any(one.interface == interface for one in node.addresses):
            message = f"node '{node.name}' has no address on '{interface}', where its pair has a virtual one"
            hint = f"add '{interface}: A/LENGTH' to its addresses"
            yield Diagnostic("pair-incomplete", message, node.path, key=True, hint=hint)
    virtual = {one.address: one for one in pair.virtual}
    for own in node.addresses:
        if own.address in virtual:
            message = f"{own.text} of node '{node.name}' is a virtual address of its pair"
            note = Note("it is given here", virtual[own.address].path)
            yield Diagnostic("pair-incomplete", message, own.path, notes=(note,))


def _vlans(site: Site, pair: Pair) -> Iterator[Diagnostic]:
    """One error for each pool with subscribers in a VLAN."""
    for pool in site.active_pools:
        tagged = next(iter(tagged_addresses(pool)), None)
        if tagged is not None and site.defaults.vlan_mode != "untagged":
            message = f"pool '{pool.name}' is in VLAN {tagged.vid}, which conntrackd does not synchronise"
            note = Note(f"pair '{pair.name}' is here", pair.path, key=True)
            hint = "give each VLAN an interface of its own without ~vid, or take the node out of the pair"
            yield Diagnostic("pair-vlan", message, tagged.path, hint=hint, notes=(note,))


def _lost(site: Site) -> Iterator[Diagnostic]:
    if site.defaults.alg.ftp:
        yield Diagnostic(
            "pair-alg",
            "FTP control connections with a changed PORT command hang after a failover",
            ("nat_defaults", "alg", "ftp"),
            hint="let clients use EPSV, or accept that they connect again",
            severity="warning",
        )
    for pool in site.active_pools:
        if pool.is_dynamic:
            yield Diagnostic(
                "pair-idle",
                f"an idle subscriber of '{pool.name}' keeps its block in a failover only if the last copy "
                "has it",
                (*pool.path, "allocation"),
                hint="run nfcompile-ha-copy.timer of the bundle on both nodes",
                severity="warning",
            )
