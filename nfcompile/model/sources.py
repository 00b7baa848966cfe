"""Sources that a site names: with `strict_sources: on` no others leave through an outside interface."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.model.ranges import Range, intersect, union
from nfcompile.model.site import Pool, Site


def named_sources(site: Site) -> tuple[Range, ...]:
    """Every source that an enabled pool, its ACL, or `src_cidr` of a rule names, joined."""
    return union([*(one for pool in site.active_pools for one in _of_pool(pool)), *_of_rules(site)])


def own_sources(site: Site) -> tuple[Range, ...]:
    """Global addresses of the gateway that no pool has: those of snat rules, and `secondary_ips`."""
    rules = [rule.snat_ip for rule in site.snat if rule.snat_ip is not None]
    return union([*rules, *site.gateway.secondary_ips])


def _of_pool(pool: Pool) -> Iterator[Range]:
    yield from (entry.local for entry in pool.global_map)
    sources = [rule.source for rule in pool.acl.rules] if pool.acl else []
    yield from sources if pool.subscribers is None else intersect(sources, pool.subscribers)


def _of_rules(site: Site) -> Iterator[Range]:
    for rule in site.rules:
        if rule.match.src_cidr is not None and not rule.match.src_cidr.negated:
            yield from rule.match.src_cidr.values
