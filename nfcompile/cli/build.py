"""`nfcompile build`: the ruleset as text; needs no root, no kernel and no libnftables."""

from __future__ import annotations

import json
import sys

from nfcompile.cli import files, site
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem
from nfcompile.cli.options import Options

STDOUT = "-"


def run(options: Options) -> int:
    """Compile SITE to stdout or, whole or not at all, to the file of `--output`."""
    if options.bundle is None and (options.network is not None or options.routed or options.to):
        raise UsageProblem("--network, --routed and --to go with --bundle")
    if options.bundle is not None:
        if options.output is not None:
            raise UsageProblem("the ruleset is in the bundle: --output and --bundle do not go together")
        from nfcompile.cli import bundle

        return bundle.run(options)
    compilation = site.compiled(options.site, options)
    text = None if compilation.compiled is None else compilation.compiled.text.text
    file = None if options.output == STDOUT else options.output
    if file is not None and text is not None:
        files.write(file, text)
    if options.is_json:
        answer = {
            "file": file,
            "ruleset": None if file is not None else text,
            "diagnostics": site.as_data(compilation),
        }
        print(json.dumps(answer, indent=2))
    else:
        site.tell(compilation, options)
        if file is None and text is not None:
            sys.stdout.write(text)
    return REFUSED if text is None else OK
