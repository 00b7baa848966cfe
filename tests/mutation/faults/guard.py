"""Faults of what must not happen, and of what a connection gets for its life."""

from __future__ import annotations

from mutation.faults.fault import FLOWTABLE, GUARD, HOST, POLICY, STATIC, VLANS, Fault, kernel

TIMES = ("model/test_timeout_policies.py",)
BOTH = kernel("both_halves")
FORGED = kernel("packets_forged")

FAULTS = (
    # The guard.
    Fault(
        "lower/cheapest_first.py",
        "low = (1 << (first ^ last).bit_length()) - 1",
        "low = (1 << (first ^ last).bit_length() - 1) - 1",
        ("lower/test_cheapest_first.py",),
    ),
    Fault("lower/sources.py", "rules.insert(0, Rule((*TRANSLATED_BACK, RETURN), POOLS))", "pass", GUARD),
    Fault("lower/sources.py", "    rules = list(forged_leaving(context))\n", "    rules = []\n", GUARD),
    Fault(
        "lower/sources.py",
        "before = forged_leaving(context) if _may_be_translated(context) else ()",
        "before = ()",
        GUARD,
    ),
    Fault(
        "lower/sources.py",
        "                for elsewhere in context.routed_outside\n",
        "                for elsewhere in ()\n",
        GUARD,
    ),
    Fault(
        "lower/sources.py",
        "Rule((*context.from_outside, target, *not_ours, counter(names.PRIVATE_COUNTER), DROP), POOLS),",
        "",
        GUARD,
    ),
    # Subscribers of some destinations only.
    Fault("lower/table.py", "    partly_closed,\n", "", FORGED),
    Fault("lower/guard.py", "[*leaving(context), *untranslated(context)]", "leaving(context)", FORGED),
    Fault("lower/partly_closed.py", "if turned:\n", "if False:\n", FORGED),
    Fault(
        "lower/partly_closed.py",
        "if pool.is_static else ()\n    return",
        "if False else ()\n    return",
        FORGED,
    ),
    Fault("lower/partly_closed.py", "elsewhere in context.routed_outside", "elsewhere in ()", FORGED),
    # A fake pool behind pools that translate its sources.
    Fault("lower/guard.py", "        passed += rules\n", "", STATIC),
    Fault(
        "lower/sources.py", "subtract(allowed(pool), taken_before(context, pool))", "allowed(pool)", STATIC
    ),
    Fault("lower/sources.py", "subtract([rule.source], denied)", "[rule.source]", STATIC),
    Fault(
        "lower/partly_closed.py",
        "prerouting.append(Rule((*context.from_outside, inside, *_asked(sources)), POOLS))",
        "pass",
        FORGED,
    ),
    Fault("lower/table.py", "    among_inside,\n", "", GUARD),
    Fault("lower/sources.py", "rules.append(Rule((*to_one, *among, source, *FORGED), POOLS))", "pass", GUARD),
    Fault("lower/guard.py", "return (*pools, *_never_back(context))", "return pools", GUARD),
    Fault("lower/guard.py", "    translated += _never_back(context)\n", "", GUARD),
    Fault(
        "lower/guard.py",
        "globals_, NOT_SYN, counter(names.MIDSTREAM_COUNTER), DROP",
        "globals_, NOT_SYN, counter(names.MIDSTREAM_COUNTER), ACCEPT",
        GUARD,
    ),
    Fault(
        "lower/guard.py",
        'outgoing = [Rule((match(CT_STATE, "invalid"), counter(names.INVALID_COUNTER), DROP), POOLS)]',
        "outgoing = []",
        GUARD,
    ),
    Fault(
        "lower/guard.py",
        "translated.append(_unsolicited(context, *context.from_either, *_on(context)))",
        "pass",
        GUARD,
    ),
    Fault("lower/guard.py", "postrouting=unsolicited(context), outbound", "outbound", GUARD),
    Fault(
        "lower/pools.py",
        "prerouting=(*before_inbound(context), *rules) if rules else (),",
        "prerouting=rules,",
        GUARD,
    ),
    Fault(
        "lower/guard.py",
        "        gateway = _unsolicited_at_gateway(context, new)\n",
        "        pass\n",
        GUARD,
    ),
    Fault(
        "lower/guard.py",
        "return () if shared_vids(context.site) else context.to_outside",
        "return context.to_outside",
        VLANS,
    ),
    Fault(
        "lower/guard.py",
        "        outgoing.append(Rule((match(IP_SADDR, names.OWNED), goto(names.LEAK)), POOLS))\n",
        "",
        GUARD,
    ),
    Fault(
        "lower/sources.py",
        "            passed += subtract(allocation.taken, found)",
        "            pass",
        GUARD,
    ),
    Fault("lower/guard.py", "left_alone(context), *passed, Rule(", "left_alone(context), Rule(", GUARD),
    Fault(
        "lower/guard.py",
        "        midstream = (Rule((NOT_SYN, counter(names.MIDSTREAM_COUNTER), DROP), PERMIT),)\n",
        "        pass\n",
        GUARD,
    ),
    Fault(
        "lower/pools.py",
        'asked = matched(Field("ct original ip daddr"), names.GLOBALS, context.global_addresses)',
        'asked = match(Field("ct state"), "new")',
        GUARD,
    ),
    Fault("lower/table.py", "    session_limit,\n", "", kernel("policy")),
    Fault("lower/table.py", "    arriving,\n", "", POLICY),
    # Timeouts, helpers, events, limits.
    Fault("model/timeout_policies.py", '"fin_wait": times.tcp_final', '"fin_wait": times.tcp_active', POLICY),
    Fault(
        "model/timeout_policies.py",
        "times.tcp_session_active if session else",
        "times.tcp_active if session else",
        POLICY,
    ),
    Fault(
        "lower/session_limits.py",
        "CtCount(limit, over=True)), goto(over)",
        "CtCount(limit + 1, over=True)), goto(over)",
        kernel("packets_cgnat", "policy", "packets_guard"),
    ),
    Fault(
        "lower/session_limits.py",
        "TH_SPORT), CtCount(limit, over=True))",
        "TH_SPORT), CtCount(limit))",
        kernel("policy", "packets_guard", "packets_cgnat"),
    ),
    Fault(
        "lower/arriving.py",
        "if allocation.pool.opens_to_outside]",
        "if False]",
        kernel("policy", "mapping", "packets_guard"),
    ),
    Fault(
        "model/timeout_policies.py",
        "udp = times.udp_session if session else times.udp",
        "udp = times.udp",
        POLICY,
    ),
    Fault(
        "lower/connection_policy.py",
        "return LOGGED if logging else SILENT",
        "return LOGGED",
        POLICY,
    ),
    Fault(
        "lower/connection_policy.py",
        "return pool.owns_addresses and site.defaults.alg.alg_on_bnat",
        "return pool.owns_addresses",
        kernel("alg"),
    ),
    Fault("lower/connection_policy.py", ', ("sip", "tcp", 5060)),', "),", POLICY),
    Fault(
        "lower/connection_policy.py",
        '_policy("tcp", tcp_policy(pool, pool.timeouts.special)',
        '_policy("tcp", tcp_policy(pool, pool.timeouts.tcp_active)',
        POLICY,
    ),
    Fault(
        "lower/connection_policy.py", "if logging else (event,)", "if True else (event,)", kernel("logging")
    ),
    Fault(
        "lower/connection_policy.py",
        'expected = match(CT_STATE, "related")',
        'expected = match(CT_STATE, "new")',
        kernel("policy_outside", "logging"),
    ),
    Fault(
        "model/timeout_policies.py",
        "dict.fromkeys(UDP_STATES, udp)",
        '{"unreplied": 30, "replied": udp}',
        POLICY,
    ),
    Fault(
        "lower/session_limits.py",
        "source = (match(IP_SADDR, names.LIMITED),)",
        "source = ()",
        kernel("policy", "packets_sides"),
    ),
    Fault(
        "lower/session_limits.py",
        "        if allocation.pool.translates\n        for run",
        "        for run",
        kernel("policy", "packets_sides"),
    ),
    Fault(
        "lower/session_limits.py",
        "new = *context.outward, match",
        "new = match",
        kernel("policy", "packets_sides"),
    ),
    Fault("lower/session_limits.py", "if not pool.shares_addresses:", "if True:", POLICY),
    Fault(
        "lower/arriving.py",
        "allocation: allocation.pool.is_static)",
        "allocation: not allocation.pool.is_static)",
        POLICY,
    ),
    Fault(
        "lower/arriving.py",
        "    if any(entry.vid is not None for entry in pool.global_map):",
        "    if False:",
        POLICY,
    ),
    Fault(
        "lower/arriving.py",
        'match(CT_STATUS, "dnat"), asked\n',
        'match(CT_STATUS, "dnat")\n',
        POLICY,
    ),
    # What the host sets, and connections that take the short way.
    Fault(
        "lower/host_timeouts.py",
        "max(_icmp(pool) for pool in pools)",
        "min(_icmp(pool) for pool in pools)",
        HOST,
    ),
    Fault("lower/host_timeouts.py", "other = max(pool", "other = min(pool", HOST),
    Fault(
        "model/timeout_policies.py",
        "all(other[protocol] == policy for other in others)",
        "any(other[protocol] == policy for other in (first, *others))",
        TIMES,
    ),
    Fault("model/timeout_policies.py", " and not _contradicted(site, protocol, policy)", "", TIMES),
    Fault("host/timeouts.py", "(is_.value != seconds and not (may_set and", "(not (may_set and", BOTH),
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
        'ENDS = (Field("ct reply ip daddr"), Field("ct original ip daddr"))',
        'ENDS = (Field("ct reply ip daddr"),)',
        FLOWTABLE,
    ),
    Fault("lower/flowtable.py", "or shared_addresses(site):", "or False:", FLOWTABLE),
    Fault(
        "lower/flowtable.py",
        'established = match(CT_STATE, "established")',
        'established = match(CT_STATE, "new", "established")',
        FLOWTABLE,
    ),
)
