"""What the pairs of a fleet have in common, and the problems of all of its nodes as one list.

### pair-overlap

Two pairs have the same global address, or one pool has a subscriber on two pairs. Answers come back to one
pair only, and the other one does not know their connections. A pool, a static entry or a rule that belongs to
one pair names it with `pair`.

```yaml
acls: {homes: {10: allow ip 100.64.0.0/24}}
nodes: {gw1: {}, gw2: {}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [203.0.113.0/26]}
```

```yaml
acls: {homes: {10: allow ip 100.64.0.0/24}}
nodes: {gw1: {}, gw2: {}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: {gw1: [203.0.113.0/27], gw2: [203.0.113.32/27]}}
```

### pair-router-id

Two pairs have virtual addresses in one network, and VRRP's number there is the same (a warning). A node
takes the other pair's adverts for those of its peer, finds other addresses in them and logs an error for
each: ten in a second with `advert: 0.1`. The check leaves out pairs with a common address, which are on
different links, and `unicast: on`, where adverts reach the peer only.

```yaml
pairs: {east: {virtual: {lan0: [10.0.0.1/24]}}, west: {virtual: {lan0: [10.0.0.4/24]}}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.2/24}}
  gw2: {pair: east, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.3/24}}
  gw3: {pair: west, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.5/24}}
  gw4: {pair: west, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.6/24}}
```

```yaml
pairs: {east: {virtual: {lan0: [10.0.0.1/24]}}, west: {virtual: {lan0: [10.0.0.4/24]}, virtual_router_id: 52}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.2/24}}
  gw2: {pair: east, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.3/24}}
  gw3: {pair: west, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 10.0.0.5/24}}
  gw4: {pair: west, sync: {interface: sync0, address: 10.255.0.2}, addresses: {lan0: 10.0.0.6/24}}
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.analysis.global_addresses import given
from nfcompile.diagnostics import Diagnostic, Note, Path
from nfcompile.model.pair import InterfaceAddress, Pair
from nfcompile.model.ranges import Range, range_text

if TYPE_CHECKING:
    from nfcompile.analysis import Analysis
    from nfcompile.analysis.check_input import CheckInput


MAX_FIRST_ROUTER_ID = 247
"""What the schema takes as the number of a pair's first interface."""


class NodeFindings(NamedTuple):
    """What was found on one node's site. `answers`: it stands for its pair, too. `written` leads from its
    paths to those in the text."""

    answers: bool
    analysis: Analysis
    written: Callable[[Path], Path]


class _Claim(NamedTuple):
    """Addresses that one pair has: of a pool, an entry or the gateway, at a place in the text."""

    range: Range
    pair: str
    owner: str
    path: Path
    subscribers: bool


def fleet_wide(found: list[NodeFindings]) -> Analysis:
    """The problems of all nodes, each once, and those of the pairs with each other."""
    diagnostics: dict[Diagnostic, None] = {}
    for one in found:
        diagnostics.update(dict.fromkeys(_written(problem, one) for problem in one.analysis.diagnostics))
    claims = (claim for one in found if one.answers for claim in _claims(one))
    diagnostics.update(dict.fromkeys(_overlaps(claims)))
    diagnostics.update(dict.fromkeys(_equal_router_ids(_pairs(found))))
    return found[0].analysis._replace(diagnostics=list(diagnostics))


def _written(problem: Diagnostic, found: NodeFindings) -> Diagnostic:
    notes = tuple(note._replace(path=found.written(note.path)) for note in problem.notes)
    return problem._replace(path=found.written(problem.path), notes=notes)


def _claims(found: NodeFindings) -> Iterator[_Claim]:
    checked: CheckInput = found.analysis.checked
    node = checked.site.node
    assert node is not None
    pair = node.pair or node.name
    for one in given(checked.site, checked.unread):
        if one.path != ("gateway", "primary_ip"):
            yield _Claim(one.range, pair, one.owner, found.written(one.path), False)
    for rule in checked.site.snat:
        if rule.snat_ip is not None:
            yield _Claim(rule.snat_ip, pair, f"snat rule '{rule.name}'", (*rule.path, "snat_ip"), False)
    for pool in checked.site.active_pools:
        path = found.written((*pool.path, "subscribers"))
        for index, run in enumerate(pool.subscribers or ()):
            yield _Claim(run, pair, f"pool '{pool.name}'", (*path, index), True)


