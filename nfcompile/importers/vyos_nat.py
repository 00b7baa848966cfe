"""Rules of `nat source`, `nat destination`, `nat static` and `service nat` -> rules of the two stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nfcompile.importers import values
from nfcompile.importers.account import Accounting, Origin
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
from nfcompile.importers.values import Unreadable
from nfcompile.importers.vyos_setup import VyosSetup
from nfcompile.importers.vyos_tree import Leaf, Path
from nfcompile.model.ranges import Range, intersect, union

REMARKS = ("description", "log")
MANY = ("backend",)
"""Nodes that may have several values."""


def read_rules(kind: str, leaves: list[Leaf], setup: VyosSetup, ledger: Accounting) -> list[ForeignRule]:
    """The rules of one list in ascending number."""
    numbered: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        numbered.setdefault(leaf.path[0] if leaf.path else "", []).append(leaf)
    rules: list[ForeignRule] = []
    for number in sorted(numbered, key=lambda text: (len(text), text)):
        try:
            rules += _Numbered(kind, number, numbered[number], setup, ledger).rules()
        except _Nothing as nothing:
            ledger.note((leaf.origin for leaf in numbered[number]), "ignored", nothing.code, nothing.reason)
    return rules


class _Nothing(Exception):
    """A rule that translates nothing."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Numbered:
    """One numbered rule while its leaves are read."""

    def __init__(
        self, kind: str, number: str, leaves: list[Leaf], setup: VyosSetup, ledger: Accounting
    ) -> None:
        self.kind = kind
        self.number = number
        self.setup = setup
        self.ledger = ledger
        self.origins: list[Origin] = []
        self.said: dict[Path, tuple[str, Origin]] = {}
        self.doubt: Unsaid | None = None
        for leaf in leaves:
            self.leaf(leaf)

    def leaf(self, leaf: Leaf) -> None:
        path = leaf.path[1:]
        if path[:1] and path[0] in REMARKS:
            self.ledger.note([leaf.origin], "ignored", "", f"a rule's {path[0]}")
            return
        key = path[:-1] if len(path) > 1 else path
        if not leaf.structure and path:
            old = self.said.get(key)
            if old is not None and key[-1] not in MANY:
                self.origins.remove(old[1])
                self.ledger.note([old[1]], "ignored", "replaced", f"line {leaf.origin.line} takes its place")
            self.said[key] = (path[-1] if len(path) > 1 else "", leaf.origin)
        self.origins.append(leaf.origin)

    def value(self, *path: str) -> str | None:
        found = self.said.get(path)
        return None if found is None else found[0]

    def rules(self) -> Iterator[ForeignRule]:
        if self.value("disable") is not None:
            raise _Nothing("", "the rule is disabled")
        kind = self.kind if self.kind != "edge" else self.value("type") or ""
        stages = {"source": "snat", "masquerade": "snat", "destination": "dnat", "static": "static"}
        if kind not in stages:
            raise _Nothing("incomplete", "the rule has no type, and translates nothing")
        self.unread()
        if stages[kind] == "static":
            yield from self.static()
            return
        stage = stages[kind]
        match = self.match(stage)
        action: Action = self.action(stage, match)
        if self.doubt:
            action = self.doubt if isinstance(action, Unsaid) else self.doubt._replace(instead=action)
        if any(not getattr(match, field) for field in ("source", "destination", "protocol")):
            raise _Nothing("never-matches", "no packet matches")
        ported = match.source_port != PORTS or match.destination_port != PORTS
        if ported and match.protocol == PROTOCOLS and not self.doubt:
            raise _Nothing("incomplete", "ports need protocol tcp or udp, and VyOS refuses the rule")
        yield ForeignRule(stage, match, action, tuple(self.origins), f"rule-{self.number}")

    def unread(self) -> None:
        """What the rule says beside the words that are known."""
        for path in self.said:
            if path[0] not in KNOWN:
                self.doubtful("no-match", f"a site cannot express '{' '.join(path)}'", path)
            elif path[0] == "load-balance":
                self.doubtful(
                    "load-balance", "a site translates to one address or range, without weights", path
                )

    def doubtful(self, code: str, reason: str, path: Path) -> None:
        if self.doubt is None:
            self.doubt = Unsaid(code, reason)

    def read(self, read: Callable[[], PacketSet], otherwise: PacketSet, path: Path) -> PacketSet:
        try:
            return read()
        except Unreadable as problem:
            self.doubtful(problem.code, problem.reason, path)
            return otherwise

    # ---- what it matches

    def match(self, stage: str) -> PacketSet:
        match = ANYTHING
        side = ("outgoing", "outbound-interface") if stage == "snat" else ("incoming", "inbound-interface")
        steps: list[Callable[[PacketSet], PacketSet]] = [
            lambda found: found.having(**{side[0]: self.interfaces(side[1])}),
            lambda found: found._replace(protocol=self.set_of(PROTOCOLS, values.protocol_set, "protocol")),
        ]
        for end in ("source", "destination"):
            steps += [
                lambda found, end=end: found.having(**{end: self.addresses(end)}),  # type: ignore[misc]
                lambda found, end=end: found.having(**{f"{end}_port": self.ports(end)}),  # type: ignore[misc]
            ]
        for step in steps:
            match = self.read(lambda step=step, match=match: step(match), match, ())  # type: ignore[misc]
        return match

    def set_of(self, whole: Ranges, read: Callable[[str], Ranges], *path: str) -> Ranges:
        """The set that a leaf names; '!' before a list takes all of it away, before a member that one."""
        text = self.value(*path)
        return whole if text is None else _set(text, whole, read)

    def addresses(self, end: str) -> Ranges:
        if self.value(end, "fqdn") is not None:
            raise Unreadable(
                "host-name", f"'{self.value(end, 'fqdn')}' is a name; the site needs its address"
            )
        found = self.set_of(ADDRESSES, values.address_set, end, "address")
        found = intersect(found, self.set_of(ADDRESSES, values.address_set, end, "network"))
        for kind in ("address-group", "network-group"):
            name = self.value(end, "group", kind)
            if name is not None:
                found = intersect(found, self.group(kind, name, ADDRESSES, values.address_set))
        for kind in ("domain-group", "mac-group", "dynamic-address-group"):
            if self.value(end, "group", kind) is not None:
                raise Unreadable("group", f"a site cannot express a {kind}")
        return found

    def ports(self, end: str) -> Ranges:
        found = self.set_of(PORTS, values.port_set, end, "port")
        name = self.value(end, "group", "port-group")
        return (
            found
            if name is None
            else intersect(found, self.group("port-group", name, PORTS, values.port_set))
        )

    def group(self, kind: str, name: str, whole: Ranges, read: Callable[[str], Ranges]) -> Ranges:
        members = self.setup.groups.get((kind, name.lstrip("!")))
        if members is None:
            raise Unreadable("group", f"{kind} '{name.lstrip('!')}' is not in the input")
        found = union(one for text in members for one in read(text))
        return values.all_but(whole, found) if name.startswith("!") else found

    def interfaces(self, key: str) -> InterfaceSet:
        text, group = self.value(key) or self.value(key, "name"), self.value(key, "group")
        if text in (None, "any") and group is None:
            return ANYTHING.incoming
        wanted = group if group is not None else text or ""
        names = self.named(wanted.lstrip("!"), group is not None)
        return names.negated() if wanted.startswith("!") else names

    def named(self, name: str, group: bool) -> InterfaceSet:
        if group:
            members = self.setup.groups.get(("interface-group", name))
            if members is None:
                raise Unreadable("group", f"interface-group '{name}' is not in the input")
            return InterfaceSet(frozenset(members))
        if not name.endswith(("*", "+")):
            return InterfaceSet(frozenset([name]))
        known = frozenset(one for one in self.setup.interfaces if one.startswith(name[:-1]))
        if not known:
            raise Unreadable("interface-pattern", f"which interfaces '{name}' stands for is not known")
        return InterfaceSet(known)

    # ---- what it does

    def action(self, stage: str, match: PacketSet) -> Action:
        if self.value("exclude") is not None:
            return Exclude()
        try:
            return self.edge(stage) if self.kind == "edge" else self.translation(stage)
        except Unreadable as problem:
            return Unsaid(problem.code, problem.reason)

    def translation(self, stage: str) -> Translate:
        to, port = self.value("translation", "address"), self.value("translation", "port")
        if ("translation", "redirect") in self.said or ("translation", "redirect", "port") in self.said:
            return Translate(None, _ports(self.value("translation", "redirect", "port")), interface=True)
        return self.translate(to, port)

    def translate(self, to: str | None, port: str | None) -> Translate:
        if to is None and port is None and not any(path[0] == "load-balance" for path in self.said):
            raise _Nothing("incomplete", "the rule has no translation, and VyOS refuses it")
        if to == "masquerade":
            return Translate(None, _ports(port), interface=True)
        addresses = None if to is None else values.addresses(to)
        return Translate(addresses, _ports(port), prefix=to is not None and "/" in to)

    def edge(self, stage: str) -> Translate:
        key = "outside-address" if stage == "snat" else "inside-address"
        to, port = self.value(key, "address"), self.value(key, "port")
        start, stop = self.value(key, "range", "start"), self.value(key, "range", "stop")
        if start and stop:
            to = f"{start}-{stop}"
        if self.value("type") == "masquerade":
            to = "masquerade"
        return self.translate(to, port)

    def static(self) -> Iterator[ForeignRule]:
        """Both directions of a pair."""
        name = self.value("inbound-interface") or self.value("inbound-interface", "name") or "any"
        outer, inner = self.value("destination", "address"), self.value("translation", "address")
        if outer is None or inner is None:
            raise _Nothing("incomplete", "the rule has no translation, and VyOS refuses it")
        origins = tuple(self.origins)
        rule = ForeignRule("dnat", ANYTHING, Exclude(), origins, f"static-{self.number}")
        try:
            names = ANYTHING.incoming if name == "any" else self.named(name, group=False)
            there, here = values.addresses(outer), values.addresses(inner)
        except Unreadable as problem:
            yield rule._replace(action=Unsaid(problem.code, problem.reason))
            return
        back = PacketSet(outgoing=names, source=(here,))
        yield rule._replace(
            match=PacketSet(incoming=names, destination=(there,)),
            action=self.doubt or Translate(here, prefix=True),
        )
        yield rule._replace(stage="snat", match=back, action=self.doubt or Translate(there, prefix=True))


KNOWN = (
    "outbound-interface", "inbound-interface", "protocol", "source", "destination", "translation", "exclude",
    "type", "inside-address", "outside-address", "load-balance",
)  # fmt: skip


def _ports(text: str | None) -> Range | None:
    return None if text is None else values.ports(text)


def _set(text: str, whole: Ranges, read: Callable[[str], Ranges]) -> Ranges:
    parts = [part.strip() for part in text.split(",")]
    found = union(one for part in parts if not part.startswith("!") for one in read(part))
    without = union(one for part in parts if part.startswith("!") for one in read(part[1:]))
    if not any(not part.startswith("!") for part in parts):
        found = whole
    return values.all_but(found, without) if without else found
