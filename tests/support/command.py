"""The command as a user runs it. `tests/conftest.py` sees to it that it is the compiler of this tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

NFCOMPILE = [sys.executable, "-c", "from nfcompile.cli import main; main()"]


THROUGH_TYPER = (
    "import sys; from nfcompile.cli import through_typer; from nfcompile.cli.exit_status import guarded; "
    "sys.exit(guarded(through_typer))"
)
TYPED = [sys.executable, "-c", THROUGH_TYPER]


def nfcompile(
    *arguments: object, program: list[str] = NFCOMPILE, before: tuple[str, ...] = (), **options: Any
) -> Any:
    """Run the command, behind the words of `before`; options are those of subprocess.run."""
    options = {"capture_output": True, "text": True, "check": False} | options
    options["env"] = os.environ | options.get("env", {})
    return subprocess.run([*before, *program, *map(str, arguments)], **options)


def typed(*arguments: object, **options: Any) -> Any:
    """The same with typer reading the command line."""
    return nfcompile(*arguments, program=TYPED, **options)


def write(name: str, text: str) -> str:
    """A file of the working directory."""
    Path(name).write_text(text)
    return name
