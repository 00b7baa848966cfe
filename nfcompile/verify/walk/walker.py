"""One rule and one packet: its statements in order, what they change, and the verdict.

Where a statement can go several ways (evaluation.py), so can the rule: each way begins at a pause.
"""

from __future__ import annotations

from typing import NamedTuple, TypeGuard

from nfcompile.diagnostics import Path
from nfcompile.emit import Name, Rule
from nfcompile.emit.expressions import Bitwise, Field, Numgen, Verdict, number
from nfcompile.emit.statements import (
    ACCEPT,
    CT_MARK,
    META_MARK,
    TH_SPORT,
    CtCount,
    Limit,
    Log,
    Mangle,
    Match,
    Nat,
    Notrack,
    Reject,
    SetUpdate,
    Statement,
    Unread,
    Use,
    VerdictMap,
)
from nfcompile.model.ranges import Range, union
from nfcompile.verify.boxes import Names
from nfcompile.verify.chosen_values import DrawnBlocks, DrawnNumber, Scrambled, ShuffledNumber, either
from nfcompile.verify.field_values import FieldValues, Ranges, Split
from nfcompile.verify.narrowing import Cut, narrowed
from nfcompile.verify.walk.effects import Effect
from nfcompile.verify.walk.evaluation import Evaluation, RuleEnds
from nfcompile.verify.walk.packet import REWRITTEN, UNTRACKED, WRITABLE, Flight
from nfcompile.verify.walk.program import Hit, Program
from nfcompile.verify.walk.state import NOTHING, Learned, State
from nfcompile.verify.walk.translation import translate
from nfcompile.verify.walk.values import Key, UnknownStatement, Value, certain, hull, number_of
from nfcompile.verify.walk.writing import together, writes


class Pause(NamedTuple):
    """A packet before a statement: what it is, what it knows of dynamic elements, what its rule has done.

    `at` is the number of the statement in its rule, `chosen` which way it goes where it is undecided.
    """

    flight: Flight
    learned: Learned = NOTHING.learned
    at: int = 0
    chosen: tuple[int, ...] = ()
    effects: tuple[Effect, ...] = ()
    origin: Path = ()

    def narrowed(self, field: str, kept: Cut) -> Pause:
        """The same of those packets of its box that have the kept values."""
        learned = _narrowed(self.learned, field, kept) if self.learned else self.learned
        return self._replace(flight=self.flight.narrowed(field, kept), learned=learned)


