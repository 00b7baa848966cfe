"""What one pool adds to the table, and rules and chains that serve a pool as a whole."""

from typing import NamedTuple

from nfcompile.emit import Chain, Name, Object, Rule
from nfcompile.emit.statements import Statement
from nfcompile.model.site import Pool


class PoolPart(NamedTuple):
    """Sets, maps and chains of a pool, and its rules in the shared chains.

    translate   rules of the pool's translate chain, which end in a drop
    inbound     rules of the destination NAT chain, for packets to global addresses
    """

    objects: tuple[Object, ...]
    translate: tuple[Rule, ...]
    inbound: tuple[Rule, ...] = ()


Statements = tuple[Statement, ...]


def pool_rule(pool: Pool, *statements: Statement) -> Rule:
    """A rule that serves a pool as a whole."""
    return Rule(statements, pool.path)


def pool_chain(pool: Pool, name: Name, *rules: Rule) -> Chain:
    """A chain that serves a pool as a whole."""
    return Chain(name, rules, pool.path)


def chain_of(pool: Pool, name: Name, *rules: Statements) -> Chain:
    """The same from the statements of its rules."""
    return pool_chain(pool, name, *(Rule(statements, pool.path) for statements in rules))
