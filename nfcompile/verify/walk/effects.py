"""What a rule did to a packet, for `explain`, `prove` and the comparison of packets."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.emit import Name, Rule
from nfcompile.verify.walk.values import Key


class Effect(NamedTuple):
    """What a rule did: a verdict, `snat` or `dnat` with the new address and port, a mark, a note, a limit.

    `name` is the object or chain that it names. `count` is a limit that was not exceeded, `over` one that
    was; `values` its number.
    """

    kind: str
    name: Name | None = None
    values: Key = ()


class Step(NamedTuple):
    """One rule that did something: in which chain, and the spot of the site that asked for it."""

    chain: Name
    rule: Rule
    origin: Path
    effects: tuple[Effect, ...]
