"""Which kind of configuration a file is, told by words that only that kind has."""

from __future__ import annotations

import re

from nfcompile.importers.lines import SourceText

LINES_MOST = 20_000

SIGNS: dict[str, tuple[str, ...]] = {
    "iptables": (
        r"\*(nat|filter|mangle|raw)\s*$",
        r":(PREROUTING|POSTROUTING|INPUT|FORWARD|OUTPUT) (ACCEPT|DROP)",
        r"(\[\d+:\d+\] )?-[AI] \S+ ",
        r"\S*iptables\s+-",
    ),
    "vyos": (
        r"\S*[#$]?\s*set (nat|service|interfaces|firewall|system|protocols) ",
        r"(nat|interfaces|firewall|system|service|protocols) \{",
        r"// (vyos-config-version|Release version)",
    ),
    "routeros": (
        r"/(ip|interface|system|routing|queue|ppp)\b",
        r"add (action|chain|address|list|comment)=",
        r"# .* by RouterOS",
    ),
    "aviatrix": (
        r'(resource|data) "aviatrix_',
        r".*aviatrix_(gateway|spoke|transit)",
        r'module "',
        r'(variable|provider|output) "',
        r".*_(snat|dnat|vpc|gw)\w*\s*=",
    ),
    "econat": (
        r"[^\s:#]+:\d+(:\S*)?#( |$)",
        r"(acl|pool)\w* ?\{?$",
        r"(global_ip|global_map|port_range) ",
        r"\d+ (allow|permit|deny) ",
    ),
}
"""Beginnings of lines; the kind with most of them is it."""


class UnknownKind(Exception):
    """No kind has any of its words in the files."""


def guess_kind(texts: tuple[SourceText, ...]) -> tuple[str, str]:
    """The kind, and why. Raises UnknownKind."""
    counts = dict.fromkeys(SIGNS, 0)
    signs = {kind: re.compile("|".join(f"(?:{one})" for one in some)) for kind, some in SIGNS.items()}
    for text in texts:
        for raw in text.lines[:LINES_MOST]:
            line = raw.strip()[:300]
            for kind, sign in signs.items():
                counts[kind] += bool(sign.match(line))
    kind = max(counts, key=lambda one: counts[one])
    if not counts[kind]:
        raise UnknownKind("the files look like no kind that can be imported")
    return kind, f"{counts[kind]} lines look like it"
