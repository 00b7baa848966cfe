"""Write docs/cli.md, the reference of the command line, from the table of verbs; a test holds it to that."""

from pathlib import Path

from nfcompile.cli.verbs import COMMON, VERBS, Verb, VerbOption

PAGE = Path(__file__).resolve().parents[1] / "docs/cli.md"
HEAD = """# The command line

`nfcompile VERB --help` shows the same; what a verb does and prints is on its own page.

Exit status: 0 done, also with warnings; 1 a site has errors, the kernel refused, or what was asked for does
not hold; 2 usage, a missing file; 3 `diff --exit-code` where something differs.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


def page() -> str:
    """The whole page."""
    common = "".join(_row(option) for option in COMMON) + "| `-h`, `--help` | Show the words and options. |\n"
    every = f"## Every verb\n\n| option | |\n| --- | --- |\n{common}"
    return "\n".join([HEAD, every, *(_verb(verb) for verb in VERBS)])


def _verb(verb: Verb) -> str:
    words = " ".join(f"[{word.metavar or word.name.upper()}]" for word in verb.words)
    rows = [
        f"| `{word.metavar or word.name.upper()}` | {_cell(word.help)}{_default(word.default)} |\n"
        for word in verb.words
    ]
    table = "".join([*rows, *(_row(option) for option in verb.options)])
    options = f"\n| | |\n| --- | --- |\n{table}" if table else ""
    return (
        f"## {verb.name}\n\n{verb.help}\n\n```sh\n{f'nfcompile {verb.name} {words}'.strip()}\n```\n{options}"
    )


def _row(option: VerbOption) -> str:
    names = ", ".join(f"`{name}`" for name in option.names)
    value = option.metavar or "|".join(option.choices)
    variable = f" Environment: `{option.variable}`." if option.variable else ""
    shown = f" `{_cell(value)}`" if value else ""
    return f"| {names}{shown} | {_cell(option.help)}{_default(option.default)}{variable} |\n"


def _default(value: object) -> str:
    return "" if value in (None, "") else f" Default: `{value}`."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
