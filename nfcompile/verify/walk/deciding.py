"""A ruleset without the rules that decide nothing: what later packets meet besides is bookkeeping.

Rules that renew elements, one for each pool, would cut boxes by every pool's addresses, though all packets
fare alike. Marks that they set do not matter: those of a connection that has been translated can be any.
"""

from __future__ import annotations

from nfcompile.emit import Name, Rule
from nfcompile.emit.expressions import Verdict
from nfcompile.emit.statements import (
    CT_MARK,
    META_MARK,
    CtCount,
    Limit,
    Log,
    Mangle,
    Match,
    SetUpdate,
    Statement,
    Use,
    VerdictMap,
)
from nfcompile.verify.walk.program import Program

BACK, ENDS = ("jump",), ("jump", "goto")
"""How a rule goes to a chain that all packets leave as they have come: back to the next rule, or to where
its own chain ends."""


def deciding(program: Program) -> Program:
    """The same ruleset for packets whose connections have any mark."""
    inert = _inert(program)
    chains = {
        name: tuple(rule for rule in rules if not _decides_nothing(rule, program, inert, BACK))
        for name, rules in program.chains.items()
    }
    return program._replace(chains=chains, known={})


def _inert(program: Program) -> frozenset[Name]:
    """Chains that all packets leave at their end, as they have come."""
    inert: frozenset[Name] = frozenset()
    while True:
        found = frozenset(
            name
            for name, rules in program.chains.items()
            if all(_decides_nothing(rule, program, inert, ENDS) for rule in rules)
        )
        if found == inert:
            return inert
        inert = found


def _decides_nothing(rule: Rule, program: Program, inert: frozenset[Name], kinds: tuple[str, ...]) -> bool:
    return all(_is_idle(statement, program, inert, kinds) for statement in rule.statements)


def _is_idle(statement: Statement, program: Program, inert: frozenset[Name], kinds: tuple[str, ...]) -> bool:
    if isinstance(statement, Verdict):
        return statement.kind in kinds and statement.chain in inert
    if isinstance(statement, VerdictMap):
        verdicts = (entry.data for entry in program.entries(statement.source))
        return all(isinstance(one, Verdict) and one.kind in kinds and one.chain in inert for one in verdicts)
    if isinstance(statement, Mangle):
        return statement.field in (CT_MARK, META_MARK)
    return isinstance(statement, Match | SetUpdate | Use | Log | Limit | CtCount)
