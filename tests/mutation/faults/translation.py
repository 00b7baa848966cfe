"""Faults of the maps that lead to an address and a port."""

from __future__ import annotations

from mutation.faults.fault import CGNAT, MAPPING, STATIC, Fault

FAULTS = (
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
        "lower/port_selection.py",
        'number = f"meta mark set numgen inc mod {size} ',
        'number = f"meta mark set numgen inc mod {size * 2} ',
        (*CGNAT, *MAPPING),
    ),
    Fault(
        "lower/port_selection.py",
        '{first}-{first + size - 1}"',
        '{first}-{first + size}"',
        (*CGNAT, *MAPPING),
    ),
    Fault("lower/nat.py", "last = min(piece.last, prefix + size - 1)", "last = piece.last", STATIC),
    Fault(
        "lower/nat.py",
        "outside=pool.allow_external_connect, inside=pool.hairpin",
        "outside=True, inside=pool.hairpin",
        STATIC,
    ),
    Fault("lower/cgnat.py", "(piece.base, piece.bits) == (base, bits):", "piece.bits == bits:", CGNAT),
    Fault(
        "lower/cgnat.py",
        'rules.append(Rule(("meta l4proto udp", over, "return"), path',
        'rules.append(Rule(("meta l4proto { tcp, udp }", over, "return"), path',
        CGNAT,
    ),
    Fault(
        "lower/cgnat.py",
        '"meta l4proto { tcp, udp } th sport < 1024"',
        '"meta l4proto udp th sport < 1024"',
        CGNAT,
    ),
    Fault("lower/port_selection.py", '-{32 - piece.bits}_{piece.block}"', '-{32 - piece.bits}"', MAPPING),
    Fault(
        "lower/port_selection.py",
        '((1 << piece.bits) - 1)} | {base}"',
        '((2 << piece.bits) - 1)} | {base}"',
        MAPPING,
    ),
    Fault(
        "lower/port_selection.py",
        "allocation.stock.blocks_per_address * allocation.stock.block_size",
        "allocation.stock.blocks_per_address * allocation.stock.block_size - 1",
        MAPPING,
    ),
    Fault(
        "lower/port_selection.py",
        "for protocols, size in allocation.protocol_ports:\n        for protocol",
        "for protocols, size in allocation.protocol_ports[:1]:\n        for protocol",
        MAPPING,
    ),
    Fault("lower/nat.py", "inside=pool.hairpin)\n    return", "inside=True)\n    return", STATIC),
    Fault("lower/nat.py", "prefix = first & ~(size - 1)", "prefix = piece.first", STATIC),
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
    Fault("lower/static.py", "entry.local.size > 1 for", "entry.local.size > 2 for", STATIC),
    Fault("lower/static.py", 'flags = ("interval",) if _prefix(tagged) else ()', "flags = ()", STATIC),
    Fault(
        "lower/static.py",
        "elements = tuple(Element(_key(gate, e), spell(e.globals), e.path) for e in ordered)",
        "elements = tuple(Element(_key(gate, e), spell(e.globals), e.path) for e in ordered[:1])",
        STATIC,
    ),
)
