"""A site of the history, compiled again from the text that is kept there."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.deploy.site_file import SiteFile
from nfcompile.kernel import KernelError
from nfcompile.model.fleet import NodeChoice
from nfcompile.pipeline import Compilation, Compiled, compile_text
from nfcompile.records import store
from nfcompile.records.history import Event
from nfcompile.records.store import StateDir


class RejectedSite(KernelError):
    """This version does not compile a site that an earlier one loaded; `compilation` has the diagnostics."""

    def __init__(self, event: Event, compilation: Compilation) -> None:
        name, version = compilation.document.name, event.version
        super().__init__(f"this version of nfcompile rejects '{name}', which version {version} loaded")
        self.compilation = compilation


class RecordedSite(NamedTuple):
    """A site that was live: the event that says so, its text, and what this version makes of it."""

    event: Event
    file: SiteFile
    compilation: Compilation
    compiled: Compiled

    @property
    def name(self) -> str:
        """Its file and time, as messages call it."""
        return self.compilation.document.name


def recorded_node(event: Event) -> NodeChoice:
    """The node whose site an event is about."""
    return NodeChoice(event.node, bool(event.node))


def recorded_site(state: StateDir, event: Event) -> RecordedSite:
    """Read and compile the site of an event that has one. Raises RejectedSite and StateError."""
    assert event.site is not None
    file = SiteFile(store.site(state.path, event.site), event.file or "", event.node)
    compilation = compile_text(file.data, f"{file.file} of {event.at[:19]}Z", recorded_node(event))
    if compilation.compiled is None:
        raise RejectedSite(event, compilation)
    return RecordedSite(event, file, compilation, compilation.compiled)
