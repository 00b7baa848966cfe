"""The table of verbs for typer, which shows help, completes words and explains wrong command lines."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any

import typer

from nfcompile import __version__
from nfcompile.cli import command_line
from nfcompile.cli.exit_status import guarded
from nfcompile.cli.options import Options
from nfcompile.cli.verbs import COMMON, VERBS, Verb, VerbOption, VerbWord

app = typer.Typer(
    help="Compile one site.yaml of NAT pools, ACLs and marks to an nftables ruleset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"nfcompile {__version__}")
        raise typer.Exit


@app.callback()
def _nfcompile(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _command(verb: Verb) -> Callable[..., None]:
    """A function with the parameters of a verb, as typer reads them off its signature."""

    def command(**given: Any) -> None:
        words: list[str] = []
        for word in verb.words:
            value = given.pop(word.name)
            words += value or [] if word.many else [] if value is None else [str(value)]
        values = {name: value.value if isinstance(value, Enum) else value for name, value in given.items()}
        values |= {one.field: tuple(values[one.field] or ()) for one in verb.options if one.many}
        options = Options(words=tuple(words), **values)
        sys.exit(guarded(lambda: command_line.run(verb.name, options), json=options.is_json))

    options = (*verb.options, *COMMON)
    parameters = [*map(_word_parameter, verb.words), *map(_option_parameter, options)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = verb.help
    return command


def _word_parameter(word: VerbWord) -> inspect.Parameter:
    info = typer.Argument(metavar=word.metavar, help=word.help, min=word.least)
    kind: Any = list[str] | None if word.many else int if word.least is not None else str | None
    default: Any = int(word.default) if word.least is not None and word.default else word.default
    return _parameter(word.name, Annotated[kind, info], default)


def _option_parameter(option: VerbOption) -> inspect.Parameter:
    if option.is_flag:
        return _parameter(option.field, Annotated[bool, typer.Option(*option.names, help=option.help)], False)
    info: Any = typer.Option(
        *option.names,
        help=option.help,
        metavar=option.metavar or None,
        min=option.least,
        envvar=option.variable or None,
    )
    if option.many:
        return _parameter(option.field, Annotated[list[str] | None, info], None)
    kind, default = _choices(option) if option.choices else (option.value_type, option.default)
    return _parameter(option.field, Annotated[kind if default is not None else kind | None, info], default)


def _choices(option: VerbOption) -> tuple[Any, Any]:
    """The enumeration that typer takes, and its member that is the default."""
    enumeration: Any = Enum
    kind = enumeration(option.field, [(choice, choice) for choice in option.choices], type=str)
    return kind, None if option.default is None else kind(option.default)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


for _verb in VERBS:
    app.command(_verb.name)(_command(_verb))
