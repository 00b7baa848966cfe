"""Read a command line without typer, which takes longer to import than a small site to compile.

A line that is wrong, asks for help, or is spelled in another way (`--netns=gw`) is left to typer; both read
the same table and mean the same.
"""

from __future__ import annotations

import os
from typing import Any

from nfcompile.cli.options import Options
from nfcompile.cli.verbs import COMMON, VERBS, Verb, VerbOption, VerbWord

DIGITS_LIMIT = 18


def read(arguments: list[str]) -> tuple[str, Options] | None:
    """The verb and its options; None for a line that is typer's to read.

    >>> verb, options = read(["build", "-o", "ruleset.nft"])
    >>> verb, options.site, options.output
    ('build', 'site.yaml', 'ruleset.nft')
    >>> read(["check", "--help"])
    """
    verb = next((verb for verb in VERBS if arguments and verb.name == arguments[0]), None)
    found = _words_and_values(verb, arguments[1:]) if verb else None
    if verb is None or found is None or not _fit(verb.words, found[0]):
        return None
    words, values = found
    words += [word.default for word in verb.words[len(words) :] if word.default is not None]
    return verb.name, Options(words=tuple(words), **{**_defaults(verb), **values})


def _words_and_values(verb: Verb, arguments: list[str]) -> tuple[list[str], dict[str, Any]] | None:
    """The words, and the fields that options set; None where the line is not as the table has it."""
    spelled = {name: option for option in (*verb.options, *COMMON) for name in option.names}
    words: list[str] = []
    values: dict[str, Any] = {}
    rest = iter(arguments)
    for argument in rest:
        option = spelled.get(argument)
        if option is None:
            if _is_option(argument):
                return None
            words.append(argument)
        elif option.is_flag:
            values[option.field] = True
        else:
            value = _value(option, next(rest, None))
            if value is None or (option.field in values and not option.many):
                return None
            values[option.field] = (*values.get(option.field, ()), value) if option.many else value
    return words, values


def _defaults(verb: Verb) -> dict[str, Any]:
    """The fields that a verb has a value for when its command line says nothing."""
    found = {option.field: option.default for option in verb.options if option.default is not None}
    for option in verb.options:
        if option.variable and os.environ.get(option.variable):
            found[option.field] = os.environ[option.variable]
    return found


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and argument != "-"


def _value(option: VerbOption, text: str | None) -> str | int | float | None:
    """None where typer has something to say of it."""
    if text is None or _is_option(text) or (option.choices and text not in option.choices):
        return None
    if option.value_type is str:
        return text
    whole, point, rest = text.partition(".")
    if not _is_whole(whole) or (point and (option.value_type is int or not _is_whole(rest))):
        return None
    number = float(text) if option.value_type is float else int(text)
    return None if option.least is not None and number < option.least else number


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= DIGITS_LIMIT


def _fit(words: tuple[VerbWord, ...], given: list[str]) -> bool:
    if len(given) > len(words) and not any(word.many for word in words):
        return False
    return all(
        word.least is None or (_is_whole(text) and int(text) >= word.least)
        for word, text in zip(words, given, strict=False)
    )


def run(verb: str, options: Options) -> int:
    """Run a verb; its exit status."""
    name = next(one.module for one in VERBS if one.name == verb)
    module = __import__(f"nfcompile.cli.{name}", fromlist=["run"])
    status: int = module.run(options)
    return status
