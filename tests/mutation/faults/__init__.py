"""Hand-made faults of the compiler's arithmetic and of its rules, each with the tests that have to see it.

A fault is one replacement in one file, of a text that stands there exactly once (../test_faults.py).
Each is a slip that a change could bring in: an end that is one too far, a condition turned round, a rule
that is left out. Golden cases do not count: they see every change of the text and say nothing of its meaning.
"""

from mutation.faults import (
    allocation,
    answers,
    choice,
    dispatch,
    dynamic,
    guard,
    mapping,
    pair,
    port_forwarding,
    ports,
    rules,
    translation,
)
from mutation.faults.fault import Fault

__all__ = ["FAULTS", "Fault"]

PARTS = (
    allocation,
    choice,
    dispatch,
    rules,
    translation,
    ports,
    dynamic,
    mapping,
    guard,
    pair,
    answers,
    port_forwarding,
)
FAULTS = tuple(fault for part in PARTS for fault in part.FAULTS)
