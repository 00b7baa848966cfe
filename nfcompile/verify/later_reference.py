"""What becomes of the packets after the first one, in plain Python: the rest of a connection, by its site.

"A session's first packet decides; the rest follow conntrack": they leave with the ends of their connection.
What connection tracking has no translation for leaves with the ends that it has; so these packets are asked
whether they may. They are of connections that nothing has translated (a fake pool passes them, they were open
before the ruleset was loaded, another program made them, they are forged), ICMP errors, and what has no
connection at all.
"""

from __future__ import annotations

from nfcompile.model.ranges import Range
from nfcompile.verify.boxes import LOCAL, Names, Packet, one_of
from nfcompile.verify.moments import AGAIN, BACK, ERROR, INVALID, UNKNOWN, Later
from nfcompile.verify.reference import UNSOLICITED, Fate, dropped, is_global, is_own
from nfcompile.verify.reference_rules import accepts, first_snat, would_be_translated
from nfcompile.verify.reference_site import Gateway, is_inside, is_outside


def later_fate(
    gate: Gateway, later: Later, asked: Range, snat: bool, dnat: bool, out: str | Names, mark: int | None = 0
) -> Fate:
    """Decide. `asked` is the destination that the first packet had, `mark` the connection's, `out` where the
    packet goes. Raises Split."""
    sent = later.sent
    passed = Fate("forward", *sent[2:6], reason="of a known connection")
    from_inside = is_inside(gate, sent.interface, sent.source)
    from_either = from_inside or is_outside(gate, sent.interface, sent.source)
    if one_of((LOCAL,), out):
        begins = later.moment in UNKNOWN or later.moment == AGAIN
        theirs = begins and from_either and is_global(gate, sent.destination)
        return dropped(UNSOLICITED) if theirs and not gate.own.holds(sent.destination) else passed
    inside_only = from_inside and is_inside(gate, out, sent.destination)
    if inside_only and _shows_an_inside_host(gate, later, snat, dnat):
        return dropped("forged")
    if snat:
        return passed
    to_outside = is_outside(gate, out, sent.destination)
    if from_inside and to_outside:
        left = _leaving(gate, later, dnat, out, mark)
        if left is not None:
            return dropped(left) if left else passed
    if from_either and to_outside and gate.sources.own.holds(sent.destination):
        return dropped(UNSOLICITED)
    found_nobody = from_either and (to_outside or gate.tells_vlans_apart)
    if found_nobody and is_global(gate, sent.destination):
        return dropped(UNSOLICITED)
    return passed


def _shows_an_inside_host(gate: Gateway, later: Later, snat: bool, dnat: bool) -> bool:
    """Between inside hosts: an answer to what a pool has sent outside, and a subscriber's ICMP error about
    what has been opened to a global address with a source that is not translated."""
    if later.moment in BACK and snat and not dnat:
        return is_global(gate, later.answer.destination)
    if later.moment == ERROR and dnat and not snat:
        return gate.is_reached and gate.sources.owned.holds(later.sent.source)
    return False


def _leaving(gate: Gateway, later: Later, dnat: bool, out: str | Names, mark: int | None) -> str | None:
    """Why a packet with a source that is not translated may not leave outside; '' if it may, None if that
    depends on its destination."""
    sent = later.sent
    if later.moment == INVALID:
        return "no connection" if gate.guards else None
    if gate.sources.owned.holds(sent.source):
        return _let_go(gate, sent, out, mark)
    if later.moment in BACK and dnat:
        return None
    if is_own(gate, sent.source):
        return "forged"
    named = gate.sources.named
    if named is not None and not named.holds(sent.source):
        return "a source that the site does not name"
    return "untranslated" if would_be_translated(gate, sent) else None


def _let_go(gate: Gateway, sent: Packet, out: str | Names, mark: int | None) -> str | None:
    """The same of a subscriber's own address: an snat rule excludes it, or a fake pool passes it."""
    if any(rule.exclude for rule in gate.site.snat):
        snat = first_snat(gate, sent, mark, out)
        if snat is not None:
            return None if snat.exclude else "untranslated"
    for served in gate.by_source.of(sent.source):
        if accepts(gate, served, sent):
            return "untranslated" if served.pool.translates else ""
    return "untranslated"
