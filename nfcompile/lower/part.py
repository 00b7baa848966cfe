"""What one pool adds to the table, and rules and chains that say which pool they serve."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.diagnostics import dotted
from nfcompile.emit import Chain, Rule
from nfcompile.emit.objects import Object
from nfcompile.model.site import Pool


class Part(NamedTuple):
    """Sets, maps and chains of a pool, and its rules in the shared chains.

    translate   rules of the pool's translate chain, which end in a drop
    inbound     rules of the destination NAT chain, for packets to global addresses
    """

    objects: tuple[Object, ...]
    translate: tuple[Rule, ...]
    inbound: tuple[Rule, ...] = ()


def pool_rule(pool: Pool, *phrases: str) -> Rule:
    """A rule that serves a pool as a whole."""
    return Rule(phrases, pool.path, dotted(pool.path))


def pool_chain(pool: Pool, name: str, *rules: Rule) -> Chain:
    """A chain that serves a pool as a whole."""
    return Chain(name, rules, pool.path, None, dotted(pool.path))
