"""The steps of a walk as an operator reads them: which line of the site decided, and what.

SPEAKERS has the function for each part of a site. Rules that only lead from one chain to another,
and the bookkeeping of mapping entries, say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.emit import CtTimeout, Name
from nfcompile.lower import names
from nfcompile.lower.drop_reasons import drop_reason
from nfcompile.model.protocols import GRE, ICMP, IN_BLOCK, NAMES, WITH_PORTS
from nfcompile.model.ranges import Range, port_text, range_text
from nfcompile.model.sides import GatewaySides, sides
from nfcompile.model.site import AclRule, Pool, Site, StaticEntry
from nfcompile.model.timeout_policies import OPTION, held_by_host
from nfcompile.pipeline import Compiled
from nfcompile.verify.boxes import INTERFACE_ADDRESS, has
from nfcompile.verify.reference import hits
from nfcompile.verify.walk import LOCAL, Effect, Outcome, Packet, Step

PORTED = {number: NAMES[number] for number in WITH_PORTS}
SYSCTLS = {ICMP: "icmp", GRE: "gre"}
"""Protocols whose timeout is a setting of the host; all others share the generic one."""
NEXT = "the next pool is asked"


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


def reasons(compiled: Compiled, asked: Packet, outcome: Outcome) -> Iterator[Reason]:
    """Every line of the site that had a say, in the order in which the packet met them."""
    scene = Scene(compiled, asked, outcome, None)
    waiting = [one.pool for one in compiled.allocations] if is_flat_site(compiled) else []
    for at, step in enumerate(outcome.steps):
        entered = _entered(step)
        asked_now = _pool_asked(compiled.site, step)
        if asked_now or scene.pool is None:
            scene = scene._replace(pool=asked_now or _pool_named(compiled.site, step))
        if asked_now in waiting:
            skipped = waiting[: waiting.index(asked_now)]
            yield from (_passed_over(scene, pool) for pool in skipped)
            waiting = waiting[len(skipped) + 1 :]
        if entered and entered.word == names.AMONG:
            continue
        if entered in LISTS or (scene.pool and entered == names.pool_chain(scene.pool.name)):
            assert entered is not None
            if not any(later.chain == entered for later in outcome.steps[at + 1 :]):
                yield _no_hit(scene, entered)
            continue
        yield from SPEAKERS.get(str(step.origin[0]) if step.origin else "", _silent)(scene, step)
    left = outcome.verdict == "accept" and not outcome.snat and not _is_left_alone(scene)
    if left and leaves_outside(compiled, outcome):
        yield from (_passed_over(scene, pool) for pool in waiting if pool_of(compiled.site, outcome) is None)
    yield from _ending(scene)


def is_flat_site(compiled: Compiled) -> bool:
    """Whether the ruleset looks the pool up by source, so that pools which cannot accept it are not asked."""
    return any(one.name == names.BY_SOURCE for one in compiled.table.objects)


def _passed_over(scene: Scene, pool: Pool) -> Reason:
    """Why a pool was not asked: its ACL, read as it stands in the site."""
    site, there = scene.compiled.site, scene.outcome.packet
    probe = scene.asked._replace(destination=there.destination, destination_port=there.destination_port)
    if pool.subscribers is not None and not any(has(run, probe.source) for run in pool.subscribers):
        return Reason((*pool.path, "subscribers"), _not_subscribed(scene))
    for rule in pool.acl.rules if pool.acl else ():
        if hits(site, rule, probe):
            return Reason(rule.path, _denied(pool, rule.number))
    return _no_hit(scene._replace(pool=pool), names.pool_chain(pool.name))


def pool_of(site: Site, outcome: Outcome) -> Pool | None:
    """The pool that took the packet: on its way out, otherwise the one whose address it asked for."""
    for step in outcome.steps:
        for pool in site.active_pools:
            if step.chain in (names.translate_chain(pool.name), names.pass_chain(pool.name)):
                return pool
    for step in outcome.steps:
        if any(effect.kind == "dnat" for effect in step.effects):
            return _pool_named(site, step)
    return None


def static_entry(site: Site, pool: Pool, packet: Packet) -> StaticEntry | None:
    """The line of `global_map` that holds a packet's source; that of another VLAN does not."""
    for entry in pool.global_map:
        here = entry.vid is None or site.interfaces.vlan(entry.vid) == packet.interface
        if entry.local.first <= packet.source.first <= entry.local.last and here:
            return entry
    return None


