"""`graph`: pictures of the examples (tests/graph, which `make golden` writes), and what holds of every one.

Whether a picture can be read is for eyes: look at it after a change, with `rsvg-convert` or a browser.
"""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from nfcompile import pipeline
from nfcompile.diagnostics import SiteError
from nfcompile.graph.columns import BAR_MOST, CHARACTER, LEAST, PADDING, STEP_MOST, columns
from nfcompile.graph.mermaid import mermaid
from nfcompile.graph.spelling import acl_rule
from nfcompile.graph.svg import svg
from nfcompile.graph.way import way
from support.command import nfcompile, write
from support.sites import ALL_SITES, BAD, GOOD, ROOT, WARNED, site

HERE = Path(__file__).parent
FORMS = {"mmd": mermaid, "svg": svg}
TAG = "{http://www.w3.org/2000/svg}"


def drawn(text):
    compiled = site(text)
    return way(compiled.site, compiled.allocations)


def ways():
    """Every site of the examples and golden cases that compiles."""
    for path in ALL_SITES:
        try:
            compiled = site(path.read_bytes())
        except SiteError:
            continue
        yield path.parent.name, way(compiled.site, compiled.allocations)


WAYS = dict(ways())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("example", ["isp", "egress", "static"])
def test_golden_pictures_of_the_examples(example, form, update_golden):
    golden = HERE / f"{example}.{form}"
    picture = FORMS[form](WAYS[example])
    if update_golden:
        golden.write_text(picture)

    assert picture == golden.read_text()


# Every picture


def test_there_are_pictures_of_every_kind_of_site():
    assert len(WAYS) > 60


@pytest.mark.parametrize("name", WAYS)
def test_text_stays_in_its_box_and_boxes_apart(name):
    root = ElementTree.fromstring(svg(WAYS[name]))
    boxes = [
        tuple(float(box.get(key)) for key in ("x", "y", "width", "height"))
        for box in root.iter(f"{TAG}rect")
        if box.get("class") != "page"
    ]
    width, height = float(root.get("width")), float(root.get("height"))

    for x, y, wide, high in boxes:
        assert x >= 0
        assert y >= 0
        assert x + wide <= width
        assert y + high <= height
    for first, one in enumerate(boxes):
        for other in boxes[first + 1 :]:
            beside = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
            above = one[1] + one[3] <= other[1] or other[1] + other[3] <= one[1]
            assert beside or above
    for text in root.iter(f"{TAG}text"):
        if text.get("class") in (None, "title"):
            x, y, end = float(text.get("x")), float(text.get("y")), len(text.text) * CHARACTER
            assert any(a < x and x + end <= a + w and b < y < b + h for a, b, w, h in boxes), text.text


@pytest.mark.parametrize("name", WAYS)
def test_a_column_is_no_wider_than_its_text_asks(name):
    """Of the boxes below each other one is full, unless all are short, or one had to be wrapped."""
    place = columns(WAYS[name].flows, 0)
    root = ElementTree.fromstring(svg(WAYS[name]))
    texts = [one for one in root.iter(f"{TAG}text") if one.get("class") in (None, "title")]

    for left, width in ((place.step, place.step_width), (place.bar, place.bar_width)):
        ends = [len(one.text) * CHARACTER for one in texts if float(one.get("x")) == left + PADDING]
        assert width in (LEAST, STEP_MOST, BAR_MOST) or width - 2 * PADDING - max(ends) < CHARACTER


@pytest.mark.parametrize("name", WAYS)
def test_every_arrow_of_a_flowchart_joins_two_boxes(name):
    text = mermaid(WAYS[name])
    nodes = set(re.findall(r"^    (\w+)[\[(]", text, re.MULTILINE))
    arrows = re.findall(r"^    (\w+) -->(?:\|\"[^\"]*\"\|)? (\w+)$", text, re.MULTILINE)

    assert len(arrows) == text.count("-->")
    assert {end for arrow in arrows for end in arrow} == nodes
    flows = WAYS[name].flows
    assert len(nodes) == sum(3 + len(f.steps) + sum(step.exit is not None for step in f.steps) for f in flows)


# What a picture says


