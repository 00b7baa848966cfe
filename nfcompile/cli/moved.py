"""Moving subscribers as text and as JSON: one line, or one object, for each run of subscribers."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.allocation.moves import Binding, Forgotten, Move, Moves, subscriber_count
from nfcompile.cli.table import listed
from nfcompile.model.ranges import range_text

SHOWN_MOST = 20
"""Runs that the text form lists of each kind; the JSON form has all."""


def moves_data(found: Moves) -> dict[str, object]:
    """Counts of different subscribers, and `moved`, `new` and `gone` run by run."""
    named = found._asdict().items()
    counts = {word: subscriber_count(runs) for word, runs in named}
    return {"subscribers": counts, **{word: [_move_data(one) for one in runs] for word, runs in named}}


def forgotten_data(one: Forgotten) -> dict[str, object]:
    return {"pool": one.pool, "why": one.why, "kept": [range_text(run) for run in one.kept]}


def moves_text(found: Moves) -> Iterator[str]:
    """A line of counts, and the first runs of each kind in columns."""
    counts = ", ".join(f"{subscriber_count(runs)} {word}" for word, runs in found._asdict().items())
    yield f"subscribers: {counts}"
    for word, runs in found._asdict().items():
        if runs:
            yield from listed([_row(word, one) for one in runs[:SHOWN_MOST]])
        if len(runs) > SHOWN_MOST:
            yield f"  ... and {len(runs) - SHOWN_MOST} runs more; --format json has all"


def _move_data(one: Move) -> dict[str, object]:
    return {
        "pool": one.pool,
        "subscribers": subscribers_text(one),
        "count": one.subscribers.size,
        "from": _binding_data(one.before),
        "to": _binding_data(one.after),
    }


def _binding_data(binding: Binding | None) -> dict[str, object] | None:
    if binding is None:
        return None
    first, last = _block(binding)
    return {
        "pool": binding.pool,
        "global_ip": range_text(binding.global_ip),
        "port_first": first,
        "port_last": last,
        "ports": [{"first": a, "last": b, "protocols": words} for a, b, words in binding.ports],
    }


def _block(binding: Binding) -> tuple[int | None, int | None]:
    """The ports of the block, those of the protocol with the most; None where there are none."""
    if not binding.ports:
        return None, None
    first = binding.ports[0][0]
    return first, max(end for start, end, _ in binding.ports if start == first)


def _row(word: str, one: Move) -> tuple[str, ...]:
    before, after = one.before, one.after
    other_pool = before is not None and after is not None and before.pool != after.pool
    old, new = (binding and binding_text(binding, other_pool) for binding in (before, after))
    arrow = " -> ".join(side for side in (old, new) if side)
    return f"  {word}", one.pool, subscribers_text(one), arrow


def binding_text(binding: Binding, with_pool: bool) -> str:
    """Pool, where it is asked for, addresses and ports."""
    spelled = [range_text(binding.global_ip)]
    if binding.ports:
        spelled.append(", ".join(_ports_text(binding)))
    return " ".join([*([binding.pool] if with_pool else []), *spelled])


def _ports_text(binding: Binding) -> Iterator[str]:
    several = len(binding.ports) > 1
    for first, last, words in binding.ports:
        yield f"{first}-{last} ({words})" if several else f"{first}-{last}"


def subscribers_text(one: Move) -> str:
    """The subscribers of a run, with their VLAN."""
    return range_text(one.subscribers) + ("" if one.vid is None else f"~{one.vid}")
