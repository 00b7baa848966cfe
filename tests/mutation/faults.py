"""Hand-made faults of the compiler's arithmetic and of its rules, each with the tests that have to see it.

A fault is one replacement in one file, of a text that stands there exactly once (`tests/test_faults.py`).
Each is a slip that a change could bring in: an end that is one too far, a condition turned round, a rule
that is left out. Golden cases do not count: they see every change of the text and say nothing of its meaning.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """One slip: in `file` below nfcompile/, `old` becomes `new`; `tests` below tests/ have to fail."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def kernel(*names: str) -> tuple[str, ...]:
    return tuple(f"kernel/test_{name}.py" for name in names)


ALLOCATION = ("test_ipalloc.py", "test_claims.py", "test_answers.py")
CLAIMS = ("test_claims.py", *kernel("packets_random"))
ACL = kernel("packets_acl", "packets_random")
MARKS = kernel("packets_marks", "packets_random")
STATIC = kernel("packets_static", "packets_cgnat", "packets_random")
GUARD = kernel("packets_guard", "packets_static", "packets_random")
CGNAT = kernel("packets_cgnat", "policy", "packets_random")
DYNAMIC = kernel("dynamic", "packets_random")
MAPPING = kernel("mapping", "packets_random")
POLICY = kernel("policy")
VLANS = kernel("vlans", "packets_random")

