"""The bytes of site.yaml -> plain data, and the place (line, columns) of every path in it.

Strict where YAML is treacherous: no aliases, tags, merge keys, tabs or duplicate keys, one document,
scalars of YAML 1.2 and nothing else. Knows nothing of pools, and not which keys a site has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from nfcompile.diagnostics import PROBLEMS_LIMIT, Diagnostic, Note, Path, Place, SiteError

NESTING_LIMIT = 50
TOO_DEEP = f"nested deeper than {NESTING_LIMIT} levels"
DIGITS_LIMIT = 30
"""No number of a site has more; Python refuses to read 4301 of them, and a reader long before."""

MESSAGE_WORDS = 60

WORDS: dict[str, bool | None] = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "null": None,
    "Null": None,
    "NULL": None,
    "~": None,
    "": None,
}
"""The words of YAML 1.2's core schema; `on`, `no` and the like stay text."""

INTEGER = re.compile(r"0|-?[1-9][0-9]*")
# Line separators other than LF and CRLF are refused because editors disagree with YAML about what
# line they are in, and a byte order mark inside the file because nobody sees it.
UNSEEN = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff"
UNSEEN_IN_FILE = re.compile(rf"[{UNSEEN}]|\r(?!\n)")
UNSEEN_IN_VALUE = re.compile(rf"[{UNSEEN}\t\r\n]")
TABS = re.compile(r"^(?:(?!^#| #)[^\t\n])*(\t+)", re.MULTILINE)
"""The first tabs of a line; those in a comment do no harm."""
CODE = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|(?<!\s)#|[^#])*""")
"""A line up to its comment."""
PROPERTY = re.compile(r"\s*([&!][^\s,\[\]{}]*)")
"""An anchor or a tag."""

Leaf = ScalarEvent | AliasEvent


class Branch:
    """A mapping (children by key, each with the event of its key) or a list (children in order)."""

    __slots__ = ("children", "end_mark", "items", "start_mark")

    def __init__(self, start: Any) -> None:
        self.start_mark = start.start_mark
        self.end_mark = start.end_mark
        self.children: dict[str, tuple[Leaf, Leaf | Branch]] = {}
        self.items: list[Leaf | Branch] = []


Node = Leaf | Branch


class Document(NamedTuple):
    """One site as plain data; `nodes` holds the marks of what was written."""

    name: str
    lines: list[str]
    data: dict[str, Any]
    nodes: Node | None

    def place(self, path: Path, key: bool = False, span: tuple[int, int] | None = None) -> Place | None:
        """Find a path: its value, its key, or a half-open stretch of characters of either.

        What is not in the document is at its nearest parent's key, and what has no such parent
        nowhere. A node of several lines ends with its first one.
        """
        name: Leaf | None = None
        node = self.nodes
        for step in path:
            found = _child(node, step)
            if found is None:
                key, span = True, None
                break
            name, node = found
        if node is None or node is self.nodes:
            return None
        if name is not None and (key or _is_empty(node)):
            node, span = name, span if key else None
        return _stretch(self.lines, node, span)


