"""The walk: base chains by hook and priority, verdicts, matches, statements.

Numbers that the kernel draws are ranges; a match that is undecided is walked both ways, so a walk has one
outcome or several. A packet whose fields are parts of a box (parts.py) is walked for all packets of the box
at once, and Split is raised where they would not fare alike. Packets pass one by one: two CPUs at the same
instant are not walked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from nfcompile.diagnostics import Path
from nfcompile.emit import Rule
from nfcompile.model.ranges import Range
from nfcompile.verify.boxes import Names, Packet, Part, joined, masked, netmapped, taken
from nfcompile.verify.walk.grammar import STATUS
from nfcompile.verify.walk.packet import Flight, is_local
from nfcompile.verify.walk.phrases import (
    Assign,
    Change,
    Concat,
    Constant,
    Count,
    Entry,
    Expression,
    Field,
    Inline,
    Limit,
    Looked,
    Masked,
    Match,
    Nat,
    Note,
    Numgen,
    UnknownPhrase,
    Verdict,
    Vmap,
)
from nfcompile.verify.walk.program import Hit, Kind, Line, Program, Source, divided, hits
from nfcompile.verify.walk.state import NOTHING, State
from nfcompile.verify.walk.values import Key, Value, apart, certain, hull, number

Answer = TypeVar("Answer")
Route = Callable[[Range], str | Names]
"""The interface behind which an address is, LOCAL for the gateway's own."""
WAYS = 256
"""More ways than this through one ruleset are an error: the box of packets is too large."""


class Effect(NamedTuple):
    """What a rule did: a verdict, `snat` or `dnat` with the new address and port, a mark, a note, a limit.

    `count` is a limit that was asked and not exceeded, `over` one that was; `values` its number.
    """

    kind: str
    words: tuple[str, ...] = ()
    values: Key = ()


class Step(NamedTuple):
    """One rule that did something: in which chain, and the spot of the site that asked for it."""

    chain: str
    rule: Rule
    origin: Path
    effects: tuple[Effect, ...]


class Outcome(NamedTuple):
    """What became of a packet: `accept` or `drop`, as what it leaves and where, how, and what it left behind.

    `out` is LOCAL for a packet that the gateway itself gets; `dnat` and `snat` say what was rewritten.
    """

    verdict: str
    packet: Packet
    out: str | Names
    mark: Range
    dnat: bool
    snat: bool
    steps: tuple[Step, ...]
    state: State


def walk(program: Program, packet: Packet, route: Route, state: State = NOTHING) -> tuple[Outcome, ...]:
    """Send the first packet of a connection through; the outcomes of all ways that it can take.

    Raises UnknownPhrase for what the walker cannot do, ValueError where the ways are too many, and Split.
    """
    return tuple(every_way(lambda chosen: Walker(program, state, chosen), lambda one: one.run(packet, route)))


def every_way(start: Callable[[list[int]], Walker], run: Callable[[Walker], Answer]) -> Iterator[Answer]:
    """Run a walker once for every combination of the choices that it meets."""
    ways: list[list[int]] = [[]]
    done = 0
    while ways:
        chosen = ways.pop()
        walker = start(chosen)
        yield run(walker)
        done += 1
        for at in range(len(chosen), len(walker.chosen)):
            for other in range(1, walker.options[at]):
                ways.append([*walker.chosen[:at], other])
        if done + len(ways) > WAYS:
            raise ValueError(f"more than {WAYS} ways through the ruleset")


class _Stop(Exception):
    """A rule ends before its last phrase."""


