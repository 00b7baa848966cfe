"""Pages of `diff` and `plan`: whole, small, of one file, and nothing of a site is markup."""

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.command import nfcompile, write
from support.sites import GOOD, ROOT

VOID = {"meta", "rect", "path"}
LARGER = GOOD.replace("203.0.113.0/30", "203.0.113.64/29")


class Page(HTMLParser):
    """Elements that stand open, ids and text; an end that fits no begin is an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def page(*arguments):
    done = nfcompile(*arguments, "--html", "page.html")
    assert done.returncode == 0, done.stderr
    return Page(Path("page.html").read_text())


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_change(here):
    found = page("diff", write("new.yaml", LARGER), write("old.yaml", GOOD))

    assert "What changes with new.yaml" in found.text
    assert "old.yaml \N{RIGHTWARDS ARROW} new.yaml" in found.text
    assert re.search(r"256 moved 0 new 0 gone", found.text)
    assert "203.0.113.64" in found.text
    assert "4 \N{RIGHTWARDS ARROW} 8" in found.text
    assert [tag for tag, _ in found.tags].count("svg") == 2


def test_no_change(here):
    found = page("diff", write("new.yaml", GOOD), write("old.yaml", GOOD))

    assert "Nothing differs." in found.text
    assert "No subscriber moves." in found.text


def test_a_revision(here):
    write("site.yaml", GOOD)
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", *words], check=True)
    write("site.yaml", LARGER)

    assert "HEAD:site.yaml" in page("diff", "site.yaml", "--git", "HEAD").text


def test_how_full_pools_are(here):
    found = page("plan", write("site.yaml", GOOD))

    assert "Allocation of site.yaml" in found.text
    assert re.search(r"256 of [\d,]+ blocks have a subscriber", found.text)
    cells = [attributes for tag, attributes in found.tags if tag == "rect"]
    assert 0 < len(cells) < 1000


def test_ports_in_no_block_are_on_the_map(here):
    found = page(
        "plan",
        write(
            "site.yaml", GOOD.replace("    type: cgnat\n", "    type: cgnat\n    port_range: 1024-65000\n")
        ),
    )

    (waste,) = [attributes for tag, attributes in found.tags if attributes.get("class") == "waste"]
    assert "ports 64640-65000 of each address are in no block" in found.text
    assert "in no block" not in page("plan", write("site.yaml", GOOD)).text
    grid = (1080 - 120) / (65001 - 1024)
    assert float(waste["width"]) == pytest.approx(361 * grid, abs=0.1)


@pytest.mark.parametrize("fill", ["spread", "address"])
def test_a_million_subscribers_are_a_small_page(here, fill):
    million = GOOD.replace("203.0.113.0/30", "203.0.0.0/16").replace("100.64.0.0/24", "100.64.0.0/12")
    million = million.replace("    hairpin: off\n", f"    hairpin: off\n    fill: {fill}\n")
    assert "1048576" in nfcompile("plan", "-", input=million).stdout

    page("plan", write("site.yaml", million))

    assert Path("page.html").stat().st_size < 400_000


@pytest.mark.parametrize("site", sorted(ROOT.glob("examples/*/site.yaml")), ids=lambda path: path.parent.name)
def test_every_example(here, site):
    page("plan", site)
    page("diff", site, write("old.yaml", GOOD))


def test_nothing_of_a_site_is_markup(here):
    name = "<script>alert(1)</script>.yaml".replace("/", "\N{FRACTION SLASH}")
    found = page("diff", write(name, LARGER), write("old.yaml", GOOD))

    assert not [tag for tag, _ in found.tags if tag == "script"]
    assert "alert(1)" in found.text


def test_nothing_is_asked_from_elsewhere(here):
    found = page("diff", write("new.yaml", LARGER), write("old.yaml", GOOD))
    text = Path("page.html").read_text()

    assert not re.search(r"(src|href)=|url\((?!#)|@import", text)
    assert {attributes["content"] for tag, attributes in found.tags if "http-equiv" in attributes} == {
        "default-src 'none'; style-src 'unsafe-inline'"
    }


def test_a_page_that_cannot_be_written(here):
    done = nfcompile("plan", write("site.yaml", GOOD), "--html", "nowhere/page.html")

    assert done.returncode == 2
    assert "nowhere/page.html" in done.stderr


def test_a_refused_site_leaves_the_page(here):
    write("page.html", "before")

    assert nfcompile(
        "diff", write("bad.yaml", "version: 2"), write("old.yaml", GOOD), "--html", "page.html"
    ).returncode
    assert Path("page.html").read_text() == "before"
