"""A foreign configuration imported for a test: its site as data, and the fate of each line."""

from __future__ import annotations

from typing import Any

from nfcompile import pipeline
from nfcompile.importers.importing import Imported, import_files
from nfcompile.importers.reading import ImportOptions
from nfcompile.pipeline import Compiled
from nfcompile.source import document


def imported(kind: str, *texts: str, **options: Any) -> Imported:
    """Import texts as files f1, f2 ...; options are those of `Options`."""
    files = [(f"f{number}", text.encode()) for number, text in enumerate(texts, 1)]
    return import_files(kind, files, ImportOptions(**options))


def site_of(found: Imported) -> dict[str, Any]:
    """The site as data; reading it shows that it is well-formed YAML."""
    return document.parse(found.text.encode(), "site.yaml").data


def fates(found: Imported) -> list[str]:
    """'LINE FATE' of every entry that is not ignored, with where it went or why not."""
    return [
        f"{entry.line} {entry.fate} {entry.to or entry.code}"
        for entry in found.account.entries
        if entry.fate != "ignored"
    ]


def reasons(found: Imported) -> dict[int, str]:
    """The reason of each entry by its line."""
    return {entry.line: entry.reason for entry in found.account.entries}


def compiled(found: Imported) -> Compiled:
    """The site through the compiler. Raises SiteError."""
    return pipeline.compile_site(pipeline.parse(found.text.encode(), "site.yaml"))
