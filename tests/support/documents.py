"""The commands of `nfcompile` that the documents show, in the order in which a reader meets them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from support.sites import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^```(sh|bash|console|)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"`(nfcompile [^`\n]*[^`\n ])`")
MADE = {"docs/cli.md"}
"""Pages that are made of the table of verbs: their lines are synopses."""


class Shown(NamedTuple):
    """A command of a page, without the remark behind it."""

    page: str
    command: str


def shown() -> Iterator[Shown]:
    """Every command in a block: a line of a block of shell, or one behind `$` in a block of output."""
    for file in PAGES:
        page = str(file.relative_to(ROOT))
        if page in MADE:
            continue
        for language, block in FENCE.findall(file.read_text(encoding="utf-8")):
            for line in re.sub(r"\\\n\s*", "", block).splitlines():
                command = re.sub(r"\s+#.*$", "", line.removeprefix("$ ")).strip()
                if (language or line.startswith("$ ")) and re.search(r"(^|[\s;|&/])nfcompile ", command):
                    yield Shown(page, command)


def mentioned() -> Iterator[Shown]:
    """Every command in a sentence."""
    for file in PAGES:
        for command in SAID.findall(FENCE.sub("", file.read_text(encoding="utf-8"))):
            yield Shown(str(file.relative_to(ROOT)), command)
