"""Faults of the ways to a block: ports that are computed, blocks by address, the way back of a block."""

from __future__ import annotations

from mutation.faults.fault import CGNAT, INBOUND, MAPPING, STATIC, Fault, kernel

NUMBERED = ("lower/test_numbered_ports.py", *MAPPING)

FAULTS = (
    # The map of a piece.
    Fault("lower/piece_maps.py", "ADDRESS_LAST >> self.bits << self.bits", "ADDRESS_LAST", CGNAT),
    Fault("lower/piece_maps.py", "== size and first & (size - 1) == 0", "== size", CGNAT),
    Fault("lower/piece_maps.py", "piece.last if self.bits is None else piece.first", "piece.first", CGNAT),
    Fault(
        "lower/piece_maps.py",
        "return PieceMap(alike, first.bits), PieceMap(others, None, True)",
        "return (PieceMap(alike, first.bits),)",
        CGNAT,
    ),
    # `fill: address`.
    Fault("lower/by_address.py", "(residue + low) % each", "(residue + low + 1) % each", CGNAT),
    Fault("lower/by_address.py", "cell.last if intervals else cell.first", "cell.first", CGNAT),
    Fault("lower/by_address.py", " or cell.last - cell.first + 1 != size for", " for", CGNAT),
    Fault(
        "lower/by_address.py",
        "block = allocation.stock.block(0, number)",
        "block = allocation.stock.block(0, 0)",
        CGNAT,
    ),
    Fault("lower/by_address.py", "rules.append(Rule((*below, jump(name)), LOW_PATH))", "pass", CGNAT),
    Fault("lower/by_address.py", "yield from over_limit(context, allocation)", "pass", CGNAT),
    Fault("allocation/residues.py", " - (at & (size - 1))) % each", ") % each", CGNAT),
    Fault(
        "allocation/residues.py",
        "joined is not None and joined.residue == residue:",
        "joined is not None:",
        CGNAT,
    ),
    Fault(
        "lower/block_sockets.py",
        "yield *begin, port_among(ports), candidates",
        "yield port_among(ports), candidates",
        MAPPING,
    ),
    Fault(
        "lower/block_sockets.py", "for ports in parts if len(parts) > 1 else ():", "for ports in ():", MAPPING
    ),
    # `inbound: subscriber`.
    Fault("lower/inbound_blocks.py", "if allocation.low is not None:", "if False:", INBOUND),
    Fault(
        "lower/inbound_blocks.py",
        "if piece.block >= stock.blocks_per_address:",
        "if piece.block > stock.blocks_per_address:",
        INBOUND,
    ),
    Fault(
        "lower/inbound_blocks.py",
        "stock.block(piece.base, piece.block).first",
        "stock.block(piece.base, 0).first",
        INBOUND,
    ),
    Fault(
        "lower/inbound_blocks.py",
        "rules.append(Rule((token, set_mark(0, CT_MARK)), path))",
        "pass",
        INBOUND,
    ),
    Fault(
        "lower/mapping.py",
        "only = () if filtering or not (blocks or forwards) else context.from_inside",
        "only = ()",
        INBOUND,
    ),
    Fault("lower/inbound_blocks.py", "last = min(piece.last, base + size - 1)", "last = piece.last", STATIC),
    Fault("lower/inbound_blocks.py", "base = first & ~(size - 1)", "base = piece.first", STATIC),
    # Ports that are computed.
    Fault(
        "lower/computed_ports.py",
        "Bitwise(TH_SPORT, ports.size - 1, xor",
        "Bitwise(TH_SPORT, 2 * ports.size - 1, xor",
        MAPPING,
    ),
    Fault(
        "lower/computed_ports.py", "pattern & (1 << bits) - 1 for", "pattern & (2 << bits) - 1 for", MAPPING
    ),
    Fault(
        "lower/computed_ports.py",
        " - 1 for pattern in PATTERNS)",
        " - 1 for pattern in PATTERNS[:1])",
        MAPPING,
    ),
    Fault(
        "lower/computed_ports.py",
        "smallest = min((part.size",
        "smallest = max((part.size",
        ("lower/test_computed_ports.py", *MAPPING),
    ),
    Fault("lower/computed_ports.py", "AGAIN if spread.bits else 0", "0", MAPPING),
    Fault(
        "lower/computed_ports.py",
        "if spread.bits and (pool.ports_at_random or turn >= spread.parts):",
        "if spread.bits and turn >= spread.parts:",
        MAPPING,
    ),
    Fault("lower/computed_ports.py", "undo.append(set_field(IP_SADDR, SUBSCRIBER))", "pass", MAPPING),
    Fault("lower/computed_ports.py", "[set_field(TH_SPORT, INSIDE.parts[1])]", "[]", MAPPING),
    Fault(
        "lower/computed_ports.py",
        "address = Bitwise(IP_SADDR, (1 << bits) - 1, base) if bits",
        "address = Bitwise(IP_SADDR, (2 << bits) - 1, base) if bits",
        MAPPING,
    ),
    Fault("lower/computed_ports.py", '"conflict")), DROP', '"conflict")), RETURN', MAPPING),
    Fault(
        "lower/computed_ports.py",
        "if turn == 0 or spread.parts > 1:",
        "if turn == 0:",
        MAPPING,
    ),
    Fault(
        "lower/computed_ports.py",
        "set_mark(KNOWN)) for words, more in lives if more)",
        "set_mark(KNOWN)) for words, more in lives if not more)",
        (*MAPPING, *kernel("policy")),
    ),
    Fault(
        "lower/mapping.py",
        "            rules.append((match(TH_SPORT, LOW_PORTS), set_mark(FRESH), RETURN))\n",
        "            pass\n",
        (*kernel("policy"), *MAPPING),
    ),
    Fault(
        "lower/computed_ports.py",
        "claim, *for_trial(made, seconds)",
        "claim, made",
        kernel("assignment_trial"),
    ),
    Fault(
        "lower/computed_ports.py",
        "ported, claim, *for_trial",
        "ported, *for_trial",
        kernel("assignment_trial"),
    ),
    Fault(
        "lower/computed_ports.py",
        "set_mark(0)) for words, more in lives if not more)",
        "set_mark(0)) for words, more in lives)",
        kernel("assignment_trial"),
    ),
    Fault(
        "lower/computed_ports.py",
        "yield from ((answered, match",
        "yield from ((match",
        kernel("assignment_trial"),
    ),
    # Those of dynamic pools.
    Fault(
        "lower/numbered_ports.py",
        "Range(number * size, number * size + size - 1)",
        "Range(size, size + size - 1)",
        NUMBERED,
    ),
    Fault(
        "lower/numbered_ports.py",
        "high = plan.numbering.block_mask & ~low",
        "high = plan.numbering.block_mask",
        NUMBERED,
    ),
    Fault(
        "lower/numbered_ports.py",
        "(steps & -steps).bit_length() - 1",
        "(steps & -steps).bit_length()",
        NUMBERED,
    ),
    Fault(
        "lower/numbered_ports.py",
        "min(1 << plan.low, plan.numbering.each - number)",
        "(1 << plan.low)",
        ("verify/test_prove.py",),
    ),
    Fault(
        "lower/numbered_ports.py",
        "min(1 << plan.low, plan.numbering.each - number)",
        "1",
        NUMBERED,
    ),
    Fault(
        "lower/numbered_ports.py",
        "number << plan.numbering.shift & plan",
        "number & plan",
        NUMBERED,
    ),
    Fault(
        "lower/numbered_ports.py",
        "yield address, jump(names.candidates(pool.name, bits))",
        "yield (jump(names.candidates(pool.name, bits)),)",
        NUMBERED,
    ),
    Fault("lower/numbered_ports.py", '"conflict")), DROP', '"conflict")),', NUMBERED),
    Fault("lower/numbered_ports.py", "(AGAIN if bits else 0)", "0", MAPPING),
    Fault(
        "lower/numbered_ports.py",
        "if bits and (pool.ports_at_random or turn >= parts):",
        "if bits and turn >= parts:",
        MAPPING,
    ),
    Fault("lower/numbered_ports.py", "if turn == 0 or parts > 1:", "if turn == 0:", NUMBERED),
    Fault(
        "lower/numbered_ports.py",
        "pool.is_dynamic) or pool.ports_at_random is False",
        "pool.is_dynamic)",
        NUMBERED,
    ),
    Fault("lower/numbered_ports.py", "and chains <= MOST_CHAINS", "", NUMBERED),
    Fault("lower/numbering.py", 'for one in ("udp", "tcp"))', 'for one in ("udp",))', MAPPING),
    Fault("lower/mapping.py", "if allocation.low or not computes:", "if allocation.low:", NUMBERED),
    Fault(
        "lower/mapping.py",
        "return allocation.low is not None or not computes",
        "return False",
        NUMBERED,
    ),
    Fault(
        "verify/walk/walker.py",
        "drawn = len(key) > 1 and type(key[-1]) is DrawnNumber",
        "drawn = False",
        NUMBERED,
    ),
    Fault(
        "verify/reference_rules.py",
        "_blocks(allocation.stock) if ported",
        "pool.port_range if ported",
        NUMBERED,
    ),
)
