"""The owners of dynamic blocks as the kernel has them now."""

from __future__ import annotations

from nfcompile import assignments
from nfcompile.claims import Claim
from nfcompile.inquiry import Held, Known
from nfcompile.kernel import KernelError, elements, netns
from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text


class Kernel:
    """Asks for single elements. Only who has a block of a cgnat pool takes a listing: there is no map from
    block to subscriber."""

    __slots__ = ("_netns",)

    def __init__(self, namespace: str | None) -> None:
        self._netns = namespace

    def owner(self, known: Known, claim: Claim, number: int, at: str) -> Held | None:
        """Who holds a number now; `at` is not asked for."""
        pool = claim.pool
        key = f"0x{number:08x}"

        def ask() -> str | None:
            if pool.can_be_reached:
                return elements.value(f"owners_{pool.name}", key)
            found = (
                one
                for slot in range(1, claim.blocks_each + 1)
                for one in elements.keys(f"assigned{slot}_{pool.name}", key)
            )
            return next(found, None)

        found = netns.inside(self._netns, ask)
        self._agree(known, claim, number)
        return None if found is None else Held(address(found), number)

    def owned(self, known: Known, claim: Claim, subscriber: int, at: str) -> list[Held]:
        """Which numbers a subscriber holds now."""

        def ask() -> list[str | None]:
            slots = range(1, claim.blocks_each + 1)
            text = address_text(subscriber)
            return [elements.value(f"assigned{slot}_{claim.pool.name}", text) for slot in slots]

        found = [int(one, 16) for one in netns.inside(self._netns, ask) if one is not None]
        for number in found:
            self._agree(known, claim, number)
        return [Held(subscriber, number) for number in found]

    def _agree(self, known: Known, claim: Claim, number: int) -> None:
        """The live table must be that of the site, or its numbers mean something else."""
        name = f"{'addresses' if claim.stock.ports is None else 'blocks'}_{claim.pool.name}"
        said = netns.inside(self._netns, lambda: elements.value(name, f"0x{number:08x}"))
        if said is None or assignments.read_end(said) != known.block(claim, number):
            raise KernelError(f"the live table is not that of the site: pool '{claim.pool.name}' differs")