class Walker:
    """One way of one packet; `chosen` says which way undecided matches go, 0 where it says nothing."""

    def __init__(self, program: Program, state: State, chosen: list[int]) -> None:
        self.program = program
        self.state = state
        self.chosen = list(chosen)
        self.options: list[int] = []
        self.learned: dict[tuple[str, Key], Key | None] = {}
        self.steps: list[Step] = []
        self.effects: list[Effect] = []
        self.origin: Path = ()
        self.flight: Flight

    # ---- the way through the hooks

    def run(self, packet: Packet, route: Route) -> Outcome:
        self.flight = Flight(packet, packet, "", route(packet.destination))
        if not self.hook("prerouting"):
            return self.outcome("drop")
        out = route(self.flight.now.destination)
        self.flight = self.flight._replace(towards=out)
        if is_local(out):
            return self.outcome("accept" if self.hook("input") else "drop")
        self.flight = self.flight._replace(out=out)
        passed = self.hook("forward") and self.hook("postrouting")
        return self.outcome("accept" if passed else "drop")

    def hook(self, name: str) -> bool:
        """Whether the packet passes the base chains of a hook; `accept` and translations end one of them."""
        return all(self.chain(base) != "drop" for base in self.program.hooks.get(name, ()))

    def outcome(self, verdict: str) -> Outcome:
        flight = self.flight
        dnat, snat = (bool(flight.status & STATUS[kind]) for kind in ("dnat", "snat"))
        state = self.state.after(self.learned)
        return Outcome(
            verdict, flight.now, flight.towards, flight.ct_mark, dnat, snat, tuple(self.steps), state
        )

    # ---- chains and rules

    def chain(self, name: str) -> str:
        """'accept', 'drop', or '' at the end of a chain."""
        for line in self.program.chains[name]:
            verdict = self.line(name, line)
            if verdict is None:
                continue
            if verdict.word == "return":
                return ""
            if verdict.word in ("jump", "goto"):
                reached = self.chain(verdict.chain)
                if reached or verdict.word == "goto":
                    return reached
                continue
            return "drop" if verdict.word == "reject" else verdict.word
        return ""

    def line(self, chain: str, line: Line) -> Verdict | None:
        """Do one rule; its verdict, if it has one and gets there."""
        self.effects, self.origin = [], ()
        verdict = None
        try:
            for phrase in line.phrases:
                verdict = self.phrase(phrase)
        except _Stop:
            verdict = None
        if self.effects:
            self.steps.append(Step(chain, line.rule, self.origin or line.rule.origin, tuple(self.effects)))
        return verdict

    def phrase(self, phrase: object) -> Verdict | None:
        if isinstance(phrase, Match):
            self.match(phrase)
        elif isinstance(phrase, Assign):
            self.assign(phrase)
        elif isinstance(phrase, Change):
            self.change(phrase)
        elif isinstance(phrase, Note):
            self.effects.append(Effect(phrase.kind, phrase.words))
        elif isinstance(phrase, Limit):
            if phrase.over:
                raise _Stop
        elif isinstance(phrase, Nat):
            return self.nat(phrase)
        elif isinstance(phrase, Vmap):
            return self.decided(self.vmap(phrase))
        elif isinstance(phrase, Verdict):
            return self.decided(phrase)
        else:
            raise UnknownPhrase(f"cannot walk {phrase}")
        return None

    def decided(self, verdict: Verdict) -> Verdict:
        self.effects.append(Effect(verdict.word, (verdict.chain,) if verdict.chain else ()))
        return verdict

    # ---- matches

    def choose(self, options: int) -> int:
        """Take one of several ways; the others are walked later."""
        at = len(self.options)
        self.options.append(options)
        if at == len(self.chosen):
            self.chosen.append(0)
        return self.chosen[at]

    def match(self, match: Match) -> None:
        if self.holds(match) is match.negated:
            raise _Stop

    def holds(self, match: Match) -> bool:
        met, sure = self.look(match.source, self.key(match.key), lambda _: True)
        return bool(met) and (sure or self.choose(2) == 0)

    def look(self, name: str | Inline, key: Key, kind: Kind) -> tuple[list[Hit], bool]:
        """The elements that a key may meet, and whether it must meet one.

        Packets of a box may meet different elements of one kind; Split is raised where the kinds differ.
        """
        source = self.program.sources[name] if isinstance(name, str) else name
        if isinstance(source, Source) and source.dynamic:
            data = self.dynamic(source.name, key)
            return ([], False) if data is None else ([Hit(Entry(key, data))], True)
        part = key[0]
        if len(key) == 1 and isinstance(part, Part):
            return divided(source, part, kind)
        met, sure = hits(source, key)
        if not sure or len({kind(entry) for entry in met}) > 1:
            apart(key, [entry.key for entry in met])
        return [Hit(entry) for entry in met], sure

    def dynamic(self, name: str, key: Key) -> Key | None:
        state = self.state.after(self.learned) if self.learned else self.state
        data = state.data(name, key)
        if data is None and (others := state.perhaps(name, key)):
            return [None, *others][self.choose(len(others) + 1)]
        if data is None and self.state.unknown and (name, key) not in self.learned:
            data = self.program.sources[name].anything if self.choose(2) else None
            if certain(key):
                self.learned[name, key] = data
        return data

    def found(self, looked: Looked, kind: Kind) -> list[Hit]:
        """The elements of a map that a key may have; a miss ends the rule."""
        met, sure = self.look(looked.source, self.key(looked.key), kind)
        if not met or (not sure and self.choose(2)):
            raise _Stop
        if len(met) == 1 and met[0].entry.origin:
            self.origin = met[0].entry.origin
        return met

    def vmap(self, vmap: Vmap) -> Verdict:
        met, sure = self.look(vmap.source, self.key(vmap.key), lambda entry: entry.verdict)
        verdicts = list(dict.fromkeys(hit.entry.verdict for hit in met))
        options = len(verdicts) + (not sure)
        way = self.choose(options) if options > 1 else 0
        if way >= len(verdicts):
            raise _Stop
        verdict = verdicts[way]
        assert verdict is not None
        return verdict

    # ---- values

    def key(self, expression: Expression) -> Key:
        if isinstance(expression, Field):
            return (self.flight.field(expression.name),)
        if isinstance(expression, Masked):
            return (joined(masked(self.number(expression.field), expression.mask), expression.bits),)
        if isinstance(expression, Concat):
            return tuple(part for field in expression.parts for part in self.key(field))
        if isinstance(expression, Numgen):
            return (Range(expression.first, expression.last),)
        if isinstance(expression, Constant):
            return (expression.value,)
        return hull([hit.entry.data for hit in self.found(expression, lambda entry: entry.data)])

    def number(self, expression: Expression) -> Range:
        return _range(self.key(expression)[0])

    # ---- statements

    def assign(self, assign: Assign) -> None:
        value = self.number(assign.value)
        if assign.field == "meta mark":
            self.flight = self.flight._replace(mark=value)
        elif assign.field == "ct mark":
            self.flight = self.flight._replace(ct_mark=value)
            self.effects.append(Effect("mark", (), (value,)))
        else:
            self.flight = self.flight._replace(zone=value)

    def change(self, change: Change) -> None:
        """Add, renew or delete an element; its limit or count may end the rule.

        Of a key that stands for many the kernel makes one that is not there yet; nobody knows which.
        """
        name, key = change.name, self.key(change.key)
        data = self.key(change.data) if change.data is not None else ()
        if change.word == "delete":
            self.learned[name, key] = None
            return
        known = self.dynamic(name, key)
        if isinstance(change.condition, Count):
            self.count(change.condition, name, key, known)
            return
        if certain(key) and (known is None or change.word == "update"):
            self.learned[name, key] = data
        if isinstance(change.condition, Limit) and change.condition.over != (known is not None):
            raise _Stop

    def count(self, condition: Count, name: str, key: Key, known: Key | None) -> None:
        """Connections of one key, this one with them."""
        connections = 1 + (_range(known[0]).first if known else 0)
        over = connections > condition.most
        if self.state.unknown:
            over = known is not None
        if certain(key):
            self.learned[name, key] = (number(connections),)
        self.effects.append(Effect("over" if over else "count", (name,), (number(condition.most),)))
        if over is not condition.over:
            raise _Stop

    def nat(self, nat: Nat) -> Verdict:
        address = port = None
        if isinstance(nat.address, Looked):
            now = self.flight.now
            old = now.source if nat.kind == "snat" else now.destination
            moves = _moves_with(old, self.key(nat.address.key), nat.prefix)
            met = self.found(nat.address, lambda entry: entry.data[1:] if moves(entry) else entry.data)
            data = _netmap(met, old) if moves(met[0].entry) else hull([hit.entry.data for hit in met])
            address = _range(data[0])
            port = _range(data[1]) if len(data) > 1 else None
        elif nat.address is not None:
            address = self.number(nat.address)
        if nat.port is not None:
            port = self.number(nat.port)
        if nat.kind == "dnat":
            chosen = self.flight.original.chosen
            address = address and taken(address, chosen, 0)[1]
            port = port and taken(port, chosen, 1)[1]
        self.flight = self.flight.translated(nat.kind, address, port)
        now = self.flight.now
        ends = {"snat": (now.source, now.source_port), "dnat": (now.destination, now.destination_port)}
        self.effects.append(Effect(nat.kind, (), ends[nat.kind]))
        return Verdict("accept")


def _range(value: Value) -> Range:
    if not isinstance(value, Range):
        raise UnknownPhrase(f"'{value}' is no number")
    return value


def _moves_with(old: Range, key: Key, prefix: bool) -> Callable[[Entry], bool]:
    """Which elements make of every address another one. Packets of a box may meet many such elements where
    they are looked up by that address: NETMAP, or one host to one."""
    same = isinstance(old, Part) and isinstance(key[0], Part) and old.field == key[0].field
    return lambda entry: (
        prefix or (same and len(entry.key) == 1 and certain(entry.key) and certain(entry.data[:1]))
    )


def _netmap(met: list[Hit], address: Range) -> Key:
    """The new address by the kernel's NETMAP, and what else the elements say."""
    rest = met[0].entry.data[1:]
    if isinstance(address, Part) and met[0].field == address.field:
        rows = sorted((one, _range(hit.entry.data[0])) for hit in met for one in hit.where)
        return netmapped(address, rows), *rest
    found = []
    for hit in met:
        first, last = _range(hit.entry.data[0])
        host = (1 << (first ^ last).bit_length()) - 1
        found.append((joined(masked(address, host), first & ~host),))
    return *hull(found), *rest
