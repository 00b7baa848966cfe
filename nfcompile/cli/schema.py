"""`nfcompile schema`: the JSON Schema of site.yaml, for editors."""

from __future__ import annotations

import sys

from nfcompile.cli.exit_status import OK
from nfcompile.cli.options import Options


def run(options: Options) -> int:
    """Write the schema to stdout as it is shipped."""
    from nfcompile.source import schema

    sys.stdout.write(schema.schema_text())
    return OK