class SourceError(SiteError):
    """The text is not a site's; `document` holds its lines, and whatever was understood of it."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...], document: Document) -> None:
        super().__init__(diagnostics)
        self.document = document


def parse(data: bytes, name: str) -> Document:
    """Read a site. Raises SourceError with every problem that could be found at once."""
    text, problem = _decode(data)
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    problems = [problem] if problem else _unwanted(text)
    if problems:
        raise SourceError(tuple(problems), Document(name, lines, {}, None))
    walk = _Walk(text, lines)
    value = walk.run()
    document = Document(name, lines, value if isinstance(value, dict) else {}, walk.nodes)
    if walk.problems:
        raise SourceError(tuple(walk.problems), document)
    return document


def short(text: str) -> str:
    """Cut what the user wrote to a length that a message can carry."""
    return text if len(text) <= MESSAGE_WORDS else text[: MESSAGE_WORDS - 3] + "..."


def _child(node: Node | None, step: str | int) -> tuple[Leaf | None, Node] | None:
    if not isinstance(node, Branch):
        return None
    if isinstance(step, int) and 0 <= step < len(node.items):
        return None, node.items[step]
    return node.children.get(str(step))


def _is_empty(node: Any) -> bool:
    """Whether nothing is written there, as after the colon of 'pools:'."""
    return bool(node.start_mark.index == node.end_mark.index)


def _stretch(lines: list[str], node: Any, span: tuple[int, int] | None) -> Place:
    line, first = node.start_mark.line, node.start_mark.column
    text = lines[line] if line < len(lines) else ""
    if node.end_mark.line != line:
        last = len(_code(text))
    else:
        last = node.end_mark.column
        if span and isinstance(node, ScalarEvent):
            inner = first + 1 if node.style else first
            # Escapes in quotes move the characters; then the whole scalar is as near as it gets.
            if text[inner : inner + len(node.value)] == node.value:
                first, last = min(inner + span[0], last - 1), min(inner + span[1], last)
    if first >= last:  # an empty node stands behind the ':' or '-' that announces it
        first = max(min(first, len(text)) - 1, 0)
    return Place(line + 1, first + 1, max(last, first + 1))


def _code(line: str) -> str:
    found = CODE.match(line)
    return (found[0] if found else line).rstrip()


def _decode(data: bytes) -> tuple[str, Diagnostic | None]:
    hint = "save the file as UTF-8"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = "the file is UTF-16, not UTF-8"
        return "", Diagnostic("yaml-encoding", message, place=Place(1, 1, 1), hint=hint)
    try:
        return data.decode("utf-8").removeprefix("\ufeff"), None
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix("\ufeff")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        place = _offset_place(before, len(before))
        text = data.decode("utf-8", "backslashreplace").removeprefix("\ufeff")
        return text, Diagnostic("yaml-encoding", message, place=place, hint=hint)


def _offset_place(text: str, start: int, length: int = 1) -> Place:
    column = start - text.rfind("\n", 0, start)
    return Place(text.count("\n", 0, start) + 1, column, column + length - 1)


def _unwanted(text: str) -> list[Diagnostic]:
    """Characters that are refused before YAML is asked: the first unseen one, or each line's tabs."""
    found = UNSEEN_IN_FILE.search(text)
    if found:
        place = _offset_place(text, found.start())
        message, hint = f"control character U+{ord(found[0]):04X}", "remove it"
        if found[0] == "\r":
            message, hint = "carriage return without a line feed", "end lines with LF or CRLF"
        elif found[0] == "\0":
            hint = "is this a text file in UTF-8?"
        return [Diagnostic("yaml-character", message, place=place, hint=hint)]
    problems = []
    for tabs in islice(TABS.finditer(text), PROBLEMS_LIMIT) if "\t" in text else ():
        indentation = not tabs[0].strip()
        message = "tab in the indentation" if indentation else "tab between words"
        hint = "indent with spaces" if indentation else "put spaces instead"
        place = _offset_place(text, tabs.start(1), len(tabs[1]))
        problems.append(Diagnostic("yaml-tab", message, place=place, hint=hint))
    return problems


class _Stop(Exception):
    """What follows in the text could not be understood any more."""


