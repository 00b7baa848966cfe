"""Chains with jumps -> one list of rules for each stage, in which the first match decides.

A jump's match and the match of each rule behind it become one; RETURN takes its packets out of what is left
of the chain. iptables and RouterOS share this pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.form import ANYTHING, Action, Exclude, ForeignRule, PacketSet, Unsaid

DEPTH_MOST = 32
"""Jumps within jumps; iptables itself refuses loops."""
BOXES_MOST = 32
"""Boxes that a chain may be cut into by RETURN."""
RULES_MOST = 100_000
"""Rules that a stage may unfold to: chains that call chains double with every level."""
STEPS_MOST = 300_000
"""Lines that a walk may look at, for chains that translate nothing and call each other again and again."""


class Jump(NamedTuple):
    """To another chain and, unless `back` is off (goto), back behind the jump."""

    chain: str
    back: bool = True


class Return(NamedTuple):
    """Out of the chain; in a built-in chain: the end of the search."""


class Statement(NamedTuple):
    """One line of a chain. `doubt` is a condition that a site cannot express; without a verdict the
    packet goes on."""

    match: PacketSet
    verdict: Action | Jump | Return | None
    origin: Origin
    name: str
    doubt: Unsaid | None = None
    notes: tuple[str, ...] = ()


Chains = Mapping[str, Sequence[Statement]]


class Unfolded(NamedTuple):
    """The rules of a built-in chain, and every line that the walk met."""

    rules: list[ForeignRule]
    met: set[Origin]


def unfold(chains: Chains, start: str, stage: str, ledger: Accounting) -> Unfolded:
    """Walk a built-in chain; lines that can never match are noted as ignored."""
    walk = _ChainWalk(chains, stage, ledger)
    walk.chain(start, [ANYTHING], (), None)
    return Unfolded(walk.rules, walk.met)


def note_unreached(chains: Chains, ledger: Accounting, met: set[Origin]) -> None:
    """Say of every line that no walk met that it is in a chain to which nothing leads."""
    for name, statements in chains.items():
        for statement in statements:
            if statement.origin not in met and ledger.fate(statement.origin) is None:
                reason = f"nothing leads to chain '{name}'"
                ledger.note([statement.origin], "ignored", "unreached", reason)


class _ChainWalk:
    def __init__(self, chains: Chains, stage: str, ledger: Accounting) -> None:
        self.chains = chains
        self.stage = stage
        self.ledger = ledger
        self.rules: list[ForeignRule] = []
        self.met: set[Origin] = set()
        self.open: list[str] = []
        self.steps = 0

    def chain(
        self, name: str, boxes: list[PacketSet], jumps: tuple[Origin, ...], doubt: Unsaid | None
    ) -> None:
        """Walk a chain with what comes into it: disjoint boxes."""
        self.open.append(name)
        left: list[tuple[Statement, int]] = []
        for statement in self.chains.get(name, ()):
            self.steps += 1
            self.met.add(statement.origin)
            inside = [box for one in boxes if (box := one.both(statement.match)) is not None]
            if not inside:
                self.ledger.note([statement.origin], "ignored", "never-matches", "no packet comes here")
                continue
            self.statement(statement, inside, jumps, doubt)
            if self.leaves(statement) and not (doubt or statement.doubt):
                boxes = self.without(boxes, statement)
                left.append((statement, len(self.rules)))
        self.open.pop()
        for statement, before in left:
            self.back(statement, before)

    def leaves(self, statement: Statement) -> bool:
        """Whether packets that match go on behind the chain and not in it."""
        verdict = statement.verdict
        back = isinstance(verdict, Return) and len(self.open) > 1
        return back or (isinstance(verdict, Jump) and not verdict.back)

    def without(self, boxes: list[PacketSet], statement: Statement) -> list[PacketSet]:
        left = [box for one in boxes for box in one.less(statement.match)]
        if len(left) > BOXES_MOST or statement.match.mark:
            reason = "what RETURN leaves of the chain is too scattered"
            self.ledger.note([statement.origin], "not-translated", "too-many", reason)
            return boxes
        return left

    def statement(
        self, statement: Statement, inside: list[PacketSet], jumps: tuple[Origin, ...], doubt: Unsaid | None
    ) -> None:
        doubt = (
            statement.doubt
            if statement.doubt and statement.doubt.code == "container"
            else doubt or statement.doubt
        )
        verdict = statement.verdict
        if verdict is None:
            self.ledger.note([statement.origin], "ignored", "", "translates nothing")
        elif isinstance(verdict, Jump):
            self.jump(statement, verdict, inside, jumps, doubt)
        elif isinstance(verdict, Return) and len(self.open) > 1:
            if doubt:
                self.ledger.note([statement.origin], "not-translated", doubt.code, doubt.reason)
        else:
            action = Exclude() if isinstance(verdict, Return) else verdict
            if doubt:
                action = doubt._replace(instead=action) if not isinstance(action, Unsaid) else doubt
            for box in inside:
                self.rule(statement, box, action, jumps)

    def rule(self, statement: Statement, box: PacketSet, action: Action, jumps: tuple[Origin, ...]) -> None:
        if len(self.rules) >= RULES_MOST:
            reason = f"the chains unfold to more than {RULES_MOST} rules"
            self.ledger.note([statement.origin, *jumps], "not-translated", "too-many", reason)
            return
        lines = (statement.origin,)
        self.rules.append(ForeignRule(self.stage, box, action, lines, statement.name, jumps, statement.notes))

    def jump(
        self,
        statement: Statement,
        verdict: Jump,
        inside: list[PacketSet],
        jumps: tuple[Origin, ...],
        doubt: Unsaid | None,
    ) -> None:
        if verdict.chain in self.open or len(self.open) > DEPTH_MOST:
            reason = f"chain '{verdict.chain}' leads back to itself or too deep"
            self.ledger.note([statement.origin], "not-translated", "loop", reason)
            return
        if self.steps > STEPS_MOST or len(self.rules) >= RULES_MOST:
            reason = "the chains call each other too often"
            self.ledger.note([statement.origin], "not-translated", "too-many", reason)
            return
        before = len(self.rules)
        if verdict.chain not in self.chains:
            reason = f"chain '{verdict.chain}' is not in the input"
            self.ledger.note([statement.origin], "not-translated", "no-chain", reason)
            return
        self.chain(verdict.chain, inside, (statement.origin, *jumps), doubt)
        if len(self.rules) == before:
            reason = f"chain '{verdict.chain}' translates nothing"
            self.ledger.note([statement.origin], "ignored", "", reason)

    def back(self, statement: Statement, before: int) -> None:
        """Tell of a line after which its packets are left out of the rest of the chain."""
        if not isinstance(statement.verdict, Return):
            return
        if len(self.rules) == before:
            self.ledger.note([statement.origin], "ignored", "", "nothing after it in the chain translates")
        else:
            reason = "its packets are left out of the rules after it"
            self.ledger.note([statement.origin], "folded", "", reason)
