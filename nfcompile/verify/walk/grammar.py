r"""The part of nft's grammar that `lower` writes: the text of a rule -> phrases.

    rule       = phrase*
    phrase     = statement | verdict | match
    match      = key ["==" | "!=" | "<"] (value | "{" value, ... "}" | "@" name)
    key        = part ("." part)*;   part = field ["&" mask] ["|" bits]
    expression = key ["map" ("@" name | "{" key ":" data, ... "}")] | numgen | value

STATEMENTS is the table of what else a phrase can start with. `tcp dport` and the like are a match of the
protocol and a field of the transport header, as in nft.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from nfcompile.emit.words import PROTOCOL_NAMES
from nfcompile.model import parse
from nfcompile.model.parse import Fault
from nfcompile.model.ranges import Range
from nfcompile.verify.boxes import WORD
from nfcompile.verify.walk.phrases import (
    Assign,
    Change,
    Concat,
    Constant,
    Count,
    Entry,
    Expression,
    Field,
    Inline,
    Limit,
    Looked,
    Masked,
    Match,
    Nat,
    Note,
    Numgen,
    Phrase,
    UnknownPhrase,
    Verdict,
    Vmap,
)
from nfcompile.verify.walk.values import Key, Value, number

_TOKEN = re.compile(r'"[^"]*"|==|!=|[{}(),:|&<]|[^\s{}(),:|&<"=!]+')

FIELDS = (
    "iifname",
    "oifname",
    "ip saddr",
    "ip daddr",
    "th sport",
    "th dport",
    "tcp flags",
    "meta l4proto",
    "meta mark",
    "ct mark",
    "ct state",
    "ct status",
    "ct direction",
    "ct original zone",
    *(f"ct {side} {end}" for side in ("original", "reply") for end in ("ip saddr", "ip daddr")),
    *(f"ct {side} {end}" for side in ("original", "reply") for end in ("proto-src", "proto-dst")),
    "fib daddr type",
    "fib daddr oifname",
)
PROTOCOLS = {name: value for value, name in PROTOCOL_NAMES.items()}
STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
STATUS = {"expected": 1, "snat": 16, "dnat": 32}
TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "ack": 16}
NUMBERS: dict[str, dict[str, int]] = {
    "meta l4proto": PROTOCOLS,
    "ct state": STATES,
    "ct status": STATUS,
    "ct direction": {"original": 0, "reply": 1},
    "tcp flags": TCP_FLAGS,
}
"""Fields whose values have names; the numbers are the kernel's."""
BITS = {"ct state", "ct status"}
"""Fields of which a bare value asks whether the bit is there."""
VERDICTS = ("accept", "drop", "return")


def read_rule(text: str) -> tuple[Phrase, ...]:
    """Read a rule without its comment. Raises UnknownPhrase."""
    return _Reader(text).rule()


def read_key(text: str) -> Key:
    """Read the key or the data of an element.

    >>> read_key("203.0.113.0/31 . 1024-2047")
    (Range(first=3405803776, last=3405803777), Range(first=1024, last=2047))
    """
    reader = _Reader(text)
    key = reader.key_value("")
    reader.end()
    return key


def read_verdict(text: str) -> Verdict:
    """Read the data of a verdict map."""
    reader = _Reader(text)
    verdict = reader.verdict()
    reader.end()
    return verdict


