"""docs/errors.md has the checks' sections as their modules write them: one text, not two."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "errors_page.py"))
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def test_the_page_has_the_sections_of_the_checks():
    assert SCRIPT["page"](PAGE) == PAGE, "run `make errors`"


def test_a_changed_section_is_noticed():
    assert SCRIPT["page"](PAGE.replace("Two enabled pools have the same priority", "Two pools do")) == PAGE


def test_a_check_without_a_heading_is_noticed():
    with pytest.raises(SystemExit, match="equal-priority"):
        SCRIPT["page"](PAGE.replace("### equal-priority", "### other-code"))
