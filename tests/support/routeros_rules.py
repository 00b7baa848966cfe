"""RouterOS' nat rules as an nft table of their own order: what RouterOS would do, in a kernel that we have.

Read from an export's words alone; the importer has no part in it. Words that are not known are errors.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from ipaddress import ip_network

Words = dict[str, str]

SECTIONS = ("/ip firewall nat", "/ip firewall address-list", "/interface list member")
BASE = {
    "dstnat": "type nat hook prerouting priority dstnat; policy accept;",
    "srcnat": "type nat hook postrouting priority srcnat; policy accept;",
}
NO_EFFECT = {
    "comment",
    "log",
    "log-prefix",
    "disabled",
    "action",
    "chain",
    "to-addresses",
    "to-ports",
    "jump-target",
}
PORTS_OF = {"dst-port": "dport", "src-port": "sport"}


class Export:
    """The lists and nat rules of an export."""

    def __init__(self, text: str) -> None:
        found: dict[str, list[Words]] = {section: [] for section in SECTIONS}
        section = ""
        for line in text.replace("\\\r\n", "").replace("\\\n", "").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0].startswith("/"):
                at = words.index("add") if "add" in words else len(words)
                section, words = " ".join(words[:at]), words[at:]
            if words and words[0] == "add" and section in found:
                pairs = (word.partition("=") for word in words[1:])
                found[section].append({key: value for key, _, value in pairs})
        self.rules, addresses, members = (found[section] for section in SECTIONS)
        self.addresses = _by_list(addresses, "address")
        self.members = _by_list(members, "interface")

    def table(self) -> str:
        """The nft table."""
        chains: dict[str, list[str]] = {name: [] for name in BASE}
        for rule in self.rules:
            chains.setdefault(rule.get("jump-target", "dstnat"), [])
            if rule.get("disabled") != "yes" and not self.empty(rule):
                lines = [" ".join(words) for words in self.lines(rule)]
                chains.setdefault(rule["chain"], []).extend(lines)
        text = [
            "\n".join((f"chain {name} {{", BASE.get(name, ""), *lines, "}")) for name, lines in chains.items()
        ]
        return "\n".join(("table ip routeros {", *reversed(text), "}", ""))

    def empty(self, rule: Words) -> bool:
        """Whether a rule asks for a member of a list that has none."""
        lists = {"address-list": self.addresses, "interface-list": self.members}
        return any(
            key.endswith(kind) and value not in some and not value.startswith("!")
            for key, value in rule.items()
            for kind, some in lists.items()
        )

    def lines(self, rule: Words) -> Iterator[list[str]]:
        """A rule as nft rules: netmap is one for each address."""
        matches = [
            word
            for key, value in rule.items()
            if key not in NO_EFFECT
            for word in self.match(rule, key, value)
        ]
        action, ports = rule["action"], rule.get("to-ports", "")
        to = f":{ports}" if ports else ""
        if action == "netmap":
            end, verb = ("dst", "dnat") if "dst-address" in rule else ("src", "snat")
            asked, given = ip_network(rule[f"{end}-address"]), ip_network(rule["to-addresses"])
            rest = [word for word in matches if word != f"ip {end[0]}addr {rule[f'{end}-address']}"]
            for old, new in zip(asked, given, strict=True):
                yield [*rest, f"ip {end[0]}addr {old} {verb} to {new}{to}"]
        elif action in ("src-nat", "dst-nat"):
            yield [*matches, f"{action[0]}nat to {_range(rule.get('to-addresses', ''))}{to}"]
        elif action in ("masquerade", "redirect"):
            yield [*matches, action, f"to {to}" if to else ""]
        elif action == "jump":
            yield [*matches, "jump", rule["jump-target"]]
        elif action in ("accept", "return"):
            yield [*matches, action]
        elif action not in ("passthrough", "log"):
            raise ValueError(f"action {action}")

    def match(self, rule: Words, key: str, value: str) -> Iterator[str]:
        """What one word of a rule matches."""
        sign, value = ("!= ", value[1:]) if value.startswith("!") else ("", value)
        end = "saddr" if key.startswith("src") else "daddr"
        if key in ("src-address", "dst-address"):
            yield f"ip {end} {sign}{value}"
        elif key in ("src-address-list", "dst-address-list"):
            yield f"ip {end} {sign}{{ {', '.join(self.addresses.get(value, ()))} }}"
        elif key == "dst-address-type":
            yield f"fib daddr type {sign}{value}"
        elif key in ("in-interface", "out-interface"):
            yield f'{key[0] if key[0] == "o" else "i"}ifname {sign}"{value}"'
        elif key in ("in-interface-list", "out-interface-list"):
            names = ", ".join(f'"{name}"' for name in self.members.get(value, ()))
            yield f"{key[0]}ifname {sign}{{ {names} }}"
        elif key == "protocol":
            yield f"meta l4proto {sign}{value}"
        elif key in PORTS_OF:
            yield f"th {PORTS_OF[key]} {sign}{{ {value} }}"
        else:
            raise ValueError(f"'{key}' of {rule}")


def _by_list(rows: list[Words], key: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.get("disabled") != "yes":
            found.setdefault(row["list"], []).append(row[key])
    return found


def _range(text: str) -> str:
    """A target: a prefix is a range of addresses."""
    if "/" not in text:
        return text
    net = ip_network(text)
    return f"{net[0]}-{net[-1]}" if net.num_addresses > 1 else str(net[0])
