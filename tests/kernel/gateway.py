"""A site brought into the lab's gateway as `apply` does it, and what is in its table afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable

from lab import GATEWAY, Lab
from table import site

from nfcompile.kernel import apply, conntrack, nft
from nfcompile.kernel.apply import Result
from nfcompile.kernel.conntrack import Flow
from nfcompile.kernel.objects import things
from nfcompile.live.continuity import Continuity

_LIFE = re.compile(r"expires (?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?")


def empty(lab: Lab) -> None:
    """No table, no connection."""
    lab.must("nft", "flush", "ruleset")
    lab.forget()


def bring(lab: Lab, text: str) -> Result:
    """Apply a site."""
    return lab.ask(GATEWAY, bring_here, text)  # type: ignore[no-any-return]


def bring_here(text: str) -> Result:
    """Apply a site in the namespace of this process, which ends as many sessions as was said before."""
    compiled = site(text)
    asked = compiled.text.text, compiled.text.origin, None, Continuity(compiled)
    foretold = apply.survey(*asked)
    result = apply.bring(*asked)
    assert result.flushed == foretold.sessions
    return result


def elements(lab: Lab, thing: str) -> dict[str, str]:
    """The elements of a set or map ('map m') and what stands beside their keys, as nft lists them."""
    found = things(lab.must("nft", "list", *thing.split()[:1], "ip", "nfcompile", thing.split()[1]))
    return dict(
        one.partition(" ")[::2] if " . " not in one else _concatenated(one) for one in found[thing].elements
    )


def _concatenated(element: str) -> tuple[str, str]:
    address, _, port, rest = element.split(" ", 3)
    return f"{address} . {port}", rest


def left(element: str) -> float:
    """How many seconds of its life an element has."""
    found = _LIFE.search(element)
    assert found, element
    days, hours, minutes, seconds, parts = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + parts / 1000


def listing(lab: Lab) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Our table's objects without what packets wrote."""
    return lab.ask(GATEWAY, listing_here)  # type: ignore[no-any-return]


def listing_here() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """The same in the namespace of this process."""
    return {
        key: (one.lines, () if one.runtime else one.elements)
        for key, one in things(nft.listing() or "").items()
    }


def flows(lab: Lab) -> list[Flow]:
    """The gateway's connections, IPv4."""
    return lab.ask(GATEWAY, _flows)  # type: ignore[no-any-return]


def _flows() -> list[Flow]:
    return list(conntrack.flows())


def in_gateway(lab: Lab, work: Callable[..., object], *arguments: object) -> object:
    """Do something in the gateway's namespace."""
    return lab.ask(GATEWAY, work, *arguments)
