"""EcoNAT: its stored tree, or a session at its command line -> the values of each branch with their lines.

A session's prompt names the branch in which a command is typed. What `show` answers is read like the stored
tree of that branch: it says again what is known, or tells what the session did not set.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.lines import SourceText
from nfcompile.model.acl import read_rule
from nfcompile.model.parse import Fault

Path = tuple[str, ...]

PROMPT = re.compile(r"\s*[^\s:#]+:\d+(?::(\S*?))?#(?:\s+(.*))?$")
WORD = re.compile(r"[(){}]|[+-]=|(?:(?![+-]=)[^\s(){}])+")
SUBTREES = ("timeouts_inactivity", "limits_peruser", "alg", "nat_defaults")
LISTS = ("global_ip", "global_map", "special_tcp_ports")
QUIET = (
    "show",
    "analyze",
    "clear",
    "apply",
    "save",
    "exit",
    "quit",
    "ping",
    "help",
    "history",
    "ls",
    "top",
    "root",
    "..",
)
WORDS_MOST = 100_000


class Value(NamedTuple):
    """What a key has: the words, and the lines that they come from."""

    words: tuple[str, ...]
    origins: tuple[Origin, ...]


class Tree:
    """Branches by path, in the order in which they came to be; `created` holds the lines that made them."""

    def __init__(self, ledger: Accounting) -> None:
        self.ledger = ledger
        self.branches: dict[Path, dict[str, Value]] = {}
        self.created: dict[Path, list[Origin]] = {}

    def make(self, path: Path, origin: Origin | None = None) -> dict[str, Value]:
        """A branch, which comes to be if it is not there."""
        lines = self.created.setdefault(path, [])
        if origin is not None:
            lines.append(origin)
        return self.branches.setdefault(path, {})

    def put(
        self, path: Path, key: str, words: tuple[str, ...], origins: tuple[Origin, ...], shown: bool
    ) -> None:
        """Set a value. What `show` repeats sets nothing; a later line takes the place of an earlier one."""
        branch = self.make(path)
        old = branch.get(key)
        if old is not None and shown and _same(path, old.words, words):
            self.ledger.note(origins, "ignored", "", f"shows what line {old.origins[0].line} set")
            return
        if old is not None and old.origins != origins[: len(old.origins)]:
            replaced = [one for one in old.origins if one not in origins]
            self.ledger.note(replaced, "ignored", "replaced", f"line {origins[0].line} takes its place")
        branch[key] = Value(words, origins)


def read_tree(texts: tuple[SourceText, ...], ledger: Accounting) -> Tree:
    """Read files of either form; they are one device."""
    tree = Tree(ledger)
    for number, text in enumerate(texts):
        reader = _TreeReader(tree, ledger)
        session = any(PROMPT.match(line) for line in text.lines)
        for at, line in enumerate(text.lines, 1):
            reader.line(line, Origin(number, at, at), session)
    return tree


class _TreeReader:
    """Reads one file line by line."""

    def __init__(self, tree: Tree, ledger: Accounting) -> None:
        self.tree = tree
        self.ledger = ledger
        self.answer = ""
        self.start: Path = ()
        self.stack: list[Path] = []
        self.waiting = ""
        self.named: Origin | None = None
        self.list_key = ""
        self.list_verb = ""
        self.list_words: list[str] = []
        self.list_lines: list[Origin] = []

    def line(self, raw: str, origin: Origin, session: bool) -> None:
        prompt = PROMPT.match(raw)
        text = raw.strip()
        if session and prompt:
            self.prompt(prompt[1] or "", (prompt[2] or "").strip(), origin)
        elif not text:
            self.ledger.note([origin], "ignored", "", "empty line")
        elif session and self.answer != "show":
            self.ledger.note([origin], "ignored", "", "an answer")
        elif text in ("…", "..."):
            self.ledger.note([origin], "ignored", "", "the answer is cut short here")
        elif text.startswith(("#", "!")):
            self.ledger.note([origin], "ignored", "", "comment")
        else:
            self.stored(text, origin, shown=session)

    # ---- a session

    def prompt(self, branch: str, command: str, origin: Origin) -> None:
        self.named, self.stack = None, []
        self.answer = command.split(" ")[0]
        inside_list = branch.startswith("(")
        self.start = tuple(part for part in branch.strip("()").split(".") if part)
        if not command:
            self.ledger.note([origin], "ignored", "", "an empty prompt")
        elif inside_list and self.start:
            key = self.start[-1]
            self.start = self.start[:-1]
            self.items(key, WORD.findall(command), origin)
        else:
            self.list_key = ""
            self.command(WORD.findall(command)[:WORDS_MOST], origin)

    def command(self, words: list[str], origin: Origin) -> None:
        verb = words[0] if words else ""
        if verb in QUIET:
            self.ledger.note([origin], "ignored", "", "changes nothing that is kept")
        elif verb == "create" and len(words) >= 3 and words[1] in ("pool", "acl"):
            self.tree.make((f"{words[1]}s", prefixed(words[1], words[2])), origin)
        elif verb in ("goto", "edit") and len(words) >= 2:
            self.ledger.note([origin], "ignored", "", "goes to a branch")
        elif verb == "use" and len(words) >= 3:
            pool = ("pools", words[2])
            self.tree.put(pool, "acl", (words[1],), (origin,), shown=False)
        elif verb in ("delete", "remove") and len(words) >= 2:
            self.delete(words, origin)
        else:
            self.leaf(self.start, words, origin, shown=False)

    def delete(self, words: list[str], origin: Origin) -> None:
        name = words[-1]
        for path in [path for path in self.tree.branches if name in path[1:2]]:
            lines = [one for value in self.tree.branches.pop(path).values() for one in value.origins]
            lines += self.tree.created.pop(path, [])
            self.ledger.note(lines, "ignored", "", f"deleted again in line {origin.line}")
        self.ledger.note([origin], "ignored", "", "deletes a branch")

    # ---- the stored tree

    def stored(self, text: str, origin: Origin, shown: bool) -> None:
        """One line; braces open and close branches, parentheses lists."""
        words = WORD.findall(text)
        if self.list_key:
            self.items(self.list_key, words, origin, shown)
            return
        path = self.stack[-1] if self.stack else self.start
        named, self.named = self.named, None
        if words == ["{"] and named:
            self.ledger.note([named], "ignored", "", "names a block")
            self.open(path, self.waiting, origin)
        elif words[-1:] == ["{"] and len(words) >= 2:
            self.open(path, words[-2], origin)
        elif words == ["}"]:
            self.close(origin)
        elif len(words) == 1 and _names_block(words[0], path):
            self.waiting, self.named = words[0], origin
        else:
            self.leaf(path, words, origin, shown)

    def open(self, path: Path, name: str, origin: Origin) -> None:
        self.stack.append(branch_of(path, name))
        if self.stack[-1][:1] in (("pools",), ("acls",)) and len(self.stack[-1]) == 2:
            self.tree.make(self.stack[-1], None if self.answer else origin)
        if self.answer or self.stack[-1] not in self.tree.created:
            self.ledger.note([origin], "ignored", "", "opens a block")

    def close(self, origin: Origin) -> None:
        if self.stack:
            self.stack.pop()
        elif not self.answer:
            self.ledger.note([origin], "unknown", "syntax", "'}' closes nothing")
            return
        self.ledger.note([origin], "ignored", "", "closes a block")

    # ---- leaves and lists

    def leaf(self, path: Path, words: list[str], origin: Origin, shown: bool) -> None:
        key, *rest = words
        if key in SUBTREES and rest and "(" not in rest:
            self.leaf((*path, key), rest, origin, shown)
        elif key in LISTS:
            self.begin(path, key, rest, origin, shown)
        elif path[:1] == ("pools",) and key in ("enable", "disable") and len(path) == 2:
            self.tree.put(path, "enable", ("on" if key == "enable" else "off",), (origin,), shown)
        elif path and rest:
            self.tree.put(path, key, tuple(rest), (origin,), shown)
        else:
            self.ledger.note([origin], "unknown", "syntax", f"'{key}' has no value here")

    def begin(self, path: Path, key: str, words: list[str], origin: Origin, shown: bool) -> None:
        """A list: 'key ( a b )', 'key += (', 'key add a', or the key alone with items at the next prompts."""
        self.list_key, self.list_verb, self.list_words, self.list_lines = key, "=", [], [origin]
        if words[:1] and words[0] in ("+=", "-=", "add", "remove"):
            self.list_verb = {"add": "+=", "remove": "-="}.get(words[0], words[0])
            words = words[1:]
        self.start = self.start if self.stack else path
        if "(" in words and ")" not in words:
            self.list_words = [word for word in words if word != "("]
            return
        if not words:
            return
        self.list_words = [word for word in words if word not in "()"]
        self.finish(path, shown)

    def items(self, key: str, words: list[str], origin: Origin, shown: bool = False) -> None:
        """Further lines of a list that has been begun."""
        if not self.list_key:
            self.list_key, self.list_verb, self.list_words, self.list_lines = key, "=", [], []
        self.list_lines.append(origin)
        if words[:1] and words[0] in ("+=", "-="):
            self.list_verb, words = words[0], words[1:]
        if len(self.list_words) < WORDS_MOST:
            self.list_words += [word for word in words if word not in "()"]
        if ")" in words:
            self.finish(self.stack[-1] if self.stack else self.start, shown)

    def finish(self, path: Path, shown: bool) -> None:
        key, lines = self.list_key, tuple(self.list_lines)
        words = pairs(self.list_words) if key == "global_map" else tuple(self.list_words)
        self.list_key = ""
        old = self.tree.make(path).get(key)
        before = old.words if old is not None else ()
        if self.list_verb == "+=":
            words = (*before, *(word for word in words if word not in before))
        elif self.list_verb == "-=":
            words = tuple(word for word in before if word not in words)
        if self.list_verb != "=" and old is not None:
            lines = (*old.origins, *lines)
        self.tree.put(path, key, words, lines, shown)


def _same(path: Path, words: tuple[str, ...], shown: tuple[str, ...]) -> bool:
    """Whether `show` says what is known; it lists in its own order, and spells ACL rules out."""
    if path[:1] != ("acls",):
        return sorted(words) == sorted(shown)
    try:
        return read_rule(" ".join(words), 1, ()) == read_rule(" ".join(shown), 1, ())
    except Fault:
        return False


def _names_block(word: str, path: Path) -> bool:
    """Whether a word alone on its line is the name of the block that follows."""
    if word in (*SUBTREES, "system", "pools", "acls"):
        return True
    return path in ((), ("pools",), ("acls",)) and word not in ("enable", "disable")


def prefixed(kind: str, name: str) -> str:
    """'create pool test' makes 'pooltest', 'create pool pooltest' the same."""
    return name if name.startswith(kind) else f"{kind}{name}"


def branch_of(path: Path, name: str) -> Path:
    """The path of a block; pools and ACLs may stand without the branch above them, and what `show` answers
    begins with the branch itself."""
    if path[-1:] == (name,):
        return path
    if path or name in ("pools", "acls", "system"):
        return (*path, name)
    for kind in ("pool", "acl"):
        if name.startswith(kind):
            return (f"{kind}s", name)
    return ("system", name) if name == "nat_defaults" else (name,)


def pairs(words: list[str]) -> tuple[str, ...]:
    """Entries of a map, 'A-B' or 'A - B'; a dash may be a longer one."""
    text = " ".join(words).replace("\u2013", "-").replace("\u2014", "-")
    return tuple(re.sub(r"\s*-\s*", "-", text).split())
