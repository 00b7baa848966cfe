"""Faults of a pair: the gate of a node, and how it is opened and closed."""

from __future__ import annotations

from mutation.faults.fault import PAIR, POLICY, SESSIONS, Fault, kernel

TAKEOVER = kernel("pair")
REBUILDING = ("live/test_rebuilding.py", *TAKEOVER)

FAULTS = (
    # The gate.
    Fault("lower/table.py", "    gate,\n", "", PAIR),
    Fault("lower/gate.py", "names.GATE), *context.from_either", "names.GATE), *context.from_outside", PAIR),
    Fault("lower/gate.py", ", unlike(L4PROTO, VRRP)\n", ",\n", PAIR),
    Fault(
        "lower/gate.py",
        "for node in pair.nodes for one in node.addresses",
        "for node in pair.nodes[:1] for one in node.addresses",
        PAIR,
    ),
    Fault("lower/gate.py", "[MULTICAST, *(", "[*(", PAIR),
    Fault("live/gate.py", "(*context.inside, *context.outside)", "context.inside", PAIR),
    Fault(
        "lower/connection_policy.py",
        "if site.pair is not None:",
        "if False:",
        TAKEOVER,
    ),
    # Taking over.
    Fault("deploy/takeover.py", "fill([*found.contents, gate", "fill([gate", TAKEOVER),
    Fault(
        "deploy/takeover.py",
        "        _refuse_backup(pair)\n        if _is_open(compiled):",
        "        if _is_open(compiled):",
        TAKEOVER,
    ),
    Fault(
        "deploy/takeover.py",
        "        _refuse_backup(pair)\n        fill(",
        "        fill(",
        TAKEOVER,
    ),
    Fault(
        "deploy/takeover.py",
        "            fill([gate.closed()])\n            raise",
        "            raise",
        TAKEOVER,
    ),
    Fault(
        "deploy/takeover.py",
        "        fill([gate.closed()])\n        return was_open",
        "        return was_open",
        TAKEOVER,
    ),
    Fault("deploy/takeover.py", "numbers.get(one.interface, 0), one.address)", "0, one.address)", TAKEOVER),
    Fault(
        "deploy/takeover.py",
        "set(gate.interfaces(compiled)) <= _gate_elements()",
        "bool(_gate_elements())",
        TAKEOVER,
    ),
    # What is rebuilt.
    Fault("live/rebuilding.py", "numbers[slot - 1]", "numbers[0]", REBUILDING),
    Fault(
        "live/rebuilding.py", "if self.taken.setdefault(number, source) != source:", "if False:", REBUILDING
    ),
    Fault(
        "live/rebuilding.py",
        "if self.outside.setdefault(outside, inside) != inside:",
        "if False:",
        REBUILDING,
    ),
    Fault(
        "live/rebuilding.py",
        "if number is None or number in self.taken or len",
        "if number is None or len",
        REBUILDING,
    ),
    Fault("live/rebuilding.py", "(self._tcp_seconds if inside[0] == TCP else 0)", "0", REBUILDING),
    Fault("live/rebuilding.py", "if flow.status & EXPECTED:", "if False:", REBUILDING),
    # Limits of a subscriber.
    Fault(
        "lower/session_limits.py", "    if pool.limits.sessions is not None:\n", "    if False:\n", SESSIONS
    ),
    Fault(
        "lower/session_limits.py",
        "        Rule((*asked, unlike(IP_SADDR, name), *full), path),\n",
        "",
        SESSIONS,
    ),
    Fault(
        "lower/session_limits.py",
        "CtCount(pool.limits.sessions, over=True)",
        "CtCount(pool.limits.sessions + 1, over=True)",
        SESSIONS,
    ),
    Fault(
        "lower/session_limits.py", "count = add(name, IP_DADDR, ", "count = add(name, IP_SADDR, ", SESSIONS
    ),
    Fault(
        "lower/session_limits.py",
        "pool.limits.portlimit_icmp, match(L4PROTO, ICMP))",
        "pool.limits.portlimit_icmp)",
        SESSIONS,
    ),
    Fault(
        "lower/session_limits.py",
        ", Rule((unlike(IP_DADDR, name), *full), path)",
        ",",
        SESSIONS,
    ),
    Fault(
        "lower/session_limits.py",
        ", Rule((*new, unseen, *full), SESSIONS_PATH)\n",
        ",\n",
        SESSIONS,
    ),
    Fault("lower/arriving.py", "*limits, *rules)", "*rules)", (*SESSIONS, *POLICY)),
)
