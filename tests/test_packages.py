"""The manual of the packages; `make packages` builds them, and installs and uses them in bare roots."""

import importlib.util
import re

import pytest

from nfcompile.cli.verbs import COMMON, VERBS
from support.sites import ROOT
from support.terminal import AT_ONCE, HIDE, SHOW, verb_on_terminal


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


def test_the_units_are_pages_that_were_filled_in(packages):
    found = packages.service_files()

    assert sorted(found) == [
        "etc/logrotate.d/nfcompile-log",
        *(f"usr/lib/systemd/system/nfcompile{name}.service" for name in ("-exporter", "-log", "-pcp", "")),
    ]
    for name, text in found.items():
        assert "{{" not in text
        assert "{%" not in text
        assert text.endswith("\n")
        if name.endswith(".service"):
            (start,) = (line for line in text.splitlines() if line.startswith("ExecStart="))
            assert start.startswith("ExecStart=/usr/bin/nfcompile ")
    assert (
        " --to json:/var/log/nfcompile/log.jsonl\n" in found["usr/lib/systemd/system/nfcompile-log.service"]
    )


BUILD = f"""
import pathlib, runpy, sys
from nfcompile.cli import progress
from nfcompile.cli.exit_status import guarded
{AT_ONCE}
main = runpy.run_path({str(ROOT / "scripts/packages.py")!r})["main"]
main.__globals__["DIST"] = pathlib.Path(sys.argv[1])
sys.exit(guarded(lambda: main([]) or 0))
"""


def test_building_shows_that_it_goes_on_and_ends_at_ctrl_c(tmp_path):
    got, code = verb_on_terminal(tmp_path / "dist", interrupt=b"building wheel", program=BUILD)

    assert code == 130
    assert got.rfind(SHOW) > got.rfind(HIDE)
    assert b"Traceback" not in got
    assert not [*(tmp_path / "dist").glob("*.deb")]
