"""docs/migrate.md shows what `import` does: its examples are imported again."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from nfcompile.importers.importing import READERS, import_files
from nfcompile.importers.reading import ImportOptions
from support.command import NFCOMPILE

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


def test_the_commands_of_the_page(tmp_path):
    """Its first commands, with its own examples as the files."""
    commands = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
    for kind, name in {**NAMES, "vyos": "config.boot"}.items():
        text = re.search(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]
        (tmp_path / name).write_text(text)
    statuses = []
    for command in commands:
        words = shlex.split(command, comments=True)
        words = words[: words.index(">")] if ">" in words else words
        done = subprocess.run(
            [*NFCOMPILE, *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        statuses.append(done.returncode)

    assert [command.split()[1] for command in commands] == ["import"] * 3
    assert statuses == [0, 0, 0]
    assert (tmp_path / "account.txt").read_text().count("translated")
