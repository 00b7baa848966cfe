"""What a rule of the ruleset says as a line of the site: which line decided, and what.

SPEAKERS has the function for each part of a site; POOL_EFFECTS for each statement of a pool's rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nfcompile.diagnostics import Path
from nfcompile.emit import CtTimeout
from nfcompile.lower import names
from nfcompile.model.ranges import Range, port_text, range_text
from nfcompile.model.site import AclRule, Pool
from nfcompile.verify.boxes import has
from nfcompile.verify.chosen_values import INTERFACE_ADDRESS
from nfcompile.verify.explain.scene import PORTED, Reason, Scene, block_is_open, pool_named, static_entry
from nfcompile.verify.walk import Effect, Step

NEXT = "the next pool is asked"


def silent(scene: Scene, step: Step) -> Iterator[Reason]:
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
        yield Reason(rule.path, denied(pool, rule.number))


def _acl_backwards(scene: Scene, step: Step) -> Iterator[Reason]:
    """The ACL of the pool that leads to a subscriber; its `src` is the subscriber."""
    pool = next(one for one in scene.compiled.site.active_pools if one.name == step.chain.owner)
    assert pool.acl is not None
    rule = _line(pool.acl.rules, step.origin, scene.outcome.packet.destination)
    does = "lets the remote side in" if rule.allow else "keeps the remote side out"
    yield Reason(rule.path, f"acl '{pool.acl.name}' rule {rule.number} {does}")


def acl_of_untranslated(scene: Scene, step: Step) -> Iterator[Reason]:
    """The ACL of a pool that translates some packets of a subscriber: this is one, or what would be answered
    with one."""
    pool = next((one for one in scene.compiled.site.active_pools if one.name == step.chain.owner), None)
    if pool is None or pool.acl is None or any(effect.kind == "return" for effect in step.effects):
        return
    subscriber, peer = scene.asked.destination, scene.asked.source
    if step.chain.word == names.PARTLY_LEAK.word:
        subscriber, peer = peer, subscriber
    said = f"pool '{pool.name}' translates what {range_text(subscriber)} sends to {range_text(peer)}"
    if step.origin[:1] == ("acls",):
        rule = _line(pool.acl.rules, step.origin, subscriber)
        yield Reason(rule.path, f"acl '{pool.acl.name}' rule {rule.number}: {said}")
    else:
        yield Reason(pool.path, said)


def denied(pool: Pool, number: int) -> str:
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
        yield Reason(step.origin, not_subscribed(scene))


def not_subscribed(scene: Scene) -> str:
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


def _reached(scene: Scene, step: Step, effect: Effect) -> Iterator[Reason]:
    pool = pool_named(scene.compiled.site, step)
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
            yield Reason(step.origin, lifetime(thing.protocol, dict(thing.policy)))


def lifetime(protocol: str, seconds: dict[str, int]) -> str:
    said = (f"{word} {seconds[state]} s" for state, word in TIMES.items() if state in seconds)
    return f"timeouts of {protocol}: {', '.join(said)}"


def _events(scene: Scene, step: Step, effect: Effect) -> Iterator[Reason]:
    silent = effect.values == (Range(0, 0),)
    text = "is not reported" if silent else "is reported when it begins and when it ends"
    pool = pool_named(scene.compiled.site, step)
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
