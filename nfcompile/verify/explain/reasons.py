"""The steps of a walk as an operator reads them: which line of the site decided, and what.

Rules that only lead from one chain to another, and the bookkeeping of mapping entries, say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.emit import Name
from nfcompile.lower import names
from nfcompile.model.site import Pool, Site
from nfcompile.pipeline import Compiled
from nfcompile.verify.boxes import has
from nfcompile.verify.explain.deciding import (
    NEXT,
    SPEAKERS,
    acl_of_untranslated,
    denied,
    not_subscribed,
    silent,
)
from nfcompile.verify.explain.ending import ending
from nfcompile.verify.explain.scene import Reason, Scene, is_left_alone, leaves_outside, pool_named, pool_of
from nfcompile.verify.reference_rules import hits
from nfcompile.verify.walk import Outcome, Packet, Step

PARTLY = (names.PARTLY_CLOSED.word, names.PARTLY_LEAK.word)
LISTS = {names.DNAT_RULES: "dnat", names.SNAT_RULES: "snat"}


def reasons(compiled: Compiled, asked: Packet, outcome: Outcome) -> Iterator[Reason]:
    """Every line of the site that had a say, in the order in which the packet met them."""
    scene = Scene(compiled, asked, outcome, None)
    waiting = [one.pool for one in compiled.allocations] if is_flat_site(compiled) else []
    for at, step in enumerate(outcome.steps):
        if step.chain.word in PARTLY:
            yield from acl_of_untranslated(scene, step)
            continue
        entered = _entered(step)
        asked_now = _pool_asked(compiled.site, step)
        if asked_now or scene.pool is None:
            scene = scene._replace(pool=asked_now or pool_named(compiled.site, step))
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
        yield from SPEAKERS.get(str(step.origin[0]) if step.origin else "", silent)(scene, step)
    left = outcome.verdict == "accept" and not outcome.snat and not is_left_alone(scene)
    if left and leaves_outside(compiled, outcome):
        yield from (_passed_over(scene, pool) for pool in waiting if pool_of(compiled.site, outcome) is None)
    yield from ending(scene)


def is_flat_site(compiled: Compiled) -> bool:
    """Whether the ruleset looks the pool up by source, so that pools which cannot accept it are not asked."""
    return any(one.name == names.BY_SOURCE for one in compiled.table.objects)


def _passed_over(scene: Scene, pool: Pool) -> Reason:
    """Why a pool was not asked: its ACL, read as it stands in the site."""
    site, there = scene.compiled.site, scene.outcome.packet
    probe = scene.asked._replace(destination=there.destination, destination_port=there.destination_port)
    if pool.subscribers is not None and not any(has(run, probe.source) for run in pool.subscribers):
        return Reason((*pool.path, "subscribers"), not_subscribed(scene))
    for rule in pool.acl.rules if pool.acl else ():
        if hits(site, rule, probe):
            return Reason(rule.path, denied(pool, rule.number))
    return _no_hit(scene._replace(pool=pool), names.pool_chain(pool.name))


def _pool_asked(site: Site, step: Step) -> Pool | None:
    """The pool to whose ACL, or to whose translation, a rule leads."""
    led = (effect.name for effect in step.effects if effect.kind in ("jump", "goto") and effect.name)
    owners = {name.owner for name in led if name.word in ("pool", "translate", "pass")}
    return next((pool for pool in site.active_pools if pool.name in owners), None)


def _entered(step: Step) -> Name | None:
    """The list of rules that a rule leads to: those of dnat or snat, the ACL of a pool, several pools."""
    led = (effect.name for effect in step.effects if effect.kind in ("jump", "goto") and effect.name)
    return next((name for name in led if name in LISTS or name.word in ("pool", names.AMONG)), None)


def _no_hit(scene: Scene, entered: Name) -> Reason:
    if entered in LISTS:
        return Reason((LISTS[entered],), f"no {LISTS[entered]} rule matches")
    pool = scene.pool
    assert pool is not None
    if pool.acl is None:
        return Reason(pool.path, f"pool '{pool.name}': global_map has no {scene.source}; {NEXT}")
    return Reason((*pool.path, "acl"), f"pool '{pool.name}': no rule of acl '{pool.acl.name}' hits; {NEXT}")
