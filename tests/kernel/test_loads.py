"""Every ruleset that the repository shows, and every one its examples compile to, loads in a real kernel:
on its own, in place of itself, and again from what the kernel lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.lab import Lab, lacking
from support.sites import EXAMPLE_SITES, ROOT, RULESETS, site


def name(path: Path) -> str:
    return str(path.relative_to(ROOT).parent)


def test_there_are_examples() -> None:
    assert EXAMPLE_SITES


@pytest.mark.parametrize("path", RULESETS, ids=name)
def test_ruleset_loads(lab: Lab, path: Path) -> None:
    """Where a case is about a helper that few kernels have, everything else of it loads with another one."""
    text = path.read_text()
    diagnostics = path.with_name("diagnostics.txt")
    if diagnostics.exists() and "[alg-unavailable]" in diagnostics.read_text():
        text = text.replace('type "rtsp"', 'type "ftp"')
    loads(lab, text)


@pytest.mark.parametrize("path", EXAMPLE_SITES, ids=name)
def test_example_loads(lab: Lab, path: Path) -> None:
    loads(lab, site(path.read_text()).text.text)


def loads(lab: Lab, text: str) -> None:
    if "\tflowtable " in text and not lab.has_flowtable():
        lacking("flowtable")
    lab.load(text)
    listed = lab.listing()
    lab.reload(text)
    assert lab.listing() == listed, "loading it twice differs from loading it once"
    lab.load(listed)
    assert lab.listing() == listed, "the kernel's own listing loads as something else"