class _Reader:
    """A rule's tokens, read from left to right; `found` are its phrases so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(text)
        self.at = 0
        self.found: list[Phrase] = []

    def refuse(self) -> UnknownPhrase:
        here = " ".join(self.tokens[self.at : self.at + 3]) or "its end"
        return UnknownPhrase(f"cannot read '{here}' in the rule '{self.text}'")

    def starts(self, words: str) -> bool:
        wanted = words.split()
        return self.tokens[self.at : self.at + len(wanted)] == wanted

    def accept(self, words: str) -> bool:
        if not self.starts(words):
            return False
        self.at += len(words.split())
        return True

    def need(self, words: str) -> None:
        if not self.accept(words):
            raise self.refuse()

    def take(self) -> str:
        if self.at == len(self.tokens):
            raise self.refuse()
        self.at += 1
        return str(self.tokens[self.at - 1])

    def end(self) -> None:
        if self.at != len(self.tokens):
            raise self.refuse()

    def integer(self) -> int:
        token = self.take()
        try:
            return int(token, 0)
        except ValueError:
            self.at -= 1
            raise self.refuse() from None

    # ---- phrases

    def rule(self) -> tuple[Phrase, ...]:
        while self.at < len(self.tokens):
            for words, read in STATEMENTS:
                if self.accept(words):
                    self.found.append(read(self))
                    break
            else:
                self.found.append(self.match())
        return tuple(self.found)

    def match(self) -> Phrase:
        if self.tokens[self.at] in (*VERDICTS, "jump", "goto"):
            return self.verdict()
        key = self.key() if not self.starts("numgen") else self.numgen()
        if self.accept("vmap"):
            return Vmap(key, self.source(self.verdict_entry))
        name = key.name if isinstance(key, Field) else key.field.name if isinstance(key, Masked) else ""
        if name == "fib daddr type":
            negated = self.accept("!=")
            return Match(key, (Entry((self.take(),)),), negated)
        operator = next((one for one in ("==", "!=", "<") if self.accept(one)), "")
        if operator == "<":
            return Match(key, (Entry((Range(0, self.integer() - 1),)),))
        if name in BITS and isinstance(key, Field) and not operator and not self.starts("{"):
            return Match(Masked(key, NUMBERS[name][self.take()]), (Entry((number(0),)),), True)
        return Match(key, self.source(lambda: Entry(self.key_value(name))), operator == "!=")

    def verdict(self) -> Verdict:
        word = self.take()
        if word in VERDICTS:
            return Verdict(word)
        if word in ("jump", "goto"):
            return Verdict(word, self.take())
        self.at -= 1
        raise self.refuse()

    def verdict_entry(self) -> Entry:
        key = self.key_value("meta l4proto")
        self.need(":")
        return Entry(key, (), self.verdict())

    def map_entry(self) -> Entry:
        key = self.key_value("")
        self.need(":")
        return Entry(key, self.key_value(""))

    def source(self, entry: Callable[[], Entry]) -> str | Inline:
        """`@name`, one value, or values in braces."""
        if self.at < len(self.tokens) and self.tokens[self.at].startswith("@"):
            return self.take()[1:]
        if not self.accept("{"):
            return (entry(),)
        entries = [entry()]
        while self.accept(","):
            entries.append(entry())
        self.need("}")
        return tuple(entries)

    # ---- values

    def key_value(self, field: str) -> Key:
        parts = [self.value(field)]
        while self.accept("."):
            parts.append(self.value(field))
        return tuple(parts)

    def value(self, field: str) -> Value:
        token = self.take()
        if token.startswith('"'):
            return token[1:-1]
        if token in NUMBERS.get(field, {}):
            return number(NUMBERS[field][token])
        try:
            if "." in token:
                return parse.addresses(token)
            first, _, last = token.partition("-")
            return Range(int(first, 0), int(last or first, 0))
        except (Fault, ValueError):
            self.at -= 1
            raise self.refuse() from None

    def mask(self, field: str) -> int:
        """A mask or bits: a number, an address, or names in brackets."""
        if self.accept("("):
            bits = NUMBERS[field][self.take()]
            while self.accept("|"):
                bits |= NUMBERS[field][self.take()]
            self.need(")")
            return bits
        value = self.value(field)
        if not isinstance(value, Range) or value.first != value.last:
            raise self.refuse()
        return value.first

    # ---- expressions

    def part(self) -> Field | Masked:
        for word in ("tcp", "udp"):
            if self.at + 1 < len(self.tokens) and self.tokens[self.at] == word:
                self.found.append(Match(Field("meta l4proto"), (Entry((number(PROTOCOLS[word]),)),)))
                if self.tokens[self.at + 1] in ("sport", "dport"):
                    self.tokens[self.at] = "th"
        field = next((Field(name) for name in FIELDS if self.accept(name)), None)
        if field is None:
            raise self.refuse()
        masked = self.accept("&")
        mask = self.mask(field.name) if masked else WORD
        bits = self.mask(field.name) if self.accept("|") else 0
        return Masked(field, mask, bits) if masked or bits else field

    def key(self) -> Field | Masked | Concat:
        parts = [self.part()]
        while self.accept("."):
            parts.append(self.part())
        return parts[0] if len(parts) == 1 else Concat(tuple(parts))

    def numgen(self) -> Numgen:
        self.need("numgen")
        if self.take() not in ("inc", "random"):
            self.at -= 1
            raise self.refuse()
        self.need("mod")
        modulus = self.integer()
        offset = self.integer() if self.accept("offset") else 0
        return Numgen(offset, offset + modulus - 1)

    def expression(self) -> Expression:
        if self.starts("numgen"):
            return self.numgen()
        words = {name.split()[0] for name in FIELDS} | {"tcp", "udp"}
        if self.at < len(self.tokens) and self.tokens[self.at] not in words:
            return Constant(self.value(""))
        key = self.key()
        return Looked(key, self.source(self.map_entry)) if self.accept("map") else key

    # ---- statements

    def assignment(self, field: str) -> Assign:
        return Assign(field, self.expression())

    def limit(self) -> Limit:
        over = self.accept("over")
        self.take()
        if self.accept("burst"):
            self.integer()
            self.need("packets")
        return Limit(over)

    def change(self, word: str) -> Change:
        name = self.take()
        if not name.startswith("@"):
            self.at -= 1
            raise self.refuse()
        self.need("{")
        key = self.key()
        data: Expression | None = None
        condition: Limit | Count | None = None
        if self.accept("timeout"):
            self.take()
        if self.accept("limit rate"):
            condition = self.limit()
        elif self.accept("ct count"):
            over = self.accept("over")
            condition = Count(self.integer(), over)
        if self.accept(":"):
            data = self.key()
        self.need("}")
        return Change(word, name[1:], key, data, condition)

    def nat(self, kind: str) -> Nat:
        self.accept("ip")
        prefix = self.accept("prefix")
        self.need("to")
        address = None if self.starts(":") else self.expression()
        port = self.expression() if self.accept(":") else None
        for word in ("random", "persistent"):
            self.accept(word)
        return Nat(kind, address, port, prefix)

    def note(self, kind: str) -> Note:
        return Note(kind, (self.take().strip('"'),))

    def events(self) -> Note:
        words = [self.take()]
        while self.accept(","):
            words.append(self.take())
        return Note("events", tuple(words))

    def log(self) -> Note:
        self.need("prefix")
        prefix = self.take().strip('"')
        self.need("group")
        return Note("log", (prefix, str(self.integer())))

    def reject(self) -> Verdict:
        self.need("with icmp type admin-prohibited")
        return Verdict("reject")


STATEMENTS: tuple[tuple[str, Callable[[_Reader], Phrase]], ...] = (
    ("meta mark set", lambda reader: reader.assignment("meta mark")),
    ("ct mark set", lambda reader: reader.assignment("ct mark")),
    ("ct original zone set", lambda reader: reader.assignment("ct original zone")),
    ("ct timeout set", lambda reader: reader.note("timeout")),
    ("ct helper set", lambda reader: reader.note("helper")),
    ("ct event set", _Reader.events),
    ("counter name", lambda reader: reader.note("counter")),
    ("log", _Reader.log),
    ("limit rate", _Reader.limit),
    ("flow add", lambda reader: reader.note("flow")),
    ("add", lambda reader: reader.change("add")),
    ("update", lambda reader: reader.change("update")),
    ("delete", lambda reader: reader.change("delete")),
    ("snat", lambda reader: reader.nat("snat")),
    ("dnat", lambda reader: reader.nat("dnat")),
    ("reject", _Reader.reject),
)
"""How statements begin, and who reads the rest; what begins otherwise is a match or a verdict."""
