"""Why a packet after the first one of its connection fares as it does: the rules that decided, as they are.

Lines of the site decide about first packets; what later ones meet are the guards of the gateway.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.emit.spelling import rule_text
from nfcompile.model.ranges import Range
from nfcompile.verify.box import Box
from nfcompile.verify.explain.scene import Reason
from nfcompile.verify.walk import Outcome, Program, Step
from nfcompile.verify.walk.later import later_flight
from nfcompile.verify.walk.ways import walk_later

DECIDES = {"accept", "drop", "return", "goto"}


def later_reasons(program: Program, one: Box, mark: Range, verdict: str) -> tuple[Reason, ...]:
    """The rules that decide about one packet on a way that ends so. `mark`: its connection's."""
    for outcome in walk_later(program, later_flight(one, mark=mark)):
        if outcome.verdict == verdict:
            return tuple(_reasons(outcome))
    return ()


def _reasons(outcome: Outcome) -> Iterator[Reason]:
    for step in outcome.steps:
        if _decides(step):
            yield Reason(step.origin, f"{step.chain}: {rule_text(step.rule.statements)}")


def _decides(step: Step) -> bool:
    return any(effect.kind in DECIDES for effect in step.effects)
