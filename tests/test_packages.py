"""The manual of the packages; `make packages` builds them, and installs and uses them in bare roots."""

import importlib.util
import re

import pytest

from nfcompile.cli.verbs import COMMON, VERBS
from support.sites import ROOT


@pytest.fixture(scope="module")
def packages():
    spec = importlib.util.spec_from_file_location("packages", ROOT / "scripts/packages.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_manual_has_every_verb_and_every_option(packages):
    page = packages.man_page().replace("\\-", "-")

    assert re.findall(r'^\.SS "nfcompile (\S+?)"? ?', page, re.MULTILINE) != []
    for verb in VERBS:
        assert f'.SS "nfcompile {verb.name}' in page
        assert verb.help in page
        for option in (*verb.options, *COMMON):
            assert all(f"\\fB{name}\\fR" in page for name in option.names)
            assert option.help.replace("\\", "\\e") in page


def test_no_line_of_the_manual_is_a_request_by_accident(packages):
    known = {".TH", ".SH", ".SS", ".TP", ".B", ".I", ".BR", '.\\"'}

    assert {
        line.split()[0] for line in packages.man_page().splitlines() if line.startswith((".", "'"))
    } <= known
