"""The characters that are refused are the same by the short way of ASCII and by the whole pattern."""

from __future__ import annotations

import re

from nfcompile.source.characters import INVISIBLE, has_invisible, refused_characters

IN_FILE = re.compile(rf"[{INVISIBLE}]|\r(?!\n)")
IN_VALUE = re.compile(rf"[{INVISIBLE}\t\r\n]")
EVERY = [chr(number) for number in range(0x11000)]


def test_a_value_has_what_the_pattern_finds() -> None:
    assert [one for one in EVERY if has_invisible(f"a{one}")] == [
        one for one in EVERY if IN_VALUE.search(one)
    ]


def test_a_file_is_refused_for_what_the_pattern_finds() -> None:
    refused = [
        one for one in EVERY if any(p.code == "yaml-character" for p in refused_characters(f"a{one}b"))
    ]
    assert refused == [one for one in EVERY if IN_FILE.search(f"a{one}b")]


def test_the_first_of_several_is_named() -> None:
    for text in ("a\x01\ufeff", "\xfc\ufeff\x01", "a\r\nb\rc\ufeff", "\xfc\r\n\r\x01"):
        found = IN_FILE.search(text)
        assert found
        (problem,) = refused_characters(text)
        assert problem.place
        before = text[: found.start()]
        assert problem.place.column == len(before.rpartition("\n")[2]) + 1
