"""Faults of the maps that lead to an address and a port."""

from __future__ import annotations

from mutation.faults.fault import ALLOCATION, CGNAT, MAPPING, STATIC, Fault

FAULTS = (
    # Deterministic cgnat and nat.
    Fault("ipalloc.py", "Range(first, first + size - 1) for", "Range(first, first + size) for", CGNAT),
    Fault("lower/low_ports.py", "LOW_PORTS = Range(0, 1023)", "LOW_PORTS = Range(0, 1024)", CGNAT),
    Fault(
        "ipalloc.py",
        "ports.last - block_size + 2, block_size)",
        "ports.last + 2, block_size)",
        CGNAT,
    ),
    Fault(
        "lower/port_selection.py",
        'Numgen("inc", size, NUMBERS + first)',
        'Numgen("inc", size * 2, NUMBERS + first)',
        (*CGNAT, *MAPPING),
    ),
    Fault(
        "lower/port_selection.py",
        "Range(first, first + size - 1)",
        "Range(first, first + size)",
        (*CGNAT, *MAPPING),
    ),
    Fault(
        "lower/nat.py",
        "outside=pool.allow_external_connect, inside=pool.hairpin",
        "outside=True, inside=pool.hairpin",
        STATIC,
    ),
    Fault(
        "ipalloc.py",
        "end + 1 and base == of_run and bits == size_of_run:",
        "end + 1 and bits == size_of_run:",
        (*ALLOCATION, *CGNAT),
    ),
    Fault(
        "ipalloc.py",
        "first + each - 1 - number % each)",
        "first + each - 1)",
        (*ALLOCATION, "allocation/test_fill.py", *CGNAT),
    ),
    Fault(
        "lower/low_ports.py",
        "match(L4PROTO, UDP), over, RETURN",
        "match(L4PROTO, *PORTED), over, RETURN",
        CGNAT,
    ),
    Fault(
        "lower/low_ports.py",
        "entry = match(L4PROTO, *PORTED), match",
        "entry = match(L4PROTO, UDP), match",
        CGNAT,
    ),
    Fault(
        "lower/port_selection.py",
        "names.block_chain(pool.name, piece.base, piece.bits, piece.block)",
        "names.block_chain(pool.name, piece.base, piece.bits, 0)",
        MAPPING,
    ),
    Fault(
        "lower/port_selection.py",
        "(1 << piece.bits) - 1, piece.base",
        "(2 << piece.bits) - 1, piece.base",
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
        "for protocols, size in groups:\n        for protocol",
        "for protocols, size in groups[:1]:\n        for protocol",
        MAPPING,
    ),
    Fault("lower/nat.py", "inside=pool.hairpin)\n    return", "inside=True)\n    return", STATIC),
    # Static pools.
    Fault(
        "lower/static.py",
        "plain = union(entry.local for entry in pool.global_map if entry.vid is None)",
        "plain = union(entry.local for entry in pool.global_map)",
        STATIC,
    ),
    Fault(
        "lower/static.py",
        "Element((e.globals,), (e.local,), e.path)",
        "Element((e.globals,), (e.globals,), e.path)",
        STATIC,
    ),
    Fault("lower/static.py", "entry.local.size > 1 for", "entry.local.size > 2 for", STATIC),
    Fault("lower/static.py", 'flags = ("interval",) if _has_prefix(tagged) else ()', "flags = ()", STATIC),
    Fault(
        "lower/static.py",
        "Element(_key(context, e), (e.globals,), e.path) for e in ordered)",
        "Element(_key(context, e), (e.globals,), e.path) for e in ordered[:1])",
        STATIC,
    ),
)
