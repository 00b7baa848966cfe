"""npt pools: does their table do what the site says, for every IPv6 packet?"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.pipeline import Compiled
from nfcompile.verify import npt_reference
from nfcompile.verify.box import everything, explored
from nfcompile.verify.proof.agreement import Compared, compared
from nfcompile.verify.walk import read

PROTOCOLS = (0, 6, 17, 58)
"""Any one, TCP, UDP and ICMPv6: neither side tells others apart."""


def prefixes(compiled: Compiled) -> Iterator[Compared]:
    """Every packet, in boxes; none where the site has no npt pool."""
    if compiled.npt is None:
        return
    gate = npt_reference.prefix_gateway(compiled.site)
    every = everything(gate.inside | gate.outside, PROTOCOLS, bits=128)
    said = explored(every, lambda box: npt_reference.fate(gate, box.packet, box.route))
    yield from compared(read(compiled.npt), list(said))
