"""Timeouts compared with the RFCs (only with `check --lint rfc`).

### rfc-timeout

A timeout is below the minimum of an RFC (a warning, only with `check --lint rfc`). EcoNAT's defaults are
short, so that ports are free again early. RFC 5382 REQ-5 requires 2 hours 4 minutes for an established TCP
connection and 4 minutes for one that opens or closes, RFC 4787 REQ-5 2 minutes for UDP, RFC 5508 REQ-2 60
seconds for ICMP queries. Shorter timeouts cut connections that are idle, not closed. In a pool with mapping
entries `tcp_session_active` counts too: once connection tracking has dropped a connection, its next packet
is refused.

```yaml
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, hairpin: off, global_ip: [203.0.113.0/29]}
```

```yaml
nat_defaults:
  timeouts_inactivity: {tcp_handshake: 240, tcp_active: 7440}
acls: {homes: {10: allow ip 100.64.0.0/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, hairpin: off, global_ip: [203.0.113.0/29]}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic
from nfcompile.model.site import Pool

MINIMUM_SECONDS = {
    "udp": (120, "RFC 4787 REQ-5"),
    "icmp": (60, "RFC 5508 REQ-2"),
    "tcp_handshake": (240, "RFC 5382 REQ-5"),
    "tcp_active": (7440, "RFC 5382 REQ-5"),
    "tcp_final": (240, "RFC 5382 REQ-5"),
    "special": (7440, "RFC 5382 REQ-5"),
    "tcp_session_active": (7440, "RFC 5382 REQ-5"),
}


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning for each short translation timeout of each enabled pool that translates."""
    for pool in checked.site.active_pools:
        if not pool.translates:
            continue
        for key, (minimum, source) in MINIMUM_SECONDS.items():
            seconds = getattr(pool.timeouts, key)
            own = (*pool.path, "timeouts_inactivity", key)
            if not checked.knows(own, ("nat_defaults", "timeouts_inactivity", key)):
                continue
            if key == "special" and not pool.timeouts.special_tcp_ports:
                continue
            if key == "tcp_session_active" and not pool.keeps_mapping_entries:
                continue
            if seconds < minimum:
                yield _short(pool, key, seconds, minimum, source)


def _short(pool: Pool, key: str, seconds: int, minimum: int, source: str) -> Diagnostic:
    own = f"timeouts_inactivity.{key}" in pool.given
    path = (*pool.path, "timeouts_inactivity", key) if own else pool.path
    where = "" if own else " (inherited)"
    return Diagnostic(
        "rfc-timeout",
        f"pool '{pool.name}' has {key} {seconds}{where}, below the {minimum} of {source}",
        path,
        key=not own,
        hint=f"set timeouts_inactivity: {{{key}: {minimum}}}",
        severity="warning",
    )
