"""A file as it was at a revision of git; asks the `git` command, and knows nothing of sites."""

from __future__ import annotations

import os
import subprocess


class RevisionError(Exception):
    """There is no such file at that revision, or no git to ask. Its text is one sentence."""


def content(file: str, revision: str) -> bytes:
    """The bytes of a file of a work tree at a revision, in any form that git's rev-parse reads.

    A link stands for the file that it leads to.
    """
    if not revision or revision.startswith("-"):
        raise RevisionError(f"'{revision}' is not a git revision")
    folder, name = os.path.split(os.path.realpath(file))
    command = ["git", "-C", folder, "cat-file", "blob", f"{revision}:./{name}"]
    try:
        asked = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ | {"LC_ALL": "C"},
            check=False,
        )
    except OSError as error:
        raise RevisionError(f"cannot run git: {error.strerror}") from None
    if asked.returncode:
        reason = asked.stderr.decode(errors="replace").strip().splitlines()[:1]
        said = reason[0].removeprefix("fatal: ") if reason else f"git ended with {asked.returncode}"
        raise RevisionError(f"cannot read '{file}' at revision '{revision}': {said}")
    return asked.stdout
