"""Rules that change nothing: what an earlier rule has taken whole, and exclusions from nothing.

Both would be true in a site, but readers would look for a meaning, and `check` would warn of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from nfcompile.importers.account import Accounting
from nfcompile.importers.form import Exclude, ForeignRule, PacketSet, Translate, Unsaid

BROAD_MOST = 50
"""So many earlier rules for several hosts are compared with each rule; equal ones always are."""
PAIRS_MOST = 2_000_000


def prune(rules: Sequence[ForeignRule], ledger: Accounting) -> list[ForeignRule]:
    """Rules in their order without those; their lines are noted as ignored."""
    kept: list[ForeignRule] = []
    for stage in dict.fromkeys(rule.stage for rule in rules):
        mine = [rule for rule in rules if rule.stage == stage]
        kept += _effective(_reached(mine, ledger), ledger)
    return kept


def _reached(rules: list[ForeignRule], ledger: Accounting) -> list[ForeignRule]:
    seen: dict[PacketSet, ForeignRule] = {}
    broad: list[ForeignRule] = []
    kept = []
    for rule in rules:
        above = seen.get(rule.match) or next((one for one in broad if rule.match.within(one.match)), None)
        if above is not None:
            reason = f"line {above.lines[0].line} has taken its packets"
            ledger.note(rule.lines, "ignored", "never-matches", reason)
            ledger.later(rule.jumps, "ignored", "", "what it leads to changes nothing")
            continue
        kept.append(rule)
        if not isinstance(rule.action, Unsaid):
            seen[rule.match] = rule
            if len(broad) < BROAD_MOST and _is_broad(rule.match):
                broad.append(rule)
    return kept


def _is_broad(match: PacketSet) -> bool:
    """Whether a rule is for more than one source and more than one destination."""
    source, destination = match.source, match.destination
    return source[0].first < source[-1].last and destination[0].first < destination[-1].last


def _effective(rules: list[ForeignRule], ledger: Accounting) -> list[ForeignRule]:
    """Without the exclusions that exclude from nothing that follows."""
    excludes = sum(isinstance(rule.action, Exclude) for rule in rules)
    if excludes * len(rules) > PAIRS_MOST:
        return rules
    kept = []
    for index, rule in enumerate(rules):
        if isinstance(rule.action, Exclude) and not any(
            isinstance(later.action, Translate) and later.match.both(rule.match)
            for later in rules[index + 1 :]
        ):
            ledger.note(rule.lines, "ignored", "", "no rule after it would translate its packets")
            ledger.later(rule.jumps, "ignored", "", "what it leads to changes nothing")
        else:
            kept.append(rule)
    return kept
