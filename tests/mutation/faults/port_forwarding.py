"""Faults of the ports that subscribers open: the ruleset's part, decisions, and what is kept."""

from __future__ import annotations

from mutation.faults.fault import Fault, kernel

RULESET = ("verify/test_port_forwarding.py", *kernel("pcp"))
DECISIONS = ("pcp/test_decisions.py",)
WIRE = ("pcp/test_wire.py",)
CONTINUITY = ("live/test_continuity.py",)
FAULTS = (
    Fault("lower/mapping.py", "Rule((found[0], opened, found[1])", "Rule((found[0], found[1])", RULESET),
    Fault("lower/renewal.py", "if pool.keeps_forwardings else []", "if False else []", kernel("pcp")),
    Fault(
        "lower/reachable.py",
        "pool.acl is None or not pool.is_reached_by_acl",
        "pool.acl is None or not pool.can_be_reached",
        RULESET,
    ),
    Fault("pcp/decisions.py", "if known.nonce != asked.nonce:", "if False:", DECISIONS),
    Fault("pcp/decisions.py", "if len(mine) >= quota(ports):", "if len(mine) > quota(ports):", DECISIONS),
    Fault(
        "pcp/decisions.py",
        "one for one in found if one.nonce == asked.nonce",
        "one for one in found",
        DECISIONS,
    ),
    Fault("pcp/decisions.py", "return min(most, max(LEAST_SECONDS, wanted))", "return wanted", DECISIONS),
    Fault("pcp/serving.py", 'word in words.split("+")', "True", DECISIONS),
    Fault("pcp/serving.py", "one.destination == EVERYWHERE and ", "", DECISIONS),
    Fault("pcp/wire.py", "elif code <= _MANDATORY_LAST:", "elif False:", kernel("pcp")),
    Fault("pcp/wire.py", "if end > len(data):", "if False:", kernel("pcp")),
    Fault("live/pool_state.py", "if key not in kept}", "if False}", CONTINUITY),
)
