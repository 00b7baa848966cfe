"""The options of an iptables rule, and how each narrows what the rule matches.

A condition that a site cannot express becomes the rule's doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from nfcompile.importers import values
from nfcompile.importers.form import ADDRESSES, ANYTHING, PORTS, PROTOCOLS, InterfaceSet, Ranges, Unsaid
from nfcompile.importers.lines import Token
from nfcompile.model.ranges import Range, intersect, union


class Surroundings(NamedTuple):
    """What a rule may refer to: names of interfaces (for patterns like eth+), the gateway's addresses."""

    interfaces: tuple[str, ...] = ()
    addresses: Mapping[str, int] = {}


class RuleWords:
    """A rule while its words are read; `doubt` is a condition that a site cannot express."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.incoming = self.outgoing = ANYTHING.incoming
        self.sets: dict[str, Ranges] = {}
        self.either_port: Ranges | None = None
        self.modules: list[str] = []
        self.target: Token | None = None
        self.goto = False
        self.values: dict[str, list[str]] = {}
        self.doubt: Unsaid | None = None
        self.never = False
        self.notes: list[str] = []
        self.comment = ""

    def narrow(self, field: str, whole: Ranges, found: Ranges, negated: bool) -> None:
        found = values.all_but(whole, found) if negated else found
        self.sets[field] = intersect(self.sets[field], found) if field in self.sets else found

    def doubtful(self, code: str, reason: str, column: int, hint: str = "") -> None:
        if self.doubt is None:
            self.doubt = Unsaid(code, reason, column, hint)


class Option(NamedTuple):
    words: int
    read: Callable[[RuleWords, list[Token], bool], None]


def _set(field: str, whole: Ranges, read: Callable[[str], Ranges]) -> Option:
    def narrow(rule: RuleWords, given: list[Token], negated: bool) -> None:
        rule.narrow(field, whole, read(given[0].text), negated)

    return Option(1, narrow)


def _protocol(rule: RuleWords, given: list[Token], negated: bool) -> None:
    rule.narrow("protocol", PROTOCOLS, values.protocol_set(given[0].text), negated)


def _interface(field: str) -> Option:
    def narrow(rule: RuleWords, given: list[Token], negated: bool) -> None:
        names = _interfaces(rule, given[0])
        names = names.negated() if negated else names
        setattr(rule, field, getattr(rule, field).both(names))

    return Option(1, narrow)


def _interfaces(rule: RuleWords, token: Token) -> InterfaceSet:
    if not token.text.endswith("+"):
        return InterfaceSet(frozenset([token.text]))
    start = token.text[:-1]
    known = sorted(name for name in rule.around.interfaces if name.startswith(start))
    if not known:
        hint = "name the interfaces with --inside or --outside"
        rule.doubtful(
            "interface-pattern",
            f"which interfaces '{token.text}' stands for is not known",
            token.column,
            hint,
        )
        return ANYTHING.incoming
    rule.notes.append(f"'{token.text}' stands for {', '.join(known)}")
    return InterfaceSet(frozenset(known))


def _module(rule: RuleWords, given: list[Token], negated: bool) -> None:
    name = given[0].text
    rule.modules.append(name)
    if name == "set":
        rule.doubtful("ipset", "the addresses of an ipset are not in the input", given[0].column)
    elif name not in KNOWN_MODULES:
        rule.doubtful("no-match", f"a site cannot express '-m {name}'", given[0].column)


def _jump(goto: bool) -> Option:
    def take(rule: RuleWords, given: list[Token], negated: bool) -> None:
        rule.target, rule.goto = given[0], goto

    return Option(1, take)


def _state(rule: RuleWords, given: list[Token], negated: bool) -> None:
    """nat chains see the first packet of a connection only: NEW, or RELATED to another one."""
    states = set(given[0].text.upper().split(","))
    translated = states & {"DNAT", "SNAT"}
    if negated:
        states = {"NEW", "RELATED", "ESTABLISHED", "INVALID", "UNTRACKED"} - states
    if translated:
        rule.doubtful("no-match", f"a site cannot express the state {given[0].text}", given[0].column)
    elif "NEW" in states:
        rule.notes.append("nat sees first packets only, which are NEW")
    elif "RELATED" in states:
        reason = "related connections are translated as the connection is that they belong to"
        rule.notes.append(reason)
        rule.never = True
    else:
        rule.never = True


def _syn(rule: RuleWords, given: list[Token], negated: bool) -> None:
    if negated or (len(given) == 2 and [one.text for one in given] != ["FIN,SYN,RST,ACK", "SYN"]):
        rule.doubtful("no-match", "a site cannot express TCP flags", given[0].column if given else 1)
    else:
        rule.notes.append("a TCP connection begins with SYN")


def _either(rule: RuleWords, given: list[Token], negated: bool) -> None:
    found = values.port_set(given[0].text)
    if negated:
        rule.narrow("source_port", PORTS, found, True)
        rule.narrow("destination_port", PORTS, found, True)
    else:
        rule.either_port = found


def _address_type(field: str) -> Option:
    def narrow(rule: RuleWords, given: list[Token], negated: bool) -> None:
        if given[0].text.upper() != "LOCAL":
            rule.doubtful(
                "no-match", f"a site cannot express addresses of type {given[0].text}", given[0].column
            )
        elif not rule.around.addresses:
            reason = "which addresses are the gateway's own is not in the input"
            rule.doubtful("needs-address", reason, given[0].column, "use --address IF=A for each")
        else:
            own = [Range(one, one) for one in rule.around.addresses.values()]
            rule.narrow(field, ADDRESSES, union([*own, Range(0x7F000000, 0x7FFFFFFF)]), negated)

    return Option(1, narrow)


def _mark_match(rule: RuleWords, given: list[Token], negated: bool) -> None:
    reason = f"packet mark {given[0].text} is set elsewhere"
    hint = "a dnat rule with 'mark' sets one for the connection"
    rule.doubtful("packet-mark", reason, given[0].column, hint)


def _nothing(rule: RuleWords, given: list[Token], negated: bool) -> None:
    pass


def _comment(rule: RuleWords, given: list[Token], negated: bool) -> None:
    rule.comment = given[0].text


def _no_word(what: str) -> Callable[[RuleWords, list[Token], bool], None]:
    def doubt(rule: RuleWords, given: list[Token], negated: bool) -> None:
        rule.doubtful("no-match", f"a site cannot express {what}", given[0].column if given else 1)

    return doubt


_SOURCE = _set("source", ADDRESSES, values.address_set)
_DESTINATION = _set("destination", ADDRESSES, values.address_set)
_SPORT = _set("source_port", PORTS, values.port_set)
_DPORT = _set("destination_port", PORTS, values.port_set)
_IGNORE = Option(0, _nothing)
_VALUE = Option(1, _nothing)

OPTIONS: dict[str, Option] = {
    "-s": _SOURCE, "--source": _SOURCE, "--src": _SOURCE, "--src-range": _SOURCE,
    "-d": _DESTINATION, "--destination": _DESTINATION, "--dst": _DESTINATION, "--dst-range": _DESTINATION,
    "-p": Option(1, _protocol), "--protocol": Option(1, _protocol), "--proto": Option(1, _protocol),
    "-i": _interface("incoming"), "--in-interface": _interface("incoming"),
    "-o": _interface("outgoing"), "--out-interface": _interface("outgoing"),
    "-m": Option(1, _module), "--match": Option(1, _module),
    "-j": _jump(False), "--jump": _jump(False), "-g": _jump(True), "--goto": _jump(True),
    "-c": Option(2, _nothing), "--set-counters": Option(2, _nothing), "-4": _IGNORE, "--ipv4": _IGNORE,
    "-f": Option(0, _no_word("fragments")),
    "--sport": _SPORT, "--source-port": _SPORT, "--sports": _SPORT, "--source-ports": _SPORT,
    "--dport": _DPORT, "--destination-port": _DPORT, "--dports": _DPORT, "--destination-ports": _DPORT,
    "--ports": Option(1, _either), "--syn": Option(0, _syn), "--tcp-flags": Option(2, _syn),
    "--tcp-option": Option(1, _no_word("TCP options")), "--icmp-type": Option(1, _no_word("ICMP types")),
    "--comment": Option(1, _comment), "--state": Option(1, _state), "--ctstate": Option(1, _state),
    "--dst-type": _address_type("destination"), "--src-type": _address_type("source"),
    "--mark": Option(1, _mark_match),
    "--to-source": _VALUE, "--to-destination": _VALUE, "--to": _VALUE, "--to-ports": _VALUE,
    "--random": _IGNORE, "--random-fully": _IGNORE, "--persistent": _IGNORE,
    "--set-mark": _VALUE, "--set-xmark": _VALUE, "--log-prefix": _VALUE, "--log-level": _VALUE,
}  # fmt: skip

KNOWN_MODULES = (
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "multiport",
    "iprange",
    "comment",
    "state",
    "conntrack",
    "addrtype",
    "mark",
)
"""Modules whose options are all in OPTIONS."""


def option_of(text: str) -> tuple[str, Option | None]:
    """An option by its name or, as getopt allows, by the beginning of a long one."""
    if text in OPTIONS:
        return text, OPTIONS[text]
    if text.startswith("--") and len(text) > 4:
        longer = [name for name in OPTIONS if name.startswith(text)]
        if len(longer) == 1:
            return longer[0], OPTIONS[longer[0]]
    return text, None
