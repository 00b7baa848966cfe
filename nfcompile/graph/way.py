"""The way of a session's first packet, outwards and inwards: steps that are asked one after the other.

Each step either decides, and the packet takes its exit, or hands on to the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.graph.boxes import LINES_MOST, Decision, Direction, WayBox, few
from nfcompile.graph.prefixes import prefix_directions
from nfcompile.graph.spelling import acl_rule, dnat_rule, pair, snat_rule, snat_target
from nfcompile.model.ranges import range_text
from nfcompile.model.rules import DnatRule
from nfcompile.model.site import Site
from nfcompile.model.vlans import tagged_addresses


class Way(NamedTuple):
    """Both directions of one gateway, under its label; with npt pools both of IPv6, too."""

    title: str
    flows: tuple[Direction, ...]


def way(site: Site, allocations: Sequence[PoolAllocation]) -> Way:
    """Draw up a site that analysis has accepted."""
    of_ipv6 = prefix_directions(site, _inside(site), _outside(site))
    return Way(
        site.name or "nfcompile", (_outwards(site, allocations), _inwards(site, allocations), *of_ipv6)
    )


def _outwards(site: Site, allocations: Sequence[PoolAllocation]) -> Direction:
    steps = [
        *_gate(site),
        *_dnat("dnat: first rule that fits", [r for r in site.dnat if _from_inside(site, r)]),
        *_snat(site),
    ]
    steps += (_pool(allocation) for allocation in allocations)
    end = WayBox("nothing fits", ("leaves with its own address",), "leaks")
    return Direction("a session from inside", _inside(site), tuple(steps), end, True, _outside(site))


def _inwards(site: Site, allocations: Sequence[PoolAllocation]) -> Direction:
    answers = WayBox("belongs to an open session")
    steps = [Decision(answers, WayBox("back to who opened it", kind="translated"), "yes", "no")]
    steps += _gate(site)
    steps += _dnat("dnat: first rule that fits", [r for r in site.dnat if _from_outside(site, r)])
    for allocation in allocations:
        steps += _from_any(allocation)
    end = untouched = WayBox("untranslated", kind="untouched")
    owned = any(allocation.pool.translates for allocation in allocations)
    if owned:
        steps.append(Decision(WayBox("to no global address of a pool"), untouched, "yes", "no"))
        end = WayBox("unsolicited", ("dropped and counted",), "dropped")
    return Direction("a packet from outside", _outside(site), tuple(steps), end, not owned, _inside(site))


def _inside(site: Site) -> WayBox:
    """Interfaces that VLANs are named by count as inside."""
    used = {tagged.vid for pool in site.active_pools for tagged in tagged_addresses(pool)}
    vlans = (site.interfaces.vlan(vid) for vid in sorted(used))
    return WayBox("inside", few(dict.fromkeys((*site.interfaces.inside, *vlans))), "side")


def _outside(site: Site) -> WayBox:
    return WayBox("outside", few(site.interfaces.outside), "side")


def _from_inside(site: Site, rule: DnatRule) -> bool:
    return not _from_outside(site, rule) or bool(site.interfaces.shared)


def _from_outside(site: Site, rule: DnatRule) -> bool:
    """Whether a rule is for what comes in there; one without interfaces is for the inside."""
    if not rule.match.names_interfaces:
        return False
    return bool(set(site.interfaces.outside).intersection(rule.match.interfaces(site.interfaces.inside)))


def _dnat(title: str, rules: Sequence[DnatRule]) -> Iterator[Decision]:
    if rules:
        yield Decision(WayBox(title, few(dnat_rule(rule) for rule in rules), "rules"))


def _gate(site: Site) -> Iterator[Decision]:
    if site.pair is not None:
        yield Decision(
            WayBox(f"gate of pair {site.pair.name}", ("open on the master; a standby drops here",))
        )


def _snat(site: Site) -> Iterator[Decision]:
    if site.snat:
        box = WayBox("snat: first rule that fits", few(snat_rule(rule) for rule in site.snat), "rules")
        addresses = few(dict.fromkeys(snat_target(rule) for rule in site.snat))
        yield Decision(box, WayBox("customized SNAT", addresses, "translated"), "fits", "none fits")


def _pool(allocation: PoolAllocation) -> Decision:
    pool = allocation.pool
    title = f"pool {pool.name} ({pool.type}, priority {pool.priority})"
    lines = list(map(acl_rule, pool.acl.rules)) if pool.acl else []
    if pool.is_static:
        sources = [range_text(e.local) + (f"~{e.vid}" if e.vid is not None else "") for e in pool.global_map]
        lines += [f"allow {source}" for source in sources]
    if pool.subscribers is not None:
        lines.append(f"only {', '.join(map(range_text, pool.subscribers[:LINES_MOST]))}")
    return Decision(WayBox(title, few(lines)), _served(allocation), "allow", "deny or no hit")


def _served(allocation: PoolAllocation) -> WayBox:
    pool = allocation.pool
    if not pool.translates:
        return WayBox("untranslated", ("the pool lets it pass",), "untouched")
    hairpin = ("hairpin on",) if pool.hairpin else ()
    if pool.is_static:
        return WayBox("a fixed address each", (*few(map(pair, pool.global_map)), *hairpin), "translated")
    addresses = few(map(range_text, pool.global_ip))
    return WayBox(_share(allocation), (*addresses, *_terms(allocation), *hairpin), "translated")


def _share(allocation: PoolAllocation) -> str:
    """What a subscriber gets."""
    pool, size = allocation.pool, allocation.stock.block_size
    if not pool.shares_addresses:
        return "a whole address each" + (", on demand" if pool.is_dynamic else "")
    if pool.is_deterministic:
        return f"{size} ports each"
    more = f", up to {allocation.blocks_each} blocks" if allocation.blocks_each > 1 else ""
    return f"{size} ports each on demand{more}"


def _terms(allocation: PoolAllocation) -> Iterator[str]:
    """How many share, and what happens at the limit."""
    pool, stock = allocation.pool, allocation.stock
    if not allocation.unbounded:
        yield f"{allocation.demand} subscribers on {stock.addresses} addresses"
    if pool.shares_addresses:
        yield f"{stock.blocks_per_address} blocks an address"
    if pool.is_dynamic:
        yield "nothing free: dropped and counted"
    elif pool.shares_addresses:
        yield "block exhausted: dropped and counted"


INDEPENDENT = "filtering: endpoint independent"


def _from_any(allocation: PoolAllocation) -> Iterator[Decision]:
    """What the outside may open to a pool's global addresses."""
    pool = allocation.pool
    if pool.opens_to_outside and not pool.shares_addresses:
        box = WayBox(f"to a subscriber's address of pool {pool.name}")
        yield Decision(box, WayBox("its subscriber", kind="translated"), "yes", "no")
    if pool.leads_inbound:
        box = WayBox(f"to a subscriber's block in pool {pool.name}", ("inbound: subscriber",))
        yield Decision(box, WayBox("its subscriber", kind="translated"), "yes", "no")
    elif pool.opens_to_outside and pool.shares_addresses:
        opened = pool.filtering != "endpoint_independent"
        what, why = ("an opened port", "port_forwarding") if opened else ("a port in use", INDEPENDENT)
        box = WayBox(f"to {what} in pool {pool.name}", (why,))
        yield Decision(box, WayBox("its subscriber", kind="translated"), "yes", "no")
