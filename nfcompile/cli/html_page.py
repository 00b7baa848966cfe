"""Pages for a code review: one static file each, without a script, a font or a picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nfcompile.allocation.capacity import Plan
from nfcompile.allocation.moves import Move, Moves, subscriber_count
from nfcompile.cli.comparison import Side
from nfcompile.cli.fill_map import fill_map
from nfcompile.deploy.comparison import Comparison
from nfcompile.diagnostics import dotted

if TYPE_CHECKING:
    from nfcompile.allocation.pools import PoolAllocation
    from nfcompile.pipeline import Compiled

RUNS_MOST = 500
LINES_MOST = 5000
SIGNS = {"added": "+", "changed": "~", "removed": "-"}


def diff_page(found: Comparison, before: Side | None, after: Side) -> str:
    """What a change does. Without `before` the site of the kernel's table is not known."""
    moves = found.moves or Moves((), (), ())
    runs = [(word, one) for word, several in moves._asdict().items() for one in several]
    cards = [(word, f"{subscriber_count(several):,}") for word, several in moves._asdict().items()]
    if found.sessions is not None:
        cards.append(("sessions end", f"{found.sessions:,}"))
    cards += [(f"objects {word}", str(len(keys))) for word, keys in found.objects._asdict().items()]
    sides = [one for one in (before, after) if one is not None]
    return _page(
        "diff",
        title=f"What changes with {after.name}",
        before=found.against,
        after=after.name,
        differs=found.differs,
        cards=cards,
        moves_known=found.moves is not None,
        rows=[_run(word, one) for word, one in runs[:RUNS_MOST]],
        more=max(0, len(runs) - RUNS_MOST),
        dynamic=[f"Dynamic pool {one.pool}: {one.why}" for one in found.forgotten],
        capacity=_capacities(before, after),
        objects=[
            (SIGNS[word], key, dotted(found.paths.get(key, ())))
            for word, keys in found.objects._asdict().items()
            for key in keys
        ],
        lines=found.lines[:LINES_MOST],
        lines_left=max(0, len(found.lines) - LINES_MOST),
        ways=[(one.name, _picture(one.compiled, f"arrow{at}")) for at, one in enumerate(sides)],
    )


def plan_page(name: str, columns: Sequence[str], made: Sequence[PlannedPool]) -> str:
    """How full the pools of a site are."""
    shown = [
        {"name": one.plan.pool, "lines": one.lines, "map": one.allocation and fill_map(one.allocation)}
        for one in made
    ]
    return _page(
        "plan",
        title=f"Allocation of {name}",
        site=name,
        columns=[(word.removeprefix(">"), word.startswith(">")) for word in columns],
        rows=[one.row for one in made],
        pools=[one for one in shown if one["lines"] or one["map"]],
    )


class PlannedPool(NamedTuple):
    """A pool, its row and the sentences below the table."""

    allocation: PoolAllocation | None
    plan: Plan
    row: tuple[str, ...]
    lines: tuple[str, ...]


def _page(name: str, **fields: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parents[1] / "templates/html"
    pages = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template(f"{name}.html.j2").render(**fields)


def _run(word: str, one: Move) -> dict[str, str]:
    from nfcompile.cli.moved import binding_text, subscribers_text

    return {
        "word": word,
        "pool": one.pool,
        "subscribers": subscribers_text(one),
        "number": f"{one.subscribers.size:,}",
        "before": binding_text(one.before, with_pool=False) if one.before else "",
        "after": binding_text(one.after, with_pool=False) if one.after else "",
    }


def _capacities(before: Side | None, after: Side) -> list[tuple[str, ...]]:
    """A row for each pool, with what it was before where that differs."""
    old = {} if before is None else _plans(before.compiled)
    new = _plans(after.compiled)
    rows = []
    for name in dict.fromkeys((*new, *old)):
        cells = [_figures(plans.get(name)) for plans in (old, new)]
        known = before is not None
        rows.append((name, *(_change(a, b) if known else b for a, b in zip(*cells, strict=True))))
    return rows


def _plans(compiled: Compiled) -> dict[str, Plan]:
    from nfcompile.allocation.capacity import plan

    return {one.pool.name: plan(one, one.pool.port_block_size) for one in compiled.allocations}


def _figures(one: Plan | None) -> tuple[str, ...]:
    if one is None:
        return ("",) * 6
    numbers = one.subscribers, one.addresses or None, one.ports_each, one.per_address, one.capacity, one.free
    return tuple("" if number is None else f"{number:,}" for number in numbers)


def _change(old: str, new: str) -> str:
    return new if old == new else f"{old or 'none'} \N{RIGHTWARDS ARROW} {new or 'none'}"


def _picture(compiled: Compiled, arrow: str) -> str:
    """The graph without its XML declaration, with a name of its own for its arrow; its texts are escaped."""
    from nfcompile.graph.svg import svg
    from nfcompile.graph.way import way

    drawn = svg(way(compiled.site, compiled.allocations)).partition("\n")[2]
    return drawn.replace('id="arrow"', f'id="{arrow}"').replace("url(#arrow)", f"url(#{arrow})")
