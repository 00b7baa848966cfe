"""One rule of iptables, as words -> a statement: what it matches and what it does.

Conditions that the site has no word for become the statement's doubt; only what is no rule at all raises
`Unreadable`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nfcompile.importers import values
from nfcompile.importers.account import Origin
from nfcompile.importers.chains import Jump, Return, Statement
from nfcompile.importers.form import (
    ADDRESSES,
    ANYTHING,
    PORTED,
    PORTS,
    PROTOCOLS,
    Action,
    Exclude,
    Match,
    Names,
    Ranges,
    Translate,
    Unsaid,
)
from nfcompile.importers.lines import Token
from nfcompile.importers.values import Unreadable
from nfcompile.model.ranges import Range, intersect, union

WORD = re.compile(r"""(?:[^\s"']|"(?:[^"\\]|\\.)*"|'[^']*')+""")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|' + r"'([^']*)'")


class Surroundings(NamedTuple):
    """What a rule may refer to: names of interfaces (for patterns like eth+), the gateway's addresses."""

    interfaces: tuple[str, ...] = ()
    addresses: Mapping[str, int] = {}


class _Rule:
    """A rule while its words are read."""

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
        self.sets[field] = intersect(self.sets.get(field, whole), found)

    def doubtful(self, code: str, reason: str, column: int, hint: str = "") -> None:
        if self.doubt is None:
            self.doubt = Unsaid(code, reason, column, hint)


def words(line: str, number: int) -> list[Token]:
    """Split a line as a shell would. Raises Unreadable where a quote is never closed."""
    found = []
    end = 0
    for word in WORD.finditer(line):
        if line[end : word.start()].strip():
            raise Unreadable("syntax", "a quote is never closed")
        end = word.end()
        text = word[0]
        if '"' in text or "'" in text:
            text = QUOTED.sub(lambda q: q[2] if q[1] is None else re.sub(r"\\(.)", r"\1", q[1]), text)
        found.append(Token(text, number, word.start() + 1))
    if line[end:].strip():
        raise Unreadable("syntax", "a quote is never closed")
    return found


def read_rule(
    tokens: list[Token], origin: Origin, name: str, own_chains: set[str], around: Surroundings
) -> list[Statement]:
    """The words behind '-A CHAIN'. `--ports` (source or destination) makes two statements."""
    rule = _Rule(around)
    _read(rule, tokens)
    match = _match(rule)
    if match is None:
        return [Statement(ANYTHING, None, origin, name, None, ("never matches",))]
    if rule.doubt and rule.doubt.column:
        origin = origin._replace(column=rule.doubt.column)
    verdict, doubt = _verdict(rule, match, own_chains)
    notes = tuple(rule.notes)
    statement = Statement(match, verdict, origin, name, rule.doubt or doubt, notes)
    if rule.either_port is None:
        return [statement]
    matches = (match.both(ANYTHING._replace(**{f: rule.either_port})) for f in ("source_port", "destination_port"))
    return [statement._replace(match=one) for one in matches if one is not None]


def _read(rule: _Rule, tokens: list[Token]) -> None:
    index, negated = 0, False
    while index < len(tokens):
        token = tokens[index]
        index += 1
        if token.text == "!":
            negated = True
            continue
        if not token.text.startswith("-"):
            raise Unreadable("syntax", f"column {token.column}: '{token.text}' is out of place")
        name, option = _option(token.text)
        if option is None:
            index = _unknown(rule, tokens, index - 1)
            negated = False
            continue
        if index < len(tokens) and tokens[index].text == "!" and option.words:
            negated, index = True, index + 1
        given = tokens[index : index + option.words]
        if len(given) < option.words:
            raise Unreadable("syntax", f"column {token.column}: '{token.text}' lacks its value")
        index += option.words
        try:
            option.read(rule, given, negated)
        except Unreadable as problem:
            rule.doubtful(problem.code, problem.reason, (given or [token])[0].column)
        rule.values.setdefault(name, []).extend(one.text for one in given)
        negated = False


def _unknown(rule: _Rule, tokens: list[Token], at: int) -> int:
    """An option of a match or target that has no word in a site: passed over with its values."""
    token = tokens[at]
    module = rule.modules[-1] if rule.modules else None
    if rule.target is None and (module is None or module in KNOWN_MODULES):
        raise Unreadable("syntax", f"column {token.column}: option '{token.text}' is not known")
    if rule.target is None:
        rule.doubtful("no-match", f"the site has no word for '-m {module}'", token.column)
    index = at + 1
    while index < len(tokens) and not re.match(r"!$|-{1,2}[A-Za-z]", tokens[index].text):
        index += 1
    return index


# ---- options


class _Option(NamedTuple):
    words: int
    read: Callable[[_Rule, list[Token], bool], None]


def _set(field: str, whole: Ranges, read: Callable[[str], Ranges]) -> _Option:
    def narrow(rule: _Rule, given: list[Token], negated: bool) -> None:
        rule.narrow(field, whole, read(given[0].text), negated)

    return _Option(1, narrow)


def _protocol(rule: _Rule, given: list[Token], negated: bool) -> None:
    rule.narrow("protocol", PROTOCOLS, values.protocol_set(given[0].text), negated)


def _interface(field: str) -> _Option:
    def narrow(rule: _Rule, given: list[Token], negated: bool) -> None:
        names = _interfaces(rule, given[0])
        names = names.negated() if negated else names
        setattr(rule, field, getattr(rule, field).both(names))

    return _Option(1, narrow)


def _interfaces(rule: _Rule, token: Token) -> Names:
    if not token.text.endswith("+"):
        return Names(frozenset([token.text]))
    start = token.text[:-1]
    known = sorted(name for name in rule.around.interfaces if name.startswith(start))
    if not known:
        hint = "name the interfaces with --inside or --outside"
        rule.doubtful("interface-pattern", f"which interfaces '{token.text}' stands for is not known", token.column, hint)
        return ANYTHING.incoming
    rule.notes.append(f"'{token.text}' stands for {', '.join(known)}")
    return Names(frozenset(known))


def _module(rule: _Rule, given: list[Token], negated: bool) -> None:
    name = given[0].text
    rule.modules.append(name)
    if name == "set":
        rule.doubtful("ipset", "the addresses of an ipset are not in the input", given[0].column)
    elif name not in KNOWN_MODULES:
        rule.doubtful("no-match", f"the site has no word for '-m {name}'", given[0].column)


def _jump(goto: bool) -> _Option:
    def take(rule: _Rule, given: list[Token], negated: bool) -> None:
        rule.target, rule.goto = given[0], goto

    return _Option(1, take)


def _state(rule: _Rule, given: list[Token], negated: bool) -> None:
    """nat chains see the first packet of a connection only: NEW, or RELATED to another one."""
    states = set(given[0].text.upper().split(","))
    translated = states & {"DNAT", "SNAT"}
    if negated:
        states = {"NEW", "RELATED", "ESTABLISHED", "INVALID", "UNTRACKED"} - states
    if translated:
        rule.doubtful("no-match", f"the site has no word for the state {given[0].text}", given[0].column)
    elif "NEW" in states:
        rule.notes.append("nat sees first packets only, which are NEW")
    elif "RELATED" in states:
        reason = "related connections are translated as the connection is that they belong to"
        rule.notes.append(reason)
        rule.never = True
    else:
        rule.never = True


def _syn(rule: _Rule, given: list[Token], negated: bool) -> None:
    if negated or (len(given) == 2 and [one.text for one in given] != ["FIN,SYN,RST,ACK", "SYN"]):
        rule.doubtful("no-match", "the site has no word for TCP flags", given[0].column if given else 1)
    else:
        rule.notes.append("a TCP connection begins with SYN")


def _either(rule: _Rule, given: list[Token], negated: bool) -> None:
    found = values.port_set(given[0].text)
    if negated:
        rule.narrow("source_port", PORTS, found, True)
        rule.narrow("destination_port", PORTS, found, True)
    else:
        rule.either_port = found


def _address_type(field: str) -> _Option:
    def narrow(rule: _Rule, given: list[Token], negated: bool) -> None:
        if given[0].text.upper() != "LOCAL":
            rule.doubtful("no-match", f"the site has no word for addresses of type {given[0].text}", given[0].column)
        elif not rule.around.addresses:
            reason = "which addresses are the gateway's own is not in the input"
            rule.doubtful("needs-address", reason, given[0].column, "say --address IF=A for each")
        else:
            own = [Range(one, one) for one in rule.around.addresses.values()]
            rule.narrow(field, ADDRESSES, union([*own, Range(0x7F000000, 0x7FFFFFFF)]), negated)

    return _Option(1, narrow)


def _mark_match(rule: _Rule, given: list[Token], negated: bool) -> None:
    reason = f"packet mark {given[0].text} is set elsewhere"
    hint = "a dnat rule with 'mark' sets one for the connection"
    rule.doubtful("packet-mark", reason, given[0].column, hint)


def _nothing(rule: _Rule, given: list[Token], negated: bool) -> None:
    pass


def _comment(rule: _Rule, given: list[Token], negated: bool) -> None:
    rule.comment = given[0].text


def _no_word(what: str) -> Callable[[_Rule, list[Token], bool], None]:
    def doubt(rule: _Rule, given: list[Token], negated: bool) -> None:
        rule.doubtful("no-match", f"the site has no word for {what}", given[0].column if given else 1)

    return doubt


_SOURCE = _set("source", ADDRESSES, values.address_set)
_DESTINATION = _set("destination", ADDRESSES, values.address_set)
_SPORT = _set("source_port", PORTS, values.port_set)
_DPORT = _set("destination_port", PORTS, values.port_set)
_IGNORE = _Option(0, _nothing)
_VALUE = _Option(1, _nothing)

OPTIONS: dict[str, _Option] = {
    "-s": _SOURCE, "--source": _SOURCE, "--src": _SOURCE, "--src-range": _SOURCE,
    "-d": _DESTINATION, "--destination": _DESTINATION, "--dst": _DESTINATION, "--dst-range": _DESTINATION,
    "-p": _Option(1, _protocol), "--protocol": _Option(1, _protocol), "--proto": _Option(1, _protocol),
    "-i": _interface("incoming"), "--in-interface": _interface("incoming"),
    "-o": _interface("outgoing"), "--out-interface": _interface("outgoing"),
    "-m": _Option(1, _module), "--match": _Option(1, _module),
    "-j": _jump(False), "--jump": _jump(False), "-g": _jump(True), "--goto": _jump(True),
    "-c": _Option(2, _nothing), "--set-counters": _Option(2, _nothing), "-4": _IGNORE, "--ipv4": _IGNORE,
    "-f": _Option(0, _no_word("fragments")),
    "--sport": _SPORT, "--source-port": _SPORT, "--sports": _SPORT, "--source-ports": _SPORT,
    "--dport": _DPORT, "--destination-port": _DPORT, "--dports": _DPORT, "--destination-ports": _DPORT,
    "--ports": _Option(1, _either), "--syn": _Option(0, _syn), "--tcp-flags": _Option(2, _syn),
    "--tcp-option": _Option(1, _no_word("TCP options")), "--icmp-type": _Option(1, _no_word("ICMP types")),
    "--comment": _Option(1, _comment), "--state": _Option(1, _state), "--ctstate": _Option(1, _state),
    "--dst-type": _address_type("destination"), "--src-type": _address_type("source"),
    "--mark": _Option(1, _mark_match),
    "--to-source": _VALUE, "--to-destination": _VALUE, "--to": _VALUE, "--to-ports": _VALUE,
    "--random": _IGNORE, "--random-fully": _IGNORE, "--persistent": _IGNORE,
    "--set-mark": _VALUE, "--set-xmark": _VALUE, "--log-prefix": _VALUE, "--log-level": _VALUE,
}  # fmt: skip

KNOWN_MODULES = ("tcp", "udp", "sctp", "icmp", "multiport", "iprange", "comment", "state", "conntrack", "addrtype", "mark")
"""Modules whose options are all in OPTIONS."""


def _option(text: str) -> tuple[str, _Option | None]:
    """An option by its name or, as getopt allows, by the beginning of a long one."""
    if text in OPTIONS:
        return text, OPTIONS[text]
    if text.startswith("--") and len(text) > 4:
        longer = [name for name in OPTIONS if name.startswith(text)]
        if len(longer) == 1:
            return longer[0], OPTIONS[longer[0]]
    return text, None


# ---- what the words mean together


def _match(rule: _Rule) -> Match | None:
    """The box; None where no packet can match."""
    found: dict[str, Any] = {**rule.sets, "incoming": rule.incoming, "outgoing": rule.outgoing}
    if rule.never or any(not value for value in rule.sets.values()):
        return None
    if rule.incoming.empty or rule.outgoing.empty:
        return None
    match = ANYTHING._replace(**found)
    return ANYTHING if match == ANYTHING else match


GOES_ON = {
    "LOG", "NFLOG", "ULOG", "TRACE", "AUDIT", "MARK", "CONNMARK", "SECMARK", "CONNSECMARK", "CLASSIFY", "CHECKSUM",
    "TCPMSS", "TCPOPTSTRIP", "TOS", "DSCP", "TTL", "SET", "IDLETIMER", "LED", "RATEEST", "CT", "NOTRACK",
}  # fmt: skip
"""Targets after which iptables asks the next rule."""


def _verdict(
    rule: _Rule, match: Match, own_chains: set[str]
) -> tuple[Action | Jump | Return | None, Unsaid | None]:
    if rule.target is None:
        return None, None
    name = rule.target.text
    if name in own_chains:
        return Jump(name, back=not rule.goto), None
    if name == "RETURN":
        return Return(), None
    if name == "ACCEPT":
        return Exclude(), None
    if name in GOES_ON:
        return None, None
    target = TARGETS.get(name)
    if target is None:
        return Unsaid("no-target", f"the site has no word for the target '{name}'", rule.target.column), None
    try:
        return target(rule, match), None
    except Unreadable as problem:
        return Unsaid(problem.code, problem.reason, rule.target.column), None


TO = re.compile(r"([^:\[\]]*)(?::(.*))?")


def _to(rule: _Rule, *options: str) -> tuple[Range | None, Range | None]:
    given = [one for option in options for one in rule.values.get(option, ())]
    if len(given) != 1:
        raise Unreadable("syntax", f"'{options[0]}' is needed once, not {len(given)} times")
    found = TO.fullmatch(given[0])
    if found is None:
        raise Unreadable("ipv6", f"'{given[0]}' is no IPv4 address")
    addresses = values.addresses(found[1]) if found[1] else None
    ports = _port_range(found[2]) if found[2] else None
    return addresses, ports


def _port_range(text: str) -> Range:
    if "/" in text:
        raise Unreadable("no-target", f"the site has no word for the shifted ports '{text}'")
    found = values.ports(text)
    return Range(max(found.first, 1), found.last)


def _needs_ports(match: Match, ports: Range | None) -> None:
    if ports is not None and intersect(match.protocol, PORTED) != match.protocol:
        raise Unreadable("bad-port", "ports need '-p tcp' or '-p udp'")


def _random(rule: _Rule) -> None:
    for option in ("--random", "--random-fully"):
        if option in rule.values:
            rule.notes.append("the kernel chooses the ports")


def _snat(rule: _Rule, match: Match) -> Action:
    addresses, ports = _to(rule, "--to-source", "--to")
    _needs_ports(match, ports)
    _random(rule)
    if addresses is None:
        raise Unreadable("bad-address", "the address is missing")
    return Translate(addresses, ports)


def _dnat(rule: _Rule, match: Match) -> Action:
    addresses, ports = _to(rule, "--to-destination", "--to")
    _needs_ports(match, ports)
    return Translate(addresses, ports)


def _masquerade(rule: _Rule, match: Match) -> Action:
    given = rule.values.get("--to-ports", [])
    ports = _port_range(given[0]) if given else None
    _needs_ports(match, ports)
    _random(rule)
    return Translate(None, ports, interface=True)


def _redirect(rule: _Rule, match: Match) -> Action:
    given = rule.values.get("--to-ports", [])
    ports = _port_range(given[0]) if given else None
    _needs_ports(match, ports)
    return Translate(None, ports, interface=True)


def _netmap(rule: _Rule, match: Match) -> Action:
    addresses, _ = _to(rule, "--to")
    return Translate(addresses, prefix=True)


TARGETS: dict[str, Callable[[_Rule, Match], Action]] = {
    "SNAT": _snat,
    "DNAT": _dnat,
    "MASQUERADE": _masquerade,
    "REDIRECT": _redirect,
    "NETMAP": _netmap,
}
