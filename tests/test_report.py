"""The forms of diagnostics: whole outputs, so that a reader of this file sees what an operator sees."""

from __future__ import annotations

import json

import pytest

from nfcompile.diagnostics import Diagnostic, Note, Place
from nfcompile.report import render
from nfcompile.source.document import Document, SourceError, parse

SITE = """\
version: 1
pools:
  residential:
    blocksize: 1024
    global_ip: [203.0.113.0/28]
  business:
    global_ip: ["203.0.113.8/29"]
"""
DOCUMENT = parse(SITE.encode(), "site.yaml")
OVERLAP = Diagnostic(
    "pool-overlap",
    "pools 'residential' and 'business' share 203.0.113.8-203.0.113.15",
    ("pools", "residential", "global_ip", 0),
    hint="give each global address to one pool",
    notes=(Note("'business' is given here", ("pools", "business", "global_ip", 0), span=(12, 14)),),
)
UNKNOWN = Diagnostic(
    "unknown-key", "unknown key 'blocksize'", ("pools", "residential", "blocksize"), key=True
)
WARNING = Diagnostic("mark-unused", "odd 100%, a:b", ("pools",), key=True, severity="warning")
NOWHERE = Diagnostic("missing-key", "missing key 'interfaces'", key=True)


def text(*diagnostics: Diagnostic, document: Document | None = DOCUMENT) -> str:
    return render(diagnostics, document, "site.yaml", "text")


def excerpt(line: str, column: int, end: int) -> list[str]:
    """The source line and the carets below it."""
    document = Document("x", [line], {}, None)
    return text(Diagnostic("c", "m", place=Place(1, column, end)), document=document).split("\n")[1:3]


def test_text() -> None:
    assert (
        text(OVERLAP, UNKNOWN, WARNING, NOWHERE)
        == """\
site.yaml:1:1: error: missing key 'interfaces' [missing-key]
site.yaml:2:1-5: warning: odd 100%, a:b [mark-unused]
    pools:
    ^^^^^
site.yaml:4:5-13: error: unknown key 'blocksize' [unknown-key]
    blocksize: 1024
    ^^^^^^^^^
site.yaml:5:17-30: error: pools 'residential' and 'business' share 203.0.113.8-203.0.113.15 [pool-overlap]
    global_ip: [203.0.113.0/28]
                ^^^^^^^^^^^^^^
site.yaml:7:30-31: note: 'business' is given here
    global_ip: ["203.0.113.8/29"]
                             ^^
hint: give each global address to one pool
3 errors, 1 warning
"""
    )


@pytest.mark.parametrize(
    ("diagnostics", "last"),
    [((UNKNOWN,), "1 error"), ((WARNING,), "1 warning"), ((WARNING, WARNING), "2 warnings")],
)
def test_text_counts_what_there_is(diagnostics: tuple[Diagnostic, ...], last: str) -> None:
    assert text(*diagnostics).splitlines()[-1] == last


def test_nothing_to_say() -> None:
    assert text() == ""
    assert render((), None, "x", "github") == ""
    assert json.loads(render((), None, "x", "json")) == {"diagnostics": []}
    assert json.loads(render((), None, "x", "sarif"))["runs"][0]["results"] == []


def test_same_place_is_in_order_of_code() -> None:
    placed = [Diagnostic(code, "m", place=Place(1, 1, 1)) for code in ("c", "a", "b")]
    found = json.loads(render(placed, None, "x", "json"))["diagnostics"]
    assert [one["code"] for one in found] == ["a", "b", "c"]


def test_without_a_document_there_is_no_source_line() -> None:
    one = Diagnostic("yaml-syntax", "no", place=Place(2, 3, 4), notes=(Note("first", ("a",)),))
    assert text(one, document=None) == (
        "site.yaml:2:3-4: error: no [yaml-syntax]\nsite.yaml:1:1: note: first\n1 error\n"
    )


def test_refused_text_is_shown_from_the_error() -> None:
    with pytest.raises(SourceError) as caught:
        parse(b"a: 1\nb:\n \t c: 2\n", "x")
    assert render(caught.value.diagnostics, caught.value.document, "x", "text") == (
        "x:3:2: error: tab in the indentation [yaml-tab]\n"
        "    \\t c: 2\n    ^^\nhint: indent with spaces\n1 error\n"
    )


def test_empty_file_has_no_excerpt() -> None:
    with pytest.raises(SourceError) as caught:
        parse(b"", "x")
    said = render(caught.value.diagnostics, caught.value.document, "x", "text")
    assert said.startswith("x:1:1: error: the file is empty [yaml-empty]\nhint: ")


