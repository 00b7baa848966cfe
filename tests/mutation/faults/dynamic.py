"""Faults of blocks and addresses on demand, and of what is said to whom there is none for."""

from __future__ import annotations

from mutation.faults.fault import DYNAMIC, Fault, kernel

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
        "ct count {allocation.stock.block_size} }}",
        "ct count over {allocation.stock.block_size} }}",
        DYNAMIC,
    ),
    Fault(
        "lower/dynamic.py",
        '(f"update @taken_{name} {{ meta mark }}",),',
        "",
        (*DYNAMIC, *kernel("packets_reload")),
    ),
    Fault(
        "lower/search.py", "meta mark != @taken_{pool.name} {token}", "{token}", (*DYNAMIC, *kernel("stress"))
    ),
    Fault("allocation/numbering.py", "first + (block + 1) % self.each", "first + block + 1", DYNAMIC),
    Fault("lower/numbering.py", "first + each - 1", "first + each - 2", DYNAMIC),
    Fault("lower/dynamic.py", "lifetime + GRACE_SECONDS, size", "lifetime, size", DYNAMIC),
    Fault("lower/dynamic.py", "for slot in range(1, last):", "for slot in range(1, 1):", DYNAMIC),
    Fault("lower/dynamic.py", "*([(beside,)] if slot > 1 else []),", "", DYNAMIC),
    Fault("lower/dynamic.py", "            (walk.missing, *exhausted),\n", "", DYNAMIC),
    Fault("lower/dynamic.py", "        (search.missing, *exhausted),\n", "", DYNAMIC),
    Fault(
        "lower/dynamic.py",
        'yield "meta l4proto { tcp, udp, icmp }"',
        'yield "meta l4proto { tcp, udp }"',
        DYNAMIC,
    ),
    Fault(
        "lower/dynamic.py", '        (f"jump wait{slot}x{WAIT_LOOKS}_{name}",),\n', "", (*kernel("stress"),)
    ),
    Fault("lower/dynamic.py", "if not allocation.pool.connection_logging:", "if False:", kernel("logging")),
    Fault(
        "lower/dynamic.py",
        "    if pool.can_be_reached:\n        inbound",
        "    if False:\n        inbound",
        DYNAMIC,
    ),
    Fault("lower/search.py", "if sizes[-1] > shallow:", "if False:", DYNAMIC),
    Fault("lower/search.py", 'look.append((done, "return"))', "pass", DYNAMIC),
    Fault("lower/search.py", "meta mark {ONCE} }}", "meta mark }}", kernel("stress")),
    Fault(
        "lower/search.py",
        '        draw.append((f"meta mark set meta mark map @turns_{pool.name}",))',
        "        pass",
        DYNAMIC,
    ),
    Fault(
        "allocation/numbering.py",
        "for block in range(self.each) for first in firsts",
        "for first in firsts for block in range(self.each)",
        DYNAMIC,
    ),
    Fault("lower/packet_marks.py", "FOUND = 0x40000000", "FOUND = 0x2000000", DYNAMIC),
    # What has no room.
    Fault(
        "lower/exhaustion.py",
        'pool_rule(pool, f"add @{REFUSED} {{ {key} }}"),',
        "",
        kernel("dynamic", "policy", "packets_cgnat", "packets_guard"),
    ),
    Fault("lower/exhaustion.py", "        pool_rule(pool, PORTED, ported),\n", "", DYNAMIC),
    Fault(
        "lower/exhaustion.py",
        '        pool_rule(pool, "meta l4proto != { tcp, udp }", f"add @{REFUSED} {{ {key} }}"),\n',
        "",
        DYNAMIC,
    ),
    Fault("lower/exhaustion.py", 'ip saddr . ct original ip daddr"', 'ip saddr . ip daddr"', DYNAMIC),
    Fault(
        "lower/exhaustion.py",
        '@{REFUSED}"\n    match = ()',
        '@{REFUSED}"\n    match = ("meta l4proto icmp",)',
        DYNAMIC,
    ),
)
