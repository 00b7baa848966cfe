"""The content of a file at a git revision, read with the `git` command. Knows nothing of sites."""

from __future__ import annotations

import os
import subprocess


class RevisionError(Exception):
    """The revision has no such file, or git cannot be run. The text is one sentence."""


def content(file: str, revision: str) -> bytes:
    """The bytes of a file of a work tree at a revision, in any form that git's rev-parse reads.

    A link stands for the file that it leads to.
    """
    if not revision or revision.startswith("-"):
        raise RevisionError(f"'{revision}' is not a git revision")
    folder, name = os.path.split(os.path.realpath(file))
    command = ["git", "-C", folder, "cat-file", "blob", f"{revision}:./{name}"]
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ | {"LC_ALL": "C"},
            check=False,
        )
    except OSError as error:
        raise RevisionError(f"cannot run git: {error.strerror}") from None
    if result.returncode:
        reason = result.stderr.decode(errors="replace").strip().splitlines()[:1]
        message = reason[0].removeprefix("fatal: ") if reason else f"git ended with {result.returncode}"
        raise RevisionError(f"cannot read '{file}' at revision '{revision}': {message}")
    return result.stdout