def _pool_named(site: Site, step: Step) -> Pool | None:
    """The pool that a rule serves."""
    path = step.rule.origin
    return next((pool for pool in site.active_pools if path[:2] == pool.path), None)


def _pool_asked(site: Site, step: Step) -> Pool | None:
    """The pool to whose ACL, or to whose translation, a rule leads."""
    led = (effect.name for effect in step.effects if effect.kind in ("jump", "goto") and effect.name)
    owners = {name.owner for name in led if name.word in ("pool", "translate", "pass")}
    return next((pool for pool in site.active_pools if pool.name in owners), None)


def _entered(step: Step) -> Name | None:
    """The list of rules that a rule leads to: those of dnat or snat, the ACL of a pool, several pools."""
    led = (effect.name for effect in step.effects if effect.kind in ("jump", "goto") and effect.name)
    return next((name for name in led if name in LISTS or name.word in ("pool", names.AMONG)), None)


LISTS = {names.DNAT_RULES: "dnat", names.SNAT_RULES: "snat"}


def _no_hit(scene: Scene, entered: Name) -> Reason:
    if entered in LISTS:
        return Reason((LISTS[entered],), f"no {LISTS[entered]} rule matches")
    pool = scene.pool
    assert pool is not None
    if pool.acl is None:
        return Reason(pool.path, f"pool '{pool.name}': global_map has no {scene.source}; {NEXT}")
    return Reason((*pool.path, "acl"), f"pool '{pool.name}': no rule of acl '{pool.acl.name}' hits; {NEXT}")


# ---- speakers


def _silent(scene: Scene, step: Step) -> Iterator[Reason]:
    yield from ()


def _acl(scene: Scene, step: Step) -> Iterator[Reason]:
    pool = scene.pool
    if pool is None or pool.acl is None:
        return
    if step.chain.word == names.REACHED:
        yield from _acl_backwards(scene, step)
        return
    rule = _line(pool.acl.rules, step.origin, scene.asked.source)
    said = f"acl '{pool.acl.name}' rule {rule.number}"
    kinds = [effect.kind for effect in step.effects]
    if "return" not in kinds:
        yield Reason(rule.path, f"{said} allows: pool '{pool.name}' takes the packet")
    elif rule.allow:
        yield Reason(
            rule.path, f"{said} allows, but pool '{pool.name}' has no entry for {scene.source}; {NEXT}"
        )
    else:
        yield Reason(rule.path, _denied(pool, rule.number))


def _acl_backwards(scene: Scene, step: Step) -> Iterator[Reason]:
    """The ACL of the pool that leads to a subscriber; its `src` is the subscriber."""
    pool = next(one for one in scene.compiled.site.active_pools if one.name == step.chain.owner)
    assert pool.acl is not None
    rule = _line(pool.acl.rules, step.origin, scene.outcome.packet.destination)
    does = "lets the remote side in" if rule.allow else "keeps the remote side out"
    yield Reason(rule.path, f"acl '{pool.acl.name}' rule {rule.number} {does}")


def _denied(pool: Pool, number: int) -> str:
    assert pool.acl is not None
    return f"acl '{pool.acl.name}' rule {number} denies: pool '{pool.name}' is skipped, {NEXT}"


