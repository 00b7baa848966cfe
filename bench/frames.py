"""Whole frames, by the ten thousand: the sender costs next to nothing."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Sequence

from measure import Failed


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    ]


class Batch:
    """Frames of equal length, ready for `sendmmsg`: the sender itself costs next to nothing."""

    AT_ONCE = 1024

    def __init__(self, frames: Sequence[bytes], times: int = 1) -> None:
        """Frames in order, the whole list `times` times over."""
        size = len(frames[0])
        self._data = ctypes.create_string_buffer(b"".join(frames), size * len(frames))
        start = ctypes.addressof(self._data)
        self.count = len(frames) * times
        self._vectors = (_Vector * len(frames))(
            *(_Vector(start + size * i, size) for i in range(len(frames)))
        )
        first, step = ctypes.addressof(self._vectors), ctypes.sizeof(_Vector)
        at = [first + step * i for i in range(len(frames))]
        self._messages = (_Message * self.count)(
            *(_Message(None, 0, at[i % len(at)], 1, None, 0, 0, 0, 0) for i in range(self.count))
        )
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._send.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]

    def send(self, through: socket.socket) -> None:
        """Send all of them, in order."""
        descriptor = through.fileno()
        start, step, done = ctypes.addressof(self._messages), ctypes.sizeof(_Message), 0
        while done < self.count:
            size = min(self.AT_ONCE, self.count - done)
            sent = self._send(descriptor, start + done * step, size, 0)
            if sent <= 0:
                raise Failed(f"sendmmsg: {os.strerror(ctypes.get_errno())}")
            done += sent


def packet_socket(interface: str) -> socket.socket:
    """A socket for whole frames on an interface of the current namespace; it sends and, bound, receives."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    made.bind((interface, 0))
    return made
