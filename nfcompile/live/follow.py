"""The site that is live, for a program that goes on while others change it.

The history says which one that is; where it does not, the site is the one that the program began with.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from nfcompile.kernel import KernelError
from nfcompile.model.fleet import NodeChoice
from nfcompile.pipeline import Compiled, compile_text
from nfcompile.records import history, store
from nfcompile.records.history import Event


class ScrapedSite(NamedTuple):
    """A site, the digest of its text ('' before the history has named it), and the name of its file; of a
    fleet's site, which node is meant."""

    compiled: Compiled
    digest: str
    file: str
    node: NodeChoice


class FollowedSite:
    """The compiled live site; compiled again when the history names another one."""

    def __init__(self, site: ScrapedSite, root: str | None, namespace: str | None) -> None:
        self.site, self._root, self._namespace = site, root, namespace
        folder = store.directory(root or store.DEFAULT, namespace)
        self._file, self._stamp = os.path.join(folder, store.HISTORY), (0, 0, 0)

    def history_changed(self) -> bool:
        """Whether the file of the history is another one, or longer, than when this was asked last."""
        try:
            seen = os.stat(self._file)
        except OSError:
            return False
        before, self._stamp = self._stamp, (seen.st_mtime_ns, seen.st_size, seen.st_ino)
        return before != self._stamp

    def follow(self) -> tuple[Event | None, Event | None]:
        """Take the live site of the history. What is live in this kernel, and what is on trial; None where
        the history does not say."""
        live, trial = self._history()
        if live is not None and live.site and live.site != self.site.digest:
            self._take(live)
        return live, trial

    def _history(self) -> tuple[Event | None, Event | None]:
        try:
            state = store.state_dir(self._root, self._namespace)
            events = store.read(state.path).events
        except KernelError:
            return None, None
        return history.live(events, state.kernel), history.trial(events, state.kernel)

    def _take(self, live: Event) -> None:
        """Take the live site, unless this version rejects its text or it cannot be read."""
        assert live.site is not None
        state = store.state_dir(self._root, self._namespace)
        try:
            data = store.site(state.path, live.site)
        except KernelError:
            return
        compiled = compile_text(data, live.file or "", self.site.node).compiled
        if compiled is not None:
            self.site = ScrapedSite(compiled, live.site, live.file or "", self.site.node)
