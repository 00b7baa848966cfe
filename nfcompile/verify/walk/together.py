"""All ways of a box of packets, walked together: rule by rule, packets with equal answers as one.

Packets of a box that do not fare alike, and packets that the kernel has a choice for, go on apart from the
statement where they part; nothing is walked twice. A rule is done once for all that are equal in what it
reads. In the state ANYHOW every look-up of an element that packets write goes both ways, with any data, and
nothing is remembered of it: then ways that meet in the same rule with the same packet go on as one, or a
search that tries twice would have four ways, and one that tries sixty times more than can be counted. Parts
that a chain has told apart for nothing are one again where it ends (reunion.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from nfcompile.emit import Name, Rule
from nfcompile.emit.expressions import Verdict
from nfcompile.verify.box import TooManyBoxes
from nfcompile.verify.boxes import Names, Packet, one_among
from nfcompile.verify.field_values import Split
from nfcompile.verify.narrowing import Cut
from nfcompile.verify.walk.alternatives import alike
from nfcompile.verify.walk.packet import Flight, is_local
from nfcompile.verify.walk.program import Program
from nfcompile.verify.walk.reads import Reads, reads
from nfcompile.verify.walk.reunion import Reunion
from nfcompile.verify.walk.state import NOTHING, Learned, State
from nfcompile.verify.walk.walker import Pause, Walker
from nfcompile.verify.walk.ways import Route, first_flight

Pauses = list[Pause]


class Ends(NamedTuple):
    """Packets at the end of a chain, those that it has accepted, and those that it has dropped."""

    through: Pauses
    accepted: Pauses
    dropped: Pauses


class Left(NamedTuple):
    """What a box has become where its packets leave the gateway or get to it, and where they are dropped;
    `early` before they were routed."""

    passed: Pauses
    dropped: Pauses
    early: Pauses


class Together:
    """A ruleset in a state, for many boxes; TooManyBoxes where there are more than `most` at one rule."""

    def __init__(self, program: Program, state: State, most: int | None = None) -> None:
        self.program = program
        self.most = most
        self.walker = Walker(program, state)
        self.forgets = state.unknown
        self.reads: dict[int, Reads] = {}
        self.same: dict[frozenset[object], Learned] = {}
        self.known: dict[tuple[Name, frozenset[Flight]], Ends] = {}
        self.reunion = Reunion()
        self.may_meet = False
        """Whether the last rule can have made packets equal: it has changed one, or gone two ways."""

    def walk(self, starts: Sequence[tuple[Packet, Route]]) -> Left:
        """Send the first packets of connections through, boxes of one protocol with their routes.

        Raises what walk() raises, but Split.
        """
        flights = [first_flight(*start)._replace(start=at) for at, start in enumerate(starts)]
        return self.sent(flights, [route for _, route in starts])

    def sent(self, flights: Sequence[Flight], routes: Sequence[Route] = ()) -> Left:
        """Send packets through that are equal in protocol and moment. Later ones know their routes."""
        self.known.clear()
        self.same.clear()
        self.reunion.apart.clear()
        arrived = self.hook("prerouting", [Pause(flight) for flight in flights])
        received: Pauses = []
        forwarded: Pauses = []
        for pause, out in _routed(arrived.accepted, routes):
            here = is_local(out)
            flight = pause.flight._replace(towards=out, out="" if here else out)
            (received if here else forwarded).append(pause._replace(flight=flight))
        there = self.hook("input", received)
        through = self.hook("forward", forwarded)
        left = self.hook("postrouting", through.accepted)
        dropped = [*there.dropped, *through.dropped, *left.dropped]
        return Left([*there.accepted, *left.accepted], dropped, arrived.dropped)

    def hook(self, name: str, pauses: Pauses) -> Ends:
        """The base chains of a hook; `accept`, translations and the end of a chain lead to the next one."""
        dropped: Pauses = []
        bases = self.program.hooks.get(name, ())
        self.reunion.is_routed = name != "prerouting"
        if name == "postrouting" and self.program.nat.isdisjoint(bases):
            pauses = _passed_by(name, pauses)
        for base in bases:
            is_nat = base in self.program.nat
            seen = [pause for pause in pauses if not is_nat or pause.flight.meets_nat]
            past = _passed_by(name, [pause for pause in pauses if is_nat and not pause.flight.meets_nat])
            ends = self.chain(base, seen)
            pauses = self.reunion.fewer([*ends.through, *ends.accepted, *past])
            dropped += ends.dropped
        return Ends([], _passed_by(name, pauses), self.reunion.fewer(dropped))

    def chain(self, name: Name, pauses: Pauses) -> Ends:
        """A chain, with the chains that it calls. A search calls the same one many times."""
        if not self.forgets:
            return self.walked(name, pauses)
        key = name, frozenset(pause.flight for pause in pauses)
        if key not in self.known:
            alone = len(key[1]) == len(pauses)
            self.known[key] = self.walked(name, pauses if alone else self.joined(pauses))
        return self.known[key]

    def walked(self, name: Name, here: Pauses) -> Ends:
        through: Pauses = []
        accepted: Pauses = []
        dropped: Pauses = []
        for rule in self.program.chains[name]:
            if not here:
                break
            going = self.outcomes(rule, here)
            here = going.pop(None, [])
            for verdict, those in going.items():
                if verdict is None or verdict.kind in ("drop", "reject"):
                    dropped += those
                elif verdict.chain is not None:
                    ends = self.chain(verdict.chain, those)
                    accepted += ends.accepted
                    dropped += ends.dropped
                    (here if verdict.kind == "jump" else through).extend(ends.through)
                    self.may_meet = True
                else:
                    (accepted if verdict.kind == "accept" else through).extend(those)
            if self.may_meet:
                here = self.joined(here)
            if self.most is not None and max(len(here), len(accepted), len(through)) > self.most:
                raise TooManyBoxes.than(self.most)
        through = self.reunion.fewer(self.joined([*through, *here]))
        return Ends(through, self.joined(accepted), self.joined(dropped))

    def joined(self, pauses: Pauses) -> Pauses:
        """Packets that are equal, once, where nothing else is known of them; else ways that differ in
        computed ports only, as one."""
        if self.forgets:
            return pauses if len(pauses) < 2 else list({pause.flight: pause for pause in pauses}.values())
        return [pause._replace(learned=self.once(pause.learned)) for pause in alike(pauses)]

    def outcomes(self, rule: Rule, here: Pauses) -> dict[Verdict | None, Pauses]:
        """What one rule makes of packets."""
        asked = self.reads.get(id(rule))
        if asked is None:
            asked = self.reads[id(rule)] = reads(rule, self.program)
        self.may_meet = False
        going: dict[Verdict | None, Pauses] = {}
        if asked.needs is not None and self.walker.packet.state.lacks(asked.needs):
            going[None] = [pause for pause in here if not _knows(pause, asked.needs)]
            here = [pause for pause in here if _knows(pause, asked.needs)]
        groups: dict[object, Pauses] = {}
        for pause in here:
            groups.setdefault(asked.of(pause), []).append(pause)
        for members in groups.values():
            for verdict, done in self.done(rule, members, asked.dynamic):
                going.setdefault(verdict, []).extend(done)
        return going

    def done(self, rule: Rule, members: Pauses, learns: bool) -> Iterator[tuple[Verdict | None, Pauses]]:
        """Do a rule for packets that it cannot tell apart."""
        first = members[0]
        cuts: tuple[tuple[str, Cut], ...] = ()
        waiting = [(first, cuts)]
        while waiting:
            pause, cuts = waiting.pop()
            try:
                verdict = self.walker.rule(rule, pause)
            except Split as split:
                there = self.walker.paused
                for kept in split.values:
                    waiting.append((there.narrowed(split.field, kept), (*cuts, (split.field, kept))))
                continue
            waiting += [(other, cuts) for other in self.walker.others]
            if waiting or self.walker.packet.flight is not pause.flight:
                self.may_meet = True
            after = Pause(self.walker.packet.flight, self.learned())
            if len(members) == 1:
                yield verdict, [after]
            else:
                yield verdict, _likewise(members, cuts, after, learns)

    def learned(self) -> Learned:
        """What the walker knows now; the same object for the same knowledge, which Reads counts on."""
        return NOTHING.learned if self.forgets else self.once(self.walker.packet.learned)

    def once(self, learned: Learned) -> Learned:
        return self.same.setdefault(frozenset(learned.items()), learned) if learned else NOTHING.learned


def _knows(pause: Pause, name: Name) -> bool:
    """Whether a packet has left an element there; else a rule that needs one ends."""
    return any(at == name for at, _ in pause.learned)


def _likewise(members: Pauses, cuts: tuple[tuple[str, Cut], ...], after: Pause, learns: bool) -> Pauses:
    """The same of other packets: `after` is what the first of them has become."""
    parts = members
    for field, kept in cuts:
        parts = [part.narrowed(field, kept) for part in parts]
    before, now = parts[0].flight, after.flight
    if before == now:
        return [part._replace(learned=after.learned) for part in parts] if learns else parts
    changed: dict[str, Any] = {
        name: new
        for name, old, new in zip(before.now._fields, before.now, now.now, strict=True)
        if new is not old and new != old
    }
    rest: dict[str, Any] = {
        name: new
        for name, old, new in zip(before._fields, before, now, strict=True)
        if name != "now" and new is not old and new != old
    }
    done = []
    for part in parts:
        flight = part.flight._replace(now=part.flight.now._replace(**changed), **rest)
        done.append(Pause(flight, after.learned if learns else part.learned))
    return done


def _passed_by(hook: str, pauses: Pauses) -> Pauses:
    """Packets of known connections behind the place of the nat chains. Those of one moment come together."""
    if not pauses or pauses[0].flight.later is None:
        return pauses
    return [pause._replace(flight=pause.flight.passed_by(hook)) for pause in pauses]


def _routed(pauses: Iterable[Pause], routes: Sequence[Route]) -> Iterator[tuple[Pause, str | Names]]:
    """Where packets go by their destination; parts of a box apart that are for the gateway itself."""
    waiting = list(pauses)
    while waiting:
        pause = waiting.pop()
        out: str | Names = ""
        try:
            out = pause.flight.route(routes[pause.flight.start]) if routes else pause.flight.first
            is_local(out)
        except Split as split:
            for kept in split.values:
                part = pause.narrowed(split.field, kept)
                if isinstance(kept, frozenset):
                    assert isinstance(out, Names)
                    yield part, one_among(kept, out.field)
                else:
                    waiting.append(part)
        else:
            yield pause, out
