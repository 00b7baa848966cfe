"""Faults of what leads to a pool: by source, by global address and port, and back by its ACL."""

from __future__ import annotations

from mutation.faults.fault import Fault, kernel

FLAT = ("lower/test_dispatch.py", *kernel("packets_acl"))
SHARED = kernel("packets_shared_address", "renewal")
OWN = kernel("packets_shared_address", "own_address")
BACK = kernel("packets_acl", "packets_static")

FAULTS = (
    # Many pools: one look-up.
    Fault("lower/dispatch.py", "    if first.sure:\n", "    if True:\n", FLAT),
    Fault("lower/dispatch.py", "        if active[index].sure:\n", "        if True:\n", FLAT),
    Fault(
        "lower/dispatch.py",
        "certain = list(clouded.rest(run)) if rule.only_source else []",
        "certain = [run] if rule.only_source else []",
        FLAT,
    ),
    Fault("lower/dispatch.py", "sure = pool.acl is None", "sure = True", FLAT),
    Fault("lower/dispatch.py", "and last.key[0].last + 1 == sources.first", "", FLAT),
    Fault(
        "lower/dispatch.py",
        "if pool.subscribers is not None else (EVERYWHERE,)",
        "if False else (EVERYWHERE,)",
        FLAT,
    ),
    # Addresses of several pools, and of the gateway itself.
    Fault("lower/whose_address.py", "    if pool.is_dynamic:\n", "    if False:\n", SHARED),
    Fault(
        "lower/whose_address.py",
        "for part in _ports(allocation))",
        "for part in (Range(0, 65535),))",
        SHARED,
    ),
    Fault(
        "lower/whose_address.py",
        "union((*low, allocation.pool.port_range))",
        "union((allocation.pool.port_range,))",
        SHARED,
    ),
    Fault(
        "lower/guard.py",
        "return (_unsolicited(context, *context.from_either, new, *_not_own(context)),)",
        "return (_unsolicited(context, *context.from_either, new),)",
        OWN,
    ),
    Fault(
        "lower/guard.py", "return (Rule((match(IP_DADDR, own), NOT_SYN, RETURN), PERMIT),)", "return ()", OWN
    ),
    Fault(
        "lower/guard.py",
        "globals_ = *_not_own(context), matched(IP_DADDR, names.GLOBALS, context.global_addresses)",
        "globals_ = (matched(IP_DADDR, names.GLOBALS, context.global_addresses),)",
        OWN,
    ),
    # An ACL in both directions.
    Fault("lower/reachable.py", "last = () if pool.is_static else", "last = () if True else", BACK),
    Fault("lower/reachable.py", '    "ip saddr": "ip daddr",\n', "", BACK),
    Fault(
        "lower/reachable.py",
        '{f"{word} sport": f"{word} dport" for word in ("th", "tcp", "udp")}',
        '{f"{word} sport": f"{word} dport" for word in ("th", "tcp")}',
        BACK,
    ),
    Fault("lower/reachable.py", "deny=drop, mapped", "deny=(RETURN,), mapped", BACK),
    Fault("lower/table.py", "    reachable,\n", "", BACK),
)