def _line(rules: tuple[AclRule, ...], path: Path, subscriber: Range) -> AclRule:
    """The rule of the file: neighbours that differ in the source only are one rule of the ruleset."""
    first = next(index for index, rule in enumerate(rules) if rule.path == path)
    return next(rule for rule in rules[first:] if has(rule.source, subscriber))


def _dnat(scene: Scene, step: Step) -> Iterator[Reason]:
    for effect in step.effects:
        if effect.kind == "mark" and isinstance(effect.values[0], Range):
            yield Reason(step.origin, f"dnat rule '{step.origin[-1]}' sets mark {effect.values[0].first}")
        elif effect.kind == "dnat":
            yield Reason(
                step.origin, f"dnat rule '{step.origin[-1]}': the destination becomes {_end(effect)}"
            )
        elif effect.kind == "return" and _is_excluded(scene, step):
            text = f"dnat rule '{step.origin[-1]}' excludes the packet: the destination stays"
            yield Reason((*step.origin, "exclude"), text)


def _is_excluded(scene: Scene, step: Step) -> bool:
    return any(rule.exclude and rule.path == step.origin for rule in scene.compiled.site.dnat)


def _snat(scene: Scene, step: Step) -> Iterator[Reason]:
    for effect in step.effects:
        if effect.kind == "accept":
            text = f"snat rule '{step.origin[-1]}' excludes the packet: it keeps its source, no pool is asked"
            yield Reason((*step.origin, "exclude"), text)
        elif effect.kind == "snat" and effect.values[0] == INTERFACE_ADDRESS:
            text = f"the source becomes the address of '{scene.outcome.out}' at the time{_port(effect)}"
            yield Reason(step.origin, f"snat rule '{step.origin[-1]}': {text}")
        elif effect.kind == "snat":
            yield Reason(step.origin, f"snat rule '{step.origin[-1]}': the source becomes {_end(effect)}")


def _pools(scene: Scene, step: Step) -> Iterator[Reason]:
    for effect in step.effects:
        if effect.kind in POOL_EFFECTS:
            yield from POOL_EFFECTS[effect.kind](scene, step, effect)


def _taken(scene: Scene, step: Step, effect: Effect) -> Iterator[Reason]:
    pool = scene.pool
    if pool is None or effect.name not in (names.translate_chain(pool.name), names.pass_chain(pool.name)):
        return
    entry = static_entry(scene.compiled.site, pool, scene.asked)
    path = entry.path if entry else pool.path
    yield Reason(path, f"pool '{pool.name}' takes the packet: global_map has {scene.source}")


def _skipped(scene: Scene, step: Step, effect: Effect) -> Iterator[Reason]:
    if step.origin[-1:] == ("subscribers",):
        yield Reason(step.origin, _not_subscribed(scene))


def _not_subscribed(scene: Scene) -> str:
    return f"{scene.source} is not among the subscribers; {NEXT}"


def _translated(scene: Scene, step: Step, effect: Effect) -> Iterator[Reason]:
    """The block or address, and the limit that it is."""
    pool, asked = scene.pool, scene.asked
    if pool is None:
        return
    entry = static_entry(scene.compiled.site, pool, asked)
    if entry is not None:
        yield Reason(entry.path, f"the source becomes {_end(effect)}, in both directions")
        return
    address, ports = effect.values
    undecided = isinstance(address, Range) and address.size > 1
    if undecided or (isinstance(ports, Range) and block_is_open(scene.compiled, pool, asked, ports)):
        what = "block of ports" if pool.shares_addresses else "address"
        text = f"the kernel picks the {what}: the subscriber has none yet and gets the first free one"
        yield Reason((*pool.path, "global_ip"), text)
        return
    yield Reason((*pool.path, "global_ip"), f"the source becomes {_end(effect)}")
    protocol = PORTED.get(asked.protocol)
    if pool.shares_addresses and protocol:
        key = f"portlimit_{protocol}"
        limit = getattr(pool.limits, key)
        yield Reason(
            (*pool.path, "limits_peruser", key), f"{scene.source} has {limit} ports for {protocol} at most"
        )


