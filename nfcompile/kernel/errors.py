"""The kernel's refusals of a ruleset, said at the lines of the site that the refused lines serve."""

from __future__ import annotations

import re
from collections.abc import Callable

from nfcompile.diagnostics import Diagnostic, Path, SiteError
from nfcompile.kernel import nft

Origin = Callable[[int], Path]
"""From a line of the ruleset, counted from 1, to the path of the site that it serves."""

OLDEST_NFT = "1.0.2"
"""The oldest one that takes all our rulesets (docs/matrix.md)."""

_HELPER = re.compile(r'type "([^"]+)" protocol (\w+)')


def raise_refusals(refusals: tuple[nft.Refusal, ...], text: str, origin: Origin) -> None:
    """Raise SiteError where there are any."""
    if refusals:
        raise SiteError(diagnostics(refusals, text, origin))


def diagnostics(refusals: tuple[nft.Refusal, ...], text: str, origin: Origin) -> tuple[Diagnostic, ...]:
    """Say the kernel's refusals at the site's lines, each once."""
    lines = text.splitlines()
    return tuple(dict.fromkeys(_diagnostic(refusal, lines, origin) for refusal in refusals))


def _diagnostic(refusal: nft.Refusal, lines: list[str], origin: Origin) -> Diagnostic:
    if not 0 < refusal.line <= len(lines):
        return Diagnostic("kernel-refused", f"the kernel refused the ruleset: {refusal.message}")
    path = origin(refusal.line)
    key = bool(path) and isinstance(path[-1], str)
    if helper := _missing_helper(refusal, lines):
        kind, protocol = helper
        message = f"the running kernel has no '{kind}' helper for {protocol}"
        hint = f"load the module nf_conntrack_{kind}, or switch the helper off"
        return Diagnostic("helper-missing", message, path, key, hint=hint)
    if _missing_flowtable(refusal, lines):
        message = "the running kernel has no flowtable, or one of the interfaces is not there"
        hint = "load the module nf_flow_table, make all inside and outside interfaces first, or switch it off"
        return Diagnostic("flowtable-missing", message, path, key, hint=hint)
    unread = refusal.message.startswith("syntax error")
    who = "this machine's nft cannot read" if unread else "the kernel refused"
    hint = f"ruleset line {refusal.line}: {lines[refusal.line - 1].strip()}"
    return Diagnostic(
        "kernel-refused",
        f"{who} what this line asks for: {refusal.message}",
        path,
        key,
        hint=f"{hint} (nft {OLDEST_NFT} or later reads it)" if unread else hint,
    )


def _missing_flowtable(refusal: nft.Refusal, lines: list[str]) -> bool:
    """Whether that line makes a flowtable or fills one, and something of it was not found."""
    words = lines[refusal.line - 1].split()
    return "No such file or directory" in refusal.message and (words[:1] == ["flowtable"] or "flow" in words)


def _missing_helper(refusal: nft.Refusal, lines: list[str]) -> tuple[str, str] | None:
    """The type and protocol of the ct helper object at that line, where it is what was not found."""
    if "No such file or directory" not in refusal.message:
        return None
    first = refusal.line - 1
    while first > 0 and "{" not in lines[first]:
        first -= 1
    if not lines[first].strip().startswith("ct helper"):
        return None
    last = next((at for at in range(first, len(lines)) if "}" in lines[at]), first)
    found = _HELPER.search(" ".join(lines[first : last + 1]))
    return (found[1], found[2]) if found else None
