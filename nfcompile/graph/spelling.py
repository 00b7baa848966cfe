"""Rules of a site in one line each, in the words of site.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from nfcompile.model.protocols import ANY_PROTOCOL, protocol_name
from nfcompile.model.ranges import EVERYWHERE, Range, port_text, range_text
from nfcompile.model.rules import DnatRule, Mark, Qualifier, Qualifiers, SnatRule
from nfcompile.model.site import AclRule, StaticEntry

WHOLE_MARK = Mark(0).mask
Value = TypeVar("Value")


def acl_rule(rule: AclRule) -> str:
    """'20: allow tcp 10.0.0.0/8 dst 192.0.2.1 dport 80'; what is any is left out, but not both sides."""
    words = [f"{rule.number}:", "allow" if rule.allow else "deny"]
    if rule.protocol != ANY_PROTOCOL:
        words.append(protocol_name(rule.protocol))
    vid = "" if rule.vid is None else f"~{rule.vid}"
    words.append(f"{'any' if rule.source == EVERYWHERE else range_text(rule.source)}{vid}")
    words += _ports("sport", rule.source_ports)
    if rule.destination != EVERYWHERE:
        words += ("dst", range_text(rule.destination))
    words += _ports("dport", rule.destination_ports)
    return " ".join(words)


def dnat_rule(rule: DnatRule) -> str:
    """'web: tcp dst_port 8001 → port 8080, mark 10'."""
    target = " port ".join(
        part for part in (_address(rule.dnat_ip), rule.dnat_port and port_text(rule.dnat_port)) if part
    )
    if rule.dnat_ip is None and rule.dnat_port is not None:
        target = f"port {target}"
    marks = [f"mark {_mark(rule.mark)}"] if rule.mark else []
    return f"{rule.name}: {_match(rule.match)} → {', '.join(part for part in (target, *marks) if part)}"


def snat_rule(rule: SnatRule) -> str:
    """'web: mark 10 → 172.32.0.201'."""
    words = [f"mark {_spelled(rule.mark, _mark)}"] if rule.mark else []
    if not words or _match(rule.match) != "any":
        words.append(_match(rule.match))
    port = f" port {port_text(rule.snat_port)}" if rule.snat_port else ""
    return f"{rule.name}: {' '.join(words)} → {snat_target(rule)}{port}"


def snat_target(rule: SnatRule) -> str:
    """The addresses of an snat rule, or what it does without any."""
    if rule.snat_ip is not None:
        return range_text(rule.snat_ip)
    return "untranslated" if rule.exclude else "the interface's address"


def pair(entry: StaticEntry) -> str:
    """'192.168.0.5~102 → 203.0.114.5'."""
    vid = "" if entry.vid is None else f"~{entry.vid}"
    return f"{range_text(entry.local)}{vid} → {range_text(entry.globals)}"


def _match(match: Qualifiers) -> str:
    words = [] if match.protocol is None else [_spelled(match.protocol, protocol_name)]
    for key in ("src_cidr", "src_port", "dst_cidr", "dst_port"):
        asked: Qualifier[Range] | None = getattr(match, key)
        if asked is not None:
            words += (key, _spelled(asked, range_text if key.endswith("cidr") else port_text))
    if match.interface is not None:
        words += ("interface", _spelled(match.interface, str))
    return " ".join(words) or "any"


def _spelled(asked: Qualifier[Value], spell: Callable[[Value], str]) -> str:
    """'tcp', '80,443' or '!10.0.0.0/8'."""
    return ("!" if asked.negated else "") + ",".join(map(spell, asked.values))


def _address(value: Range | None) -> str:
    return "" if value is None else range_text(value)


def _mark(mark: Mark) -> str:
    return str(mark.value) if mark.mask == WHOLE_MARK else f"{mark.value:#x}/{mark.mask:#x}"


def _ports(word: str, ports: Sequence[Range]) -> Iterator[str]:
    if ports:
        yield word
        yield ",".join(map(port_text, ports))