def test_carets_stand_below_what_they_mean() -> None:
    assert excerpt("    key: value   ", 10, 14) == ["    key: value", "         ^^^^^"]
    assert excerpt("key", 4, 4) == ["    key", "       ^"]  # behind the end
    assert excerpt("a\x1b[1m\x00b", 7, 7) == ["    a\\x1b[1m\\x00b", "    " + " " * 12 + "^"]
    assert excerpt("日本: e\u0301x", 5, 6) == ["    日本: e\u0301x", "          ^"]
    assert excerpt("日本: e\u0301x", 7, 7) == ["    日本: e\u0301x", "           ^"]
    assert excerpt("日本: x", 1, 2) == ["    日本: x", "    ^^^^"]


@pytest.mark.parametrize("column", [1, 61, 62, 250, 500, 501])
def test_long_lines_are_cut_around_the_place(column: int) -> None:
    line = "".join(chr(ord("a") + at % 26) for at in range(500))
    shown, carets = excerpt(line, column, column + 2)
    assert len(shown) <= 4 + 160 + 6
    assert len(carets) <= len(shown) + 1
    start, stop = carets.index("^"), carets.rindex("^") + 1
    assert shown[start:stop].startswith(line[column - 1 : column + 2])
    assert shown.startswith("    ...") == (column > 61)
    assert shown.endswith("...") == (column < 400)


def test_long_place_is_cut() -> None:
    shown, carets = excerpt("x: " + "y" * 500, 4, 503)
    assert carets == "       " + "^" * 157
    assert len(shown) == 4 + 160 + 3


def test_a_message_cannot_move_the_terminal() -> None:
    assert "\x1b" not in text(Diagnostic("c", "\x1b[2J", hint="\x1b[2J", place=Place(1, 1, 1)))


def test_color_is_only_paint() -> None:
    painted = render((UNKNOWN, WARNING, OVERLAP), DOCUMENT, "site.yaml", "text", color=True)
    for paint in ("\x1b[1m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;36m", "\x1b[0m"):
        assert paint in painted
        painted = painted.replace(paint, "")
    assert painted == text(UNKNOWN, WARNING, OVERLAP)
    for form in ("json", "github", "sarif"):
        plain = render((UNKNOWN,), DOCUMENT, "x", form)
        assert render((UNKNOWN,), DOCUMENT, "x", form, color=True) == plain


def test_json() -> None:
    assert json.loads(render((OVERLAP, NOWHERE), DOCUMENT, "dir/site.yaml", "json")) == {
        "diagnostics": [
            {
                "code": "missing-key",
                "severity": "error",
                "message": "missing key 'interfaces'",
                "file": "dir/site.yaml",
                "line": 1,
                "column": 1,
                "end_column": 1,
                "path": "",
                "hint": "",
                "notes": [],
            },
            {
                "code": "pool-overlap",
                "severity": "error",
                "message": "pools 'residential' and 'business' share 203.0.113.8-203.0.113.15",
                "file": "dir/site.yaml",
                "line": 5,
                "column": 17,
                "end_column": 30,
                "path": "pools.residential.global_ip[0]",
                "hint": "give each global address to one pool",
                "notes": [{"message": "'business' is given here", "line": 7, "column": 30, "end_column": 31}],
            },
        ]
    }


def test_github() -> None:
    odd = Diagnostic("c", "100%\nmore: a,b", place=Place(1, 2, 3))
    assert render((WARNING, UNKNOWN), DOCUMENT, "site.yaml", "github") == (
        "::warning file=site.yaml,line=2,col=1,endColumn=5,title=mark-unused::odd 100%25, a:b\n"
        "::error file=site.yaml,line=4,col=5,endColumn=13,title=unknown-key::unknown key 'blocksize'\n"
    )
    assert render((odd,), None, "a,b:c%.yaml", "github") == (
        "::error file=a%2Cb%3Ac%25.yaml,line=1,col=2,endColumn=3,title=c::100%25%0Amore: a,b\n"
    )


def test_sarif() -> None:
    log = json.loads(render((OVERLAP, WARNING), DOCUMENT, "my site.yaml", "sarif"))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "nfcompile"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["mark-unused", "pool-overlap"]
    warning, error = run["results"]
    assert (warning["level"], warning["ruleId"], warning["ruleIndex"]) == ("warning", "mark-unused", 0)
    assert (error["level"], error["ruleId"], error["ruleIndex"]) == ("error", "pool-overlap", 1)
    assert error["message"]["text"] == f"{OVERLAP.message}\nhint: {OVERLAP.hint}"
    assert error["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "my%20site.yaml"},
                "region": {"startLine": 5, "startColumn": 17, "endLine": 5, "endColumn": 31},
            }
        }
    ]
    (related,) = error["relatedLocations"]
    assert related["message"]["text"] == "'business' is given here"
    assert related["physicalLocation"]["region"]["startLine"] == 7
