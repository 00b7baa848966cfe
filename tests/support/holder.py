"""The process that has the lab's namespaces: it makes them, and does in them what the lab asks."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle

from support.waiting import PATIENCE
from support.wires import GATEWAY, INSIDE, OUTSIDE, Wire, mac_text

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1
SOL_PACKET, PACKET_IGNORE_OUTGOING, ETH_P_ALL = 263, 23, 3
SO_ATTACH_FILTER, SKF_AD_VLAN_TAG_PRESENT = 26, 0xFFFFF030
UNTAGGED = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, SKF_AD_VLAN_TAG_PRESENT),
        (0x15, 0, 1, 0),
        (0x06, 0, 0, 0xFFFFFFFF),
        (0x06, 0, 0, 0),
    )
)
"""A classic BPF program: frames without a VLAN tag. Those with one come out of the VLAN's interface too."""


class Unavailable(Exception):
    """This machine does not let us build the lab; the message says why."""


def hold(pipe: Connection, other_end: Connection) -> None:
    """The holder's whole life: make the namespaces, then work in them until nobody asks any more."""
    other_end.close()
    _system("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        _make_namespaces()
    except OSError as error:
        pipe.send(("error", Unavailable(f"no network namespaces: {error}")))
        return
    pipe.send(("value", None))
    while True:
        try:
            side, work, arguments = pipe.recv()
        except EOFError:
            return
        try:
            _system("setns", NAMESPACES[side], CLONE_NEWNET)
            answer = work(*arguments)
        except Exception as error:
            pipe.send(("error", error))
            continue
        if isinstance(answer, socket.socket):
            pipe.send(("socket", None))
            send_handle(pipe, answer.fileno(), os.getppid())
            answer.close()
        else:
            pipe.send(("value", answer))


NAMESPACES: dict[str, int] = {}


def _make_namespaces() -> None:
    user, group = os.geteuid(), os.getegid()
    try:
        _system("unshare", CLONE_NEWNET)
    except PermissionError:
        _system("unshare", CLONE_NEWUSER | CLONE_NEWNET)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    for side in (GATEWAY, INSIDE, OUTSIDE):
        _system("unshare", CLONE_NEWNET)
        NAMESPACES[side] = os.open("/proc/self/ns/net", os.O_RDONLY)


def _system(name: str, *arguments: int) -> None:
    """Call the C library. (os.setns and os.unshare came with Python 3.12.)"""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def run(command: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        pass_fds=tuple(NAMESPACES.values()),
    )


def link(side: str, wires: Sequence[Wire]) -> None:
    """Lay the wires between the gateway, where we are, and one side."""
    for wire in wires:
        if not _link_tagged(wire, side):
            _link_plain(wire, side)


def _link_plain(wire: Wire, side: str) -> None:
    near, far = mac_text(wire.mac(1)), mac_text(wire.mac(2))
    peer = ("peer", "name", wire.name, "address", far, "netns", f"/proc/self/fd/{NAMESPACES[side]}")
    done = run(("ip", "link", "add", wire.name, "address", near, "type", "veth", *peer), "")
    if done.returncode:
        raise OSError(done.stderr.strip())


def _link_tagged(wire: Wire, side: str) -> bool:
    """A VLAN on the wire whose name it begins with; False where it is none, or the kernel has no VLANs."""
    parent, _, vid = wire.name.partition(".")
    if not vid:
        return False
    for where, end in ((GATEWAY, 1), (side, 2)):
        _system("setns", NAMESPACES[where], CLONE_NEWNET)
        add = ("ip", "link", "add", "link", parent, "name", wire.name, "address", mac_text(wire.mac(end)))
        done = run((*add, "type", "vlan", "id", vid), "")
        if done.returncode:
            _system("setns", NAMESPACES[GATEWAY], CLONE_NEWNET)
            return False
    _system("setns", NAMESPACES[GATEWAY], CLONE_NEWNET)
    return True


def sysctls(values: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Write sysctls; what was there before."""
    before = []
    for name, value in values:
        with open(f"/proc/sys/{name}") as file:
            before.append((name, file.read().strip()))
        with open(f"/proc/sys/{name}", "w") as file:
            file.write(value)
    return before


def far_end(name: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    program = ctypes.create_string_buffer(UNTAGGED)
    filter_ = struct.pack("HL", len(UNTAGGED) // 8, ctypes.addressof(program))
    end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)
    end.bind((name, 0))
    return end


def bound_socket(kind: int, address: tuple[str, int]) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(address)
    return made


def place(side: str) -> str:
    """The path of a namespace, for commands that run in another one."""
    return f"/proc/self/fd/{NAMESPACES[side]}"
