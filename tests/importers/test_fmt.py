"""`nfcompile fmt`: one layout, comments kept, the same data."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nfcompile.cli.fmt import laid_out
from nfcompile.source import document, layout
from nfcompile.source.layout import spelled
from support.command import nfcompile

ROOT = Path(__file__).parents[2]
SITES = [
    site
    for site in sorted([*ROOT.glob("examples/*/site.yaml"), *ROOT.glob("tests/golden/*/site.yaml")])
    if not site.parent.name.startswith(("yaml-", "all-at-once"))
]
"""All but those that are no YAML, or have a key twice, on purpose."""


def laid(text):
    return laid_out(document.parse(text.encode(), "site.yaml"))


BEFORE = """# a gateway
# of ours

version:   1
interfaces: {inside:  [lan0],   # subscribers
   outside: ["wan0"]}


pools:   # one
    'home':
          type:   cgnat # here
          longer:  x    # there
          # the list
          global_ip:
          - 203.0.113.0/24
          # not yet: 198.51.100.0/24

          - "10:20"
    # spare: {type: cgnat}
snat:
  a:  {mark: "5", snat_ip:    interface,
       src_cidr: [ '!10.0.0.0/8',10.1.0.0/16 ]}    # behind
  b: {a_rather_long_key: [1, 2, 3], another_longer_key: "with: colon",
      and_a_third_one: that is very wide, x: ~}
empty:
nothing: {}
# the end
"""

AFTER = """# a gateway
# of ours

version: 1
interfaces:
  inside: [lan0]  # subscribers
  outside: [wan0]

pools:  # one
  home:
    type: cgnat  # here
    longer: x    # there
    # the list
    global_ip:
      - 203.0.113.0/24
      # not yet: 198.51.100.0/24

      - 10:20
  # spare: {type: cgnat}
snat:
  a: {mark: "5", snat_ip: interface, src_cidr: ["!10.0.0.0/8", 10.1.0.0/16]}  # behind
  b:
    a_rather_long_key: [1, 2, 3]
    another_longer_key: "with: colon"
    and_a_third_one: that is very wide
    x:
empty:
nothing: {}
# the end
"""


def test_the_layout():
    assert laid(BEFORE) == AFTER


def test_it_is_a_fixpoint():
    assert laid(AFTER) == AFTER


@pytest.mark.parametrize("site", SITES, ids=lambda path: path.parent.name)
def test_all_sites_of_this_project(site):
    text = site.read_bytes()
    read = document.parse(text, "site.yaml")

    once = laid_out(read)

    assert laid(once) == once
    assert document.parse(once.encode(), "x").data == read.data
    assert sorted(re.findall(r"#.*?[^ \n]*$", once, re.MULTILINE)) == sorted(
        one.rstrip() for one in re.findall(r"#.*?[^ \n]*$", text.decode(), re.MULTILINE)
    )


ODD = (
    "on|5|05|0x5|-1|~|null|Null|true|10:20|a#b|#|-|[|a:|:a|!x|*x|&x|'|\"|\\|@|%|?|>|---|<<|=|é|a]b|{a|1e5|.5|yes"
    "|203.0.113.0/24||a #b|- a|a, b|a: b|? a| a|a "
)


@pytest.mark.parametrize("value", [*ODD.split("|"), "|"])
def test_scalars_are_read_back(value):
    for text in (
        f"k: {spelled(value)}",
        f"k: [{spelled(value, in_flow=True)}]",
        f"{layout.render(key(value))}",
    ):
        data = document.parse(text.encode(), "x").data
        assert data.get("k", value) in (value, [value])
        assert "k" in data or list(data) == [value]


def key(text):
    return layout.mapping(layout.Item(text, layout.scalar(1)))


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=8)
scalars = st.one_of(texts, st.integers(-(10**20), 10**20), st.booleans(), st.none())
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.dictionaries(texts, trees, min_size=1, max_size=4), st.data())
def test_random_data_with_comments_anywhere(data, draw):
    """JSON is YAML: a document of it, broken into lines and with comments between them, keeps both."""
    try:
        document.parse(json.dumps(data).encode(), "x")
    except document.SourceError:
        return  # a character that no site may have, or '<<'
    lines = json.dumps(data, indent=2, ensure_ascii=False).split("\n")
    comments = []
    for number in range(len(lines)):
        for mark in draw.draw(
            st.lists(st.sampled_from(["above", "beside", "empty"]), unique=True, max_size=3)
        ):
            comment = f"c{number}{mark}"
            if mark == "beside" and lines[number].strip() not in ("", "{") and '"' not in lines[number][-1:]:
                lines[number] += f" # {comment}"
                comments.append(comment)
            elif mark == "above" and number:
                indent = " " * draw.draw(st.integers(0, 8))
                lines[number] = f"{indent}# {comment}\n{lines[number]}"
                comments.append(comment)
            elif mark == "empty":
                lines[number] = f"\n{lines[number]}"
    text = "\n".join(lines) + "\n"

    once = laid(text)

    assert laid(once) == once
    assert sorted(re.findall(r"# (c\d+\w+)$", once, re.MULTILINE)) == sorted(comments)


def test_check_shows_the_difference_and_writes_nothing(tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("version:  1\n")

    ran = nfcompile("fmt", "--check", str(site))

    assert ran.returncode == 1
    assert "+version: 1" in ran.stdout
    assert site.read_text() == "version:  1\n"


def test_output_to_stdout_to_a_file_and_in_place(tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("version:  1\r\n")

    assert nfcompile("fmt", str(site)).stdout == "version: 1\n"
    assert nfcompile("fmt", str(site), "-o", str(site)).returncode == 0
    assert site.read_text() == "version: 1\n"
    assert nfcompile("fmt", "--check", str(site)).returncode == 0


@pytest.mark.parametrize(("text", "status"), [("a: [", 1), ("", 1), ("a: 1\na: 2\n", 1)])
def test_what_is_no_site_is_refused(tmp_path, text, status):
    site = tmp_path / "site.yaml"
    site.write_text(text)

    ran = nfcompile("fmt", str(site))

    assert (ran.returncode, ran.stdout) == (status, "")
    assert "error" in ran.stderr


def test_usage(tmp_path):
    assert nfcompile("fmt", str(tmp_path / "missing")).returncode == 2
    assert nfcompile("fmt", "--check", "-o", "x").returncode == 2


@pytest.mark.parametrize("site", sorted(ROOT.glob("examples/*/site.yaml")), ids=lambda path: path.parent.name)
def test_an_example_is_laid_out_already(site):
    assert laid(site.read_text()) == site.read_text()
