"""What differs between a site and the live table, or another site: rules, objects, subscribers, sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nfcompile.allocation import moves
from nfcompile.allocation.moves import Forgotten, Moves
from nfcompile.allocation.pools import PoolAllocation
from nfcompile.deploy.live_site import allocated
from nfcompile.deploy.site_file import SiteFile
from nfcompile.diagnostics import Path
from nfcompile.emit import differences
from nfcompile.emit.differences import Changed
from nfcompile.pipeline import Compiled

if TYPE_CHECKING:
    from nfcompile.kernel.apply import KnownTable

KERNEL = "kernel"
NO_MOVES = Moves((), (), ())


class Comparison(NamedTuple):
    """What differs from `against` (a site's name, or KERNEL).

    lines      a unified diff of the rulesets
    objects    keys of nft objects ('chain pool_homes'); `paths` has the site path of each
    moves      subscribers with another binding; None where the site of the live table is not known
    forgotten  dynamic pools whose assignments end
    sessions   how many connections the change would end; None where no kernel was asked
    generation the ruleset's when it was compared, None where no kernel was asked
    """

    against: str
    lines: list[str]
    objects: Changed
    paths: dict[str, Path]
    moves: Moves | None
    forgotten: tuple[Forgotten, ...]
    sessions: int | None = None
    generation: int | None = None

    @property
    def differs(self) -> bool:
        return bool(self.lines or any(self.moves or ()))


def with_kernel(
    new: Compiled, live: SiteFile | None, netns: str | None, known: KnownTable | None = None
) -> Comparison:
    """Compare a site with the kernel's table; `live` is the site that was loaded, `known` its text, if known.

    Raises SiteError where the kernel refuses the site, KernelError where it cannot be asked.
    """
    from nfcompile.kernel import apply
    from nfcompile.live.continuity import SiteStatePolicy

    policy = SiteStatePolicy(new)
    lines, objects, sessions, now = apply.preview(new.text.text, new.text.origin, netns, policy, known)
    if not lines:
        return Comparison(KERNEL, [], Changed(), {}, NO_MOVES, (), 0, now)
    paths = differences.origins(new.table)
    if new.npt is not None:
        paths = paths | {f"table {new.npt.title}": ("pools",)}
    old = _live_allocations(live, nothing_live=set(objects.added) >= set(paths))
    return Comparison(
        KERNEL,
        lines,
        Changed(*objects),
        paths,
        None if old is None else moves.moves(old, new.allocations),
        () if old is None else tuple(moves.forgotten(old, new.allocations)),
        sessions,
        now,
    )


def with_site(old_name: str, old: Compiled, new_name: str, new: Compiled) -> Comparison:
    """Compare two sites."""
    before, after = (compiled.text.text.splitlines() for compiled in (old, new))
    return Comparison(
        old_name,
        differences.unified(before, after, old_name, new_name),
        differences.compare(differences.objects(old.table), differences.objects(new.table)),
        differences.origins(old.table) | differences.origins(new.table),
        moves.moves(old.allocations, new.allocations),
        tuple(moves.forgotten(old.allocations, new.allocations)),
    )


def _live_allocations(live: SiteFile | None, nothing_live: bool) -> tuple[PoolAllocation, ...] | None:
    """The pools whose ruleset the kernel has; None where they are not known."""
    if nothing_live:
        return ()
    if live is None:
        return None
    return allocated(live.data, live.node)
