"""What our ruleset does with a packet, worked out from the values that `emit` writes, without a kernel.

    Table -> program.read -> Program;  Program + Packet + route + State -> ways.walk -> outcomes

A packet's fields are ranges, so one walk can speak for a box of packets; what a walk cannot decide it walks
both ways. A statement that it does not know is an error, never skipped. Knows nothing of pools.
"""

from nfcompile.verify.boxes import LOCAL, Packet
from nfcompile.verify.walk.effects import Effect, Step
from nfcompile.verify.walk.packet import one
from nfcompile.verify.walk.program import Program, read
from nfcompile.verify.walk.state import NOTHING, State, gate_open
from nfcompile.verify.walk.together import Together
from nfcompile.verify.walk.values import UnknownStatement, Value
from nfcompile.verify.walk.ways import Outcome, Route, outcomes, walk

__all__ = [
    "LOCAL",
    "NOTHING",
    "Effect",
    "Outcome",
    "Packet",
    "Program",
    "Route",
    "State",
    "Step",
    "Together",
    "UnknownStatement",
    "Value",
    "gate_open",
    "one",
    "outcomes",
    "read",
    "walk",
]