FAULTS = (
    # Who has which block.
    Fault(
        "ipalloc.py",
        "self.ports.size // self.block_size",
        "self.ports.size // self.block_size + 1",
        ALLOCATION,
    ),
    Fault(
        "ipalloc.py",
        "first = self.ports.first + number * self.block_size",
        "first = number * self.block_size",
        ALLOCATION,
    ),
    Fault(
        "ipalloc.py",
        "0 <= number < self.blocks_per_address",
        "0 <= number <= self.blocks_per_address",
        ALLOCATION,
    ),
    Fault(
        "ipalloc.py",
        "last = min(run.last, run.first + (1 << bits) - 1)",
        "last = min(run.last, run.first + (1 << bits))",
        ALLOCATION,
    ),
    Fault(
        "ipalloc.py",
        "free += _left_over(base, bits, run.first, last)",
        "free += _left_over(base, bits, run.first, last)[:1]",
        ALLOCATION,
    ),
    Fault("ipalloc.py", "return parts[::-1]", "return parts", ALLOCATION),
    Fault("ipalloc.py", "start = (last + 1) & (size - 1)", "start = last & (size - 1)", ALLOCATION),
    Fault("ipalloc.py", "(number, address, 1 << 32)", "(number, address, 0)", ALLOCATION),
    Fault(
        "ipalloc.py",
        "piece.first + (address - piece.base - piece.first) % size",
        "piece.first + (address - piece.base) % size",
        ALLOCATION,
    ),
    Fault(
        "ipalloc.py",
        "if start <= end and piece.last - piece.first < 1 << piece.bits:",
        "if True:",
        ALLOCATION,
    ),
    # Whom a pool serves.
    Fault(
        "claims.py",
        "            taken_before.add(run, None)\n",
        "            pass\n",
        CLAIMS,
    ),
    Fault("claims.py", "-(-limit // block_size) * block_size", "limit // block_size * block_size", CLAIMS),
    Fault("claims.py", "size = max(tcp, udp) if", "size = min(tcp, udp) if", CLAIMS),
    Fault("claims.py", "kept += seen.rest(run)", "kept.append(run)", CLAIMS),
    Fault(
        "claims.py",
        "Stock(pool.global_ip, Range(size, LOW_PORT_LAST), size)",
        "Stock(pool.global_ip, Range(1, LOW_PORT_LAST), size)",
        (*CLAIMS, "test_answers.py", *CGNAT),
    ),
    # ACLs.
    Fault("lower/acl.py", "return (\n        rule.allow,", "return (", ACL),
    Fault(
        "lower/acl.py",
        "        rule.destination,\n        rule.source_ports,",
        "        rule.source_ports,",
        ACL,
    ),
    Fault("lower/acl.py", 'if first.allow else (("return",),)', 'if True else (("return",),)', ACL),
    Fault("lower/acl.py", "if rule.destination != EVERYWHERE:", "if rule.destination == EVERYWHERE:", ACL),
    Fault("lower/acl.py", "rule.protocol != ANY_PROTOCOL and not ports", "False", ACL),
    Fault("lower/acl.py", "if rule.vid is not None:", "if False:", (*ACL, *VLANS)),
    Fault("lower/pools.py", '@{name}", "return")', '@{name}", "accept")', ACL),
    Fault("lower/pools.py", "*_no_hairpin(gate, claim, counter),\n        *refusals,", "*refusals,", GUARD),
    Fault("lower/pools.py", '*first_packet, pool_rule(pool, "accept")', "*first_packet", (*ACL, *GUARD)),
    # Deterministic cgnat and nat.
    Fault("lower/cgnat.py", '{first}-{first + size - 1}"', '{first}-{first + size}"', CGNAT),
    Fault("lower/cgnat.py", "ADDRESS_LAST >> bits << bits", "ADDRESS_LAST", CGNAT),
    Fault("lower/cgnat.py", "if aligned and bits else None", "if bits else None", CGNAT),
    Fault("lower/cgnat.py", "th sport < 1024", "th sport < 1025", CGNAT),
    Fault(
        "lower/cgnat.py",
        "if piece.block >= stock.blocks_per_address:",
        "if piece.block > stock.blocks_per_address:",
        CGNAT,
    ),
    Fault(
        "lower/ports.py",
        'number = f"meta mark set numgen inc mod {size} ',
        'number = f"meta mark set numgen inc mod {size * 2} ',
        (*CGNAT, *MAPPING),
    ),
    Fault("lower/ports.py", '{first}-{first + size - 1}"', '{first}-{first + size}"', (*CGNAT, *MAPPING)),
    Fault("lower/nat.py", "last = min(piece.last, prefix + size - 1)", "last = piece.last", STATIC),
    Fault(
        "lower/nat.py",
        "outside=pool.allow_external_connect, inside=pool.hairpin",
        "outside=True, inside=pool.hairpin",
        STATIC,
    ),
    # Static pools.
    Fault(
        "lower/static.py",
        "plain = union(entry.local for entry in pool.global_map if entry.vid is None)",
        "plain = union(entry.local for entry in pool.global_map)",
        STATIC,
    ),
    Fault(
        "lower/static.py",
        "Element(range_text(e.globals), spell(e.local), e.path) for e in ordered",
        "Element(range_text(e.globals), spell(e.globals), e.path) for e in ordered",
        STATIC,
    ),
    # Dynamic pools.
    Fault(
        "lower/dynamic.py",
        "[word for word, most in by_word if most >= max(slot, 2)]",
        "[word for word, most in by_word if most >= max(slot, 2) - 1]",
        DYNAMIC,
    ),
    Fault(
        "lower/dynamic.py",
        "ct count {claim.stock.block_size} }}",
        "ct count over {claim.stock.block_size} }}",
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
    Fault(
        "lower/numbering.py", "n + 1 if (n + 1) % each else n + 1 - each", "(n + 1) % stock.capacity", DYNAMIC
    ),
    Fault("lower/numbering.py", "a * each + each - 1", "a * each + each - 2", DYNAMIC),
    # Mapping entries.
    Fault(
        "lower/mapping.py",
        "outside=filtering, inside=pool.hairpin)",
        "outside=True, inside=pool.hairpin)",
        MAPPING,
    ),
    Fault(
        "lower/mapping.py",
        'f"add {eif} {{ {OUTSIDE} {CLAIM} : {INSIDE} }}"',
        'f"add {eif} {{ {OUTSIDE} : {INSIDE} }}"',
        (*MAPPING, *kernel("stress")),
    ),
    Fault(
        "lower/mapping.py", 'pool_rule(pool, match, f"add {eim} {{ {INSIDE} : {OUTSIDE} }}"),', "", MAPPING
    ),
    Fault("lower/mapping.py", 'pool_rule(pool, "meta mark set 0"),', "", MAPPING),
    # Marks.
    Fault(
        "lower/marks.py",
        "first = {rule.match.dst_port: rule for rule in reversed(group)}",
        "first = {rule.match.dst_port: rule for rule in group}",
        MARKS,
    ),
    Fault(
        "lower/marks.py",
        "first = {rule.mark: rule for rule in reversed(group) if rule.mark}",
        "first = {rule.mark: rule for rule in group if rule.mark}",
        MARKS,
    ),
    Fault("lower/marks.py", "~mark.mask & WHOLE_MARK", "mark.mask", MARKS),
    Fault(
        "lower/marks.py",
        '"ct mark & 0x{mark.mask:x} == 0x{mark.value:x}"',
        '"ct mark 0x{mark.value:x}"',
        MARKS,
    ),
    Fault(
        "lower/marks.py",
        "return match.protocol, rule.dnat_ip is None, mark is None",
        "return match.protocol, rule.dnat_ip is None",
        MARKS,
    ),
    Fault(
        "lower/marks.py",
        "if interface is None and destination in (None, EVERYWHERE):\n        phrases",
        "if False:\n        phrases",
        MARKS,
    ),
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
    # Timeouts, limits, refusals, VLANs.
    Fault("lower/policy.py", '("fin_wait", times.tcp_final)', '("fin_wait", times.tcp_active)', POLICY),
    Fault(
        "lower/policy.py",
        "established = times.tcp_session_active if session else",
        "established = times.tcp_active if session else",
        POLICY,
    ),
    Fault(
        "lower/limits.py",
        'ct count over {limit} }}"\n    over',
        'ct count over {limit + 1} }}"\n    over',
        kernel("packets_cgnat", "policy", "packets_guard"),
    ),
    Fault(
        "lower/limits.py",
        "th sport ct count over {limit}",
        "ct count over {limit}",
        kernel("policy", "packets_guard", "packets_cgnat"),
    ),
    Fault(
        "lower/refusals.py",
        'pool_rule(pool, f"add @{REFUSED} {{ {key} }}"),',
        "",
        kernel("dynamic", "policy", "packets_cgnat", "packets_guard"),
    ),
    Fault(
        "lower/arriving.py",
        "if claim.pool.opens_to_outside]",
        "if False]",
        kernel("policy", "mapping", "packets_guard"),
    ),
    Fault("lower/vlans.py", "for vid in vids)\n    back", "for vid in vids[:1])\n    back", VLANS),
    Fault(
        "lower/guard.py",
        "return () if shared_vids(gate.site) else (gate.to_outside,)",
        "return (gate.to_outside,)",
        VLANS,
    ),
)