class _Walk:
    """Walks the events of the YAML parser once; builds data and nodes side by side.

    A branch joins its parent before it is filled, so that the nodes are of use after a stop too.
    """

    def __init__(self, text: str, lines: list[str]) -> None:
        self.text = text
        self.lines = lines
        self.problems: list[Diagnostic] = []
        self.nodes: Node | None = None
        # libyaml is 30 times faster; PyYAML without it says the same in slightly other words.
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        self.events: Iterator[Any] = iter(loader.get_event, None)

    def run(self) -> Any:
        try:
            return self.document()
        except yaml.YAMLError as error:
            self.problems.append(_syntax(error, self.lines))
        except _Stop:
            pass
        return None

    def document(self) -> Any:
        next(self.events)  # the start of the stream
        if type(next(self.events)) is StreamEndEvent:
            self.empty()
            return None
        event = next(self.events)
        self.nodes, value = self.begin(event, ())
        if isinstance(self.nodes, Branch):
            self.fill(self.nodes, value, (), 1)
        next(self.events)  # the end of the document
        following = next(self.events)
        if type(following) is DocumentStartEvent:
            hint = "one file describes one gateway"
            self.refuse("yaml-documents", "a second document starts here", (), following, hint)
        if not isinstance(value, dict) and not self.problems:
            self.not_a_mapping(event, value)
        return value

    def not_a_mapping(self, event: Any, value: Any) -> None:
        if value is None and _is_empty(event):
            return self.empty()
        what = "a list" if isinstance(value, list) else "one value"
        message = f"the file holds {what}, not keys with values"
        hint = "a site starts with 'version: 1'"
        self.refuse("yaml-not-a-mapping", message, (), self.nodes, hint)

    def empty(self) -> None:
        message = "the file holds no keys" if self.lines else "the file is empty"
        hint = "'nfcompile init' writes a site to start from"
        self.problems.append(Diagnostic("yaml-empty", message, place=Place(1, 1, 1), hint=hint))

    def begin(self, event: Any, path: Path) -> tuple[Node, Any]:
        """Make the node and the value of an event; a branch and its value are still empty."""
        kind = type(event)
        if kind is ScalarEvent:
            return event, self.scalar(event, path)
        if kind is AliasEvent:
            hint = "write the value out"
            self.refuse("yaml-alias", f"alias '*{short(event.anchor)}'", path, event, hint)
            return event, None
        if event.anchor or event.tag:
            self.properties(event, path)
        return Branch(event), {} if kind is MappingStartEvent else []

    def fill(self, branch: Branch, value: Any, path: Path, depth: int) -> None:
        if depth > NESTING_LIMIT:
            place = _mark_place(branch.start_mark)
            self.problems.append(Diagnostic("yaml-nesting", TOO_DEEP, path, place=place))
            raise _Stop
        if isinstance(value, dict):
            self.fill_mapping(branch, value, path, depth)
        else:
            self.fill_list(branch, value, path, depth)

    def fill_mapping(self, branch: Branch, data: Any, path: Path, depth: int) -> None:
        children, events, begin = branch.children, self.events, self.begin
        for event in events:
            if type(event) is MappingEndEvent:
                branch.end_mark = event.end_mark
                return
            key = self.key(event, path)
            following = next(events)
            if key == "<<" and not event.style:
                following = self.without_merge(event, following, path)
            here = (*path, key)
            node, value = begin(following, here)
            if key in data:
                note = Note(f"'{short(key)}' is given here first", here, key=True)
                self.refuse("yaml-duplicate-key", f"key '{short(key)}' is given twice", here, event, "", note)
            else:
                children[key] = (event, node)
                data[key] = value
            if type(node) is Branch:
                self.fill(node, value, here, depth + 1)

    def fill_list(self, branch: Branch, data: Any, path: Path, depth: int) -> None:
        for event in self.events:
            if type(event) is SequenceEndEvent:
                branch.end_mark = event.end_mark
                return
            here = (*path, len(data))
            node, value = self.begin(event, here)
            branch.items.append(node)
            data.append(value)
            if isinstance(node, Branch):
                self.fill(node, value, here, depth + 1)

    def key(self, event: Any, path: Path) -> str:
        """Keys stay text, numbers too: an ACL rule's number and an address are keys."""
        if type(event) is ScalarEvent:
            if event.anchor or event.tag or UNSEEN_IN_VALUE.search(event.value):
                self.scalar(event, path)
            return str(event.value)
        if type(event) is AliasEvent:
            self.begin(event, path)
            return f"*{event.anchor}"
        hint = "put text that starts with '{' or '[' in quotes"
        place = _mark_place(event.start_mark)
        message = "a key must be one word"
        self.problems.append(Diagnostic("yaml-key", message, path, place=place, hint=hint))
        raise _Stop

    def without_merge(self, key: Any, following: Any, path: Path) -> Any:
        """Refuse a merge key; the alias that follows it is the same mistake and not told again."""
        hint = "write the keys out"
        self.refuse("yaml-merge-key", "merge key '<<'", (*path, "<<"), key, hint)
        if type(following) is not AliasEvent:
            return following
        empty = (True, False)
        return ScalarEvent(None, None, empty, "", following.start_mark, following.start_mark)

    def scalar(self, event: Any, path: Path) -> Any:
        text = event.value
        if event.anchor or event.tag:
            self.properties(event, path)
        if UNSEEN_IN_VALUE.search(text):
            hint = "write it on one line"
            message = "a value with a line break"
            if "\n" not in text:
                message, hint = "a value with a control character", "remove it"
            elif event.style in ("|", ">"):
                hint = "write it on one line, or use '>-'"
            self.refuse("yaml-character", message, path, event, hint)
        if event.style:
            return text
        if INTEGER.fullmatch(text):
            if len(text) <= DIGITS_LIMIT:
                return int(text)
            message = f"a number of {len(text.lstrip('-'))} digits"
            self.refuse("yaml-number", message, path, event)
        return WORDS.get(text, text)

    def properties(self, event: Any, path: Path) -> None:
        """Refuse an anchor and a tag, which stand before their node in either order."""
        mark = event.start_mark
        at = mark.index
        while found := PROPERTY.match(self.text, at):
            at, start = found.end(), found.start(1)
            line = mark.line + self.text.count("\n", mark.index, start)
            column = start - self.text.rfind("\n", 0, start)
            place = Place(line + 1, column, column + len(found[1]) - 1)
            code, kind, hint = "yaml-tag", "tag", "remove it; put text that starts with '!' in quotes"
            if found[1][0] == "&":
                code, kind, hint = "yaml-alias", "anchor", "remove it, and write each value out"
            message = f"{kind} '{short(found[1])}'"
            self.problem(Diagnostic(code, message, path, place=place, hint=hint))

    def problem(self, one: Diagnostic) -> None:
        self.problems.append(one)
        if len(self.problems) == PROBLEMS_LIMIT:
            raise _Stop

    def refuse(self, code: str, message: str, path: Path, event: Any, hint: str = "", *notes: Note) -> None:
        place = _stretch(self.lines, event, None)
        self.problem(Diagnostic(code, message, path, hint=hint, notes=notes, place=place))


