"""The bindings that `nfcompile lookup` has found, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nfcompile.allocation.lookup import Answer


def as_data(found: list[Answer], certain: bool | None = None) -> dict[str, object]:
    """The first answer as one object, the others in `also`; `certain` is of a question with a time."""
    from nfcompile.allocation.lookup import NOBODY

    more = {} if certain is None else {"certain": certain}
    first, *others = [one._asdict() | more for one in found or [NOBODY]]
    return first | {"also": others}


def text(found: Answer) -> str:
    """One binding for people."""
    rows = [("subscriber", found.subscriber)]
    if found.pool is not None:
        rows.insert(0, ("pool", found.pool))
    if found.global_ip is not None:
        rows.append(("global address", found.global_ip))
    if found.port_first is not None:
        rows.append(("ports", f"{found.port_first}-{found.port_last}"))
    rows.append(("action", found.action))
    return "\n".join(f"{word + ':':<16}{value}" for word, value in rows)
