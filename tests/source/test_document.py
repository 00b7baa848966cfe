"""YAML text -> data and places; and everything that is no site, refused where it stands."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nfcompile.diagnostics import Diagnostic, Place, SiteError, dotted
from nfcompile.source.document import Document, SourceError, parse
from nfcompile.source.nodes import NESTING_LIMIT

SITE = b"""\
# a comment
version: 1
interfaces:
  inside:  [lan0, "lan1"]   # two
  outside:
    - wan0
pools:
  residential: {type: cgnat, acl: 'res', priority: 0100,
                global_ip: [203.0.113.0/26]}
  office:
    global_map:
      192.168.0.5: 200.0.0.3
    acl:
"""


def refused(text: str | bytes) -> list[tuple[str, tuple[int, int, int]]]:
    """Codes and places of everything for which a text is refused."""
    with pytest.raises(SourceError) as caught:
        parse(text if isinstance(text, bytes) else text.encode(), "site.yaml")
    places = [one.place or caught.value.document.place(one.path) for one in caught.value.diagnostics]
    assert all(places), "a refusal without a place"
    return [(one.code, tuple(place)) for one, place in zip(caught.value.diagnostics, places, strict=True)]


def problem(text: str) -> tuple[str, str]:
    """Message and hint of the only refusal."""
    with pytest.raises(SourceError) as caught:
        parse(text.encode(), "site.yaml")
    (one,) = caught.value.diagnostics
    return one.message, one.hint


def value(text: str) -> object:
    return parse(f"key: {text}\n".encode(), "site.yaml").data["key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("42", 42),
        ("-7", -7),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_words_that_yaml_reads(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "010",
        "10:20",
        "on",
        "off",
        "no",
        "Yes",
        "1.5",
        "2001:10::1",
        "0x10",
        "+5",
        "-0",
        "1_000",
        "1e3",
        "2024-01-01",
        ".inf",
        "٣",
        "-x",
        "1024:65535",
        "tRue",
    ],
)
def test_everything_else_stays_as_written(text: str) -> None:
    assert value(text) == text


@pytest.mark.parametrize("text", ["'42'", '"42"', "'true'", '"~"', "''"])
def test_quoted_is_text(text: str) -> None:
    assert value(text) == text[1:-1]


def test_keys_stay_text() -> None:
    data = parse(b"{10: a, 010: b, true: c, ~: d, 192.168.0.5: e, 'q': f}", "x").data
    assert list(data) == ["10", "010", "true", "~", "192.168.0.5", "q"]


def test_data_and_lines() -> None:
    document = parse(SITE, "site.yaml")
    assert document.name == "site.yaml"
    assert document.lines == SITE.decode().splitlines()
    assert document.data == {
        "version": 1,
        "interfaces": {"inside": ["lan0", "lan1"], "outside": ["wan0"]},
        "pools": {
            "residential": {
                "type": "cgnat",
                "acl": "res",
                "priority": "0100",
                "global_ip": ["203.0.113.0/26"],
            },
            "office": {"global_map": {"192.168.0.5": "200.0.0.3"}, "acl": None},
        },
    }


PLACES = [
    # path, key, span, place
    (("version",), False, None, (2, 10, 10)),
    (("version",), True, None, (2, 1, 7)),
    (("interfaces", "inside"), False, None, (4, 12, 25)),
    (("interfaces", "inside", 0), False, None, (4, 13, 16)),
    (("interfaces", "inside", 1), False, None, (4, 19, 24)),
    (("interfaces", "inside", 1), True, None, (4, 19, 24)),
    (("interfaces", "inside", 0), False, (1, 3), (4, 14, 15)),
    (("interfaces", "inside", 1), False, (1, 3), (4, 21, 22)),  # one further for the quote
    (("interfaces",), False, None, (4, 3, 25)),  # several lines: the first, without its comment
    (("interfaces", "outside"), False, None, (6, 5, 10)),
    (("pools", "residential"), False, None, (8, 16, 56)),
    (("pools", "residential"), True, None, (8, 3, 13)),
    (("pools", "residential", "acl"), False, None, (8, 35, 39)),
    (("pools", "residential", "global_ip", 0), False, (12, 14), (9, 41, 42)),
    (("pools", "residential", "global_ip", 0), False, (12, 99), (9, 41, 42)),  # no further than it is
    (("pools", "office", "global_map", "192.168.0.5"), True, (0, 3), (12, 7, 9)),
    (("pools", "office", "global_map", "192.168.0.5"), False, (4, 5), (12, 24, 24)),
    (("pools", "office", "acl"), False, None, (13, 5, 7)),  # nothing is written there: its key
    (("pools", "office", "hairpin"), False, (0, 3), (10, 3, 8)),  # missing: the nearest parent
    (("pools", "office", "hairpin", "x"), True, None, (10, 3, 8)),
    (("pools", "office", "acl", "x"), True, None, (13, 5, 7)),
    (("interfaces", "inside", 2), False, None, (4, 3, 8)),
    (("dnat", "web"), True, None, None),
    ((), False, None, None),
]


@pytest.mark.parametrize(("path", "key", "span", "expected"), PLACES)
def test_place(path: tuple[str | int, ...], key: bool, span: object, expected: object) -> None:
    assert parse(SITE, "x").place(path, key, span) == expected  # type: ignore[arg-type]


def test_a_number_is_a_key_too() -> None:
    assert parse(b"vlans: {102: lan0}", "x").place(("vlans", 102), key=True) == (1, 9, 11)


def test_span_in_escaped_text_is_the_whole_scalar() -> None:
    assert parse(b'a: "x\\x41y"', "x").place(("a",), span=(1, 2)) == (1, 4, 11)


def test_place_without_nodes() -> None:
    assert Document("x", [], {}, None).place(("a",)) is None


def test_byte_order_mark_and_windows_lines() -> None:
    document = parse(b"\xef\xbb\xbfa: 1\r\nb: [x,\r\n  y]\r\n", "x")
    assert document.data == {"a": 1, "b": ["x", "y"]}
    assert document.lines == ["a: 1", "b: [x,", "  y]"]
    assert document.place(("a",)) == (1, 4, 4)
    assert document.place(("b", 1)) == (3, 3, 3)
    assert document.place(("b",)) == (2, 4, 6)


def test_columns_count_characters() -> None:
    assert parse("{s: 日本, t: é𝔵}".encode(), "x").place(("t",)) == (1, 12, 13)


def test_directive_and_document_marks_are_harmless() -> None:
    assert parse(b"%YAML 1.2\n---\na: 1\n...\n", "x").data == {"a": 1}


REFUSED = [
    ("a: 1\n\tb: 2\n", [("yaml-tab", (2, 1, 1))]),
    ("a:\n  \t\tb: 2\n \tc: 3", [("yaml-tab", (2, 3, 4)), ("yaml-tab", (3, 2, 2))]),
    ("a:\t1 # x\ty\n", [("yaml-tab", (1, 3, 3))]),
    ('a: "x\ty"\n', [("yaml-tab", (1, 6, 6))]),
    ("a: 1\nb: 2\na: 3\n", [("yaml-duplicate-key", (3, 1, 1))]),
    ("a: {b: 1, 'b': 2, b: 3}\nc: 1\nc: 2", [("yaml-duplicate-key", (1, 11, 13)),
                                             ("yaml-duplicate-key", (1, 19, 19)),
                                             ("yaml-duplicate-key", (3, 1, 1))]),
    ("a: {x: &n 1}\nb: *n\n", [("yaml-alias", (1, 8, 9)), ("yaml-alias", (2, 4, 5))]),
    ("a: *\n", [("yaml-alias", (1, 4, 4))]),
    ("a: & x\n", [("yaml-alias", (1, 4, 4))]),
    ("*a : 1\n", [("yaml-alias", (1, 1, 2))]),
    ("&a b: 1\n", [("yaml-alias", (1, 1, 2))]),
    ("a: !!str 1\n", [("yaml-tag", (1, 4, 8))]),
    ("a: !x {b: 1}\n", [("yaml-tag", (1, 4, 5))]),
    ("a: &n !x\n  b: 1\n", [("yaml-alias", (1, 4, 5)), ("yaml-tag", (1, 7, 8))]),
    ("a: !no!x 1\n", [("yaml-tag", (1, 4, 4))]),
    ("a: &n {}\nb:\n  <<: *n\n", [("yaml-alias", (1, 4, 5)), ("yaml-merge-key", (3, 3, 4))]),
    ("b: {<<: {c: 1}}\n", [("yaml-merge-key", (1, 5, 6))]),
    ("a: 1\n---\nb: 2\n", [("yaml-documents", (2, 1, 3))]),
    ("a: 1\n...\nb: 2\n", [("yaml-documents", (3, 1, 1))]),
    ("", [("yaml-empty", (1, 1, 1))]),
    ("\n\n", [("yaml-empty", (1, 1, 1))]),
    ("# only\n# comments\n", [("yaml-empty", (1, 1, 1))]),
    ("---\n", [("yaml-empty", (1, 1, 1))]),
    ("\ufeff", [("yaml-empty", (1, 1, 1))]),
    ("\n- a\n- b\n", [("yaml-not-a-mapping", (2, 1, 3))]),
    (" hello\n", [("yaml-not-a-mapping", (1, 2, 6))]),
    ("~\n", [("yaml-not-a-mapping", (1, 1, 1))]),
    ("a: {[b]: 1}", [("yaml-key", (1, 5, 5))]),
    ("a: {{ vault }}", [("yaml-key", (1, 5, 5))]),
    ("a: 1\nb: x\0y", [("yaml-character", (2, 5, 5))]),
    ("a: \x1b[1m", [("yaml-character", (1, 4, 4))]),
    ("a: 1\rb: 2", [("yaml-character", (1, 5, 5))]),
    ("a: x\u2028y", [("yaml-character", (1, 5, 5))]),
    ("a: x\ufeffy", [("yaml-character", (1, 5, 5))]),
    ('a: "x\\0"', [("yaml-character", (1, 4, 8))]),
    ('a: "x\\n"', [("yaml-character", (1, 4, 8))]),
    ('"x\\n": 1', [("yaml-character", (1, 1, 5))]),
    ("a: |\n  x\n", [("yaml-character", (1, 4, 4))]),
    (f"a: {'9' * 5000}", [("yaml-number", (1, 4, 5003))]),
    ("a: " + "[" * 900, [("yaml-nesting", (1, NESTING_LIMIT + 3, NESTING_LIMIT + 3))]),
    ("a: " + "[\n" * 5000, [("yaml-nesting", (NESTING_LIMIT, 1, 1))]),
    ("- " * 5000, [("yaml-nesting", (1, 2 * NESTING_LIMIT + 1, 2 * NESTING_LIMIT + 1))]),
    (b"a: 1\nb: \xc3\xa9\xff", [("yaml-encoding", (2, 5, 5))]),
    (b"\xef\xbb\xbfa\xe9: 1", [("yaml-encoding", (1, 2, 2))]),
    ("a: 1".encode("utf-16"), [("yaml-encoding", (1, 1, 1))]),
    ("a: 1".encode("utf-16-le"), [("yaml-character", (1, 2, 2))]),
    # two kinds of problems at once
    ("a: 1\na: 2\nb: [", [("yaml-duplicate-key", (2, 1, 1)), ("yaml-syntax", (3, 5, 5))]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), REFUSED, ids=lambda one: repr(one)[:40])
def test_refused(text: str | bytes, expected: object) -> None:
    assert refused(text) == expected


@pytest.mark.parametrize("opening", ["[", "{a: ", "[" * 3 + "{a: "])
def test_a_thousand_levels_on_one_line(opening: str) -> None:
    """libyaml 0.2.6 counts them itself, before the reader sees the first one too many."""
    problems = refused("a: " + opening * 5000)
    assert [(code, line) for code, (line, _, _) in problems] == [("yaml-nesting", 1)]


SYNTAX = [
    ("a: [1, 2\nb: 3\n", (1, 4, 4), "'[' is never closed", "add the ']'"),
    ("a: {x: 1\n", (1, 4, 4), "'{' is never closed", "add the '}'"),
    ("a: [1\n  b: 2]", (2, 4, 4), "',' or ']' is missing before this", "the '[' of line 1 is still open"),
    ("a: {\n", (1, 5, 5), "the file ends inside brackets", "close what is open"),
    ("a: {b: 1}}\n", (1, 10, 10), "'}' closes nothing", "remove it"),
    ("a: 'abc\nb: 1\n", (1, 4, 4), "this quote is never closed", "close it on the same line"),
    ('a: "x\n---\n"', (1, 4, 4), "this quote is never closed", "close it on the same line"),
    ("a: 'x' y\n", (1, 8, 8), "text after the end of a value", "put the whole value in quotes"),
    ("a: b: c\n", (1, 5, 5), "a second ':' on one line", "put a value that holds ': ' in quotes"),
    ("a: b\n  cd: e\n", (2, 3, 4), "'cd' continues the value above and cannot be a key",
     "start it in column 1, like the line above"),
    ("version 1\nsite: x\n", (2, 1, 4), "'site' continues the value above and cannot be a key",
     "the line above, 'version 1', has no ':'"),
    ("site: x\nversion 1 # v\n", (2, 1, 9), "'version 1' has no ':'", "write 'version: ...'"),
    ("a:\n    b: 1\n  c: 2\n", (3, 3, 3), "this line is not indented like its neighbours",
     "start it in column 1 or, like the line above, in column 5"),
    ("a: b\n- c\n", (2, 1, 1), "a key is missing here", "write 'key: value'"),
    ("- a\nb: c\n", (2, 1, 1), "a list goes on here, and this has no '-'", "write '- value'"),
    ("a: - b\n", (1, 4, 4), "a list cannot start here", "start it on its own line"),
    ("a: ? b\n", (1, 4, 4), "a key cannot start here", "put it on its own line"),
    ("a: @x\n", (1, 4, 4), "'@' cannot start a value", "put the value in quotes"),
    ("a: ]\n", (1, 4, 4), "']' cannot start a value", "put the value in quotes, or remove the ']'"),
    ("a: |x\n  b\n", (1, 4, 4), "'|' starts a block of text, which must follow below it",
     "put text that starts with '|' in quotes"),
    ("%x y\na: 1", (1, 1, 1), "'%' starts a directive", "remove the line"),
    ("%YAML 3.0\n---\na: 1\n", (1, 1, 1), "this version of YAML is not known", "remove the line"),
    ('a: "\\q"\n', (1, 5, 5), "this escape is not known", "use single quotes, where '\\' is plain"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message", "hint"), SYNTAX, ids=lambda one: repr(one)[:30])
def test_syntax_in_our_words(text: str, place: object, message: str, hint: str) -> None:
    assert refused(text) == [("yaml-syntax", place)]
    assert problem(text) == (message, hint)


def test_duplicate_key_points_at_the_first() -> None:
    with pytest.raises(SiteError) as caught:
        parse(b"p:\n  a: 1\n  b: 2\n  a: {c: 1}\n", "x")
    assert isinstance(caught.value, SourceError)
    document = caught.value.document
    (one,) = caught.value.diagnostics
    assert (one.message, dotted(one.path)) == ("key 'a' is given twice", "p.a")
    (note,) = one.notes
    assert note.message == "'a' is given here first"
    assert document.place(note.path, note.key, note.span) == Place(2, 3, 3)
    assert document.data == {"p": {"a": 1, "b": 2}}


def test_messages_stay_short() -> None:
    message, _ = problem(f"{'k' * 500}: 1\n{'k' * 500}: 2")
    assert len(message) < 100


def test_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    document = parse(SITE, "x")
    for path, key, span, expected in PLACES:
        assert document.place(path, key, span) == expected
    for text, *_ in REFUSED + SYNTAX:
        assert refused(text)


FRAGMENTS = [
    *"ab:-?[]{},#&*!|>'\"%@`~ \n\r\t\\\0\ufeff\u2028\x850",
    "a: 1\n", "- ", ": ", "\n  ", "<<: ", "*a", "&a ", "!!str ", "---\n", "...\n", "'", '"\\x', "%YAML 1.1\n",
]  # fmt: skip


def is_read_or_refused(data: bytes) -> None:
    """The promise of `parse`: a document, or a refusal with places that lie in the file."""
    problems: tuple[Diagnostic, ...] = ()
    try:
        document = parse(data, "x")
    except SourceError as error:
        document, problems = error.document, error.diagnostics
    if not problems:
        every_path_has_a_place(document, (), document.data)
    for one in problems:
        place = one.place
        assert place is not None
        assert 1 <= place.line <= max(len(document.lines), 1)
        width = len(document.lines[place.line - 1]) if document.lines else 0
        assert 1 <= place.column <= place.end_column <= width + 1
        for note in one.notes:
            assert document.place(note.path, note.key, note.span)


def every_path_has_a_place(document: Document, path: tuple[str | int, ...], data: object) -> None:
    for key in (False, True):
        place = document.place(path, key)
        if path:
            assert place is not None
            line = document.lines[place.line - 1]
            assert 1 <= place.column <= place.end_column <= max(len(line), 1)
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, child in children:
        every_path_has_a_place(document, (*path, step), child)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    is_read_or_refused(data)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25))
def test_any_yamlish_text(fragments: list[str]) -> None:
    is_read_or_refused("".join(fragments).encode())


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SITE)), st.integers(0, 6), st.sampled_from(FRAGMENTS))
def test_any_damaged_site(at: int, length: int, fragment: str) -> None:
    is_read_or_refused(SITE[:at] + fragment.encode() + SITE[at + length :])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25))
def test_any_yamlish_text_without_libyaml(fragments: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader", raising=False)
        is_read_or_refused("".join(fragments).encode())


class NoAliases(yaml.SafeDumper):
    """Writes out what it meets twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


plain = st.text(st.sampled_from("abz019.-/~_"), min_size=1, max_size=8)
trees = st.recursive(
    st.integers(-(10**9), 10**9) | st.booleans() | st.none() | plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(plain, trees, min_size=1, max_size=5), st.booleans())
def test_reads_what_was_dumped(tree: dict[str, object], flow: bool) -> None:
    # PyYAML quotes by the rules of YAML 1.1, which take more for something else than text than 1.2 does.
    text = yaml.dump(tree, Dumper=NoAliases, default_flow_style=flow, sort_keys=False)
    assert parse(text.encode(), "x").data == tree
