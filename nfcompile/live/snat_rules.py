"""Which snat rule decides about a connection, by all that conntrack tells: not the interface."""

from __future__ import annotations

from collections.abc import Iterable

from nfcompile.kernel.conntrack import Flow
from nfcompile.model.ranges import Range
from nfcompile.model.rules import Qualifier, SnatRule


def first_of(rules: Iterable[SnatRule], flow: Flow) -> SnatRule | None:
    """The first rule that such a connection meets."""
    return next((rule for rule in rules if qualifies(rule, flow)), None)


def qualifies(rule: SnatRule, flow: Flow) -> bool:
    """Whether a connection meets a rule. `snat` sees the destination after `dnat`, the end that answers."""
    asked, mark = rule.match, rule.mark
    if mark is not None and any(one.is_in(flow.mark) for one in mark.values) == mark.negated:
        return False
    return (
        has_protocol(rule, flow)
        and _meets(asked.src_cidr, flow.src)
        and _meets(asked.src_port, flow.sport)
        and _meets(asked.dst_cidr, flow.reply_src)
        and _meets(asked.dst_port, flow.reply_sport)
    )


def has_protocol(rule: SnatRule, flow: Flow) -> bool:
    """Whether the protocol is one that the rule names."""
    asked = rule.match.protocol
    return asked is None or (flow.protocol in asked.values) != asked.negated


def _meets(asked: Qualifier[Range] | None, value: int) -> bool:
    return asked is None or any(one.first <= value <= one.last for one in asked.values) != asked.negated
