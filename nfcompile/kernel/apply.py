"""Bring a ruleset into the kernel: compare it with what is live, then load it as one transaction.

The comparison lets the kernel spell both sides: the live table's listing against the listing of the
desired text in a scratch namespace. Knows no site: the caller says which path each line serves.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from nfcompile.diagnostics import Diagnostic, Path, SiteError
from nfcompile.kernel import netns, nft
from nfcompile.kernel.listing import difference, normalised, objects

Origin = Callable[[int], Path]
"""From a line of the ruleset, counted from 1, to the path of the site that it serves."""

_HELPER = re.compile(r'type "([^"]+)" protocol (\w+)')


class Loaded(NamedTuple):
    """What a scratch namespace made of a ruleset."""

    refusals: tuple[nft.Refusal, ...]
    listing: str


class Difference(NamedTuple):
    """Keys of objects ('chain pool_homes') that only one side has, and of those that are not the same."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class Survey(NamedTuple):
    """What differs: lines of a unified diff, and the objects."""

    diff: list[str]
    objects: Difference


def check(text: str, origin: Origin) -> None:
    """Ask this kernel, in a scratch namespace, whether it takes the ruleset; raise SiteError if not."""
    _raise_refusals(netns.in_scratch(lambda: nft.check(text)), text, origin)


def changes(text: str, origin: Origin, namespace: str | None = None) -> list[str]:
    """What loading the ruleset would change, as lines of a unified diff; none when nothing."""
    return survey(text, origin, namespace).diff


def survey(text: str, origin: Origin, namespace: str | None = None) -> Survey:
    """What loading the ruleset would change. Raises SiteError when the kernel refuses the ruleset."""
    live = netns.inside(namespace, nft.listing)
    desired = netns.in_scratch(lambda: _load_and_list(text))
    _raise_refusals(desired.refusals, text, origin)
    return Survey(difference(live, desired.listing, nft.TABLE), _compare(live or "", desired.listing))


def load(text: str, origin: Origin, namespace: str | None = None) -> None:
    """Load the ruleset as one transaction; when it is refused the old one stands unchanged."""
    _raise_refusals(netns.inside(namespace, lambda: nft.load(text)), text, origin)


def diagnostics(refusals: tuple[nft.Refusal, ...], text: str, origin: Origin) -> tuple[Diagnostic, ...]:
    """Say the kernel's refusals at the site's lines, each once."""
    lines = text.splitlines()
    return tuple(dict.fromkeys(_diagnostic(refusal, lines, origin) for refusal in refusals))


def _load_and_list(text: str) -> Loaded:
    refusals = nft.load(text)
    return Loaded(refusals, "" if refusals else nft.listing() or "")


def _compare(live: str, desired: str) -> Difference:
    """Object by object, both in the kernel's own spelling."""
    before, after = (dict(objects(normalised(listing))) for listing in (live, desired))
    return Difference(
        tuple(key for key in after if key not in before),
        tuple(key for key in after if key in before and after[key] != before[key]),
        tuple(key for key in before if key not in after),
    )


def _raise_refusals(refusals: tuple[nft.Refusal, ...], text: str, origin: Origin) -> None:
    if refusals:
        raise SiteError(diagnostics(refusals, text, origin))


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
    return Diagnostic(
        "kernel-refused",
        f"the kernel refused what this line asks for: {refusal.message}",
        path,
        key,
        hint=f"ruleset line {refusal.line}: {lines[refusal.line - 1].strip()}",
    )


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