def _overlaps(claims: Iterable[_Claim]) -> Iterator[Diagnostic]:
    """One error for each range that begins in one of another pair. Two pools may serve a subscriber, but not
    one pool on two pairs."""
    widest: dict[object, list[_Claim]] = {}
    for one in sorted(claims, key=lambda claim: claim.range):
        scope = one.owner if one.subscribers else ""
        reaching = [other for other in widest.get(scope, ()) if other.range.last >= one.range.first]
        other = next((other for other in reaching if other.pair != one.pair), None)
        if other is not None:
            yield _overlap(other, one)
        widest[scope] = [*reaching, one]


def _overlap(early: _Claim, late: _Claim) -> Diagnostic:
    shared = Range(max(early.range.first, late.range.first), min(early.range.last, late.range.last))
    what = "subscribers" if late.subscribers else "global addresses"
    message = f"{what} {range_text(shared)} of {late.owner} are on '{early.pair}' and on '{late.pair}'"
    if early.path == late.path:
        hint = "give them by pair, or name the one that has them with 'pair'"
        return Diagnostic("pair-overlap", message, late.path, hint=hint)
    note = Note(f"'{early.pair}' has them here", early.path)
    return Diagnostic("pair-overlap", message, late.path, hint="give them to one pair", notes=(note,))


def _pairs(found: list[NodeFindings]) -> list[Pair]:
    """The pairs that could be read."""
    checked = (one.analysis.checked for one in found if one.answers)
    known = [one for one in checked if one.site.pair is not None and one.knows(("nodes",), ("pairs",))]
    return [one.site.pair for one in known if one.site.pair is not None]


def _equal_router_ids(pairs: list[Pair]) -> Iterator[Diagnostic]:
    """One warning for each two pairs with the same number on a link that both are on."""
    for early, late in combinations(pairs, 2):
        if early.unicast or late.unicast or _addresses(early) & _addresses(late):
            continue
        first, second = dict(_numbered(early)), dict(_numbered(late))
        both = [(id_, second[id_]) for id_ in first if id_ in second and _meet(first[id_], second[id_])]
        if both:
            number, (virtual, *_) = both[0]
            yield Diagnostic(
                "pair-router-id",
                f"pairs '{early.name}' and '{late.name}' both have router id {number} in the network of "
                f"{virtual.text}",
                (*late.path, "virtual_router_id"),
                hint=_another(pairs),
                notes=(Note(f"pair '{early.name}' is here", early.path, key=True),),
                severity="warning",
            )


def _another(pairs: list[Pair]) -> str:
    """The number after all that the fleet has; VRRP has 255, and an interface each takes the next one."""
    free = max(number for pair in pairs for number in pair.router_ids) + 1
    return f"write 'virtual_router_id: {free}'" if free <= MAX_FIRST_ROUTER_ID else "let the ids begin lower"


def _addresses(pair: Pair) -> set[int]:
    """All addresses that the nodes of a pair have: of two pairs on one link none is the same."""
    own = (one.address for node in pair.nodes for one in node.addresses)
    return {*own, *(one.address for one in pair.virtual)}


def _numbered(pair: Pair) -> Iterator[tuple[int, list[InterfaceAddress]]]:
    """VRRP's numbers of a pair, each with the virtual addresses of its interface."""
    for number, interface in zip(pair.router_ids, pair.interfaces, strict=True):
        yield number, [one for one in pair.virtual if one.interface == interface]


def _meet(some: list[InterfaceAddress], others: list[InterfaceAddress]) -> bool:
    """Whether two links are one by their networks; gateways may call it by different names."""
    return any(
        one.shares_network(other._replace(interface=one.interface)) for one in some for other in others
    )
