"""`nfcompile import`: a site from a foreign configuration, and an account of every line of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nfcompile.cli import files
from nfcompile.cli import site as cli_site
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.cli.progress import working
from nfcompile.diagnostics import SiteError

if TYPE_CHECKING:
    from nfcompile.cli.import_verify import Agreement
    from nfcompile.importers.account import Account, Entry
    from nfcompile.importers.importing import Imported
    from nfcompile.importers.reading import ImportOptions
    from nfcompile.pipeline import Compilation

SHOWN_MOST = 40
"""Lines that stderr lists; `--account` has them all."""


def run(options: Options) -> int:
    """Import files of a kind; the site goes to stdout or `-o`, the account to stderr or `--account`."""
    if len(options.words) < 2:
        raise UsageProblem("missing argument: KIND FILE...")
    from nfcompile.importers.importing import KINDS

    if options.words[0] not in KINDS:
        raise UsageProblem(f"'{options.words[0]}' is not a kind: {', '.join(KINDS)}")
    if any(_is_same(options.output, name) for name in options.words[1:]):
        raise UsageProblem(f"'{options.output}' is imported; write the site into another file")
    found = _imported(options.words[0], options.words[1:], options)
    checked = _checked(found.text, options.output or "site.yaml")
    refused = any(one.severity == "error" for one in checked.diagnostics)
    compared = None
    if options.verify:
        from nfcompile.cli import import_verify

        with working("comparing the site with the original", options):
            compared = import_verify.compare(found, None if refused else checked.document)
        found = found._replace(account=found.account.refuted(compared.refuted))
    _write_site(found.text, options)
    _write_account(found.account, checked, compared, options)
    return REFUSED if refused or (options.strict and not found.account.complete) else OK


def _is_same(output: str | None, name: str) -> bool:
    """Whether the site would take the place of the foreign configuration."""
    if output is None or files.STDIN in (output, name) or not os.path.exists(output):
        return False
    return os.path.exists(name) and os.path.samefile(output, name)


def _imported(kind: str, names: Sequence[str], options: Options) -> Imported:
    from nfcompile.importers.importing import import_files
    from nfcompile.importers.kinds import UnknownKind
    from nfcompile.importers.terraform import NeedsExtra

    read = [(files.shown(name), files.read(name)) for name in names]
    try:
        with working(f"reading {', '.join(name for name, _ in read)}", options):
            return import_files(kind, read, _gateway(options))
    except UnknownKind as problem:
        raise UsageProblem(f"{problem}; name the kind instead of 'auto'") from None
    except NeedsExtra as problem:
        raise UsageProblem(str(problem)) from None


def _gateway(options: Options) -> ImportOptions:
    from nfcompile.importers.reading import ImportOptions
    from nfcompile.model import parse

    addresses = {}
    for text in options.addresses:
        name, _, value = text.partition("=")
        try:
            addresses[name] = parse.address(value)
        except parse.Fault as fault:
            raise UsageProblem(f"--address {text}: {fault.message}; write IF=A") from None
    connections = dict(_pair(text) for text in options.connections)
    inside, outside = _names(options.inside_interfaces), _names(options.outside_interfaces)
    return ImportOptions(inside, outside, addresses, connections, options.gateway)


def _pair(text: str) -> tuple[str, str]:
    name, equals, interface = text.rpartition("=")
    if not equals or not name or not interface:
        raise UsageProblem(f"--map-connection {text}: write NAME=IF")
    return name, interface


def _names(given: tuple[str, ...]) -> tuple[str, ...]:
    """Interfaces of an option that may be repeated, and may hold several with commas."""
    return tuple(dict.fromkeys(name for text in given for name in text.split(",") if name))


def _checked(text: str, name: str) -> Compilation:
    """What `check` says of the site."""
    from nfcompile import pipeline

    read = pipeline.parse_text(text.encode(), name)
    if read.diagnostics:
        return read
    try:
        return read._replace(diagnostics=tuple(pipeline.check(read.document).diagnostics))
    except SiteError as error:
        return read._replace(diagnostics=error.diagnostics)


def _has_file(options: Options) -> bool:
    """Whether the site goes into a file; stdout is free for the one JSON document then."""
    return options.output not in (None, files.STDIN)


def _write_site(text: str, options: Options) -> None:
    if options.output is not None and _has_file(options):
        files.write(options.output, text)
    else:
        sys.stdout.write(text)


# ---- the account


def _write_account(
    account: Account, checked: Compilation, compared: Agreement | None, options: Options
) -> None:
    if options.format == "json":
        data = account.as_data() | {"diagnostics": cli_site.as_data(checked)}
        if compared is not None:
            data["verify"] = compared.as_data()
        text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
        if _has_file(options):
            print(json.dumps({"site": options.output} | data, ensure_ascii=False))
    else:
        lines = _lines(account, whole=options.account is not None)
        lines += compared.as_text() if compared is not None else ()
        text = "".join(f"{line}\n" for line in lines)
    if options.account is not None:
        files.write(options.account, text)
    elif not options.quiet or options.format == "json":
        sys.stderr.write(text)
    if options.format != "json":
        cli_site.tell(checked, options)


def _lines(account: Account, whole: bool) -> list[str]:
    """The account for people: what is left out, or with `whole` every line; guesses; totals."""
    entries = [entry for entry in account.entries if whole or entry.fate in ("not-translated", "unknown")]
    shown = entries if whole else entries[:SHOWN_MOST]
    lines = [_line(entry) for entry in shown]
    if len(shown) < len(entries):
        lines.append(f"... and {len(entries) - len(shown)} more: --account FILE has every line")
    for guess in account.guesses:
        say = f" (say {guess.option})" if guess.option else ""
        lines.append(f"guessed: {guess.what}: {guess.value}: {guess.reason}{say}")
    totals = account.totals
    count = sum(totals.values())
    parts = ", ".join(f"{number} {fate}" for fate, number in totals.items() if number)
    lines.append(f"{account.kind}: {count} line{'' if count == 1 else 's'}: {parts or 'nothing to import'}")
    return lines


def _line(entry: Entry) -> str:
    """'FILE:LINE: fate: text -> entry: reason [code]'."""
    where = f"{entry.file}:{entry.line}" + (f"-{entry.end_line}" if entry.end_line > entry.line else "")
    to = f" -> {entry.to}" if entry.to else ""
    code = f" [{entry.code}]" if entry.code else ""
    reason = f": {entry.reason}" if entry.reason else ""
    return f"{where}: {entry.fate}: {entry.text}{to}{reason}{code}"
