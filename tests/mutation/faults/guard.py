"""Faults of what must not happen, and of what a connection gets for its life."""

from __future__ import annotations

from mutation.faults.fault import FLOWTABLE, GUARD, HOST, POLICY, VLANS, Fault, kernel

FAULTS = (
    # The guard.
    Fault("lower/guard.py", 'Rule(("ct direction reply return",), POOLS, "pools"),', "", GUARD),
    Fault(
        "lower/guard.py",
        '(*match, f"counter name {names.MIDSTREAM_COUNTER} drop")',
        '(*match, "accept")',
        GUARD,
    ),
    Fault("lower/guard.py", "outgoing = [invalid]", "outgoing = []", GUARD),
    Fault("lower/guard.py", "rules.append(_unsolicited(gate, gate.from_either, *_on(gate)))", "pass", GUARD),
    Fault("lower/table.py", "[*unsolicited(this), *elsewhere]", "[*elsewhere]", GUARD),
    Fault("lower/table.py", "(*before_inbound(this), *inbound) if inbound", "inbound if inbound", GUARD),
    Fault("lower/guard.py", "        objects.append(_local(gate))\n", "        pass\n", GUARD),
    Fault(
        "lower/guard.py",
        "return () if shared_vids(gate.site) else (gate.to_outside,)",
        "return (gate.to_outside,)",
        VLANS,
    ),
    Fault(
        "lower/guard.py",
        '        outgoing.append(Rule((f"ip saddr @{names.OWNED}", f"goto {names.LEAK}"), POOLS, "pools"))\n',
        "",
        GUARD,
    ),
    Fault(
        "lower/guard.py", "            passed += subtract(allocation.taken, owned)", "            pass", GUARD
    ),
    Fault("lower/guard.py", "        *passed,\n", "", GUARD),
    Fault("lower/guard.py", "return (Rule((NOT_SYN, drop), PERMIT, dotted(PERMIT)),)", "return ()", GUARD),
    Fault(
        "lower/table.py",
        'original = f"ct original ip daddr @{names.GLOBALS}"',
        'original = "ct state new"',
        GUARD,
    ),
    Fault("lower/table.py", "rules = list(refuse)", "rules = []", kernel("policy")),
    Fault("lower/table.py", "    rules += policies\n", "", POLICY),
    # Timeouts, helpers, events, limits.
    Fault(
        "lower/connection_policy.py",
        '("fin_wait", times.tcp_final)',
        '("fin_wait", times.tcp_active)',
        POLICY,
    ),
    Fault(
        "lower/connection_policy.py",
        "established = times.tcp_session_active if session else",
        "established = times.tcp_active if session else",
        POLICY,
    ),
    Fault(
        "lower/session_limits.py",
        'ct count over {limit} }}"\n    over',
        'ct count over {limit + 1} }}"\n    over',
        kernel("packets_cgnat", "policy", "packets_guard"),
    ),
    Fault(
        "lower/session_limits.py",
        "th sport ct count over {limit}",
        "ct count over {limit}",
        kernel("policy", "packets_guard", "packets_cgnat"),
    ),
    Fault(
        "lower/arriving.py",
        "if allocation.pool.opens_to_outside]",
        "if False]",
        kernel("policy", "mapping", "packets_guard"),
    ),
    Fault(
        "lower/connection_policy.py",
        "udp = times.udp_session if session else times.udp",
        "udp = times.udp",
        POLICY,
    ),
    Fault(
        "lower/connection_policy.py",
        '"new,destroy" if pool.connection_logging else "0"',
        '"new,destroy"',
        POLICY,
    ),
    Fault(
        "lower/connection_policy.py",
        'return pool.type in ("nat", "static") and site.defaults.alg.alg_on_bnat',
        'return pool.type in ("nat", "static")',
        kernel("alg"),
    ),
    Fault("lower/connection_policy.py", ', ("sip", "tcp", 5060)),', "),", POLICY),
    Fault(
        "lower/connection_policy.py",
        "_tcp_policy(pool, times.special)",
        "_tcp_policy(pool, established)",
        POLICY,
    ),
    Fault(
        "lower/connection_policy.py",
        "lines = phrases if logging else",
        "lines = phrases if True else",
        kernel("logging"),
    ),
    Fault(
        "lower/connection_policy.py",
        'jump = Rule((f"ct state related ct status expected jump {EXPECTED}",)',
        'jump = Rule((f"ct state new ct status expected jump {EXPECTED}",)',
        kernel("policy_outside", "logging"),
    ),
    Fault(
        "lower/connection_policy.py",
        '(("unreplied", udp), ("replied", udp))',
        '(("unreplied", 30), ("replied", udp))',
        POLICY,
    ),
    Fault(
        "lower/session_limits.py",
        '        source = ("ip saddr @limited_sources",)\n',
        "        source = ()\n",
        kernel("policy", "packets_sides"),
    ),
    Fault(
        "lower/session_limits.py",
        '        if allocation.pool.type != "fake"\n        for run',
        "        for run",
        kernel("policy", "packets_sides"),
    ),
    Fault(
        "lower/session_limits.py",
        'match = (*gate.outward, "ct',
        'match = ("ct',
        kernel("policy", "packets_sides"),
    ),
    Fault("lower/session_limits.py", 'if pool.type != "cgnat":', "if True:", POLICY),
    Fault(
        "lower/arriving.py", 'allocation.pool.type == "static")', 'allocation.pool.type != "static")', POLICY
    ),
    Fault(
        "lower/arriving.py",
        "    if any(entry.vid is not None for entry in pool.global_map):",
        "    if False:",
        POLICY,
    ),
    Fault("lower/arriving.py", ', f"ct original ip daddr @{names.GLOBALS}"\n', "\n", POLICY),
    # What the host sets, and connections that take the short way.
    Fault(
        "lower/host_timeouts.py",
        "max(_icmp(pool) for pool in pools)",
        "min(_icmp(pool) for pool in pools)",
        HOST,
    ),
    Fault("lower/host_timeouts.py", "other = max(pool", "other = min(pool", HOST),
    Fault(
        "lower/host_timeouts.py",
        "times.icmp_session if pool.keeps_mapping_entries else times.icmp",
        "times.icmp",
        HOST,
    ),
    Fault("lower/host_timeouts.py", "max(pool.timeouts.udp for", "min(pool.timeouts.udp for", HOST),
    Fault(
        "lower/host_timeouts.py",
        "(pool.timeouts.tcp_active for pool in pools), *special, 0",
        "(pool.timeouts.tcp_active for pool in pools), 0",
        HOST,
    ),
    Fault("lower/flowtable.py", "(*keep, *fill)", "(*fill,)", FLOWTABLE),
    Fault(
        "lower/flowtable.py",
        'ENDS = ("ct reply ip daddr", "ct original ip daddr")',
        'ENDS = ("ct reply ip daddr",)',
        FLOWTABLE,
    ),
    Fault("lower/flowtable.py", "or shared_addresses(site):", "or False:", FLOWTABLE),
    Fault("lower/flowtable.py", "ct state established meta", "ct state { new, established } meta", FLOWTABLE),
)
