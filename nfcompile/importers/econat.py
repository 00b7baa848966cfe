"""EcoNAT's pools and ACLs -> the site's, which have the same words; EcoNAT's own defaults are written out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.econat_tree import Path, Tree, Value, read_tree
from nfcompile.importers.econat_values import (
    DEVICE,
    NEEDED,
    OF_TYPE,
    PARAMETERS,
    TYPES,
    NotAccepted,
    whole_number,
    word_of,
)
from nfcompile.importers.econat_values import priority as read_priority
from nfcompile.importers.lines import SourceText
from nfcompile.importers.reading import ImportOptions, Reading
from nfcompile.importers.values import Unreadable
from nfcompile.model.acl import read_rule
from nfcompile.model.parse import Fault
from nfcompile.source.layout import Item, LaidOutNode, Scalar, mapping, scalar, sequence

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}", re.ASCII)
PRIORITY_FIRST = 100


def read(texts: tuple[SourceText, ...], options: ImportOptions, ledger: Accounting) -> Reading:
    """Read the files of one device."""
    tree = read_tree(texts, ledger)
    site = _Sections(tree, ledger)
    pools, acls, defaults = site.pools(), site.acls(), site.defaults()
    sections = {"nat_defaults": defaults, "acls": acls, "pools": pools}
    site.rest()
    names = (*options.inside, *options.outside)
    return Reading(
        interfaces=names, sections={key: node for key, node in sections.items() if node.items or node.below}
    )


class _Sections:
    """The sections, while they are made."""

    def __init__(self, tree: Tree, ledger: Accounting) -> None:
        self.tree = tree
        self.ledger = ledger
        self.vlans = False
        self.done: set[Path] = set()
        self.used: set[str] = set()

    def names(self, section: str) -> list[str]:
        """Branches of a section, also those of which only a branch below is known."""
        return list(
            dict.fromkeys(path[1] for path in self.tree.branches if path[:1] == (section,) and len(path) > 1)
        )

    # ---- pools

    def pools(self) -> LaidOutNode:
        items: list[Item] = []
        waiting: list[str | None] = []
        priorities: dict[str, str] = {}
        for place, name in enumerate(self.names("pools")):
            path: Path = ("pools", name)
            branch = self.tree.make(path)
            self.done |= {path, *((*path, one) for one in ("timeouts_inactivity", "limits_peruser"))}
            kind = branch["type"].words[0] if "type" in branch else "cgnat"
            needed = NEEDED.get(kind)
            if not NAME.fullmatch(name) or (needed and not self.given(branch, needed)):
                waiting.append(self.left_out(name, needed or "a name that a site accepts"))
                continue
            problem = self.unreadable(branch, kind)
            if problem:
                waiting.append(self.left_out(name, problem, "bad-value"))
                continue
            node = self.pool(name, kind, branch, place, priorities)
            items.append(Item(name, node, (*waiting, *self.quoted(path))))
            waiting = []
        return LaidOutNode(items=tuple(items), below=tuple(waiting))

    def quoted(self, path: Path) -> tuple[str, ...]:
        """Where a branch begins in the input."""
        lines = [one for value in self.tree.branches.get(path, {}).values() for one in value.origins]
        first = sorted([*self.tree.created.get(path, []), *lines])[:1]
        return self.ledger.quoted(first) if first else ()

    def given(self, branch: dict[str, Value], key: str) -> bool:
        return key in branch and bool(branch[key].words)

    def unreadable(self, branch: dict[str, Value], kind: str) -> str:
        """What a site needs of a pool and cannot have: a value that decides what the pool is, and is none."""
        if kind not in TYPES:
            return f"type that a site knows ('{kind}')"
        if not NAME.fullmatch(branch["acl"].words[0] if "acl" in branch else "none"):
            return f"acl with a name that a site accepts ('{branch['acl'].words[0]}')"
        for key in ("priority", NEEDED.get(kind, "")):
            try:
                if key in branch:
                    PARAMETERS.get(key, read_priority)(branch[key].words)
            except (Unreadable, NotAccepted, ValueError) as problem:
                return f"{key} that can be read ({problem})"
        return ""

    def left_out(self, name: str, needed: str, code: str = "incomplete") -> str:
        reason = f"pool '{name}' has no {needed} in the input: it translates nothing"
        lines = [
            one
            for path, branch in self.tree.branches.items()
            if path[:2] == ("pools", name)
            for value in branch.values()
            for one in value.origins
        ]
        fate = "ignored" if code == "incomplete" else "not-translated"
        self.ledger.note([*lines, *self.tree.created.get(("pools", name), [])], fate, code, reason)
        return f" {reason}"

    def pool(
        self, name: str, kind: str, branch: dict[str, Value], place: int, priorities: dict[str, str]
    ) -> LaidOutNode:
        path: Path = ("pools", name)
        to = f"pools.{name}"
        self.ledger.note(self.tree.created.get(path, []), "translated", to=to)
        items = [Item("type", self.one(branch, "type", to, scalar(kind)))]
        acl = branch["acl"].words[0] if "acl" in branch else "none"
        if acl != "none":
            self.used.add(acl)
        items.append(Item("acl", self.one(branch, "acl", to, scalar(acl))))
        priority = branch["priority"].words[0] if "priority" in branch else str(PRIORITY_FIRST * (place + 1))
        items += self.enabled(branch, priority, name, priorities, to)
        if "priority" not in branch:
            self.ledger.guess(
                f"pools.{name}.priority", priority, "the input does not say; EcoNAT counts in hundreds"
            )
        items.append(Item("priority", self.one(branch, "priority", to, scalar(whole_number(priority)))))
        items += self.parameters(branch, kind, to)
        if kind == "cgnat":
            items.append(Item("allocation", scalar("dynamic")))
        if "randomize_ports" not in branch and kind == "cgnat":
            items.append(Item("randomize_ports", scalar("off")))
        for key in ("timeouts_inactivity", "limits_peruser"):
            below = self.numbers((*path, key), to)
            if below.items and kind in OF_TYPE.get(key, (kind,)):
                items.append(Item(key, below))
        return mapping(*items)

    def one(self, branch: dict[str, Value], key: str, to: str, node: LaidOutNode) -> LaidOutNode:
        if key in branch:
            self.ledger.note(branch[key].origins, "translated", to=to)
        return node

    def enabled(
        self, branch: dict[str, Value], priority: str, name: str, priorities: dict[str, str], to: str
    ) -> Iterator[Item]:
        """EcoNAT uses the first of two pools with one priority; a site refuses two that are enabled."""
        on = branch["enable"].words[0] if "enable" in branch else "on"
        beside = None
        if on == "on" and priority in priorities:
            on, beside = "off", f" EcoNAT ignores it: '{priorities[priority]}' has its priority"
        elif on == "on":
            priorities[priority] = name
        yield Item("enable", self.one(branch, "enable", to, scalar(on)), beside=beside)

    def parameters(self, branch: dict[str, Value], kind: str, to: str) -> Iterator[Item]:
        for key, value in branch.items():
            if key in ("type", "acl", "priority", "enable"):
                continue
            if kind not in OF_TYPE.get(key, (kind,)):
                self.ledger.note(value.origins, "ignored", "", f"a pool of type {kind} has no {key}")
                continue
            try:
                node = PARAMETERS[key](value.words)
            except KeyError:
                self.ledger.note(
                    value.origins, "not-translated", "no-parameter", f"a site's pool has no '{key}'"
                )
                continue
            except (Unreadable, NotAccepted, ValueError) as problem:
                self.ledger.note(value.origins, "not-translated", "bad-value", str(problem))
                continue
            self.vlans = self.vlans or (key == "global_map" and any("~" in word for word in value.words))
            self.ledger.note(value.origins, "translated", to=to)
            yield Item(key, node)

    def numbers(self, path: Path, to: str) -> LaidOutNode:
        """Timeouts or limits: keys with numbers."""
        items = []
        for key, value in self.tree.branches.get(path, {}).items():
            try:
                numbers: list[Scalar] = [whole_number(word) for word in value.words]
            except NotAccepted as problem:
                self.ledger.note(value.origins, "not-translated", "bad-value", str(problem))
                continue
            self.ledger.note(value.origins, "translated", to=to)
            items.append(Item(key, sequence(numbers) if key == "special_tcp_ports" else scalar(numbers[0])))
        return mapping(*items, flow=True)

    # ---- ACLs

    def acls(self) -> LaidOutNode:
        items = []
        for name in self.names("acls"):
            path: Path = ("acls", name)
            self.done.add(path)
            if not NAME.fullmatch(name):
                lines = [one for value in self.tree.branches.get(path, {}).values() for one in value.origins]
                reason = f"'{name}' is not a name that a site accepts"
                lines += self.tree.created.get(path, [])
                self.ledger.note(lines, "not-translated", "bad-value", reason)
                continue
            to = f"acls.{name}"
            self.ledger.note(self.tree.created.get(path, []), "translated", to=to)
            items.append(Item(name, mapping(*self.rules(path, to)), self.quoted(path)))
        missing = sorted(self.used - set(self.names("acls")))
        for name in missing:
            self.ledger.guess(f"acls.{name}", "empty", "a pool uses it, and its rules are not in the input")
            items.append(Item(name, mapping()))
        return mapping(*items)

    def rules(self, path: Path, to: str) -> Iterator[Item]:
        for number, value in sorted(
            self.tree.branches.get(path, {}).items(), key=lambda item: (len(item[0]), item[0])
        ):
            text = " ".join(value.words)
            try:
                if not number.isdigit() or not int(number):
                    raise Fault("acl-syntax", f"'{number}' is not a rule number", 0, 0)
                rule = read_rule(text, int(number), ())
            except Fault as fault:
                self.ledger.note(value.origins, "not-translated", "acl-rule", fault.message)
                continue
            self.vlans = self.vlans or rule.vid is not None
            self.ledger.note(value.origins, "translated", to=to)
            yield Item(str(int(number)), scalar(text))

    # ---- the device

    def defaults(self) -> LaidOutNode:
        path: Path = ("system", "nat_defaults")
        items = [*self.device(path)]
        self.done.add(path)
        for key in ("alg", "timeouts_inactivity", "limits_peruser"):
            below = (*path, key)
            self.done.add(below)
            node = self.helpers(below) if key == "alg" else self.numbers(below, "nat_defaults")
            if node.items:
                items.append(Item(key, node))
        if self.vlans and not any(item.key == "vlan_mode" for item in items):
            self.ledger.guess("nat_defaults.vlan_mode", "vlan", "an address names a VLAN")
            items.insert(0, Item("vlan_mode", scalar("vlan"), (" guessed: an address names a VLAN",)))
        return mapping(*items)

    def device(self, path: Path) -> Iterator[Item]:
        for key, value in self.tree.branches.get(path, {}).items():
            try:
                node = scalar(word_of(value.words)) if key in DEVICE else None
            except NotAccepted:
                node = None
            if node is None:
                reason = f"nat_defaults of a site has no such '{key}'"
                self.ledger.note(value.origins, "not-translated", "no-parameter", reason)
                continue
            self.ledger.note(value.origins, "translated", to="nat_defaults")
            yield Item(key, node)

    def helpers(self, path: Path) -> LaidOutNode:
        found = self.tree.branches.get(path, {})
        for value in found.values():
            self.ledger.note(value.origins, "translated", to="nat_defaults")
        return mapping(*(Item(name, scalar(value.words[0])) for name, value in found.items()), flow=True)

    def rest(self) -> None:
        """Branches that are not NAT's."""
        for path, branch in self.tree.branches.items():
            if path in self.done:
                continue
            lines: list[Origin] = [one for value in branch.values() for one in value.origins]
            reason = f"{'.'.join(path)} does not decide about translation"
            self.ledger.note([*lines, *self.tree.created.get(path, [])], "ignored", "", reason)
