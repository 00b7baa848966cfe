"""libnftables in the namespace of the calling process: load a ruleset, try one, list our own table.

Goes through the `nftables` Python package, imported when first needed, so that `build` works where
there is no library. Knows nothing of sites: a refusal names a line of the text it was given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from nfcompile.kernel import KernelError

TABLE = "ip nfcompile"
LIBRARY = "libnftables.so.1"

_PLACED = re.compile(r"^/proc/self/fd/\d+:(\d+):(\d+)-(\d+): (?:Error: )?(.*)$")
_UNPLACED = re.compile(r"^(?:[a-z]+: )?Error: (.*)$")


class Refusal(NamedTuple):
    """nft's own words about a stretch of the text; line 0 where nft names no line."""

    line: int
    column: int
    end_column: int
    message: str


def load(text: str) -> tuple[Refusal, ...]:
    """Load a ruleset as one transaction; after a refusal the old one stands unchanged."""
    return _run(_library(), text)


def check(text: str) -> tuple[Refusal, ...]:
    """Ask the kernel what it would say of a ruleset, and change nothing (`nft -c`)."""
    library = _library()
    _set_dry_run(library)
    return _run(library, text)


def listing() -> str | None:
    """List our table as the kernel has it, without counters and expiry times; None when absent."""
    library = _library()
    library.set_stateless_output(True)
    return _table(library)


def structure() -> str | None:
    """As `listing`, without the elements of named sets and maps, which may be millions."""
    library = _library()
    library.set_stateless_output(True)
    library.set_terse_output(True)
    return _table(library)


def contents(things: Iterable[str]) -> dict[str, str]:
    """List sets and maps of ours ('map m') one by one, expiry times and all; absent ones are left out."""
    library = _library()
    found: dict[str, str] = {}
    for thing in things:
        kind, _, name = thing.partition(" ")
        status, output, error = _command(library, f"list {kind} {TABLE} {name}")
        if status == 0:
            found[thing] = str(output)
        else:
            _raise_if_user_may_not(error)
    return found


def _table(library: Any) -> str | None:
    status, output, error = _command(library, f"list table {TABLE}")
    if status == 0:
        return str(output)
    _raise_if_user_may_not(error)
    if "No such file or directory" in error:
        return None
    raise KernelError(f"'nft list table {TABLE}' failed: {error.strip().splitlines()[0]}")


def _library() -> Any:
    """A fresh context of libnftables, which belongs to the namespace it is made in."""
    import ctypes

    try:
        # Asked first: the binding's destructor complains on stderr when its constructor fails.
        ctypes.CDLL(LIBRARY)
    except OSError:
        raise KernelError(
            f"{LIBRARY} is not on this machine; install the distribution's libnftables "
            "(Debian and Ubuntu call it libnftables1)"
        ) from None
    try:
        import nftables
    except ImportError:
        raise KernelError(
            "the Python package 'nftables' is missing; install oxl-libnftables or python3-nftables"
        ) from None
    return nftables.Nftables()


def _set_dry_run(library: Any) -> None:
    """Make the context ask only; bindings before 1.0.8 do not offer it, the library always did."""
    if hasattr(library, "set_dry_run"):
        library.set_dry_run(True)
        return
    import ctypes

    function = ctypes.CDLL(LIBRARY).nft_ctx_set_dry_run
    function.argtypes = [ctypes.c_void_p, ctypes.c_bool]
    function(library._Nftables__ctx, True)


def _run(library: Any, text: str) -> tuple[Refusal, ...]:
    # A file, because libnftables counts no lines in a string; in memory, so that none is left behind.
    with _in_memory(text) as path:
        status, _, error = _command(library, f'include "{path}"')
    if status == 0:
        return ()
    _raise_if_user_may_not(error)
    return tuple(refusals(error)) or (Refusal(0, 0, 0, error.strip() or "no reason given"),)


def refusals(error: str) -> Iterator[Refusal]:
    r"""Read the library's error text.

    >>> list(refusals("/proc/self/fd/4:7:4-16: Error: Could not process rule: File exists\n 1.1.1.1"))
    [Refusal(line=7, column=4, end_column=16, message='Could not process rule: File exists')]
    """
    for line in error.splitlines():
        if placed := _PLACED.match(line):
            first, column, last, message = placed.groups()
            yield Refusal(int(first), int(column), int(last), message)
        elif unplaced := _UNPLACED.match(line):
            yield Refusal(0, 0, 0, unplaced[1])


def _command(library: Any, command: str) -> tuple[int, str, str]:
    """Run a command; what the library writes to stderr besides its answer is not for the operator."""
    shown = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, 2)
        status, output, error = library.cmd(command)
    finally:
        os.dup2(shown, 2)
        os.close(silence)
        os.close(shown)
    return status, output, error


def _raise_if_user_may_not(error: str) -> None:
    if "Operation not permitted" in error:
        raise KernelError(
            "the kernel does not let this user at its ruleset; run as root, "
            "or with CAP_NET_ADMIN in the network namespace"
        )
    if "Message too long" in error:
        raise KernelError(
            "the ruleset is larger than what this user may send to the kernel at once "
            "(sysctl net.core.wmem_max); run as root"
        )


@contextmanager
def _in_memory(text: str) -> Iterator[str]:
    descriptor = os.memfd_create("ruleset.nft")
    try:
        with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
            file.write(text)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
