"""What a command line says, as one value for all verbs.

Annotations are evaluated here and in `verbs`: a NamedTuple compiles each one that is text, at every start.
"""

import os
from typing import NamedTuple


class Options(NamedTuple):
    """The words and options of a command line; `cli.verbs` says which verb takes which, and what they mean.

    A verb reads the fields that it takes; the others have their defaults here.
    """

    words: tuple[str, ...] = ()
    format: str = "text"
    quiet: bool = False
    no_color: bool = False
    node: str | None = None
    netns: str | None = None
    state_dir: str | None = None
    yes: bool = False
    live: bool = False
    strict: bool = False
    lint: str | None = None
    kernel: bool = False
    output: str | None = None
    dry_run: bool = False
    exit_code: bool = False
    confirm: int | None = None
    max_moves: int | None = None
    git: str | None = None
    most_boxes: int = 200_000
    growth: float | None = None
    html: str | None = None
    unit: bool = False
    trial: bool = False
    proto: str | None = None
    at: str | None = None
    log: tuple[str, ...] = ()
    db: str | None = None
    bulk: str | None = None
    report: bool = False
    src: str = ""
    dst: str = ""
    interface: str | None = None
    out: str | None = None
    compact: bool = False
    full: bool = False
    top: int = 0
    watch: bool = False
    interval: float = 2.0
    listen: str = ""
    to: tuple[str, ...] = ()
    only: str | None = None
    begins: bool = False
    buffer: int = 65536
    spool: int = 1024
    keep: int = 0
    stats: bool = False
    mappings: bool = False
    pool: str | None = None
    subscriber: str | None = None
    global_: str | None = None
    template: str = ""
    inside: str = ""
    outside: str = ""
    account: str | None = None
    inside_interfaces: tuple[str, ...] = ()
    outside_interfaces: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()
    gateway: str | None = None
    check: bool = False
    verify: bool = False
    bundle: str | None = None
    network: str | None = None
    routed: bool = False
    host: bool = False
    instance: str | None = None
    region: str | None = None
    docs: str | None = None
    take: bool = False
    conntrackd: str | None = None
    stdin: bool = False

    @property
    def site(self) -> str:
        """The site, or the file, of a verb whose first word it is."""
        return self.words[0] if self.words else "site.yaml"

    @property
    def color(self) -> bool:
        """Whether colours are wanted where a terminal shows them."""
        return not (self.no_color or os.environ.get("NO_COLOR"))

    @property
    def is_json(self) -> bool:
        """Whether stdout is for a program that reads JSON."""
        return self.format == "json"