def _mark_place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1, mark.column + 1)


class _Trouble(NamedTuple):
    """Where the YAML parser gave up (`line`, `column`, from 0) and where that construct began."""

    lines: list[str]
    line: int
    column: int
    opened_line: int
    opened_column: int

    @property
    def character(self) -> str:
        return self.lines[self.line][self.column : self.column + 1]

    @property
    def before(self) -> str:
        return self.lines[self.line][: self.column]

    def here(self, message: str, hint: str = "", code: str = "yaml-syntax") -> Diagnostic:
        place = Place(self.line + 1, self.column + 1, self.column + 1)
        return Diagnostic(code, message, hint=hint, place=place)

    def opened(self, message: str, hint: str = "", code: str = "yaml-syntax") -> Diagnostic:
        return self._replace(line=self.opened_line, column=self.opened_column).here(message, hint, code)

    def neighbour(self) -> tuple[str, int]:
        """The nearest line above that says something, without its indentation, and its column."""
        for text in reversed(self.lines[: self.line]):
            bare = text.strip()
            if bare and not bare.startswith("#"):
                return bare, len(text) - len(text.lstrip()) + 1
        return "", 1


Speaker = Callable[[_Trouble], Diagnostic]


def _syntax(error: yaml.YAMLError, lines: list[str]) -> Diagnostic:
    """Say in our own words what the YAML parser could not read."""
    mark = getattr(error, "problem_mark", None)
    line, column = _inside(lines, mark)
    opened = getattr(error, "context_mark", None)
    trouble = _Trouble(lines or [""], line, column, *_inside(lines, opened or mark))
    said = f"{getattr(error, 'context', '')} | {getattr(error, 'problem', '')}"
    for needle, speak in SYNTAX:
        if needle in said:
            return speak(trouble)
    return trouble.here("this is not YAML")


def _inside(lines: list[str], mark: Any) -> tuple[int, int]:
    """A mark as line and column; the end of the file is behind its last character."""
    if mark is None or not lines:
        return 0, 0
    if mark.line >= len(lines):
        return len(lines) - 1, len(lines[-1])
    return mark.line, mark.column


def _open_quote(trouble: _Trouble) -> Diagnostic:
    return trouble.opened("this quote is never closed", "close it on the same line")


def _open_bracket(trouble: _Trouble) -> Diagnostic:
    bracket = trouble.lines[trouble.opened_line][trouble.opened_column]
    close = "]" if bracket == "[" else "}"
    outer = trouble.lines[trouble.opened_line]
    here = trouble.lines[trouble.line]
    outdented = len(here) - len(here.lstrip()) <= len(outer) - len(outer.lstrip())
    if not trouble.character or (trouble.line != trouble.opened_line and outdented):
        return trouble.opened(f"'{bracket}' is never closed", f"add the '{close}'")
    hint = f"the '{bracket}' of line {trouble.opened_line + 1} is still open"
    return trouble.here(f"',' or '{close}' is missing before this", hint)


def _cannot_start(trouble: _Trouble) -> Diagnostic:
    if not trouble.character:
        return trouble.here("the file ends inside brackets", "close what is open")
    hint = "put the value in quotes"
    if trouble.character in ",]}":
        hint = f"put the value in quotes, or remove the '{trouble.character}'"
    return trouble.here(f"'{trouble.character}' cannot start a value", hint)