def test_pools_stand_in_packet_order():
    outwards, _ = WAYS["isp"].flows

    assert [step.box.title for step in outwards.steps] == [
        "pool servers (static, priority 50)",
        "pool business (nat, priority 60)",
        "pool partners (fake, priority 70)",
        "pool residential (cgnat, priority 100)",
    ]
    assert outwards.steps[3].exit.lines[:2] == ("203.0.113.0/26", "4096 subscribers on 64 addresses")


def test_only_what_may_be_opened_from_outside_leads_inside():
    site = (
        GOOD
        + """  web: {type: static, priority: 2, global_map: {10.0.0.1: 198.51.100.1}}
  out: {type: static, priority: 3, allow_external_connect: off, global_map: {10.0.0.2: 198.51.100.2}}
"""
    )
    open_one = site.replace("    priority", "    filtering: endpoint_independent\n    priority")

    asked = [[step.box.title for step in drawn(text).flows[1].steps] for text in (site, open_one)]

    opened = "to a subscriber's address of pool web"
    first, last = "belongs to an open session", "to no global address of a pool"
    assert asked == [[first, opened, last], [first, "to a port in use in pool home", opened, last]]


def test_a_gateway_without_pools_drops_nothing_unsolicited():
    inwards = WAYS["egress"].flows[1]

    assert (inwards.end.title, inwards.arrives) == ("untranslated", True)


def test_many_rules_are_counted():
    rules = ", ".join(f"{n}: allow ip 100.64.{n}.0/30" for n in range(1, 30))
    (step,) = drawn(GOOD.replace("10: allow ip 100.64.0.0/24", rules)).flows[0].steps

    assert len(step.box.lines) == 8
    assert step.box.lines[-1] == "... and 22 more"


def test_rules_are_spelled_as_in_the_site():
    site = pipeline.read(
        pipeline.parse((ROOT / "tests/golden/acl-grammar/site.yaml").read_bytes(), "site.yaml")
    )

    assert [acl_rule(rule) for rule in site.acls[0].rules] == [
        "10: deny 10.0.0.1",
        "20: allow 10.0.0.2",
        "30: allow tcp 10.0.1.0/24 sport 1024-65535 dst 192.0.2.1 dport 80,443,8000-8080",
        "40: allow udp 10.0.2.5-10.0.2.9 dst 198.51.100.0/24 dport 53",
        "50: deny gre any",
        "60: allow any dst 192.0.2.2",
        "70: allow sctp 10.0.3.1",
        "80: allow icmp 10.0.4.0/24",
        "90: allow 10.0.5.0/24",
    ]
    dnat, snat = (step.box.lines for step in WAYS["dnat-qualifiers"].flows[0].steps)
    assert dnat[1:] == ("address-only: dst_cidr 198.51.100.7 → 192.0.2.9",)
    assert snat == ("marked: mark 0x10/0xff → 172.32.0.201",)


def test_a_label_cannot_break_out():
    label = "a<b> & %%{x}%% #35; ]--> end"
    picture = drawn(f"version: 1\nsite: '{label}'\n" + GOOD.removeprefix("version: 1\n"))

    root = ElementTree.fromstring(svg(picture))
    assert root.find(f"{TAG}title").text == label
    assert next(root.iter(f"{TAG}text")).text == label
    assert mermaid(picture).splitlines()[1] == (
        r'title: "a\u003cb\u003e \u0026 \u0025\u0025{x}\u0025\u0025 #35; ]--\u003e end"'
    )
    assert "%%" not in mermaid(picture)


# The verb


def test_the_verb_writes_either_form(here):
    write("site.yaml", GOOD)

    plain, picture = nfcompile("graph"), nfcompile("graph", "--format", "svg")

    assert (plain.returncode, plain.stderr) == (picture.returncode, picture.stderr) == (0, "")
    assert plain.stdout == mermaid(drawn(GOOD))
    assert picture.stdout == svg(drawn(GOOD))


def test_a_wrong_site_has_no_picture(here):
    write("site.yaml", BAD)
    refused = nfcompile("graph", "--format", "svg")
    write("site.yaml", WARNED)
    warned = nfcompile("graph")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "site.yaml:9:15-17: error: " in refused.stderr
    assert warned.returncode == 0
    assert "warning" in warned.stderr
    assert nfcompile("graph", "-q").stderr == ""
