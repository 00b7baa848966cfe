"""What the steps of a walk are read with: the packet as it came, and the pools and rules that met it."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.lower import names
from nfcompile.model.protocols import IN_BLOCK, NAMES, WITH_PORTS
from nfcompile.model.ranges import Range, range_text
from nfcompile.model.sides import sides
from nfcompile.model.site import Pool, Site, StaticEntry
from nfcompile.pipeline import Compiled
from nfcompile.verify.walk import Outcome, Packet, Step

PORTED = {number: NAMES[number] for number in WITH_PORTS}


class Reason(NamedTuple):
    """One step: the spot of the site that decided, and what."""

    path: Path
    text: str


class Scene(NamedTuple):
    """What a speaker may look at: the packet as it came, the pool that is asked or has taken it."""

    compiled: Compiled
    asked: Packet
    outcome: Outcome
    pool: Pool | None

    @property
    def source(self) -> str:
        return range_text(self.asked.source)


def pool_of(site: Site, outcome: Outcome) -> Pool | None:
    """The pool that took the packet: on its way out, otherwise the one whose address it asked for."""
    for step in outcome.steps:
        for pool in site.active_pools:
            if step.chain in (names.translate_chain(pool.name), names.pass_chain(pool.name)):
                return pool
    for step in outcome.steps:
        if any(effect.kind == "dnat" for effect in step.effects):
            return pool_named(site, step)
    return None


def static_entry(site: Site, pool: Pool, packet: Packet) -> StaticEntry | None:
    """The line of `global_map` that holds a packet's source; that of another VLAN does not."""
    for entry in pool.global_map:
        here = entry.vid is None or site.interfaces.vlan(entry.vid) == packet.interface
        if entry.local.first <= packet.source.first <= entry.local.last and here:
            return entry
    return None


def pool_named(site: Site, step: Step) -> Pool | None:
    """The pool that a rule serves."""
    path = step.rule.origin
    return next((pool for pool in site.active_pools if path[:2] == pool.path), None)


def block_is_open(compiled: Compiled, pool: Pool, asked: Packet, ports: Range) -> bool:
    """Whether the ports are those of several blocks, of which the kernel has yet to pick one."""
    dynamic = pool.shares_addresses and pool.is_dynamic
    return dynamic and asked.protocol in IN_BLOCK and ports.size > pool.port_block_size


def is_left_alone(scene: Scene) -> bool:
    """Whether an snat rule excludes the packet."""
    accepted = (s.origin for s in scene.outcome.steps if any(e.kind == "accept" for e in s.effects))
    return any(origin[:1] == ("snat",) for origin in accepted)


def comes_from_outside(compiled: Compiled, asked: Packet) -> bool:
    """Whether a packet comes in on an outside interface and, on a one-armed gateway, not from inside."""
    known = asked.interface in compiled.site.interfaces.outside
    return known and not sides(compiled.site).is_inside(str(asked.interface), asked.source.first)


def leaves_outside(compiled: Compiled, outcome: Outcome) -> bool:
    """The same of where it goes."""
    known = outcome.out in compiled.site.interfaces.outside
    return known and not sides(compiled.site).is_inside(str(outcome.out), outcome.packet.destination.first)