def block_is_open(compiled: Compiled, pool: Pool, asked: Packet, ports: Range) -> bool:
    """Whether the ports are those of several blocks, of which the kernel has yet to pick one."""
    dynamic = pool.shares_addresses and pool.is_dynamic
    return dynamic and asked.protocol in IN_BLOCK and ports.size > pool.port_block_size


def _reached(scene: Scene, step: Step, effect: Effect) -> Iterator[Reason]:
    pool = _pool_named(scene.compiled.site, step)
    if pool is None:
        return
    asked = range_text(scene.asked.destination)
    entries = (
        e for e in pool.global_map if e.globals.first <= scene.asked.destination.first <= e.globals.last
    )
    path = next((entry.path for entry in entries), pool.path)
    yield Reason(
        path, f"{asked} is a global address of pool '{pool.name}': the destination becomes {_end(effect)}"
    )


def _timeout(scene: Scene, step: Step, effect: Effect) -> Iterator[Reason]:
    for thing in scene.compiled.table.objects:
        if isinstance(thing, CtTimeout) and thing.name == effect.name:
            yield Reason(step.origin, _lifetime(thing.protocol, dict(thing.policy)))


def _lifetime(protocol: str, seconds: dict[str, int]) -> str:
    said = (f"{word} {seconds[state]} s" for state, word in TIMES.items() if state in seconds)
    return f"timeouts of {protocol}: {', '.join(said)}"


def _events(scene: Scene, step: Step, effect: Effect) -> Iterator[Reason]:
    silent = effect.values == (Range(0, 0),)
    text = "is not reported" if silent else "is reported when it begins and when it ends"
    pool = _pool_named(scene.compiled.site, step)
    yield Reason((*(pool.path if pool else ()), "connection_logging"), f"the connection {text}")


def _log(scene: Scene, step: Step, effect: Effect) -> Iterator[Reason]:
    group = effect.values[1]
    assert isinstance(group, Range)
    text = f"the assignment is logged to NFLOG group {group.first}"
    yield Reason((*step.rule.origin, "connection_logging"), text)


COUNTED = {
    "portlimit_icmp": "icmp sessions",
    "sessions": "sessions of a subscriber",
    "sessions_per_translation": "sessions of one address and port",
}


def _counted(scene: Scene, step: Step, effect: Effect) -> Iterator[Reason]:
    most = effect.values[0]
    if isinstance(most, Range) and step.origin[-1] in COUNTED:
        what = COUNTED[str(step.origin[-1])]
        more = "there are more" if effect.kind == "over" else "there is room"
        yield Reason(step.origin, f"{most.first} {what} are allowed, {more}")


def _helper(scene: Scene, step: Step) -> Iterator[Reason]:
    for effect in step.effects:
        if effect.kind == "ct helper":
            yield Reason(step.origin, f"the kernel's {step.origin[-1]} helper follows the connection")


def _defaults(scene: Scene, step: Step) -> Iterator[Reason]:
    yield from _helper(scene, step)
    yield from _pools(scene, step)


TIMES = {
    "syn_sent": "opening",
    "established": "open",
    "fin_wait": "closing",
    "close": "after a reset",
    "unreplied": "without an answer",
    "replied": "answered",
}
"""States of a timeout policy that have a value of their own, in plain words."""
POOL_EFFECTS: dict[str, Callable[[Scene, Step, Effect], Iterator[Reason]]] = {
    "goto": _taken,
    "return": _skipped,
    "snat": _translated,
    "dnat": _reached,
    "ct timeout": _timeout,
    "events": _events,
    "log": _log,
    "count": _counted,
    "over": _counted,
}
SPEAKERS: dict[str, Callable[[Scene, Step], Iterator[Reason]]] = {
    "acls": _acl,
    "dnat": _dnat,
    "snat": _snat,
    "pools": _pools,
    "nat_defaults": _defaults,
}


