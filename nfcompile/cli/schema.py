"""`nfcompile schema`: the JSON Schema of site.yaml, for editors."""

from __future__ import annotations

import sys


def run() -> int:
    """Write the schema to stdout as it is shipped."""
    from nfcompile.source import schema

    sys.stdout.write(schema.schema_text())
    return 0
