"""The site that is live, as the records have it: its file, its ruleset's text, and what it gave to whom.

With that text `apply` compares two texts of ours instead of listing the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nfcompile.deploy.site_file import SiteFile
from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError
from nfcompile.records import history, store
from nfcompile.records.store import StateDir

if TYPE_CHECKING:
    from nfcompile.allocation.pools import PoolAllocation
    from nfcompile.kernel.apply import KnownTable
    from nfcompile.pipeline import Compiled

LIVE = "kernel"
"""What problems of the site that is live would call it."""


def read(root: str | None, netns: str | None) -> SiteFile | None:
    """The site that is live; None where the history does not say, or not to this user."""
    try:
        state = store.state_dir(root, netns)
        last = history.live(store.read(state.path).events, state.kernel)
        if last is None or not last.site:
            return None
        return SiteFile(store.site(state.path, last.site), last.file or "", last.node)
    except KernelError:
        return None


def known_table(state: StateDir, compiled: Compiled) -> KnownTable | None:
    """The text that is loaded, where the records say so: that of this site, or of the one before."""
    from nfcompile.kernel.apply import KnownTable

    hint = store.loaded(state)
    if hint is None:
        return None
    generation, name = hint
    if name == _name(compiled):
        return KnownTable(compiled.text.text, generation)
    text = store.loaded_text(state, name)
    if text is None:
        text = _last_text(state)
    return KnownTable(text, generation) if name == store.digest(text.encode()) else None


def known_here(compiled: Compiled, root: str | None, netns: str | None) -> KnownTable | None:
    """The same for a state directory; None where this user may not read it."""
    try:
        return known_table(store.state_dir(root, netns), compiled)
    except KernelError:
        return None


def _last_text(state: StateDir) -> str:
    """The ruleset of the site that the history says is live; '' where it does not."""
    try:
        last = history.live(store.read(state.path).events, state.kernel)
        if last is None or not last.site:
            return ""
        compiled = recompiled(store.site(state.path, last.site), last.node)
    except KernelError:
        return ""
    return "" if compiled is None else compiled.text.text


def recompiled(data: bytes, node: str) -> Compiled | None:
    """A site of the history; None where this version refuses it."""
    from nfcompile.model.fleet import NodeChoice
    from nfcompile.pipeline import compile_text

    return compile_text(data, LIVE, NodeChoice(node, bool(node))).compiled


def allocated(data: bytes, node: str) -> tuple[PoolAllocation, ...] | None:
    """What a site of the history gave to whom; None where this version refuses it."""
    from nfcompile import pipeline
    from nfcompile.model.fleet import NodeChoice

    try:
        parsed = pipeline.parse_text(data, LIVE, NodeChoice(node, bool(node)))
        return pipeline.accepted(parsed.document).checked.allocations if parsed.document.complete else None
    except SiteError:
        return None


def note_loaded(state: StateDir, compiled: Compiled, generation: int | None) -> None:
    """Remember that the kernel has a site's table, if no other program has touched the ruleset meanwhile."""
    if generation is not None and store.loaded(state) != (generation, _name(compiled)):
        store.note_loaded(state, generation, compiled.text.text)


def _name(compiled: Compiled) -> str:
    return store.digest(compiled.text.text.encode())
