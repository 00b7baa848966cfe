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

from nfcompile.kernel import NOT_PERMITTED, KernelError

TABLE = "ip nfcompile"
TABLE6 = "ip6 nfcompile"
LIBRARY = "libnftables.so.1"

_PLACED = re.compile(r"^/proc/self/fd/\d+:(\d+):(\d+)-(\d+): (?:Error: )?(.*)$")
_ELEMENTS = re.compile(r"elements = \{ (.*) \}")
_UNPLACED = re.compile(r"^(?:[a-z]+: )?Error: (.*)$")


class Refusal(NamedTuple):
    """nft's own words about a stretch of the text; line 0 where nft names no line."""

    line: int
    column: int
    end_column: int
    message: str


class TooLargeForUser(KernelError):
    """A batch that the kernel takes from the root of the machine only."""


def load(text: str) -> tuple[Refusal, ...]:
    """Load a ruleset as one transaction; after a refusal the old one stands unchanged."""
    return _run(_library(), text)


def check(text: str) -> tuple[Refusal, ...]:
    """Ask the kernel whether it takes a ruleset, and change nothing (`nft -c`)."""
    library = _library()
    _set_dry_run(library)
    return _run(library, text)


def has_table() -> bool:
    """Whether our table is loaded."""
    return f"table {TABLE}" in ask("list tables ip").splitlines()


def listing() -> str | None:
    """List our table as the kernel has it, without counters and expiry times; None when absent."""
    library = _library()
    library.set_stateless_output(True)
    return _table(library)


def listing6() -> str:
    """As `listing`, of our table of IPv6; '' when absent."""
    library = _library()
    library.set_stateless_output(True)
    return _table(library, TABLE6) or ""


def structure() -> str | None:
    """As `listing`, without the elements of named sets and maps, which may be millions."""
    library = _library()
    library.set_stateless_output(True)
    library.set_terse_output(True)
    return _table(library)


def structure_json(table: str = TABLE) -> list[Any] | None:
    """As `structure`, as JSON (libnftables-json(5), the list under `nftables`)."""
    library = _json_library()
    library.set_terse_output(True)
    text = _table(library, table)
    return None if text is None else _entries(text)


def contents_json(things: Iterable[str], table: str = TABLE) -> list[Any]:
    """List sets and maps of a table ('map m') one by one as JSON; absent ones are left out."""
    library = _json_library()
    return [entry for text in _contents(library, things, table).values() for entry in _entries(text)]


def _json_library() -> Any:
    library = _library()
    library.set_json_output(True)
    library.set_stateless_output(True)
    # Names of protocols are those of the machine's /etc/protocols.
    library.set_numeric_proto_output(True)
    return library


def _entries(text: str) -> list[Any]:
    import json

    entries: list[Any] = json.loads(text)["nftables"]
    return entries


def contents(things: Iterable[str]) -> dict[str, str]:
    """List sets and maps of ours ('map m') one by one, expiry times and all; absent ones are left out."""
    return _contents(_library(), things)


def _contents(library: Any, things: Iterable[str], table: str = TABLE) -> dict[str, str]:
    found: dict[str, str] = {}
    for thing in things:
        kind, _, name = thing.partition(" ")
        status, output, error = _command(library, f"list {kind} {table} {name}")
        if status == 0:
            found[thing] = str(output)
        else:
            _raise_if_user_may_not(error)
    return found


def _table(library: Any, table: str = TABLE) -> str | None:
    status, output, error = _command(library, f"list table {table}")
    if status == 0:
        return str(output)
    _raise_if_user_may_not(error)
    if "No such file or directory" in error:
        return None
    raise KernelError(f"'nft list table {table}' failed: {error.strip().splitlines()[0]}")


def element(name: str, key: str) -> str | None:
    """Look up one element of a set or map of our table: its data, '' in a set; None where there is none.

    Key and data are in nft's words ('100.64.0.1 . 5000'). nft reads all of the map: see `one_element`.
    """
    library = _library()
    library.set_stateless_output(True)
    status, output, error = _command(library, f"get element {TABLE} {name} {{ {key} }}")
    if status == 0:
        return element_data(output)
    _raise_if_user_may_not(error)
    if "No such file or directory" in error:
        return None
    raise KernelError(f"looking up an element of '{name}' failed: {error.strip().splitlines()[0]}")


def element_data(listing: str) -> str:
    r"""Read the data of the one element that was asked for. (nft 1.0.6 has no JSON of a single element.)

    >>> element_data("map m {\n\telements = { 10.0.0.1 . 80 : 203.0.113.1 . 1024 }\n}")
    '203.0.113.1 . 1024'
    """
    found = _ELEMENTS.search(listing)
    return found[1].partition(" : ")[2] if found else ""


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
    try:
        return nftables.Nftables()
    except AttributeError as error:
        # "undefined symbol": ctypes finds functions when they are first named.
        raise KernelError(
            f"{LIBRARY} on this machine is older than the Python package 'nftables' ({error}); "
            "take both from the distribution"
        ) from None


def ask(command: str) -> str:
    """The answer to one command that changes nothing; KernelError where nft has none."""
    return _answer(_library(), command)


def _answer(library: Any, command: str) -> str:
    status, output, error = _command(library, command)
    if status == 0:
        return str(output)
    _raise_if_user_may_not(error)
    raise KernelError(f"'nft {command}' failed: {error.strip().splitlines()[0]}")


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
        raise KernelError(NOT_PERMITTED.format("nftables ruleset"))
    if "Message too long" in error:
        raise TooLargeForUser(
            "the ruleset is larger than what this user may send to the kernel at once (sysctl "
            "net.core.wmem_default, with newer nft wmem_max); run as root, outside of user namespaces"
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
