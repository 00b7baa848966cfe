"""The command lines that are asked most, read without typer: one table, and one reader for all of them.

A line with any other option, or with one that is wrong, is typer's to read; both mean the same.
"""

from __future__ import annotations

import os
from typing import NamedTuple

TEXT_JSON = ("text", "json")
ANY: tuple[str, ...] = ()


class Form(NamedTuple):
    """What a verb may have: so many words, options with a value (and which; ANY is any), flags."""

    least: int
    most: int
    values: dict[str, tuple[str, ...]]
    flags: tuple[str, ...] = ()


FORMS = {
    "build": Form(0, 1, {"-o": ANY}),
    "check": Form(0, 1, {}),
    "apply": Form(0, 1, {"--netns": ANY}, ("--yes",)),
    "lookup": Form(1, 2, {"--proto": ("tcp", "udp", "icmp"), "--format": TEXT_JSON}),
    "explain": Form(
        0,
        1,
        {"--proto": ANY, "--src": ANY, "--dst": ANY, "--in": ANY, "--out": ANY, "--format": TEXT_JSON},
    ),
}


class Plain(NamedTuple):
    """A command line that has been read."""

    verb: str
    words: list[str]
    values: dict[str, str]
    flags: set[str]

    @property
    def site(self) -> str:
        """The site of a verb that has no other word."""
        return self.words[0] if self.words else "site.yaml"


def read(arguments: list[str]) -> Plain | None:
    """Read a command line; None is anything else than the table has.

    >>> read(["build", "-o", "ruleset.nft"])
    Plain(verb='build', words=[], values={'-o': 'ruleset.nft'}, flags=set())
    >>> read(["check", "--strict"])
    """
    form = FORMS.get(arguments[0]) if arguments else None
    if form is None:
        return None
    found = Plain(arguments[0], [], {}, set())
    rest = iter(arguments[1:])
    for word in rest:
        if word in form.flags:
            found.flags.add(word)
        elif word in form.values and word not in found.values:
            value = next(rest, None)
            if value is None or _is_option(value) or not _allowed(value, form.values[word]):
                return None
            found.values[word] = value
        elif _is_option(word):
            return None
        else:
            found.words.append(word)
    return found if form.least <= len(found.words) <= form.most else None


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _allowed(value: str, values: tuple[str, ...]) -> bool:
    return values == ANY or value in values


def run(plain: Plain) -> int:
    """Do it; the exit status."""
    verb, words, values, flags = plain
    if verb == "build":
        from nfcompile.cli import build

        return build.run(plain.site, values.get("-o"))
    if verb == "check":
        from nfcompile.cli import check

        return check.run(plain.site)
    if verb == "apply":
        from nfcompile.cli import apply

        state_dir = os.environ.get("NFCOMPILE_STATE_DIR") or None
        wish = apply.Wish(netns=values.get("--netns"), yes="--yes" in flags, state_dir=state_dir)
        return apply.run(plain.site, wish)
    format = values.get("--format", "text")
    if verb == "lookup":
        from nfcompile.cli import lookup

        site = words[0] if len(words) == 2 else "site.yaml"
        return lookup.run(site, words[-1], protocol=values.get("--proto"), format=format)
    from nfcompile.cli import explain

    packet = explain.Words(
        values.get("--src", ""),
        values.get("--dst", ""),
        values.get("--proto", "tcp"),
        values.get("--in"),
        values.get("--out"),
    )
    return explain.run(plain.site, packet, explain.Wish(format=format))