class Walker:
    """What rules make of a packet: its flight, what it has learned of dynamic elements, what it did.

    A packet that can go several ways goes the first one; `others` are the pauses where the others begin.
    Where Split is raised, `paused` is where the parts of the box go on.
    """

    def __init__(self, program: Program, state: State) -> None:
        self.packet = Evaluation(program, state)
        self.effects: list[Effect] = []
        self.others: list[Pause] = []
        self.paused: Pause

    def rule(self, rule: Rule, pause: Pause) -> Verdict | None:
        """Do a rule from a pause on; its verdict, if it has one and gets there."""
        packet = self.packet
        packet.flight, packet.learned, at, chosen, effects, packet.origin = pause
        self.effects, self.others = list(effects), []
        verdict = None
        if _tosses(rule.statements):
            self.toss(rule.statements[1])
            return None
        for index in range(at, len(rule.statements)):
            done = tuple(self.effects)
            self.paused = Pause(packet.flight, packet.learned, index, chosen, done, packet.origin)
            packet.chosen, packet.options = list(chosen), []
            try:
                verdict = self.statement(rule.statements[index])
            except RuleEnds:
                self.fork(len(chosen))
                return None
            if packet.options:
                self.fork(len(chosen))
            chosen = ()
        return verdict

    def fork(self, given: int) -> None:
        """Note the other ways of a statement, of whose choices so many were given."""
        for at in range(given, len(self.packet.chosen)):
            for other in range(1, self.packet.options[at]):
                self.others.append(self.paused._replace(chosen=(*self.packet.chosen[:at], other)))

    def statement(self, statement: Statement) -> Verdict | None:
        if isinstance(statement, Match):
            self.packet.match(statement)
        elif isinstance(statement, Mangle):
            self.mangle(statement)
        elif isinstance(statement, SetUpdate):
            self.update(statement)
        elif isinstance(statement, Use):
            self.effects.append(Effect(statement.kind, statement.name))
        elif isinstance(statement, Log):
            self.effects.append(Effect("log", None, (statement.prefix, number(statement.group))))
        elif isinstance(statement, Limit):
            if statement.over:
                raise RuleEnds
        elif isinstance(statement, Nat):
            self.effects.append(translate(self.packet, statement))
            return ACCEPT
        elif isinstance(statement, VerdictMap):
            found = self.packet.vmap(statement)
            if not isinstance(found, list):
                return self.decided(found)
            self.write(found)
        elif isinstance(statement, Reject):
            return self.decided(Verdict("reject"))
        elif isinstance(statement, Notrack):
            flight = self.packet.flight
            self.packet.flight = flight._replace(status=flight.status | UNTRACKED)
            self.effects.append(Effect("notrack"))
        elif isinstance(statement, Unread):
            raise UnknownStatement(statement.listed)
        else:
            return self.decided(statement)
        return None

    def decided(self, verdict: Verdict) -> Verdict:
        self.effects.append(Effect(verdict.kind, verdict.chain))
        return verdict

    def write(self, met: list[Hit]) -> None:
        """Do what the chains do to which the packets of a box go, each to one that writes a field.

        Raises Split where that is not one value for all of them.
        """
        field = met[0].field
        parts: dict[Verdict | Key, list[Range]] = {}
        for hit in met:
            parts.setdefault(hit.entry.data, []).extend(hit.where)
        written = [
            (mangle, union(where), self.written(mangle, field, union(where)))
            for verdict, where in parts.items()
            if (mangle := writes(self.packet.program, verdict))
        ]
        assert len(written) == len(parts), "elements of one kind"
        wanted = written[0][0].field
        value = together(wanted, field, [(kept, value) for _, kept, value in written])
        if value is None:
            raise Split(field, (kept for _, kept, _ in written))
        value = number_of(self.writable(wanted, value))
        self.packet.flight = self.packet.flight.with_field(wanted.name, value)

    def written(self, mangle: Mangle, field: str, kept: Ranges) -> Range:
        """What is written where a field of the box has the kept values."""
        if not isinstance(mangle.value, Bitwise):
            return self.packet.number(mangle.value)
        before = narrowed(self.packet.field(mangle.value.field.name), field, kept)
        return number_of(self.packet.changed(mangle.value, number_of(before)))

    def mangle(self, mangle: Mangle) -> None:
        if mangle.field.name in WRITABLE:
            (written,) = self.packet.key(mangle.value)
            value = number_of(self.writable(mangle.field, written))
            self.packet.flight = self.packet.flight.with_field(mangle.field.name, value)
            return
        value = self.packet.number(mangle.value)
        if mangle.field.name in REWRITTEN:
            self.packet.flight = self.packet.flight.rewritten(mangle.field.name, value)
            self.effects.append(Effect("rewrite", None, (mangle.field.name, value)))
            return
        if mangle.field == META_MARK and isinstance(mangle.value, Numgen):
            value = DrawnNumber(*value)
        if mangle.field == META_MARK:
            self.packet.flight = self.packet.flight._replace(mark=value)
        elif mangle.field == CT_MARK:
            self.packet.flight = self.packet.flight._replace(ct_mark=value)
            self.effects.append(Effect("mark", None, (value,)))
        elif mangle.field.name == "ct event":
            self.effects.append(Effect("events", None, (value,)))
        else:
            self.packet.flight = self.packet.flight._replace(zone=value)

    def writable(self, field: Field, written: Value) -> Value:
        """What a field of the packet has become. Where every look-up goes both ways, one port of a block is
        as good as another, or a search had a way for each candidate."""
        anyhow = self.packet.state.unknown and field == TH_SPORT
        if isinstance(written, str | Names | FieldValues | DrawnNumber | DrawnBlocks) or written.size == 1:
            return written
        if not isinstance(written, Scrambled):
            return DrawnNumber(*written)
        return written.drawn if anyhow else written

    def toss(self, mangle: Mangle) -> None:
        """A field that is changed or not, as a number is drawn: the packet has one of both."""
        now, value = self.packet.number(mangle.field), mangle.value
        other, flight = self.packet.number(value), self.packet.flight
        (hulled,) = hull([(now,), (other,)])
        both = number_of(hulled)
        if mangle.field != META_MARK:
            # Where every look-up goes both ways, equal ways are one, however the port was drawn.
            shuffled = DrawnNumber if self.packet.state.unknown else ShuffledNumber
            drawn = either(now, other) or shuffled(*both)
            self.packet.flight = flight.with_field(mangle.field.name, drawn)
            return
        many, tossed = (now.many, now.tossed) if isinstance(now, DrawnNumber) else (now.size, 0)
        bits = value.bits | value.xor if isinstance(value, Bitwise) else 0
        self.packet.flight = flight._replace(mark=DrawnNumber(*both, 2 * many, tossed | bits))

    def update(self, update: SetUpdate) -> None:
        """Add, renew or delete an element; its limit or count may end the rule.

        Of a key that stands for many the kernel makes one that is not there yet; which one is not known.
        """
        name, key = update.name, self.packet.key(update.key)
        data = self.packet.key(update.data) if update.data is not None else ()
        if update.op == "delete":
            self.packet.learn(name, key, None)
            return
        if update.op == "update" and update.condition is None:
            if certain(key):
                self.packet.learn(name, key, data)
            return
        known = self.packet.dynamic(name, key, which=isinstance(update.condition, CtCount))
        if known is None and not self.packet.state.unknown and _computed(key):
            # Of the packets of a box some find such an element made by a packet of another one.
            known = data if self.packet.choose(2) else None
        if isinstance(update.condition, CtCount):
            self.count(update.condition, name, key, known)
            return
        if certain(key) and (known is None or update.op == "update"):
            self.packet.learn(name, key, data)
        if isinstance(update.condition, Limit) and update.condition.over != (known is not None):
            raise RuleEnds

    def count(self, condition: CtCount, name: Name, key: Key, known: Key | None) -> None:
        """Connections of one key, this one with them."""
        connections = 1 + (number_of(known[0]).first if known else 0)
        over = connections > condition.most
        if self.packet.state.unknown:
            over = known is not None
        self.packet.learn(name, key, (number(connections),))
        self.effects.append(Effect("over" if over else "count", name, (number(condition.most),)))
        if over is not condition.over:
            raise RuleEnds


