"""`diff --html`, `plan --html` and the picture of `graph` in a real Chromium: `make browser`."""

import time
from pathlib import Path

import pytest

from support.command import nfcompile, write
from support.sites import GOOD, ROOT

ISP = (ROOT / "examples/isp/site.yaml").read_text()
MOVED = ISP.replace("203.0.113.0/26", "203.0.113.64/26")
WASTE = GOOD.replace("    type: cgnat\n", "    type: cgnat\n    port_range: 1024-65000\n")
HOSTILE = "<img src=x onerror=alert(1)>&'\".yaml"
LEAST_CONTRAST = 4.5
"""WCAG 2.1, level AA, for text."""

CONTRASTS = """
const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const color = text => text.match(/[\\d.]+/g).map(Number);
const words = document.createTreeWalker(document.body ?? document.documentElement, NodeFilter.SHOW_TEXT);
const found = [];
while (words.nextNode()) {
  let at = words.currentNode.parentElement;
  if (!words.currentNode.data.trim() || !at.checkVisibility() || at.closest('style, title, svg')) continue;
  const front = color(getComputedStyle(at).color);
  let back = color(getComputedStyle(at).backgroundColor);
  while (back[3] === 0 && (at = at.parentElement)) back = color(getComputedStyle(at).backgroundColor);
  const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
  found.push([(high + 0.05) / (low + 0.05), words.currentNode.data.trim().slice(0, 40)]);
}
return found.sort((a, b) => a[0] - b[0]);
"""
PICTURE_CONTRASTS = """
const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const fill = one => light(getComputedStyle(one).fill.match(/[\\d.]+/g).map(Number));
return [...document.querySelectorAll('text')].map(word => {
  const box = word.getBBox(), x = box.x + 1, y = box.y + box.height / 2;
  const under = [...document.querySelectorAll('rect')].filter(rect => {
    const b = rect.getBBox(); return b.x <= x && x <= b.x + b.width && b.y <= y && y <= b.y + b.height; });
  const [high, low] = [fill(word), fill(under.at(-1))].sort((a, b) => b - a);
  return [(high + 0.05) / (low + 0.05), word.textContent];
}).sort((a, b) => a[0] - b[0]);
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def made(*arguments, name="page.html"):
    """The page that a command writes."""
    done = nfcompile(*arguments, "--html", name)
    assert done.returncode == 0, done.stderr
    return Path(name).absolute()


def difference(new=MOVED, old=ISP, new_name="new.yaml"):
    return made("diff", write(new_name, new), write("old.yaml", old))


def wasteful():
    return made("plan", write("waste.yaml", WASTE), name="plan.html")


def picture(text=ISP):
    done = nfcompile("graph", write("site.yaml", text), "--format", "svg")
    write("way.svg", done.stdout)
    return Path("way.svg").absolute()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("make", [difference, wasteful, picture])
def test_a_page_is_quiet_asks_nothing_and_can_be_read(chromium, make, scheme):
    file = make()
    chromium.colors(scheme)
    chromium.open(file)

    assert chromium.messages() == []
    assert chromium.requests() == [file.as_uri()]
    found = chromium.run(PICTURE_CONTRASTS if make is picture else CONTRASTS)
    assert len(found) > 10
    assert found[0][0] >= LEAST_CONTRAST, found[:3]
    color = chromium.run(
        "const at = document.querySelector(arguments[0]); const s = getComputedStyle(at);"
        "return at.tagName == 'rect' ? s.fill : s.backgroundColor",
        ".page" if make is picture else "body",
    )
    assert (color == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.parametrize("width", [1280, 360])
def test_no_page_is_wider_than_the_window(chromium, width):
    for file in (difference(), wasteful()):
        chromium.colors("light", width)
        chromium.open(file)
        assert chromium.run("return document.documentElement.scrollWidth <= innerWidth"), file


def test_a_screen_reader_is_told_what_is_seen(chromium):
    chromium.open(difference())
    told = chromium.accessible()
    headings = [name for role, name in told if role == "heading"]

    assert headings == [
        "What changes with new.yaml",
        "Subscribers",
        "Capacity",
        "A packet's way",
        "Objects of the table",
        "Ruleset",
    ]
    assert ("table", "Runs of subscribers whose binding changes") in told
    assert {name for role, name in told if role == "columnheader"} >= {"subscribers", "before", "after"}
    assert any(name == "unified diff of the rulesets" for _, name in told)
    assert [role for role, _ in told].count("main") == 1
    assert all(name for role, name in told if role in ("image", "heading", "columnheader"))


def test_the_map_has_its_numbers_as_a_name(chromium):
    chromium.open(wasteful())
    (name,) = [name for role, name in chromium.accessible() if role == "image"]

    assert name.startswith("256 of ")
    assert "ports of each address are in no block" in name


def test_the_keyboard_reaches_and_opens_what_is_folded(chromium):
    chromium.open(difference())
    before = chromium.run("return document.querySelectorAll('details[open]').length")
    for _ in range(20):
        if chromium.press_tab() == "summary":
            break
    assert chromium.run("return getComputedStyle(document.activeElement).outlineStyle") != "none"

    chromium.press(" ")

    assert chromium.run("return document.querySelectorAll('details[open]').length") == before + 1
    reached = {chromium.press_tab() for _ in range(10)}
    assert {"summary", "pre"} <= reached


def test_nothing_of_a_site_is_run_or_becomes_markup(chromium):
    hostile = MOVED.replace("site: metro-1", 'site: "<svg onload=alert(1)><script>alert(2)</script>"')
    assert hostile != MOVED
    for file in (
        difference(hostile, ISP, HOSTILE),
        made("plan", write(HOSTILE, hostile), name="plan.html"),
        picture(hostile),
    ):
        chromium.open(file)
        assert chromium.messages() == []
        assert chromium.requests() == [file.as_uri()]
        assert (
            chromium.run("return document.querySelectorAll('script, img, [onload], [onerror]').length") == 0
        )
    assert "<script>alert(2)" in chromium.run("return document.documentElement.textContent")


def test_a_script_in_a_page_would_not_run(chromium):
    """The page's own policy holds, should a text ever be left unescaped."""
    file = difference()
    file.write_text(file.read_text().replace("</main>", "<script>document.title = 'run'</script></main>"))

    chromium.open(file)

    assert "run" not in chromium.run("return document.title")
    assert any("Content Security Policy" in one for one in chromium.messages())


def test_a_million_subscribers_are_a_page_like_four_thousand(chromium):
    """Size and the time until the page is shown, as ratios."""
    million = GOOD.replace("203.0.113.0/30", "203.0.0.0/16").replace("100.64.0.0/24", "100.64.0.0/12")
    moved = million.replace("203.0.0.0/16", "203.1.0.0/16")
    for small, large in (
        (
            made("plan", write("a.yaml", ISP), name="a.html"),
            made("plan", write("b.yaml", million), name="b.html"),
        ),
        (
            made("diff", write("d.yaml", MOVED), write("c.yaml", ISP), name="c.html"),
            made("diff", write("f.yaml", moved), write("e.yaml", million), name="d.html"),
        ),
    ):
        sizes = large.stat().st_size / small.stat().st_size
        took = shown(chromium, large) / shown(chromium, small)
        print(f"{large.name}: {large.stat().st_size} bytes, {sizes:.1f} times; shown in {took:.1f} times")
        assert sizes < 3
        assert took < 10


def shown(chromium, file):
    """The shortest of five times until a page is laid out."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        chromium.open(file)
        chromium.run("return document.documentElement.getBoundingClientRect().height")
        times.append(time.perf_counter() - begun)
    return min(times)
