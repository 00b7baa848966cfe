"""The command as a user runs it. `tests/conftest.py` sees to it that it is the compiler of this tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from nfcompile.cli import plain

NFCOMPILE = [sys.executable, "-c", "from nfcompile.cli import main; main()"]


def nfcompile(*arguments: object, before: tuple[str, ...] = (), **options: Any) -> Any:
    """Run the command, behind the words of `before`; options are those of subprocess.run."""
    options = {"capture_output": True, "text": True, "check": False} | options
    options["env"] = os.environ | options.get("env", {})
    return subprocess.run([*before, *NFCOMPILE, *map(str, arguments)], **options)


def typed(verb: str, *arguments: object, **options: Any) -> Any:
    """The same through typer: `-q` and `--no-color` are not for the front door, and mean nothing here."""
    assert plain.read([verb, *map(str, arguments), "--no-color"]) is None
    return nfcompile(verb, *arguments, "--no-color", **options)


def write(name: str, text: str) -> str:
    """A file of the working directory."""
    Path(name).write_text(text)
    return name