def _computed(key: Key) -> bool:
    """Whether a packet's port is computed; numbers that a search draws are another thing."""
    drawn = len(key) > 1 and type(key[-1]) is DrawnNumber
    return drawn or any(isinstance(one, Scrambled) for one in key)


def _is_one(value: Value) -> bool:
    return isinstance(value, FieldValues) and value.first == value.last


def _narrowed(learned: Learned, field: str, kept: Cut) -> Learned:
    """What is known of elements, of a part of the box. Of what is one number each packet knows the same, and
    what is equal is kept once (`Together.once`): it may be one of another field, or of other packets."""

    def key_of(key: Key) -> Key:
        return tuple(value if _is_one(value) else narrowed(value, field, kept) for value in key)

    return {
        (name, key_of(key)): None if data is None else key_of(data) for (name, key), data in learned.items()
    }


def _tosses(statements: tuple[Statement, ...]) -> TypeGuard[tuple[Match, Mangle]]:
    """Whether a rule changes a field of the packet or its mark, or not, as a number is drawn."""
    if len(statements) != 2:
        return False
    match, mangle = statements
    drawn = isinstance(match, Match) and isinstance(match.left, Numgen) and match.left.mode == "random"
    return drawn and isinstance(mangle, Mangle) and mangle.field.name in (*WRITABLE, META_MARK.name)
