"""`nfcompile build`: the ruleset as text; needs no root, no kernel and no libnftables."""

from __future__ import annotations

import json
import sys

from nfcompile.cli import files, outcome
from nfcompile.cli.guard import OK, REFUSED

STDOUT = "-"


def run(
    site: str,
    output: str | None = None,
    *,
    format: str = "text",
    quiet: bool = False,
    color: bool = True,
) -> int:
    """Compile SITE to stdout or, whole or not at all, to the file `output`."""
    result = outcome.compiled(site)
    text = None if result.compiled is None else result.compiled.text.text
    file = None if output == STDOUT else output
    if file is not None and text is not None:
        files.write(file, text)
    if format == "json":
        answer = {
            "file": file,
            "ruleset": None if file is not None else text,
            "diagnostics": outcome.as_data(result),
        }
        print(json.dumps(answer, indent=2))
    else:
        outcome.tell(result, quiet, color)
        if file is None and text is not None:
            sys.stdout.write(text)
    return REFUSED if text is None else OK
