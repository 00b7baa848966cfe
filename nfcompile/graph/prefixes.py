"""The way of a packet of IPv6 through the npt pools, outwards and inwards."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.graph.boxes import Decision, Direction, WayBox, few
from nfcompile.model.npt import NptPool, PrefixPair, prefix6_text
from nfcompile.model.site import Site


def prefix_directions(site: Site, inside: WayBox, outside: WayBox) -> tuple[Direction, ...]:
    """Both directions; none where no npt pool is enabled."""
    pools = sorted((pool for pool in site.npt if pool.enable), key=lambda pool: pool.priority)
    if not pools:
        return ()
    as_it_is = WayBox("nothing fits", ("forwarded as it is",), "untouched")
    outwards = tuple(_outward(pool) for pool in pools)
    inwards = (*_answers(pools), *(_inward(pool) for pool in pools))
    return (
        Direction("an IPv6 packet from inside", inside, outwards, as_it_is, True, outside),
        Direction("an IPv6 packet from outside", outside, inwards, as_it_is, True, inside),
    )


def _outward(pool: NptPool) -> Decision:
    lines = few(f"from {prefix6_text(pair.local)}" for pair in pool.pairs)
    exit_ = WayBox(
        "another prefix, the same host bits", (*few(map(_pair, pool.pairs)), *_terms(pool)), "translated"
    )
    return Decision(WayBox(_title(pool), lines), exit_, "fits", "none fits")


def _inward(pool: NptPool) -> Decision:
    lines = few(f"to {prefix6_text(pair.globals)}" for pair in pool.pairs)
    return Decision(
        WayBox(_title(pool), lines), WayBox("its local address", kind="translated"), "fits", "none fits"
    )


def _answers(pools: list[NptPool]) -> Iterator[Decision]:
    if any(not pool.stateless for pool in pools):
        box, exit_ = WayBox("belongs to an open session"), WayBox("back to who opened it", kind="translated")
        yield Decision(box, exit_, "yes", "no")


def _title(pool: NptPool) -> str:
    return f"pool {pool.name} (npt, priority {pool.priority})"


def _pair(pair: PrefixPair) -> str:
    return f"{prefix6_text(pair.local)} to {prefix6_text(pair.globals)}"


def _terms(pool: NptPool) -> Iterator[str]:
    if pool.stateless:
        yield "stateless: every packet by itself"
    if pool.hairpin:
        yield "hairpin on"
