"""What became of a packet that no line of the site has translated, and how long its session lives."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.lower import names
from nfcompile.lower.drop_reasons import drop_reason
from nfcompile.model.protocols import GRE, ICMP
from nfcompile.model.ranges import range_text
from nfcompile.model.sides import sides
from nfcompile.model.site import Pool
from nfcompile.model.timeout_policies import OPTION, held_by_host
from nfcompile.verify.explain.deciding import lifetime
from nfcompile.verify.explain.scene import (
    PORTED,
    Reason,
    Scene,
    comes_from_outside,
    is_left_alone,
    leaves_outside,
    pool_named,
    pool_of,
)
from nfcompile.verify.walk import LOCAL

SYSCTLS = {ICMP: "icmp", GRE: "gre"}
"""Protocols whose timeout is a setting of the host; all others share the generic one."""


def ending(scene: Scene) -> Iterator[Reason]:
    """What became of a packet that no rule has translated."""
    outcome, asked = scene.outcome, scene.asked
    interfaces = scene.compiled.site.interfaces
    if outcome.verdict == "drop":
        yield _dropped(scene)
        return
    taken = pool_of(scene.compiled.site, outcome)
    if taken is not None and not taken.translates:
        yield Reason((*taken.path, "type"), f"pool '{taken.name}' is fake: the packet keeps its source")
    elif any(effect.kind == "snat" for step in outcome.steps for effect in step.effects):
        yield from _idle(scene, taken)
    elif is_left_alone(scene):
        return
    elif outcome.out == LOCAL:
        yield Reason(("gateway",), "the packet is for the gateway itself: not translated")
    elif taken is not None:
        yield Reason(taken.path, f"{range_text(asked.source)} outside keeps its address")
    elif comes_from_outside(scene.compiled, asked):
        if not outcome.dnat:
            text = "what comes from outside to no global address is forwarded as it is"
            yield Reason(("interfaces", "outside"), text)
    elif asked.interface not in sides(scene.compiled.site).inside:
        text = f"'{asked.interface}' is not an inside interface: not translated"
        yield Reason(("interfaces", "inside"), text)
    elif outcome.out in interfaces.shared and not leaves_outside(scene.compiled, outcome):
        yield Reason(("interfaces", "inside"), "source and destination are inside: nothing is translated")
    elif outcome.out not in interfaces.outside:
        yield Reason(("interfaces",), f"from '{asked.interface}' to '{outcome.out}' nothing is translated")
    else:
        yield Reason(("pools",), "no pool takes the packet: it is forwarded with its own source")


def _idle(scene: Scene, pool: Pool | None) -> Iterator[Reason]:
    """Lifetimes that stand in no rule of the packet's way."""
    if pool is None:
        return
    path, times, protocol = (
        (*pool.path, "timeouts_inactivity"),
        pool.timeouts,
        PORTED.get(scene.asked.protocol),
    )
    if protocol is None:
        name = f"net.netfilter.nf_conntrack_{SYSCTLS.get(scene.asked.protocol, 'generic')}_timeout"
        seconds = scene.compiled.sysctls[name]
        yield Reason(path, f"the session ends after {seconds} s: {name} of the host, for all pools")
        return
    held = held_by_host(scene.compiled.site).get(protocol)
    if held is not None:
        yield Reason(OPTION, f"{lifetime(protocol, held)}; they are sysctls of the host")
    if pool.keeps_mapping_entries:
        seconds = times.tcp_active if protocol == "tcp" else times.udp
        yield Reason(path, f"the mapping is kept for at least {seconds} s after its last packet")


def _dropped(scene: Scene) -> Reason:
    """The rule that dropped it, by its counter."""
    step = scene.outcome.steps[-1]
    counter = next((effect.name for effect in step.effects if effect.kind == "counter"), None)
    pool = pool_named(scene.compiled.site, step)
    if pool is not None and counter == names.dropped(pool.name):
        if not pool.hairpin and not leaves_outside(scene.compiled, scene.outcome):
            return Reason(
                (*pool.path, "hairpin"), f"hairpin is off in pool '{pool.name}': the packet is dropped"
            )
        return Reason(pool.path, f"pool '{pool.name}' has nothing for {scene.source}: the packet is dropped")
    reason = None if counter is None else drop_reason(counter)
    return Reason(step.origin, "dropped" if reason is None else f"dropped: {reason.text}")
