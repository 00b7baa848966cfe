"""A site brought into the lab's gateway as `apply` does it, and what is in its table afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable

from nfcompile.kernel import apply, conntrack, nft
from nfcompile.kernel.apply import LoadResult
from nfcompile.kernel.conntrack import Flow
from nfcompile.kernel.objects import parse_objects
from nfcompile.live.continuity import SiteStatePolicy
from support.lab import Lab
from support.sites import site
from support.wires import GATEWAY

SITE = """
nat_defaults: {port_block_size: 64}
acls: {homes: {10: allow ip 100.64.0.0/24}, office: {10: allow ip 10.9.0.0/24}}
pools:
  servers: {type: static, priority: 1, global_map: {192.168.0.5: 200.0.0.3, 192.168.0.6: 200.0.0.4}}
  homes: {type: cgnat, allocation: dynamic, acl: homes, priority: 3, global_ip: [203.0.113.0/30],
          limits_peruser: {portlimit_tcp: 128, portlimit_udp: 128}}
  office: {type: nat, acl: office, priority: 5, global_ip: [200.0.2.0/29]}
"""
OTHER_SERVER = SITE.replace("200.0.0.4", "200.0.0.9")
_LIFE = re.compile(r"expires (?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?")


def empty(lab: Lab) -> None:
    """No table, no connection."""
    lab.must("nft", "flush", "ruleset")
    lab.forget()


def bring(lab: Lab, text: str) -> LoadResult:
    """Apply a site."""
    return lab.ask(GATEWAY, bring_here, text)  # type: ignore[no-any-return]


def bring_here(text: str) -> LoadResult:
    """Apply a site in the namespace of this process, which ends as many sessions as was said before."""
    compiled = site(text)
    asked = compiled.text.text, compiled.text.origin, None, SiteStatePolicy(compiled)
    foretold = apply.preview(*asked)
    result = apply.load_difference(*asked)
    assert result.flushed == foretold.sessions
    return result


def elements(lab: Lab, thing: str) -> dict[str, str]:
    """The elements of a set or map ('map m') and what stands beside their keys, as nft lists them."""
    found = parse_objects(lab.must("nft", "list", *thing.split()[:1], "ip", "nfcompile", thing.split()[1]))
    return dict(
        one.partition(" ")[::2] if " . " not in one else _concatenated(one) for one in found[thing].elements
    )


def _concatenated(element: str) -> tuple[str, str]:
    """A key of several parts, and the rest."""
    key = re.match(r"\S+(?: \. \S+)*", element)
    assert key is not None
    return key[0], element[key.end() + 1 :]


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
        for key, one in parse_objects(nft.listing() or "").items()
    }


def flows(lab: Lab) -> list[Flow]:
    """The gateway's connections, IPv4."""
    return lab.ask(GATEWAY, _flows)  # type: ignore[no-any-return]


def _flows() -> list[Flow]:
    return list(conntrack.flows())


def in_gateway(lab: Lab, work: Callable[..., object], *arguments: object) -> object:
    """Do something in the gateway's namespace."""
    return lab.ask(GATEWAY, work, *arguments)
