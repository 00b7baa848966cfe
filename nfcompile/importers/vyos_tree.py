"""VyOS, Vyatta and EdgeOS: both spellings of a configuration -> its nodes, each with the line it comes from.

`set PATH value` lines (with `delete`), and the curly form of config.boot. A node is a path of words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.lines import SourceText

Path = tuple[str, ...]

WORD = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|([^\s'"{}]+)""")
COMMAND = re.compile(r"(?:\S*[#$>%]\s+|\[edit[^\]]*\]\s*)?(set|delete)\s+(\S.*)")
"""A command, maybe behind a prompt."""
SESSION = re.compile(
    r"(?:\S*[#$>%]\s*)?(?:configure|commit|commit-confirm.*|save|exit|compare|top|up|edit\b.*|show\b.*|run\b.*|rename\b.*|comment\b.*"
    r"|exit discard|discard|load\b.*|\[edit.*\])?\s*"
)
DEPTH_MOST = 40
WORDS_MOST = 40


class Leaf(NamedTuple):
    """A path that is set, `structure` where the line only opens or closes a block of it."""

    path: Path
    origin: Origin
    structure: bool = False


def read_tree(texts: tuple[SourceText, ...], ledger: Accounting) -> list[Leaf]:
    """All leaves in the order of the input; lines that are none are noted."""
    leaves: list[Leaf] = []
    for number, text in enumerate(texts):
        found = _curly(text, number, ledger) if _is_curly(text) else _commands(text, number, ledger, leaves)
        leaves += found
    return leaves


def _is_curly(text: SourceText) -> bool:
    blocks = sum(line.rstrip().endswith("{") for line in text.lines)
    commands = sum(1 for line in text.lines if COMMAND.match(line.strip()))
    return blocks > commands


# ---- commands


def _commands(text: SourceText, file: int, ledger: Accounting, before: list[Leaf]) -> list[Leaf]:
    leaves: list[Leaf] = []
    for number, raw in enumerate(text.lines, 1):
        origin, line = Origin(file, number, number), raw.strip()
        command = COMMAND.match(line)
        if command is None:
            _no_command(line, origin, ledger)
            continue
        path = tuple(_words(command[2]))
        if not path or len(path) > WORDS_MOST:
            ledger.note([origin], "unknown", "syntax", "this is not a path of a configuration")
        elif command[1] == "set":
            leaves.append(Leaf(path, origin))
        else:
            leaves = _delete(path, origin, leaves, ledger)
            before[:] = _delete(path, origin, before, ledger)
    return leaves


def _no_command(line: str, origin: Origin, ledger: Accounting) -> None:
    if not line:
        ledger.note([origin], "ignored", "", "empty line")
    elif line.startswith(("#", "//", "/*")):
        ledger.note([origin], "ignored", "", "comment")
    elif SESSION.fullmatch(line):
        ledger.note([origin], "ignored", "", "sets nothing")
    else:
        ledger.note([origin], "unknown", "syntax", "this is not a line of a configuration")


def _delete(path: Path, origin: Origin, leaves: list[Leaf], ledger: Accounting) -> list[Leaf]:
    kept = []
    for leaf in leaves:
        if leaf.path[: len(path)] == path:
            ledger.note([leaf.origin], "ignored", "", f"deleted again in line {origin.line}")
        else:
            kept.append(leaf)
    ledger.note([origin], "ignored", "", "deletes what was set before")
    return kept


def _words(text: str) -> Iterator[str]:
    for found in WORD.finditer(text):
        single, double, plain = found.groups()
        yield single if single is not None else double if double is not None else plain


# ---- curly


def _curly(text: SourceText, file: int, ledger: Accounting) -> list[Leaf]:
    leaves: list[Leaf] = []
    stack: list[Path] = []
    comment = False
    for number, raw in enumerate(text.lines, 1):
        origin, line = Origin(file, number, number), raw.strip()
        comment_here = comment or line.startswith("/*")
        if comment_here:
            comment = "*/" not in line
        if comment_here or not line or line.startswith(("//", "#")):
            ledger.note([origin], "ignored", "", "comment" if line else "empty line")
        elif line == "}":
            _close(stack, origin, leaves, ledger)
        elif line.endswith("{"):
            stack.append((*(stack[-1] if stack else ()), *_words(line[:-1])))
            leaves.append(Leaf(stack[-1], origin, structure=True))
            if len(stack) > DEPTH_MOST:
                ledger.note([origin], "unknown", "syntax", "nested too deep")
                return leaves
        elif stack and ('"' in line or not re.search("[{}]", line)):
            leaves.append(Leaf((*stack[-1], *_words(line)), origin))
        else:
            ledger.note([origin], "unknown", "syntax", "this is not a line of a configuration")
    return leaves


def _close(stack: list[Path], origin: Origin, leaves: list[Leaf], ledger: Accounting) -> None:
    if stack:
        leaves.append(Leaf(stack.pop(), origin, structure=True))
    else:
        ledger.note([origin], "unknown", "syntax", "'}' closes nothing")
