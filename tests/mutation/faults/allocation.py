"""Faults of the arithmetic of blocks, and of allocations."""

from __future__ import annotations

from mutation.faults.fault import ALLOCATION, CGNAT, CLAIMS, Fault

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
        "last = first + (1 << bits) - 1",
        "last = first + (1 << bits)",
        ALLOCATION,
    ),
    Fault(
        "ipalloc.py",
        "free += _left_over(base, bits, first, last)",
        "free += _left_over(base, bits, first, last)[:1]",
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
    Fault(
        "ipalloc.py",
        "subscriber > piece.last",
        "subscriber >= piece.last",
        ALLOCATION,
    ),
    Fault("ipalloc.py", "not first <= address <= last", "not first <= address < last", ALLOCATION),
    Fault(
        "ipalloc.py",
        "range(self.stock.blocks_per_address):",
        "range(1, self.stock.blocks_per_address):",
        ALLOCATION,
    ),
    Fault("ipalloc.py", "straight = min(free, size - start)", "straight = size - start", ALLOCATION),
    Fault(
        "ipalloc.py",
        "yield piece.block, piece.base, end, piece",
        "yield piece.block, piece.base, end - 1, piece",
        ALLOCATION,
    ),
    # Whom a pool serves.
    Fault(
        "allocation/pools.py",
        "            taken_before.add(run, None)\n",
        "            pass\n",
        CLAIMS,
    ),
    Fault(
        "allocation/pools.py",
        "-(-limit // block_size) * block_size",
        "limit // block_size * block_size",
        CLAIMS,
    ),
    Fault("allocation/pools.py", "size = max(tcp, udp) if", "size = min(tcp, udp) if", CLAIMS),
    Fault("allocation/pools.py", "kept += seen.rest(run)", "kept.append(run)", CLAIMS),
    Fault(
        "allocation/pools.py",
        "Stock(pool.global_ip, Range(size, LOW_PORT_LAST), size)",
        "Stock(pool.global_ip, Range(1, LOW_PORT_LAST), size)",
        (*CLAIMS, "allocation/test_lookup.py", *CGNAT),
    ),
)
