"""docs/migrate.md shows what `import` does: its examples are imported again."""

import re
from pathlib import Path

import pytest

from nfcompile.importers.importing import READERS, import_files
from nfcompile.importers.reading import ImportOptions

PAGE = (Path(__file__).parents[2] / "docs/migrate.md").read_text(encoding="utf-8")
NAMES = {
    "iptables": "rules.v4",
    "vyos": "config.txt",
    "routeros": "export.rsc",
    "aviatrix": "state.json",
    "econat": "config.txt",
}


@pytest.mark.parametrize("kind", READERS)
def test_the_example_of_each_kind(kind):
    example = re.search(rf"^```{kind}\n(.*?)^```\n\n```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert example, f"docs/migrate.md has no example of {kind}"

    found = import_files(kind, [(NAMES[kind], example[1].encode())], ImportOptions())

    assert found.text == example[2]
    assert found.account.totals["translated"] + found.account.totals["folded"] > 0
