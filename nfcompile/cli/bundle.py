"""`nfcompile build --bundle DIR`: the ruleset and the host's half as files below DIR."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from nfcompile.cli import files
from nfcompile.cli import site as cli_site
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem
from nfcompile.cli.options import Options


def run(options: Options) -> int:
    """Compile SITE and write its bundle; files of an earlier bundle that are no longer in it are removed."""
    folder = options.bundle or "."
    _refuse_outputs(options.to)
    data = files.read(options.site)
    result = cli_site.compiled_text(data, files.shown(options.site), options)
    if not options.is_json:
        cli_site.tell(result, options)
    written: list[dict[str, str]] = []
    if result.compiled is not None:
        from nfcompile.host import bundle
        from nfcompile.host.planning import plan

        ruleset, network = result.compiled.text.text, options.network or "networkd"
        host = plan(result.compiled)
        if options.to and host.log is None:
            raise UsageProblem(
                "this site logs nothing (no dynamic pool, no 'connection_logging: on'): no --to"
            )
        made = bundle.files(host, data, ruleset, network, options.routed, options.to)
        _clear(folder, bundle.MANIFEST, {one.path for one in made})
        for one in made:
            _write(os.path.join(folder, one.path), one.data, int(one.mode, 8))
        written = [{"path": one.path, "mode": one.mode, "for": one.purpose} for one in made[:-1]]
    if options.is_json:
        answer = {"bundle": folder, "files": written, "diagnostics": cli_site.as_data(result)}
        print(json.dumps(answer, indent=2))
    elif written and not options.quiet:
        print(f"wrote {len(written)} files below {files.shown(folder)}; {bundle.MANIFEST} lists them")
    return OK if written else REFUSED


def _refuse_outputs(outputs: Sequence[str]) -> None:
    """What the unit cannot have: an unknown output, stdout, a file below the folder where it is started."""
    from nfcompile.log.destination import BadDestination
    from nfcompile.log.outputs import kind_of

    for one in outputs:
        try:
            kind = kind_of(one)
        except BadDestination as problem:
            raise UsageProblem(str(problem)) from None
        if kind in ("json:", "parquet:") and not one.removeprefix(kind).startswith("/"):
            raise UsageProblem(f"a unit needs a path from / on, not '{one}'")
        if not one.isprintable():
            raise UsageProblem("an output has a character that is not printable")


def _clear(folder: str, manifest: str, kept: set[str]) -> None:
    """Take away what the manifest of an earlier bundle lists and this one has not."""
    try:
        with open(os.path.join(folder, manifest), encoding="utf-8") as file:
            paths = [str(one["path"]) for one in json.load(file)]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageProblem(f"'{folder}' has a {manifest} that no bundle of ours has") from None
    for path in paths:
        inside = not os.path.isabs(path) and ".." not in path.split("/")
        if inside and path not in kept and os.path.isfile(os.path.join(folder, path)):
            os.unlink(os.path.join(folder, path))


def _write(path: str, data: bytes, mode: int) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
    except OSError as error:
        raise UsageProblem(f"cannot write '{path}': {error.strerror}") from None
