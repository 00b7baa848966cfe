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
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.analysis.global_addresses import given
from nfcompile.diagnostics import Diagnostic, Note, Path
from nfcompile.model.ranges import Range, range_text

if TYPE_CHECKING:
    from nfcompile.analysis import Analysis
    from nfcompile.analysis.check_input import CheckInput


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
