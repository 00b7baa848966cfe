"""Elements that packets write, as they are when time has passed.

No test sleeps until something is old: on a slow machine what was just renewed may be older, when it is looked
at, than what a quick machine has not renewed.
"""

from __future__ import annotations

import re

from support.lab import Lab

AGED, RENEWED = 40, 100
"""Seconds that an aged element has left, and those that one has at least that was renewed since."""


def age(lab: Lab, *things: str) -> None:
    """Let all elements of sets or maps ('map m') end in AGED seconds."""
    for thing in things:
        kind, name = thing.split()
        said = lab.must("nft", "list", kind, "ip", "nfcompile", name)
        elements = said.partition("elements = {")[2].partition("}")[0]
        aged, changed = re.subn(r"expires [0-9dhms]+", f"expires {AGED}s", elements)
        assert changed, f"nothing to age in {thing}: {said}"
        table = f"ip nfcompile {name}"
        lab.must("nft", "-f", "-", stdin=f"flush {kind} {table}\nadd element {table} {{ {aged} }}\n")


def forget_tokens(lab: Lab) -> None:
    """No connection has a token that is young, and there is none to take."""
    lab.must("nft", "flush", "set", "ip", "nfcompile", "recent_tokens")
    lab.must("nft", "flush", "map", "ip", "nfcompile", "now")
