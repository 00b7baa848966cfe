"""A RouterOS export -> its commands: the menu that each stands in, its verb and its properties."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.lines import SourceText

VERBS = ("add", "set", "remove", "print", "export", "enable", "disable", "move", "unset", "edit", "reset")
PROPERTY = re.compile(
    r"""([A-Za-z0-9-]+)=("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^\s"]*)|(\[[^\]]*\]|"(?:[^"\\]|\\.)*"|\S+)"""
)
MENU_WORD = re.compile(r"[^/\s]+")
ESCAPE = re.compile(r"\\([0-9A-F]{2}|.)")
PROGRAM = re.compile(r"[:{}]|\$|\bdo=")


class Command(NamedTuple):
    """One command; `values` are its properties, `flags` its other words."""

    menu: str
    verb: str
    values: dict[str, str]
    flags: tuple[str, ...]
    origin: Origin


def read_commands(texts: tuple[SourceText, ...], ledger: Accounting) -> list[Command]:
    """All commands; comments are noted, and lines of scripts, which are not run."""
    commands: list[Command] = []
    for number, text in enumerate(texts):
        menu = ""
        program = any(PROGRAM.match(line.strip()) for line in text.lines)
        for origin, line in _joined(text, number):
            ledger.join(origin)
            if not line or line.startswith("#"):
                ledger.note([origin], "ignored", "", "comment" if line else "empty line")
                continue
            if line.startswith("/"):
                menu, line = _menu(line)
                if not line:
                    ledger.note([origin], "ignored", "", f"menu {menu}")
                    continue
            command = _command(menu, line, origin)
            if command is not None:
                commands.append(command)
            elif program:
                reason = "this is a script: run it, and import what '/ip firewall nat export' shows then"
                ledger.note([origin], "not-translated", "shell", reason)
            else:
                ledger.note([origin], "unknown", "syntax", "this is not a command of an export")
    return commands


def _joined(text: SourceText, file: int) -> Iterator[tuple[Origin, str]]:
    """Lines, with those that end in a backslash joined to the next one."""
    start = 1
    parts: list[str] = []
    for number, raw in enumerate(text.lines, 1):
        line = raw.strip()
        if not parts:
            start = number
        if line.endswith("\\") and not line.startswith("#") and number < len(text.lines):
            parts.append(raw.lstrip().removesuffix("\\") if raw.endswith("\\") else line[:-1])
            continue
        parts.append(line)
        yield Origin(file, start, number), "".join(parts).strip()
        parts = []


def _menu(line: str) -> tuple[str, str]:
    """'/ip firewall nat add ...': the menu, and what follows it."""
    words = list(MENU_WORD.finditer(line))
    for at, word in enumerate(words):
        if word[0] in VERBS:
            return "/" + " ".join(one[0] for one in words[:at]), line[word.start() :]
    return "/" + " ".join(one[0] for one in words), ""


def _command(menu: str, line: str, origin: Origin) -> Command | None:
    verb, _, rest = line.partition(" ")
    if verb not in VERBS or not menu or "$" in rest:
        return None
    values: dict[str, str] = {}
    flags = []
    for found in PROPERTY.finditer(rest):
        if found[1] is not None:
            values[found[1]] = _unquoted(found[2])
        else:
            flags.append(_unquoted(found[3]))
    return Command(menu, verb, values, tuple(flags), origin)


def _unquoted(text: str) -> str:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    return ESCAPE.sub(lambda found: chr(int(found[1], 16)) if len(found[1]) == 2 else found[1], text[1:-1])
