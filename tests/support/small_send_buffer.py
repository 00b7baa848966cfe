"""A program: run a command whose sockets keep the send buffer that they are made with (wmem_default).

    python small_send_buffer.py COMMAND...

nft 1.1 makes its buffer as large as net.core.wmem_max allows, which is the machine's: 208 KB, with newer
kernels 4 MB. A filter of system calls lets `setsockopt` succeed without effect, as the kernel does where the
buffer has the size of wmem_max already.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SO_SNDBUFFORCE = 32
SETSOCKOPT = {"x86_64": 54, "aarch64": 208, "riscv64": 208}
NUMBER, LEVEL, OPTION = 0, 24, 32
"""Offsets in `struct seccomp_data`: the call's number, and the low halves of its arguments 2 and 3."""
LOAD, EQUAL, ANSWER = 0x20, 0x15, 0x06
ALLOWED, DONE = 0x7FFF0000, 0x00050000


def rules(setsockopt: int) -> bytes:
    """A classic BPF program: the two options of the send buffer change nothing, all else is the kernel's."""
    instructions = (
        (LOAD, 0, 0, NUMBER),
        (EQUAL, 0, 5, setsockopt),
        (LOAD, 0, 0, LEVEL),
        (EQUAL, 0, 3, socket.SOL_SOCKET),
        (LOAD, 0, 0, OPTION),
        (EQUAL, 2, 0, socket.SO_SNDBUF),
        (EQUAL, 1, 0, SO_SNDBUFFORCE),
        (ANSWER, 0, 0, ALLOWED),
        (ANSWER, 0, 0, DONE),
    )
    return b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)


class Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("rules", ctypes.c_char_p))


def main() -> None:
    program = rules(SETSOCKOPT[platform.machine()])
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    filtered = Program(len(program) // 8, program)
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filtered)
    ):
        sys.exit(f"no filter of system calls: {os.strerror(ctypes.get_errno())}")
    with socket.socket() as link:
        before = link.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * before)
        if link.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) != before:
            sys.exit("the filter of system calls has no effect")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
