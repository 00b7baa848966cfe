"""docs/cli.md is made of the table of verbs."""

import runpy

from nfcompile.cli.verbs import VERBS
from support.sites import ROOT

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "cli_page.py"))
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def test_the_page_is_that_of_the_table():
    assert SCRIPT["page"]() == PAGE, "run `make errors`"


def test_every_verb_and_option_has_its_row():
    for verb in VERBS:
        section = PAGE.split(f"\n## {verb.name}\n", 1)[1].split("\n## ", 1)[0]
        assert verb.help in section
        assert all(f"`{option.names[0]}`" in section for option in verb.options)
