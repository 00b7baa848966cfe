"""What a fault is, and the tests that stand beside the parts of the compiler, the quick ones first."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """One slip: in `file` below nfcompile/, `old` becomes `new`; `tests` below tests/ have to fail."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def kernel(*names: str) -> tuple[str, ...]:
    """Files of tests/kernel."""
    return tuple(f"kernel/test_{name}.py" for name in names)


ALLOCATION = ("test_ipalloc.py", "allocation/test_pools.py", "allocation/test_lookup.py")
CLAIMS = ("allocation/test_pools.py", *kernel("packets_random"))
ACL = kernel("packets_acl", "packets_random")
MARKS = kernel("packets_marks", "packets_sides", "packets_random")
STATIC = kernel("packets_static", "packets_cgnat", "packets_random")
GUARD = kernel("packets_guard", "packets_forged", "packets_sides", "packets_static", "packets_random")
CGNAT = kernel("packets_cgnat", "policy", "packets_random")
DYNAMIC = kernel("dynamic", "dynamic_full", "renewal", "packets_random")
MAPPING = kernel("mapping", "renewal", "packets_random")
RENEWAL = kernel("renewal", "mapping", "dynamic")
IDLE = kernel("idle", "renewal")
POLICY = kernel("policy", "policy_outside")
VLANS = kernel("vlans", "packets_static", "packets_random")
HOST = ("lower/test_host_timeouts.py",)
FLOWTABLE = kernel("flowtable")
RULES = kernel("packets_rules", "packets_marks", "packets_random")
ONE_ARMED = kernel("packets_one_armed", "packets_random")
INBOUND = kernel("packets_inbound", "packets_random")
SESSIONS = kernel("full_sets", "policy")
PREFIXES = ("verify/test_prefixes.py", *kernel("npt"))
PAIR = ("verify/test_gate.py", *kernel("pair"))
PROOF = ("verify/test_prefixes.py", "verify/test_gate.py", "verify/test_walk.py", "verify/test_prove.py")
"""Of the reference: what proves a ruleset that is right must complain of a reference that is wrong."""
