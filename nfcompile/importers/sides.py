"""Which interfaces are inside and outside where the input does not say: guessed from the rules, and told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nfcompile.importers.account import Accounting
from nfcompile.importers.form import (
    ADDRESSES,
    Action,
    ForeignRule,
    FoundPool,
    InterfaceSet,
    Ranges,
    Translate,
    Unsaid,
)
from nfcompile.importers.reading import ImportOptions, Reading
from nfcompile.model.ranges import Range, subtract

PRIVATE: Ranges = (
    Range(0x0A000000, 0x0AFFFFFF),
    Range(0x64400000, 0x647FFFFF),
    Range(0x7F000000, 0x7FFFFFFF),
    Range(0xA9FE0000, 0xA9FEFFFF),
    Range(0xAC100000, 0xAC1FFFFF),
    Range(0xC0A80000, 0xC0A8FFFF),
)
"""RFC 1918, RFC 6598, loopback and link-local addresses."""

EVERYTHING = ("0.0.0.0/0",)

INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}", re.ASCII)
"""A name that a site accepts."""


class Sides(NamedTuple):
    """The interfaces of the site; `networks` is what counts as inside where an interface is on both sides."""

    inside: tuple[str, ...]
    outside: tuple[str, ...]
    networks: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.inside, *self.outside)))

    def named(self, names: InterfaceSet) -> tuple[str, ...]:
        """The interfaces of a match, as a list: what a rule names itself may be on neither side."""
        if not names.but:
            return tuple(sorted(names.names))
        return tuple(name for name in self.all if names.has(name))


def is_private(addresses: Ranges) -> bool:
    """Whether all addresses are of the kinds that are used inside."""
    return not subtract(addresses, PRIVATE)


def guess_sides(
    reading: Reading, rules: Iterable[ForeignRule], options: ImportOptions, ledger: Accounting
) -> Sides:
    """Both sides; what the command line says goes before what the rules suggest."""
    known = [name for name in dict.fromkeys(reading.interfaces) if INTERFACE.fullmatch(name)]
    outside, why = options.outside, ""
    if not outside:
        outside, why = _outside(list(rules), reading.pools, set(known) - set(options.addresses))
        if reading.one_armed:
            outside, why = tuple(known), "the rules name no other"
        ledger.guess("interfaces.outside", ", ".join(outside), why, "--outside")
    inside = options.inside
    if not inside:
        inside = tuple(name for name in known if name not in outside)
        why = "the other interfaces that the input names"
        if reading.one_armed:
            inside, why = outside, "one interface, for both directions"
        elif not inside:
            inside, why = (_free("lan0", outside),), "no other interface is named: put the right name here"
        ledger.guess("interfaces.inside", ", ".join(inside), why, "--inside")
    return Sides(tuple(inside), tuple(outside), _networks(set(inside) & set(outside), reading))


def _networks(shared: set[str], reading: Reading) -> tuple[str, ...]:
    """What counts as inside where an interface is on both sides: everything, since a foreign rule translates
    whatever leaves there. Not with pools, whose subscribers are inside."""
    return EVERYTHING if shared and not reading.pools else ()


def all_on_both_sides(
    sides: Sides,
    known: Iterable[str],
    rules: Iterable[ForeignRule],
    options: ImportOptions,
    ledger: Accounting,
) -> Sides:
    """Every interface on both sides, where a rule translates sources whatever interface they come from.

    That is what systems without sides do. Only without pools, whose subscribers are inside.
    """
    reason = "a rule translates sources of whatever comes in, so each interface is on both sides"
    if options.inside or options.outside or not any(_any_source(rule, sides) for rule in rules):
        return sides
    ledger.guesses[:] = [guess for guess in ledger.guesses if not guess.what.startswith("interfaces.")]
    named = set(known)
    names = tuple(name for name in sides.all if name in named) or sides.all
    for side in ("outside", "inside"):
        ledger.guess(f"interfaces.{side}", ", ".join(names), reason, f"--{side}")
    return Sides(names, names, EVERYTHING)


def _any_source(rule: ForeignRule, sides: Sides) -> bool:
    """Whether a rule translates sources of what comes from outside, towards inside interfaces too."""
    if rule.stage != "snat" or not isinstance(rule.action, Translate):
        return False
    inwards = (name for name in sides.named(rule.match.outgoing) if name in sides.inside)
    return any(name not in sides.outside for name in inwards) and not comes_from_inside(rule.match.source)


def _outside(
    rules: list[ForeignRule], pools: tuple[FoundPool, ...], named: set[str]
) -> tuple[tuple[str, ...], str]:
    """The outside interfaces, and why. `named` are those of the input, not of `--address`."""
    for why, found in (
        (
            "source translation to a public or the interface's own address leaves there",
            _outgoing(rules, pools, True),
        ),
        ("source translation leaves there", _outgoing(rules, pools, False)),
        ("destination translation arrives there", _incoming(rules)),
    ):
        names = tuple(dict.fromkeys(name for name in found if INTERFACE.fullmatch(name) and name != "lo"))
        if names:
            return names, why
    return (_free("wan0", named),), "no rule names an interface towards the outside: put the right name here"


def _outgoing(rules: list[ForeignRule], pools: tuple[FoundPool, ...], surely: bool) -> Iterator[str]:
    for pool in pools:
        yield from sorted(pool.outgoing.names) if not pool.outgoing.but else ()
    for rule in rules:
        action = _meant(rule)
        if rule.stage != "snat" or not isinstance(action, Translate) or rule.match.outgoing.but:
            continue
        own = action.interface and not is_private(rule.match.destination)
        public = action.addresses is not None and not is_private((action.addresses,))
        uplink = rule.match.source == rule.match.destination == ADDRESSES
        if own or public or uplink or not surely:
            yield from sorted(rule.match.outgoing.names)


def _meant(rule: ForeignRule) -> Action | None:
    """What a rule does, even where the site cannot say it."""
    return rule.action.instead if isinstance(rule.action, Unsaid) else rule.action


def _incoming(rules: list[ForeignRule]) -> Iterator[str]:
    for rule in rules:
        if rule.stage == "dnat" and isinstance(_meant(rule), Translate) and not rule.match.incoming.but:
            yield from sorted(rule.match.incoming.names)


def _free(name: str, taken: Iterable[str]) -> str:
    return name if name not in taken else f"{name}x"


def comes_from_inside(source: Ranges) -> bool:
    """Whether a match names its sources: half of all addresses and more are no network inside."""
    return sum(one.size for one in source) < 1 << 31 or is_private(source)
