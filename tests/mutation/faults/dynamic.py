"""Faults of blocks and addresses on demand, and of what is said to whom there is none for."""

from __future__ import annotations

from mutation.faults.fault import DYNAMIC, Fault, kernel

TRIALS = kernel("assignment_trial")

FAULTS = (
    # Dynamic pools.
    Fault(
        "lower/dynamic.py",
        "[word for word, most in by_word if most >= max(slot, 2)]",
        "[word for word, most in by_word if most >= max(slot, 2) - 1]",
        DYNAMIC,
    ),
    Fault(
        "lower/dynamic.py",
        "CtCount(allocation.stock.block_size)",
        "CtCount(allocation.stock.block_size, over=True)",
        DYNAMIC,
    ),
    Fault(
        "lower/dynamic.py",
        "        (update(names.taken(name), META_MARK),),\n",
        "",
        (*DYNAMIC, *kernel("packets_reload")),
    ),
    Fault(
        "lower/search.py",
        "(free, token, goto(keep))",
        "(token, goto(keep))",
        (*DYNAMIC, *kernel("stress_blocks")),
    ),
    Fault("lower/search.py", "bit * (step & -step)", "bit", DYNAMIC),
    Fault(
        "lower/search.py",
        "rules.append((match(META_MARK, Range(beyond, NUMBERS_LAST)), RETURN))",
        "pass",
        DYNAMIC,
    ),
    Fault("lower/numbering.py", "number << numbering.shift", "number", DYNAMIC),
    Fault("lower/numbering.py", "[(one,) for one in every]", "[every[:1]]", DYNAMIC),
    Fault("lower/dynamic.py", "lifetime + GRACE_SECONDS, size", "lifetime, size", DYNAMIC),
    Fault("lower/dynamic.py", "for slot in range(1, last):", "for slot in range(1, 1):", DYNAMIC),
    Fault("lower/dynamic.py", '*([numbered(1, "beside")] if slot > 1 else []),', "", DYNAMIC),
    Fault(
        "lower/dynamic.py",
        "none = FOUND_NONE, give_back, exhausted",
        "none = (match(IP_SADDR, 0),)",
        DYNAMIC,
    ),
    # Trials of assignments.
    Fault("lower/dynamic.py", '*([tried(slot, "trial")] if trial else [])', "", TRIALS),
    Fault("lower/trial.py", "set_mark(UNANSWERED, CT_MARK))", "set_mark(1, CT_MARK))", TRIALS),
    Fault("lower/trial.py", "        moves(pool, 1, subscriber),\n", "", TRIALS),
    Fault("lower/trial.py", "(match(Bitwise(CT_STATUS, SNAT), 0),)", "()", TRIALS),
    Fault(
        "allocation/pools.py",
        "min(limit // self.stock.block_size, self.stock.blocks_per_address)",
        "limit // self.stock.block_size",
        ("allocation/test_pools.py",),
    ),
    Fault("lower/trial.py", "Rule((mine, TO_LEARN, ACCEPT), path)", "Rule((mine, ACCEPT), path)", TRIALS),
    Fault(
        "lower/trial.py",
        "Rule((mine, replied, goto(names.REFRESH)), path)",
        "Rule((mine, ACCEPT), path)",
        TRIALS,
    ),
    Fault("lower/trial.py", "SMALL, -(-capacity // 2)", "SMALL, 4 * capacity", TRIALS),
    Fault("lower/renewal.py", "of_marked = (jump(names.MARKED),)", "pass", TRIALS),
    Fault(
        "lower/numbering.py",
        "TRANSLATED = (*PORTED, ICMP)",
        "TRANSLATED = PORTED",
        DYNAMIC,
    ),
    Fault(
        "lower/dynamic.py",
        '        (jump(chain(f"wait{slot}x{WAIT_LOOKS}")),),\n',
        "",
        (*kernel("stress_blocks"),),
    ),
    Fault("lower/dynamic.py", "if not allocation.pool.connection_logging:", "if False:", kernel("logging")),
    Fault(
        "lower/dynamic.py",
        "    if pool.can_be_reached:\n        statement",
        "    if False:\n        statement",
        DYNAMIC,
    ),
    Fault(
        "lower/search.py",
        "if (deep.blocks, deep.addresses) != (shallow.blocks, shallow.addresses):",
        "if False:",
        DYNAMIC,
    ),
    Fault("lower/search.py", "look.append((done, RETURN))", "pass", DYNAMIC),
    Fault(
        "lower/search.py",
        "add(names.claimed(pool.name), META_MARK, ONCE)",
        "add(names.claimed(pool.name), META_MARK)",
        kernel("stress_blocks"),
    ),
    Fault(
        "lower/search.py",
        'Numgen("inc", allocation.stock.addresses, FIRST_NUMBER)',
        'Numgen("random", allocation.stock.addresses, FIRST_NUMBER)',
        DYNAMIC,
    ),
    Fault("lower/packet_marks.py", "FOUND = 0x40000000", "FOUND = 0x2000000", DYNAMIC),
    # What has no room.
    Fault(
        "lower/exhaustion.py",
        "name, pool_rule(pool, remember), drop)",
        "name, drop)",
        kernel("dynamic", "policy", "packets_cgnat", "packets_guard"),
    ),
    Fault("lower/exhaustion.py", "        pool_rule(pool, match(L4PROTO, *PORTED), ported),\n", "", DYNAMIC),
    Fault(
        "lower/exhaustion.py", "        pool_rule(pool, unlike(L4PROTO, *PORTED), remember),\n", "", DYNAMIC
    ),
    Fault(
        "lower/exhaustion.py",
        'hosts = L4PROTO, IP_SADDR, Field("ct original ip daddr")',
        "hosts = L4PROTO, IP_SADDR, IP_DADDR",
        DYNAMIC,
    ),
    Fault(
        "lower/exhaustion.py",
        'for one in ("udp", "tcp"))\n',
        'for one in ("udp",))\n',
        DYNAMIC,
    ),
)
