"""`nfcompile lookup`: who has that global address and port, or which block a subscriber has."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from nfcompile.cli import outcome
from nfcompile.cli.guard import OK, REFUSED, UsageProblem

if TYPE_CHECKING:
    from nfcompile.allocation.lookup import Answer

_ASKED = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?", re.ASCII)


def run(
    site: str,
    asked: str,
    *,
    protocol: str | None = None,
    format: str = "text",
    quiet: bool = False,
    color: bool = True,
) -> int:
    """Answer from the allocation that `build` makes of SITE; exit status 1 when nobody has it."""
    from nfcompile.allocation import lookup

    address, port = question(asked)
    result = outcome.compiled(site)
    if result.compiled is None:
        outcome.tell(result, quiet, color)
        return REFUSED
    found = lookup.lookups(result.compiled.allocations, address, port, protocol)
    if format == "json":
        first, *others = [one._asdict() for one in found or [lookup.NOBODY]]
        print(json.dumps(first | {"also": others}))
    elif found:
        print("\n\n".join(text(one) for one in found))
    else:
        print(f"{result.document.name}: nobody has {asked}", file=sys.stderr)
    return OK if found else REFUSED


def question(asked: str) -> tuple[int, int | None]:
    """Read ADDR[:PORT].

    >>> question("0.0.1.2:80")
    (258, 80)
    """
    match = _ASKED.fullmatch(asked)
    octets = [int(octet) for octet in match[1].split(".")] if match else []
    port = int(match[2]) if match and match[2] else None
    if not match or max(octets) > 255 or (port is not None and not 1 <= port <= 65535):
        raise UsageProblem(f"'{asked}' is not an address, or an address:port")
    return int.from_bytes(octets, "big"), port


def text(found: Answer) -> str:
    """One binding for people."""
    rows = [("pool", found.pool), ("subscriber", found.subscriber)]
    if found.global_ip is not None:
        rows.append(("global address", found.global_ip))
    if found.port_first is not None:
        rows.append(("ports", f"{found.port_first}-{found.port_last}"))
    rows.append(("action", found.action))
    return "\n".join(f"{word + ':':<16}{value}" for word, value in rows)
