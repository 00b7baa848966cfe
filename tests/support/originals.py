"""A foreign ruleset in a kernel and its import in the same kernel: the same packets, or what differs.

What comes out is seen on the wires; what the gateway keeps for itself, in its connections.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nfcompile.importers.importing import Imported
from nfcompile.model.parse import address
from nfcompile.model.ranges import Range, address_text
from nfcompile.model.sources import own_sources
from nfcompile.pipeline import Compiled
from support.frames import ICMP
from support.lab import Lab, Seen
from support.original_probes import ADDRESS, PROBES, Probe, Stand, drawn, stand_for
from support.wires import GATEWAY

QUIET = """table ip quiet {
    chain output {
        type filter hook output priority -301; policy accept;
        tcp flags & rst == rst drop
        icmp type destination-unreachable drop
    }
}
"""
"""No answers of the gateway itself: a connection that it refuses at once is forgotten at once."""


class Original(NamedTuple):
    """A foreign ruleset as text, and what loads it: 'iptables-restore' or 'nft'."""

    text: str
    loader: str

    def load(self, lab: Lab) -> None:
        """Put it in the place of all that the gateway has. Raises AssertionError where it is refused."""
        lab.load(QUIET)
        command = ("nft", "-f", "-") if self.loader == "nft" else (self.loader,)
        lab.must(*command, stdin=self.text)


class Kept(NamedTuple):
    """Where a packet ended, and with which ends; the wire 'gateway' is the gateway itself."""

    wire: str
    source: int
    source_port: int
    destination: int
    destination_port: int


class Verdict(NamedTuple):
    """What came of a probe on both sides: 'same', 'announced' or 'differs', and why."""

    probe: Probe
    before: Kept | None
    after: Kept | None
    word: str
    reason: str = ""

    def __str__(self) -> str:
        ends = [shown(one) for one in (self.before, self.after)]
        return f"{self.probe.wire} {self.probe.packet}: original {ends[0]}, site {ends[1]}"


def shown(end: Kept | None) -> str:
    if end is None:
        return "nothing"
    source, destination = address_text(end.source), address_text(end.destination)
    return f"{end.wire} {source}:{end.source_port} > {destination}:{end.destination_port}"


def compared(
    lab: Lab, original: Original, found: Imported, made: Compiled, stand: Stand, probes: Sequence[Probe]
) -> list[Verdict]:
    """Send the probes through both rulesets; what differs once more, each with no other connection known,
    since a port that another probe has by chance is not free."""
    judge = Judge(original.text, found, made, stand)
    original.load(lab)
    before = _ends(lab, probes)
    lab.load(QUIET + made.text.text)
    after = _ends(lab, probes)
    verdicts = [judge.verdict(*one) for one in zip(probes, before, after, strict=True)]
    again = [verdict.probe for verdict in verdicts if verdict.word == "differs"]
    if again:
        after = _alone(lab, again)
        original.load(lab)
        rest = (judge.verdict(*one) for one in zip(again, _alone(lab, again), after, strict=True))
        verdicts = [next(rest) if verdict.word == "differs" else verdict for verdict in verdicts]
    return verdicts


def tally(verdicts: Sequence[Verdict]) -> Counter[str]:
    """Verdicts by word and by reason, and as 'translated' those where the original changed something."""
    counts = Counter(verdict.word for verdict in verdicts)
    counts += Counter(verdict.reason for verdict in verdicts if verdict.reason)
    counts["translated"] = sum(one.before is not None and _changed(one) for one in verdicts)
    return counts


def _changed(verdict: Verdict) -> bool:
    assert verdict.before is not None
    return verdict.before[1:] != verdict.probe.packet[1:5]


# ---- what becomes of them


def _alone(lab: Lab, probes: Sequence[Probe]) -> list[Kept | None]:
    found = []
    for probe in probes:
        lab.forget()
        found += _ends(lab, [probe])
    return found


def _ends(lab: Lab, probes: Sequence[Probe]) -> list[Kept | None]:
    seen = lab.flight(probes)
    kept = _connections(lab.must("conntrack", "-L")) if not all(seen) else {}
    return [_seen(places) or kept.get(probe.packet[:5]) for probe, places in zip(probes, seen, strict=True)]


def _seen(places: tuple[Seen, ...]) -> Kept | None:
    assert len(places) < 2, places
    return Kept(places[0].wire, *places[0].packet[1:5]) if places else None


PROTOCOL_LINE = re.compile(r"^(\w+)\s+(\d+)\s")


def _connections(listing: str) -> dict[tuple[int, ...], Kept]:
    """The ends behind the gateway by those before it, of every connection."""
    found = {}
    for line in listing.splitlines():
        head = PROTOCOL_LINE.match(line)
        words = [word.partition("=") for word in line.split()]
        values: dict[str, list[str]] = {}
        for name, equals, value in words:
            if equals:
                values.setdefault("sport" if name == "id" else name, []).append(value)
        if head is None or len(values.get("src", ())) != 2:
            continue
        (source, back), (destination, new) = ([address(one) for one in values[key]] for key in ("src", "dst"))
        ports = [[int(one) for one in values.get(key, ("0", "0"))] for key in ("sport", "dport")]
        if int(head[2]) == ICMP:
            ports[1] = [0, 0]
            ends = Kept(GATEWAY, new, ports[0][1], back, 0)
        else:
            ends = Kept(GATEWAY, new, ports[1][1], back, ports[0][1])
        found[int(head[2]), source, ports[0][0], destination, ports[1][0]] = ends
    return found


class Judge:
    """Says of what came out on both sides whether it is the same."""

    def __init__(self, text: str, found: Imported, made: Compiled, stand: Stand) -> None:
        self.port_ranges = _ranges(r"(?<![\d.\[])(\d{1,5})[-:](\d{1,5})(?![\d.])", text, int)
        self.address_ranges = _ranges(rf"({ADDRESS})-({ADDRESS})", text, address)
        self.own = own_sources(made.site)
        self.pooled = [one for pool in found.pools for one in pool.addresses]
        self.subscribers = [one for pool in found.pools for one in pool.subscribers]
        self.stand = stand

    def verdict(self, probe: Probe, before: Kept | None, after: Kept | None) -> Verdict:
        if before == after or (before and after and self.alike(probe, before, after)):
            return Verdict(probe, before, after, "same")
        reason = self.announced(probe, before, after)
        return Verdict(probe, before, after, "announced" if reason else "differs", reason)

    def alike(self, probe: Probe, before: Kept, after: Kept) -> bool:
        """Whether another port was taken on both sides, or on none: one that is right is kept."""
        kept = [end.source_port == probe.packet.source_port for end in (before, after)]
        return kept[0] == kept[1] and self.same(before, after)

    def same(self, one: Kept, other: Kept) -> bool:
        """Whether two ends differ in nothing but in which of several right values was taken."""
        return (
            one.wire == other.wire
            and _together(self.address_ranges, one.source, other.source)
            and _together(self.address_ranges, one.destination, other.destination)
            and _together(self.port_ranges, one.source_port, other.source_port)
            and _together(self.port_ranges, one.destination_port, other.destination_port)
        )

    def announced(self, probe: Probe, before: Kept | None, after: Kept | None) -> str:
        """Which of the differences of docs/migrate.md this is; '' for none."""
        packet = probe.packet
        outside = probe.wire not in self.stand.inside
        if after is None:
            if any(_within(self.own, end) for end in (packet.source, packet.destination)):
                return "the gateway's own address"
            if any(_within(self.pooled, end) for end in (packet.source, packet.destination)):
                return "unsolicited for a pool's address"
            elsewhere = outside or self.stand.routes.get(packet.source) in self.stand.outside
            if elsewhere and any(_within(self.subscribers, end) for end in packet[1:4:2]):
                return "a subscriber's own address"
            return ""
        if before is None or before.wire != after.wire:
            return ""
        untouched = (after.source, after.source_port) == (packet.source, packet.source_port)
        nameless = [end._replace(source=0, source_port=0) for end in (before, after)]
        if untouched and self.same(*nameless):
            if outside:
                return "from outside"
            if _within(self.subscribers, packet.source) and after.wire not in self.stand.outside:
                return "pools translate towards the outside"
        ids = before._replace(source_port=0), after._replace(source_port=0)
        if packet.protocol == ICMP and _within(self.pooled, after.source) and self.same(*ids):
            return "ids of ICMP"
        return ""


def _ranges(pattern: str, text: str, read: Callable[[str], int]) -> list[Range]:
    found = []
    for first, last in set(re.findall(pattern, text)):
        one = Range(read(first), read(last))
        if one.first < one.last:
            found.append(one)
    return found


def _together(ranges: Sequence[Range], one: int, other: int) -> bool:
    """Whether no range tells two values apart, and one has both."""
    if one == other:
        return True
    sides = [(within.first <= one <= within.last, within.first <= other <= within.last) for within in ranges]
    return (True, True) in sides and all(left == right for left, right in sides)


def _within(ranges: Sequence[Range], value: int) -> bool:
    return any(one.first <= value <= one.last for one in ranges)


def agrees(lab: Lab, original: Original, found: Imported, made: Compiled, least: int = 60) -> None:
    """Assert that both do the same with so many probes, `least` of which the original translates."""
    sides = found.gateway.sides
    stand = stand_for(original.text, sides.inside, sides.outside)
    with stand.routed(lab):
        verdicts = compared(lab, original, found, made, stand, list(drawn(original.text, stand, PROBES)))
    wrong = [str(one) for one in verdicts if one.word == "differs"]
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:5])
    counts = tally(verdicts)
    assert counts["translated"] >= least, counts
