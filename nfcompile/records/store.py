"""The state directory: the history, appended line by line, and every site in it, once, under its digest.

    DIR/history.jsonl    one event a line, each written at once and synced
    DIR/sites/<sha256>   a site as it was given
    DIR/reserve          4 KB that are given up when the disk is full, so that a change can end its line
    DIR/lock             held while a change is made
    DIR/netns/<name>/    the same for a network namespace that was named

Nothing is ever taken out. Directories are made with mode 0700 whatever the umask; one that others can write,
or that belongs to another user, is refused: its sites are loaded by root. Knows no YAML and no ruleset.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

from nfcompile import durable
from nfcompile.kernel import KernelError, netns
from nfcompile.records import history
from nfcompile.records.clock import ClockReading, microseconds
from nfcompile.records.history import Event, EventLog

DEFAULT = "/var/lib/nfcompile"
NAMESPACES = "netns"
HISTORY = "history.jsonl"
LOADED, LOADED_TEXT = "loaded", "loaded.nft"
RESERVE_BYTES = 4096
UNWRITABLE = frozenset((errno.EROFS, errno.ENOSPC, errno.EDQUOT))
SO_NETNS_COOKIE = 71
"""Linux 5.14, asm-generic/socket.h: a number that no two namespaces of a boot ever share."""


class StateError(KernelError):
    """The state directory cannot be used."""

    def __init__(self, message: str, forbidden: bool = False) -> None:
        super().__init__(message)
        self.forbidden = forbidden


class StateDir(NamedTuple):
    """The records of one gateway: their directory, and the network namespace that they are about.

    `netns` is a name, a path, or None for our own; `kernel` identifies the boot and the namespace.
    """

    path: str
    netns: str | None
    kernel: str


def state_dir(root: str | None, namespace: str | None) -> StateDir:
    """The records of a namespace below `root`; None is the default root. Raises KernelError."""
    path = directory(root or DEFAULT, namespace)
    return StateDir(os.path.abspath(path), namespace, identity(namespace))


def directory(root: str, namespace: str | None) -> str:
    """Where the history of a namespace is; `namespace` is a name, a path, or None for our own.

    Under `ip netns exec NAME` our own is that of NAME.

    >>> directory("/s", "gw"), directory("/s", "/run/netns/gw")
    ('/s/netns/gw', '/s/netns/gw')
    >>> directory("/s", "/proc/7/ns/net")
    '/s/netns/%2Fproc%2F7%2Fns%2Fnet'
    """
    namespace = namespace or netns.own_name()
    if namespace is None:
        return root
    folder, _, last = namespace.rpartition("/")
    if folder and os.path.realpath(folder) == str(netns.NAMED):
        namespace = last
    name = quote(namespace, safe="")
    return os.path.join(root, NAMESPACES, f"%{name}" if name in (".", "..") else name)


def read(path: str) -> EventLog:
    """The history of a state directory; empty where there is none."""
    refuse_unsafe(path)
    try:
        with open(os.path.join(path, HISTORY), "rb") as file:
            return history.read(file.read())
    except FileNotFoundError:
        return EventLog(())
    except OSError as error:
        raise _unusable("read", path, error) from None


def site(path: str, name: str) -> bytes:
    """The text of a site of the history by its digest. Raises StateError where it is not what it was."""
    refuse_unsafe(path)
    try:
        with open(os.path.join(path, "sites", name), "rb") as file:
            data = file.read()
    except OSError as error:
        raise _unusable("read", path, error) from None
    if digest(data) != name:
        raise StateError(f"'{os.path.join(path, 'sites', name)}' is damaged: its content has another digest")
    return data


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Wait until no other process makes a change, and make the directory; what a killed one had begun to
    write is removed."""
    refuse_unsafe(path)
    sites = os.path.join(path, "sites")
    try:
        _make(sites)
        descriptor = _lock(path)
    except OSError as error:
        raise _unusable("write", path, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for folder in (path, sites):
            durable.sweep(folder)
        yield
    finally:
        os.close(descriptor)


def digest(data: bytes) -> str:
    """The name of a site's text."""
    return hashlib.sha256(data).hexdigest()


def keep(path: str, data: bytes) -> str:
    """Store a site, whole or not at all, and put the reserve by; its digest."""
    name = digest(data)
    try:
        durable.replace(os.path.join(path, "reserve"), b"\0" * RESERVE_BYTES)
        target = os.path.join(path, "sites", name)
        if not os.path.exists(target):
            durable.replace(target, data)
    except OSError as error:
        raise _unusable("write", path, error) from None
    return name


def put(path: str, name: str, data: bytes) -> None:
    """Store a file of the state directory, whole or not at all."""
    try:
        durable.replace(os.path.join(path, name), data)
    except OSError as error:
        raise _unusable("write", path, error) from None


def append(path: str, event: Event, reserve: bool = True) -> None:
    """Add an event, and return when it is on the disk; on a full one the reserve is given up for it."""
    name = os.path.join(path, HISTORY)
    try:
        try:
            _append(name, history.line(event))
        except OSError as error:
            if not reserve or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            os.unlink(os.path.join(path, "reserve"))
            _append(name, history.line(event))
    except OSError as error:
        raise _unusable("write", path, error) from None


def loaded(state: StateDir) -> tuple[int, str] | None:
    """The generation of the ruleset that had a text of ours, and that text's digest; None where it is not
    known for this boot and namespace. Only a hint: the kernel is asked whether it is still true."""
    try:
        refuse_unsafe(state.path)
        with open(os.path.join(state.path, LOADED)) as file:
            kernel, generation, name = file.read().split()
    except (OSError, ValueError, KernelError):
        return None
    return (int(generation), name) if kernel == state.kernel and generation.isdigit() else None


def note_loaded(state: StateDir, generation: int, text: str) -> None:
    """Remember what `loaded` says; where it cannot be written, the next `apply` lists the table."""
    data = text.encode()
    line = f"{state.kernel} {generation} {digest(data)}\n"
    with suppress(OSError):
        durable.replace(os.path.join(state.path, LOADED), line.encode())
        durable.replace(os.path.join(state.path, LOADED_TEXT), data)


def loaded_text(state: StateDir, name: str) -> str | None:
    """The text of ours that has this digest, if it is the one that was loaded last."""
    try:
        with open(os.path.join(state.path, LOADED_TEXT), "rb") as file:
            data = file.read()
    except OSError:
        return None
    return data.decode() if digest(data) == name else None


def identity(namespace: str | None) -> str:
    """This boot and that network namespace: another one of the same name is not the same."""
    return f"{_boot()}/{netns.inside(namespace, _cookie)}"


def uptime() -> float:
    """Seconds since the machine was started, suspended or not."""
    import time

    return round(time.clock_gettime(time.CLOCK_BOOTTIME), 3)


def seconds_left(trial: Event) -> float:
    """How long a trial has still to go; 0 or less where its time is over."""
    return trial.uptime + (trial.seconds or 0) - uptime()


def clock() -> ClockReading:
    """The present clock and uptime of this machine."""
    boot = _boot()
    since = uptime()
    return ClockReading(boot, round(since * 1_000_000), microseconds(now()))


def now() -> str:
    """The time as the history writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _cookie() -> int:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        return int.from_bytes(asking.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")


def _append(name: str, line: bytes) -> None:
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        end = os.fstat(descriptor).st_size
        if end and os.pread(descriptor, 1, end - 1) != b"\n":
            line = b"\n" + line  # what a crash has torn stays a line of its own
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    durable.sync_folder(os.path.dirname(name))


def refuse_unsafe(path: str) -> None:
    """Raise StateError where another user could have written the history or its sites."""
    checked = [path, os.path.join(path, "sites"), os.path.join(path, HISTORY)]
    above, name = os.path.split(os.path.dirname(path))
    if name == NAMESPACES:
        checked += [above, os.path.join(above, name)]
    for one in checked:
        try:
            found = os.stat(one)
        except OSError:
            continue
        if found.st_uid not in (0, os.geteuid()):
            raise StateError(f"the state directory is not used: '{one}' belongs to user {found.st_uid}")
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky:
            raise StateError(
                f"the state directory is not used: other users can write '{one}'; "
                "see that nothing was changed there, then 'chmod go-w' it"
            )


def _make(folder: str) -> None:
    """Make a directory and those above it that are missing, for this user alone."""
    folder = os.path.abspath(folder)
    if os.path.isdir(folder):
        return
    _make(os.path.dirname(folder))
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        os.chmod(folder, 0o700)


def _lock(path: str) -> int:
    """Open what is locked. On a disk that is full or read-only a lock is still possible: `boot` needs it."""
    name = os.path.join(path, "lock")
    try:
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
    try:
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _unusable(verb: str, path: str, error: OSError) -> StateError:
    forbidden = error.errno in (errno.EACCES, errno.EPERM)
    return StateError(f"cannot {verb} the state directory '{path}': {error.strerror}", forbidden)
