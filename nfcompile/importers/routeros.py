"""RouterOS: `/ip firewall nat` of an export, with the lists and addresses that its rules refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from nfcompile.importers import chains as chain_pass
from nfcompile.importers import values
from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.chains import Jump, Return, Statement
from nfcompile.importers.form import (
    ADDRESSES,
    ANYTHING,
    PORTS,
    PROTOCOLS,
    Action,
    Exclude,
    ForeignRule,
    InterfaceSet,
    PacketSet,
    Ranges,
    Translate,
    Unsaid,
)
from nfcompile.importers.lines import SourceText
from nfcompile.importers.reading import ForeignProgram, ImportOptions, Reading
from nfcompile.importers.routeros_lines import Command, read_commands
from nfcompile.importers.values import Unreadable
from nfcompile.model.ranges import Range, union

NAT = "/ip firewall nat"
BUILT_IN = {"dstnat": "dnat", "srcnat": "snat"}
NEUTRAL = (
    "action", "chain", "comment", "log", "log-prefix", "disabled", "place-before", "to-addresses", "to-ports",
    "jump-target", "address-list", "address-list-timeout", "randomise-ports",
)  # fmt: skip
"""Properties that do not narrow what a rule matches."""
GOES_ON = ("log", "passthrough", "add-src-to-address-list", "add-dst-to-address-list")


class RouterosSetup(NamedTuple):
    """What rules refer to."""

    addresses: Mapping[str, int]
    address_lists: Mapping[str, Ranges | None]
    interface_lists: Mapping[str, frozenset[str]]
    ipsec: bool
    renamed: Mapping[str, str]


def read(texts: tuple[SourceText, ...], options: ImportOptions, ledger: Accounting) -> Reading:
    """Read exports that belong together."""
    commands = read_commands(texts, ledger)
    box = _box(commands, options)
    several = len(texts) > 1
    chains: dict[str, list[Statement]] = {name: [] for name in BUILT_IN}
    names: dict[str, None] = {}
    for command in commands:
        if command.menu != NAT:
            ledger.note([command.origin], "ignored", "", f"{command.menu} translates nothing")
        elif command.verb != "add":
            ledger.note([command.origin], "unknown", "syntax", f"'{command.verb}' is not read, only 'add'")
        elif command.values.get("disabled") == "yes":
            ledger.note([command.origin], "ignored", "", "the rule is disabled")
        else:
            names.update(dict.fromkeys(_named(command, box)))
            statements = _RouterosLine(command, box, ledger, several).statements()
            chains.setdefault(command.values.get("chain", ""), []).extend(statements)
    label = next((one.values.get("name", "") for one in commands if one.menu == "/system identity"), "")
    listed = (name for members in box.interface_lists.values() for name in sorted(members))
    known = (*options.inside, *options.outside, *options.addresses, *names, *box.addresses, *listed)
    starts = {stage: name for name, stage in BUILT_IN.items()}
    return Reading(
        _rules(chains, ledger),
        (),
        tuple(dict.fromkeys(known)),
        box.addresses,
        label,
        program=ForeignProgram(chains, starts),
    )


def _rules(chains: dict[str, list[Statement]], ledger: Accounting) -> tuple[ForeignRule, ...]:
    for statements in list(chains.values()):
        for statement in statements:
            if isinstance(statement.verdict, Jump):
                chains.setdefault(statement.verdict.chain, [])
    rules: list[ForeignRule] = []
    met: set[Origin] = set()
    for name, stage in BUILT_IN.items():
        found = chain_pass.unfold(chains, name, stage, ledger)
        rules += found.rules
        met |= found.met
    chain_pass.note_unreached(chains, ledger, met)
    return tuple(rules)


# ---- what rules refer to


def _box(commands: list[Command], options: ImportOptions) -> RouterosSetup:
    addresses: dict[str, int] = {}
    lists: dict[str, Ranges | None] = {}
    members: dict[str, frozenset[str]] = {}
    for command in commands:
        given = command.values
        if command.verb != "add" or given.get("disabled") == "yes":
            continue
        if command.menu == "/ip address" and "interface" in given:
            _own_address(given, addresses, options)
        elif command.menu == "/ip firewall address-list" and "list" in given:
            _list_member(given, lists)
        elif command.menu == "/interface list member" and "list" in given:
            name = _renamed(given.get("interface", ""), options.connections)
            members[given["list"]] = members.get(given["list"], frozenset()) | {name}
    ipsec = any(one.menu in ("/ip ipsec policy", "/ip ipsec peer") and one.verb == "add" for one in commands)
    return RouterosSetup({**addresses, **options.addresses}, lists, members, ipsec, options.connections)


def _own_address(given: dict[str, str], addresses: dict[str, int], options: ImportOptions) -> None:
    try:
        own = values.address(given.get("address", "").partition("/")[0])
    except Unreadable:
        return
    addresses.setdefault(_renamed(given["interface"], options.connections), own)


def _list_member(given: dict[str, str], lists: dict[str, Ranges | None]) -> None:
    """Add to a list; one that holds a name is of no use."""
    known = lists.get(given["list"], ())
    try:
        lists[given["list"]] = (
            None if known is None else union((*known, values.addresses(given.get("address", ""))))
        )
    except Unreadable:
        lists[given["list"]] = None


def _renamed(name: str, names: Mapping[str, str]) -> str:
    return names.get(name, name)


def _named(command: Command, box: RouterosSetup) -> Iterator[str]:
    for key in ("in-interface", "out-interface"):
        if key in command.values:
            yield _renamed(command.values[key].lstrip("!"), box.renamed)
    for key in ("in-interface-list", "out-interface-list"):
        if key in command.values:
            yield from sorted(box.interface_lists.get(command.values[key].lstrip("!"), ()))


# ---- one rule


class _RouterosLine:
    """One `add` while its properties are read."""

    def __init__(self, command: Command, box: RouterosSetup, ledger: Accounting, several: bool) -> None:
        self.command = command
        self.given = command.values
        self.box = box
        self.ledger = ledger
        prefix = f"f{command.origin.file + 1}-" if several else ""
        self.name = f"{prefix}l{command.origin.line}"
        self.doubt: Unsaid | None = None
        self.notes: list[str] = []

    def statements(self) -> list[Statement]:
        """The statement, two where `any-port` asks for the source's or the destination's port."""
        match = ANYTHING
        for key in self.given:
            if key in NEUTRAL:
                continue
            try:
                found = self.narrowed(match, key)
            except Unreadable as problem:
                self.doubt = self.doubt or Unsaid(problem.code, problem.reason)
                continue
            if found is None:
                return [Statement(ANYTHING, None, self.command.origin, self.name)]
            match = found
        statement = Statement(
            match, self.verdict(match), self.command.origin, self.name, self.doubt, tuple(self.notes)
        )
        if "any-port" not in self.given:
            return [statement]
        both = values.port_set(self.given["any-port"])
        sides = (match.both(ANYTHING.having(**{key: both})) for key in ("source_port", "destination_port"))
        return [statement._replace(match=one) for one in sides if one is not None]

    def narrowed(self, match: PacketSet, key: str) -> PacketSet | None:
        value = self.given[key]
        text, negated = value.removeprefix("!"), value.startswith("!")
        if key in RANGES:
            field, whole, read = RANGES[key]
            found = read(text)
            return match.both(ANYTHING.having(**{field: values.all_but(whole, found) if negated else found}))
        if key in INTERFACES:
            return self.interfaces(match, key, text, negated)
        if key.endswith("-address-list"):
            return self.address_list(match, key, text, negated)
        if key.endswith("-address-type"):
            return self.address_type(match, key, text, negated)
        if key == "any-port":
            return match
        if key == "connection-state" and "new" in text.split(","):
            self.notes.append("nat sees first packets only, which are new")
            return match
        if key == "ipsec-policy" and text.endswith(",none") and not negated and not self.box.ipsec:
            self.ledger.guess(
                "ipsec-policy", "none", "the export has no IPsec policy, so every packet has none"
            )
            return match
        raise Unreadable("no-match", f"a site cannot express {key}")

    def interfaces(self, match: PacketSet, key: str, text: str, negated: bool) -> PacketSet | None:
        names = InterfaceSet(frozenset([_renamed(text, self.box.renamed)]))
        if key.endswith("-list") and text == "all":
            names = ANYTHING.incoming
        elif key.endswith("-list"):
            if text not in self.box.interface_lists:
                raise Unreadable("group", f"interface list '{text}' is not in the input")
            names = InterfaceSet(self.box.interface_lists[text])
        return match.both(ANYTHING.having(**{INTERFACES[key]: names.negated() if negated else names}))

    def address_list(self, match: PacketSet, key: str, text: str, negated: bool) -> PacketSet | None:
        found = self.box.address_lists.get(text)
        if not found:
            raise Unreadable("group", f"address list '{text}' is not in the input, or holds names")
        field = "source" if key.startswith("src") else "destination"
        return match.both(ANYTHING.having(**{field: values.all_but(ADDRESSES, found) if negated else found}))

    def address_type(self, match: PacketSet, key: str, text: str, negated: bool) -> PacketSet | None:
        if text != "local":
            raise Unreadable("no-match", f"a site cannot express addresses of type {text}")
        if not self.box.addresses:
            raise Unreadable("needs-address", "which addresses are the router's own is not in the input")
        own = union(
            [*(Range(one, one) for one in self.box.addresses.values()), Range(0x7F000000, 0x7FFFFFFF)]
        )
        field = "source" if key.startswith("src") else "destination"
        return match.both(ANYTHING.having(**{field: values.all_but(ADDRESSES, own) if negated else own}))

    def verdict(self, match: PacketSet) -> Action | Jump | Return | None:
        action = self.given.get("action", "accept")
        if action in GOES_ON:
            return None
        if action == "jump":
            return Jump(self.given.get("jump-target", ""))
        if action == "return":
            return Return()
        if action == "accept":
            return Exclude()
        try:
            return self.translation(action)
        except Unreadable as problem:
            return Unsaid(problem.code, problem.reason)

    def translation(self, action: str) -> Action:
        to, ports = self.given.get("to-addresses"), self.given.get("to-ports")
        port_range = None if ports is None else _ports(ports)
        if action in ("masquerade", "redirect"):
            return Translate(None, port_range, interface=True)
        if action in ("src-nat", "dst-nat", "netmap"):
            if to is None and action != "dst-nat":
                raise Unreadable("bad-address", "to-addresses is missing")
            return Translate(
                None if to is None else values.addresses(to), port_range, prefix=action == "netmap"
            )
        return Unsaid("no-target", f"a site cannot express action={action}")


def _ports(text: str) -> Range:
    found = values.ports(text)
    return Range(max(found.first, 1), found.last)


RANGES: dict[str, tuple[str, Ranges, Callable[[str], Ranges]]] = {
    "src-address": ("source", ADDRESSES, values.address_set),
    "dst-address": ("destination", ADDRESSES, values.address_set),
    "src-port": ("source_port", PORTS, values.port_set),
    "dst-port": ("destination_port", PORTS, values.port_set),
    "protocol": ("protocol", PROTOCOLS, values.protocol_set),
}
INTERFACES = {
    "in-interface": "incoming",
    "out-interface": "outgoing",
    "in-interface-list": "incoming",
    "out-interface-list": "outgoing",
}
