"""`nfcompile plan`: how full each pool is, what is wasted, and what other block sizes would need."""

from __future__ import annotations

import json
from collections.abc import Iterator

from nfcompile import pipeline
from nfcompile.allocation.capacity import RECOMMENDED_PORTS, Plan, Resize, plan
from nfcompile.cli import outcome
from nfcompile.cli.columns import show
from nfcompile.cli.guard import OK, REFUSED, UsageProblem
from nfcompile.cli.outcome import Outcome
from nfcompile.diagnostics import SiteError

TOO_SMALL = "pool-capacity"
"""The one error that a plan is made of in spite of it: what is missing is what it is asked for."""
HEAD = ("pool", "type", "subscribers", "addresses", "ports", "per address", "capacity", "used", "free")


def run(
    site: str,
    *,
    growth: float | None = None,
    format: str = "text",
    quiet: bool = False,
    color: bool = True,
) -> int:
    """Plan the enabled pools of SITE in packet order; `growth` is in percent of subscribers a month."""
    if growth is not None and not 0 < growth <= 1000:
        raise UsageProblem(f"--growth is a percentage a month above 0 and up to 1000, not {growth:g}")
    result, plans = _planned(outcome.parsed(site), growth)
    refused = any(one.severity == "error" for one in result.diagnostics)
    if format == "json":
        print(json.dumps(_as_data(result, plans), indent=2))
    else:
        outcome.tell(result, quiet, color)
        if plans:
            _tell(plans, color)
        elif not refused:
            print(f"{result.document.name}: no pool is enabled")
    return REFUSED if refused else OK


def _planned(read: Outcome, growth: float | None) -> tuple[Outcome, tuple[Plan, ...]]:
    """The plans; none where the site has faults that leave nothing to count."""
    if read.diagnostics:
        return read, ()
    try:
        finding = pipeline.check(read.document)
    except SiteError as error:
        return read.refused(error.diagnostics), ()
    result = read.refused(tuple(finding.diagnostics))
    if any(one.severity == "error" and one.code != TOO_SMALL for one in finding.diagnostics):
        return result, ()
    site, allocations = finding.checked
    return result, tuple(
        plan(allocation, site.defaults.port_block_size, growth) for allocation in allocations
    )


def _as_data(result: Outcome, plans: tuple[Plan, ...]) -> dict[str, object]:
    return {"pools": [_plan_data(one) for one in plans], "diagnostics": outcome.as_data(result)}


def _plan_data(one: Plan) -> dict[str, object]:
    sizes = {
        "largest": one.largest and one.largest._asdict(),
        "larger": [size._asdict() for size in one.larger],
    }
    return {**one._asdict(), "free": one.free, **sizes}


def _tell(plans: tuple[Plan, ...], color: bool) -> None:
    show(HEAD, [_row(one) for one in plans], numbers=2, color=color)
    lines = [f"{one.pool}: {line}" for one in plans for line in _sentences(one)]
    if lines:
        print("", *lines, sep="\n")


def _row(one: Plan) -> tuple[str, ...]:
    kind = f"{one.type} dynamic" if one.allocation == "dynamic" else one.type
    used = ""
    if one.capacity and one.subscribers is not None and one.allocation != "dynamic":
        used = f"{100 * one.subscribers / one.capacity:.0f}%"
    return (
        one.pool,
        kind,
        "any" if one.subscribers is None else str(one.subscribers),
        str(one.addresses or ""),
        str(one.ports_each or ""),
        *("" if number is None else str(number) for number in (one.per_address, one.capacity)),
        used,
        "" if one.free is None or one.allocation == "dynamic" else str(one.free),
    )


def _sentences(one: Plan) -> Iterator[str]:
    """What the figures mean, a line each."""
    if one.per_address == 0:
        yield f"no block of {one.ports_each} ports fits into the {one.ports} of an address"
    elif one.missing:
        yield f"{_addresses(one.missing)} missing for {-(one.free or 0)} of its subscribers"
    elif one.allocation == "deterministic":
        yield from _room(one)
    if one.left_over and one.per_address:
        share = 100 * one.left_over / (one.ports or 1)
        yield f"{one.left_over} ports of each address ({share:.1f}%) make no whole block"
    if one.allocation == "dynamic" and one.capacity is not None:
        yield f"{one.capacity} subscribers at once with a block each{_at_limit(one)}; the rest is dropped"
    if one.largest and one.ports_each and one.largest.ports_each != one.ports_each:
        yield f"today's subscribers fit with blocks of up to {_sized(one.largest)}"
    for size in one.larger:
        yield f"blocks of {_sized(size)} need {_addresses(size.addresses)}, {_more(size)}"
    if one.ports_each and (advice := _advice(one.ports_each * (one.blocks_most or 1))):
        yield advice


def _room(one: Plan) -> Iterator[str]:
    if one.months is not None:
        yield f"at that growth {_fit(one.months)}"
    if one.addresses_used is not None and one.addresses_used < one.addresses:
        yield f"{_addresses(one.addresses - one.addresses_used)} not used at all"
    if one.free == 0:
        yield "full: one more subscriber needs one more address"
    elif one.free and one.per_address and one.per_address > 1:
        yield f"{one.free} more subscribers fit; beyond that an address for every {one.per_address}"


def _fit(months: int) -> str:
    if months == 0:
        return "the pool runs out within a month"
    return f"all fit for {months} {'month' if months == 1 else 'months'}, then the pool runs out"


def _at_limit(one: Plan) -> str:
    if one.blocks_most is None or one.blocks_most < 2:
        return ""
    return f", {one.capacity_at_limit} if each takes all {one.blocks_most}"


def _sized(size: Resize) -> str:
    return f"{size.ports_each} ports ({size.per_address} an address)"


def _more(size: Resize) -> str:
    if size.more > 0:
        return f"{size.more} more than there are"
    return f"{-size.more} fewer than there are" if size.more else "as many as there are"


def _advice(ports: int) -> str:
    least, most = RECOMMENDED_PORTS
    if ports < least:
        return f"{ports} ports a subscriber are fewer than the {least}-{most} that EcoNAT's manual recommends"
    if ports > most:
        return f"{ports} ports a subscriber are more than the {least}-{most} that EcoNAT's manual recommends"
    return ""


def _addresses(count: int) -> str:
    return "1 address" if count == 1 else f"{count} addresses"