# ---- how it ends


def _ending(scene: Scene) -> Iterator[Reason]:
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
    elif _is_left_alone(scene):
        return
    elif outcome.out == LOCAL:
        yield Reason(("gateway",), "the packet is for the gateway itself: it is not touched")
    elif taken is not None:
        yield Reason(taken.path, f"{range_text(asked.source)} outside keeps its address")
    elif comes_from_outside(scene.compiled, asked):
        if not outcome.dnat:
            text = "what comes from outside to no global address is forwarded as it is"
            yield Reason(("interfaces", "outside"), text)
    elif asked.interface not in _sides(scene.compiled).inside:
        text = f"'{asked.interface}' is not an inside interface: not translated"
        yield Reason(("interfaces", "inside"), text)
    elif outcome.out in interfaces.shared and not leaves_outside(scene.compiled, outcome):
        yield Reason(("interfaces", "inside"), "source and destination are inside: nothing is translated")
    elif outcome.out not in interfaces.outside:
        yield Reason(("interfaces",), f"from '{asked.interface}' to '{outcome.out}' nothing is translated")
    else:
        yield Reason(("pools",), "no pool takes the packet: it is forwarded with its own source")


def _is_left_alone(scene: Scene) -> bool:
    """Whether an snat rule excludes the packet."""
    accepted = (s.origin for s in scene.outcome.steps if any(e.kind == "accept" for e in s.effects))
    return any(origin[:1] == ("snat",) for origin in accepted)


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
        yield Reason(OPTION, f"{_lifetime(protocol, held)}; they are sysctls of the host")
    if pool.keeps_mapping_entries:
        seconds = times.tcp_active if protocol == "tcp" else times.udp
        yield Reason(path, f"the mapping is kept for at least {seconds} s after its last packet")


def _dropped(scene: Scene) -> Reason:
    """The rule that dropped it, by its counter."""
    step = scene.outcome.steps[-1]
    counter = next((effect.name for effect in step.effects if effect.kind == "counter"), None)
    pool = _pool_named(scene.compiled.site, step)
    if pool is not None and counter == names.dropped(pool.name):
        if not pool.hairpin and not leaves_outside(scene.compiled, scene.outcome):
            return Reason(
                (*pool.path, "hairpin"), f"hairpin is off in pool '{pool.name}': the packet is dropped"
            )
        return Reason(pool.path, f"pool '{pool.name}' has nothing for {scene.source}: the packet is dropped")
    reason = None if counter is None else drop_reason(counter)
    return Reason(step.origin, "dropped" if reason is None else f"dropped: {reason.text}")


def comes_from_outside(compiled: Compiled, asked: Packet) -> bool:
    """Whether a packet comes in on an outside interface and, on a one-armed gateway, not from inside."""
    known = asked.interface in compiled.site.interfaces.outside
    return known and not _sides(compiled).is_inside(str(asked.interface), asked.source.first)


def leaves_outside(compiled: Compiled, outcome: Outcome) -> bool:
    """The same of where it goes."""
    known = outcome.out in compiled.site.interfaces.outside
    return known and not _sides(compiled).is_inside(str(outcome.out), outcome.packet.destination.first)


def _sides(compiled: Compiled) -> GatewaySides:
    return sides(compiled.site)


def _end(effect: Effect) -> str:
    """Address and port as a statement left them; a port that may be any is not said."""
    address, port = effect.values
    if not isinstance(address, Range) or not isinstance(port, Range):
        return ""
    return range_text(address) + _port(effect, ":")


def _port(effect: Effect, before: str = ", port ") -> str:
    """', port 80', or nothing where it may be any."""
    _, port = effect.values
    said = isinstance(port, Range) and port.size <= 65535 and port != Range(0, 0)
    return f"{before}{port_text(port)}" if said and isinstance(port, Range) else ""
