"""What our ruleset does with a packet, worked out from the values that `emit` writes, without a kernel.

    Table -> program.read -> Program;  Program + Packet + route + State -> walker.walk -> outcomes

A packet's fields are ranges, so one walk can speak for a box of packets; what a walk cannot decide it walks
both ways. A rule that the grammar does not have is an error, never skipped. Knows nothing of pools.
"""

from nfcompile.parts import LOCAL, Packet
from nfcompile.walk.anyhow import reach
from nfcompile.walk.grammar import read_key
from nfcompile.walk.packet import one
from nfcompile.walk.phrases import UnknownPhrase
from nfcompile.walk.program import Program, element_words, read
from nfcompile.walk.state import NOTHING, State
from nfcompile.walk.values import Value
from nfcompile.walk.walker import Effect, Outcome, Route, Step, walk

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
    "UnknownPhrase",
    "Value",
    "element_words",
    "one",
    "reach",
    "read",
    "read_key",
    "walk",
]
