"""The host's half of a change: what would be done, and how it is taken back with the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nfcompile.kernel import KernelError
from nfcompile.records.store import StateDir

if TYPE_CHECKING:
    from nfcompile.host.change import Change, HostPlace
    from nfcompile.host.plan import HostPlan


def place(state: StateDir) -> HostPlace:
    """The host, or the namespace, of a state directory."""
    from nfcompile.host.change import HostPlace

    return HostPlace(state.path, state.netns, state.kernel)


def foreseen(state: StateDir, plan: HostPlan) -> Change:
    """What would change of the host."""
    from nfcompile.host import change

    return change.foreseen(plan, place(state))


def go_back(state: StateDir, number: int) -> str:
    """Bring the host to where it was before a change of the history, if that or a later one had to do with
    it; why it could not be, '' where it was. The ruleset goes back in any case."""
    from nfcompile.host import change

    try:
        change.go_back(place(state), number)
    except KernelError as error:
        return f"the host's half did not go back: {error}"
    return ""
