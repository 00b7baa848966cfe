"""`nfcompile plan`: how full each pool is, what is wasted, and what other block sizes would need."""

from __future__ import annotations

import json
from collections.abc import Iterator

from nfcompile import pipeline
from nfcompile.allocation.capacity import RECOMMENDED_PORTS, Plan, Resize, plan
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.cli import files
from nfcompile.cli import site as cli_site
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.cli.table import TableSection, show
from nfcompile.diagnostics import SiteError
from nfcompile.pipeline import Compilation

Planned = tuple[PoolAllocation | None, Plan]
"""A pool of type npt has no allocation: every address inside has one outside."""
OPTIONAL = ("pair", "prefix_pairs")
"""Fields of the JSON form that only some plans have."""
TOO_SMALL = "pool-capacity"
"""The one error with which a plan is made all the same: the plan says what is missing."""
COLUMNS = ("pool", "type", *(f">{name}" for name in ("subscribers", "addresses", "ports", "per address")))
COLUMNS += tuple(f">{name}" for name in ("capacity", "used", "free"))


def run(options: Options) -> int:
    """Plan the enabled pools of SITE in packet order."""
    growth = options.growth
    if growth is not None and not 0 < growth <= 1000:
        raise UsageProblem(f"--growth is a percentage per month above 0 and up to 1000, not {growth:g}")
    result, planned = _planned(cli_site.parsed(options), growth)
    plans = tuple(made for _, made in planned)
    refused = any(one.severity == "error" for one in result.diagnostics)
    if options.html is not None and (plans or not refused):
        from nfcompile.cli.html_page import PlannedPool, plan_page

        pools = [PlannedPool(one, made, _row(made), tuple(_sentences(made))) for one, made in planned]
        files.write(options.html, plan_page(result.document.name, COLUMNS, pools))
    if options.is_json:
        print(json.dumps(_as_data(result, plans), indent=2))
    else:
        cli_site.tell(result, options)
        if plans:
            _tell(plans, options.color)
        elif not refused:
            print(f"{files.printable(options.site)}: no pool is enabled")
    return REFUSED if refused else OK


def _planned(read: Compilation, growth: float | None) -> tuple[Compilation, tuple[Planned, ...]]:
    """The plans; none where the site has errors that leave nothing to count."""
    if read.diagnostics:
        return read, ()
    try:
        finding = pipeline.check(read.document)
    except SiteError as error:
        return read.refused(error.diagnostics), ()
    result = read.refused(tuple(finding.diagnostics))
    if any(one.severity == "error" and one.code != TOO_SMALL for one in finding.diagnostics):
        return result, ()
    found: list[Planned] = []
    for document in pipeline.answering(read.document):
        checked = finding.checked if document is read.document else pipeline.check(document).checked
        node = checked.site.node
        pair = "" if node is None else node.pair or node.name
        found += (
            (one, plan(one, one.pool.port_block_size, growth)._replace(pair=pair))
            for one in checked.allocations
        )
        found += (
            (None, Plan(one.name, "npt", prefix_pairs=len(one.pairs), pair=pair))
            for one in sorted(checked.site.npt, key=lambda one: one.priority)
            if one.enable
        )
    return result, tuple(found)


def _as_data(result: Compilation, plans: tuple[Plan, ...]) -> dict[str, object]:
    return {"pools": [_plan_data(one) for one in plans], "diagnostics": cli_site.as_data(result)}


def _plan_data(one: Plan) -> dict[str, object]:
    sizes = {
        "largest": one.largest and one.largest._asdict(),
        "larger": [size._asdict() for size in one.larger],
    }
    data = {**one._asdict(), "free": one.free, **sizes}
    return {key: value for key, value in data.items() if value or key not in OPTIONAL}


def _name(one: Plan) -> str:
    return f"{one.pool} on {one.pair}" if one.pair else one.pool


def _tell(plans: tuple[Plan, ...], color: bool) -> None:
    show([TableSection(COLUMNS, [_row(one) for one in plans])], color=color)
    lines = [f"{_name(one)}: {line}" for one in plans for line in _sentences(one)]
    if lines:
        print("", *lines, sep="\n")


def _row(one: Plan) -> tuple[str, ...]:
    kind = f"{one.type} dynamic" if one.is_dynamic else one.type
    used = ""
    if one.capacity and one.subscribers is not None and not one.is_dynamic:
        used = f"{100 * one.subscribers / one.capacity:.0f}%"
    return (
        _name(one),
        kind,
        "any" if one.subscribers is None else str(one.subscribers),
        str(one.addresses or ""),
        str(one.ports_each or ""),
        *("" if number is None else str(number) for number in (one.per_address, one.capacity)),
        used,
        "" if one.free is None or one.is_dynamic else str(one.free),
    )


def _sentences(one: Plan) -> Iterator[str]:
    """What the figures mean, a line each."""
    if one.prefix_pairs:
        yield f"{_pairs(one.prefix_pairs)} of IPv6: each address inside has one outside, nothing runs out"
        return
    if one.per_address == 0:
        yield f"no block of {one.ports_each} ports fits into the {one.ports} of an address"
    elif one.missing:
        yield f"{_addresses(one.missing)} missing for {-(one.free or 0)} of its subscribers"
    elif one.is_deterministic:
        yield from _room(one)
    if one.left_over and one.per_address:
        share = 100 * one.left_over / (one.ports or 1)
        yield f"{one.left_over} ports of each address ({share:.1f}%) make no whole block"
    if one.is_dynamic and one.capacity is not None:
        yield f"{one.capacity} subscribers at once with a block each{_at_limit(one)}; others are dropped"
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
        share = f"1 address per {one.per_address} subscribers"
        yield f"room for {one.free} more subscribers; beyond that, {share}"


def _fit(months: int) -> str:
    if months == 0:
        return "the pool runs out within a month"
    return f"all fit for {months} {'month' if months == 1 else 'months'}, then the pool runs out"


def _at_limit(one: Plan) -> str:
    if one.blocks_most is None or one.blocks_most < 2:
        return ""
    return f", {one.capacity_at_limit} if each takes all {one.blocks_most}"


def _sized(size: Resize) -> str:
    return f"{size.ports_each} ports ({size.per_address} per address)"


def _more(size: Resize) -> str:
    if size.more > 0:
        return f"{size.more} more than today"
    return f"{-size.more} fewer than today" if size.more else "as many as today"


def _advice(ports: int) -> str:
    least, most = RECOMMENDED_PORTS
    if ports < least:
        return (
            f"{ports} ports per subscriber are fewer than the {least}-{most} that EcoNAT's manual recommends"
        )
    if ports > most:
        return (
            f"{ports} ports per subscriber are more than the {least}-{most} that EcoNAT's manual recommends"
        )
    return ""


def _pairs(count: int) -> str:
    return "1 pair of prefixes" if count == 1 else f"{count} pairs of prefixes"


def _addresses(count: int) -> str:
    return "1 address" if count == 1 else f"{count} addresses"
