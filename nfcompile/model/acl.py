"""The EcoNAT ACL grammar inside one string: `<allow|permit|deny> [<proto>] [src] A[~vid] [dst] B`.

Grammar (words apart by spaces, first the action):

    rule  = ("allow" | "permit" | "deny") [proto] [source] [destination]
    source = ["src"] addr ["~" vid] ["sport" ports]
    destination = ["dst"] addr ["dport" ports]
    addr  = "any" | ["host"] A | ["net"] A/LEN | ["range"] A-B
    ports = P | P-Q | ports "," ports

A side that is not written is `any`; a destination without a source needs the word `dst`. Both `allow`
and the `permit` of EcoNAT's own listing are read.
"""

from __future__ import annotations

from nfcompile.diagnostics import Path
from nfcompile.model import parse, protocols
from nfcompile.model.parse import Fault
from nfcompile.model.protocols import ANY_PROTOCOL
from nfcompile.model.ranges import ADDRESS_LAST, EVERYWHERE, Range, address_text, range_text
from nfcompile.model.site import AclRule

ACTIONS = {"allow": True, "permit": True, "deny": False}
NETMASKS = {address_text(ADDRESS_LAST >> bits << bits): bits for bits in range(1, 25)}
"""Netmasks of /8 to /31, with the bits of the host part."""
FORMS = {"host": parse.addresses, "net": parse.addresses, "range": parse.addresses}
WORDS = {"ip": ANY_PROTOCOL, **protocols.NUMBERS}


class _Words:
    """The words of a rule with their offsets, read from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: list[tuple[str, int]] = []
        self.next = 0
        at = 0
        for word in text.split():
            at = text.index(word, at)
            self.words.append((word, at))
            at += len(word)

    def peek(self) -> str:
        return self.words[self.next][0] if self.next < len(self.words) else ""

    def take(self, expected: str) -> tuple[str, int]:
        """Return the next word. Raises Fault at the end of the text; `expected` names what is missing."""
        if self.next == len(self.words):
            end = len(self.text.rstrip())
            raise Fault("acl-syntax", f"{expected} is missing at the end", max(end - 1, 0), end or 1)
        self.next += 1
        return self.words[self.next - 1]

    def accept(self, word: str) -> bool:
        if self.peek() == word:
            self.next += 1
            return True
        return False


def read_rule(text: str, number: int, path: Path) -> AclRule:
    """Read one rule. Raises Fault with the stretch of `text` that is wrong."""
    words = _Words(text)
    action, at = words.take("an action")
    if action not in ACTIONS:
        hint = "start with 'allow', 'permit' or 'deny'"
        if action.lower() in ACTIONS:
            hint = f"write '{action.lower()}'"
        if action.isdigit():
            hint = "the number is the key; start with 'allow', 'permit' or 'deny'"
        raise Fault("acl-syntax", f"'{action}' is not an action", at, at + len(action), hint)
    protocol = _protocol(words)
    source, vid, destination = EVERYWHERE, None, EVERYWHERE
    source_ports: tuple[Range, ...] = ()
    if not words.peek():
        words.take("a source or a destination")
    if words.peek() not in ("dst", "dport"):
        if words.peek() != "sport":
            words.accept("src")
            source, vid = _side(words, "a source", True)
        source_ports = _ports(words, "sport", protocol)
    if words.peek() and words.peek() != "dport":
        if not words.accept("dst"):
            _refuse_netmask(words, source)
        destination, _ = _side(words, "a destination", False)
    destination_ports = _ports(words, "dport", protocol)
    if words.peek():
        word, at = words.take("")
        raise Fault("acl-syntax", f"'{word}' is not expected here", at, at + len(word))
    return AclRule(
        path,
        number,
        ACTIONS[action],
        protocol,
        source,
        vid,
        destination,
        source_ports,
        destination_ports,
    )


def _protocol(words: _Words) -> int:
    """An optional protocol word; without one the rule is for `ip`."""
    word = words.peek()
    if word in WORDS:
        words.take("")
        return WORDS[word]
    if word.isascii() and word.isdigit():
        _, at = words.take("")
        if len(word) > 3 or int(word) > 255:
            message = f"'{word}' is not a protocol number from 0 to 255"
            raise Fault("acl-syntax", message, at, at + len(word))
        return int(word)
    starts = ("src", "dst", "any", "sport", "dport", "", *FORMS)
    if word not in starts and not word[0].isdigit():
        _, at = words.take("")
        hint = f"known protocols: {', '.join(WORDS)}, or a number"
        raise Fault("acl-syntax", f"unknown protocol '{word}'", at, at + len(word), hint)
    return ANY_PROTOCOL


def _side(words: _Words, expected: str, may_have_vid: bool) -> tuple[Range, int | None]:
    form = words.peek() if words.peek() in FORMS else ""
    if form:
        words.take("")
    word, at = words.take(expected)
    text, tilde, vid_text = word.partition("~")
    vid = None
    if tilde:
        if not may_have_vid:
            message = "only the source has a VLAN"
            raise Fault("acl-syntax", message, at + len(text), at + len(word))
        vid = parse.vlan_id(vid_text, at + len(text) + 1)
    if text == "any" and not form:
        return EVERYWHERE, vid
    if form and form != _form(text):
        message = f"'{text}' is not a {form}"
        raise Fault("acl-syntax", message, at, at + max(len(text), 1), _FORM_HINTS[form])
    return parse.addresses(text, at), vid


def _refuse_netmask(words: _Words, source: Range) -> None:
    """Refuse `10.0.0.0 255.255.255.0`: the second word would be a destination that no packet has."""
    mask = words.peek()
    bits = NETMASKS.get(mask)
    if bits is None or source.size != 1:
        return
    _, at = words.take("")
    network = source.first >> bits << bits
    hint = f"write {range_text(Range(network, network + (1 << bits) - 1))}"
    raise Fault("acl-syntax", f"'{mask}' is a netmask, not a destination", at, at + len(mask), hint)


_FORM_HINTS = {
    "host": "a host is one address",
    "net": "a net is written A/LEN",
    "range": "a range is written A-B",
}


def _form(text: str) -> str:
    return "net" if "/" in text else "range" if "-" in text else "host"


def _ports(words: _Words, word: str, protocol: int) -> tuple[Range, ...]:
    if words.peek() != word:
        return ()
    _, start = words.take("")
    text, at = words.take("a port")
    if protocol not in protocols.WITH_PORTS:
        hint = "write tcp or udp in front of the source"
        message = f"'{word}' needs protocol tcp or udp"
        raise Fault("port-without-protocol", message, start, at + len(text), hint)
    return parse.port_list(text, at)
