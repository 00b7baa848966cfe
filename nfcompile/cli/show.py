"""`nfcompile show`: the effective values of a pool, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.cli import site
from nfcompile.cli.exit_status import OK, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.cli.table import TableSection, show
from nfcompile.diagnostics import dotted
from nfcompile.model import effective
from nfcompile.model.effective import DEFAULT, UNSET, EffectiveValue
from nfcompile.model.ranges import range_text
from nfcompile.pipeline import Compiled, data_of_node
from nfcompile.report import visible
from nfcompile.source.document import Document
from nfcompile.source.schema import schema

COMPUTED = "computed"
"""Where a value comes from that follows from others."""
SHOWN_ENTRIES = 8
"""So many entries of a list the text form shows; the JSON form has all."""


class ShownPool(NamedTuple):
    """A pool of the site with its values."""

    name: str
    type: str
    enabled: bool
    values: list[EffectiveValue]


def run(options: Options) -> int:
    """Show the values of nat_defaults and all pools of SITE, or those of one pool."""
    compilation, compiled = site.compiled_or_refused(options)
    document = compilation.document
    wanted = options.words[1] if len(options.words) > 1 else None
    gateway = [] if wanted else [*effective.of_gateway(data_of_node(document), schema())]
    pools = [*_pools(document, compiled, wanted)]
    if options.is_json:
        data = {
            "nat_defaults": [_as_data(document, value) for value in gateway],
            "pools": [
                pool._asdict() | {"values": [_as_data(document, value) for value in pool.values]}
                for pool in pools
            ],
            "diagnostics": site.as_data(compilation),
        }
        print(json.dumps(data, indent=2))
        return OK
    sections = [_section(document, "nat_defaults", gateway)] if gateway else []
    sections += [_section(document, f"pools.{pool.name}", pool.values) for pool in pools]
    show(sections, color=options.color)
    return OK


def _pools(document: Document, compiled: Compiled, wanted: str | None) -> Iterator[ShownPool]:
    both = {pool.name: pool.enable for pool in compiled.site.pools}
    both |= {pool.name: pool.enable for pool in compiled.site.npt}
    names = [name for name in data_of_node(document).get("pools") or {} if name in both]
    if wanted is not None and wanted not in names:
        raise UsageProblem(f"no pool is called '{wanted}'; there are: {', '.join(names) or 'none'}")
    allocations = {allocation.pool.name: allocation for allocation in compiled.allocations}
    for name in names:
        if wanted in (None, name):
            values = [*effective.of_pool(data_of_node(document), schema(), name)]
            kind = data_of_node(document)["pools"][name]["type"]
            yield ShownPool(name, kind, both[name], [*_computed(values, allocations.get(name))])


def _computed(values: list[EffectiveValue], allocation: PoolAllocation | None) -> Iterator[EffectiveValue]:
    """The same, with what follows from other values: the subscribers by the ACL, and the blocks."""
    for value in values:
        if value.key == "subscribers" and value.source == UNSET and allocation is not None:
            found = [] if allocation.unbounded else [*map(range_text, allocation.subscribers)]
            yield value._replace(value=found or ["any"], source=COMPUTED)
        else:
            yield value
    if allocation is not None and allocation.stock.ports is not None:
        yield EffectiveValue("ports_per_block", allocation.stock.block_size, COMPUTED)
        yield EffectiveValue("blocks_per_subscriber", allocation.blocks_each, COMPUTED)


def _line(document: Document, value: EffectiveValue) -> int | None:
    place = document.place(value.path, key=True) if value.path else None
    return place.line if place else None


def _as_data(document: Document, value: EffectiveValue) -> dict[str, Any]:
    return {
        "key": value.key,
        "value": value.value,
        "from": value.source,
        "path": dotted(value.path) or None,
        "line": _line(document, value),
    }


def _section(document: Document, title: str, values: list[EffectiveValue]) -> TableSection:
    rows = [(value.key, _spelled(value), _origin(document, value)) for value in values]
    return TableSection((title, "value", "from"), rows)


def _spelled(value: EffectiveValue) -> str:
    found = value.value
    if isinstance(found, bool):
        return "on" if found else "off"
    if isinstance(found, dict):
        found = [f"{key}: {one}" for key, one in found.items()]
    if isinstance(found, list):
        more = f" and {len(found) - SHOWN_ENTRIES} more" if len(found) > SHOWN_ENTRIES else ""
        return (", ".join(map(str, found[:SHOWN_ENTRIES])) or "none") + more
    return "-" if found in (None, "") else str(found)


def _origin(document: Document, value: EffectiveValue) -> str:
    """'site.yaml:12', with the section where that is not the pool's own."""
    line = _line(document, value)
    if line is None:
        return value.source if value.source in (DEFAULT, COMPUTED) else "-"
    section = "" if value.path[0] == "pools" else f" ({dotted(value.path[:1])})"
    return f"{visible(document.name)}:{line}{section}"
