"""Network namespaces: do a piece of work in one, while the calling process stays where it is.

The work runs in a forked child, which enters the namespace and sends its result back. Knows nothing
of nft.
"""

from __future__ import annotations

import os
import pickle
import traceback
from _thread import allocate_lock
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nfcompile.kernel import KernelError, interrupts

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
NAMED = Path("/run/netns")

no_fork = allocate_lock()
"""A thread holds it while it imports modules: a child that is forked meanwhile would wait for ever for the
locks of these modules."""

T = TypeVar("T")


def inside(netns: str | None, work: Callable[[], T]) -> T:
    """Do the work in the namespace of that name (as `ip netns` knows it) or path; None is our own."""
    if netns is None:
        return work()
    descriptor = _descriptor(netns)
    try:
        return _in_child(lambda: _enter(descriptor, netns), work)
    finally:
        os.close(descriptor)


def beside(netns: str | None, make: Callable[[], T]) -> T:
    """Make something that belongs to a namespace for good, such as a socket, and bring it here.

    A thread of our own enters the namespace and ends: what it made can be used from here on.
    """
    if netns is None:
        return make()
    from concurrent.futures import ThreadPoolExecutor

    def work() -> T:
        _enter(descriptor, netns)
        return make()

    descriptor = _descriptor(netns)
    try:
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(work).result()
    finally:
        os.close(descriptor)


def own_name() -> str | None:
    """The name under which `ip netns` knows our own namespace; None for that of the machine."""
    own = os.stat("/proc/self/ns/net")
    try:
        if os.path.samestat(own, os.stat("/proc/1/ns/net")):
            return None
    except OSError:
        pass  # an ordinary user may not look at process 1
    try:
        return next((one.name for one in os.scandir(NAMED) if os.path.samestat(own, one.stat())), None)
    except OSError:
        return None


def in_scratch(work: Callable[[], T]) -> T:
    """Do the work in a new, empty namespace that vanishes with it; works without root, too."""
    return _in_child(_unshare, work)


def _descriptor(netns: str) -> int:
    path = Path(netns) if "/" in netns else NAMED / netns
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError(f"cannot open network namespace '{path}': {error.strerror}") from None


def _enter(descriptor: int, name: str) -> None:
    if error := _system("setns", descriptor, CLONE_NEWNET):
        raise KernelError(f"cannot enter network namespace '{name}': {error}")


def _unshare() -> None:
    if not _system("unshare", CLONE_NEWNET):
        return
    if error := _system("unshare", CLONE_NEWUSER | CLONE_NEWNET):
        raise KernelError(f"cannot make a scratch network namespace: {error}")


def _system(name: str, *arguments: int) -> str:
    """Call the C library; '' or what went wrong. (os.setns and os.unshare came with Python 3.12.)"""
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    return "" if function(*arguments) == 0 else os.strerror(ctypes.get_errno())


def _in_child(enter: Callable[[], None], work: Callable[[], T]) -> T:
    reading, writing = os.pipe()
    with no_fork:
        child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(writing, enter, work)
    os.close(writing)
    with interrupts.passed_on(child), open(reading, "rb") as pipe:
        sent = pipe.read()
    _, status = os.waitpid(child, 0)
    if not sent:
        raise KernelError(f"the child process that asked the kernel died (wait status {status})")
    result, error = pickle.loads(sent)
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _answer(writing: int, enter: Callable[[], None], work: Callable[[], object]) -> None:
    """The child's whole life: enter, work, send (result, error), and leave without any clean-up."""
    try:
        try:
            enter()
            sent = pickle.dumps((work(), None))
        except (Exception, KeyboardInterrupt) as error:
            if not isinstance(error, KernelError | KeyboardInterrupt):
                error.add_note(traceback.format_exc())
            sent = pickle.dumps((None, error))
        with open(writing, "wb") as pipe:
            pipe.write(sent)
    finally:
        os._exit(0)