def _no_colon(trouble: _Trouble) -> Diagnostic:
    text = _code(trouble.lines[trouble.opened_line])
    column = trouble.opened_column
    words = text[column:]
    place = Place(trouble.opened_line + 1, column + 1, max(len(text), column + 1))
    hint = f"write '{short(words.split()[0])}: ...'" if len(words.split()) > 1 else "write 'key: value'"
    return Diagnostic("yaml-syntax", f"'{short(words)}' has no ':'", place=place, hint=hint)


def _colon_in_value(trouble: _Trouble) -> Diagnostic:
    """A ':' where a value already runs: a second one in its line, or a line that was swallowed."""
    if re.search(r":(\s|$)", trouble.before):
        return trouble.here("a second ':' on one line", "put a value that holds ': ' in quotes")
    key = trouble.before.strip()
    bare, column = trouble.neighbour()
    first = len(trouble.before) - len(trouble.before.lstrip())
    place = Place(trouble.line + 1, first + 1, max(trouble.column, first + 1))
    message = f"'{short(key)}' continues the value above and cannot be a key"
    hint = f"start it in column {column}, like the line above"
    if not re.search(r":(\s|$)", bare):
        hint = f"the line above, '{short(bare)}', has no ':'"
    return Diagnostic("yaml-syntax", message, place=place, hint=hint)


def _indentation(trouble: _Trouble) -> Diagnostic:
    if trouble.before.strip():
        if trouble.character in ("]", "}"):
            return trouble.here(f"'{trouble.character}' closes nothing", "remove it")
        return trouble.here("text after the end of a value", "put the whole value in quotes")
    if trouble.column == trouble.opened_column:
        return trouble.here("a key is missing here", "write 'key: value'")
    _, column = trouble.neighbour()
    hint = f"start it in column {trouble.opened_column + 1}"
    if column != trouble.opened_column + 1:
        hint += f" or, like the line above, in column {column}"
    return trouble.here("this line is not indented like its neighbours", hint)


def _block_text(trouble: _Trouble) -> Diagnostic:
    mark = trouble.lines[trouble.opened_line][trouble.opened_column]
    hint = f"put text that starts with '{mark}' in quotes"
    return trouble.opened(f"'{mark}' starts a block of text, which must follow below it", hint)


def _says(message: str, hint: str, code: str = "yaml-syntax", opened: bool = False) -> Speaker:
    def speak(trouble: _Trouble) -> Diagnostic:
        return (trouble.opened if opened else trouble.here)(message, hint, code)

    return speak


SYNTAX: tuple[tuple[str, Speaker], ...] = (
    # libyaml 0.2.6 stops at level 1,000, before it hands over level 51 of one line: it reads ahead.
    ("maximum nesting depth", _says(TOO_DEEP, "", "yaml-nesting")),
    ("an alias", _says("'*' starts an alias", "put it in quotes", "yaml-alias", True)),
    ("an anchor", _says("'&' starts an anchor", "put it in quotes", "yaml-alias", True)),
    ("directive", _says("'%' starts a directive", "remove the line", opened=True)),
    ("incompatible", _says("this version of YAML is not known", "remove the line")),
    ("tag", _says("'!' starts a tag", "put it in quotes", "yaml-tag", True)),
    (
        "document start",
        _says("a second document starts here", "one file describes one gateway", "yaml-documents"),
    ),
    ("unexpected end of stream", _open_quote),
    ("unexpected document", _open_quote),
    ("escape", _says("this escape is not known", "use single quotes, where '\\' is plain")),
    ("hexdecimal", _says("this escape is not known", "use single quotes, where '\\' is plain")),
    ("cannot start any token", _cannot_start),
    ("expected ':'", _no_colon),
    ("mapping values are not", _colon_in_value),
    ("sequence entries are not", _says("a list cannot start here", "start it on its own line")),
    ("mapping keys are not", _says("a key cannot start here", "put it on its own line")),
    ("flow sequence", _open_bracket),
    ("flow mapping", _open_bracket),
    ("block scalar", _block_text),
    ("block mapping", _indentation),
    ("block collection", _says("a list goes on here, and this has no '-'", "write '- value'")),
    ("node content", _cannot_start),
)
"""What the YAML parser's words hold -> who says it; the first that fits. libyaml and PyYAML differ."""
