"""`nfcompile schema`: the JSON Schema of site.yaml, for editors."""

from __future__ import annotations

import json

from nfcompile.cli.editor_schema import editor_schema
from nfcompile.cli.exit_status import OK
from nfcompile.cli.options import Options


def run(options: Options) -> int:
    """Write the schema to stdout."""
    print(json.dumps(editor_schema(options.docs), indent=2))
    return OK
