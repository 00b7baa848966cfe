"""What the two nodes of a pair tell each other over the sync link: a question and a JSON document at a time.

The link is theirs alone, as conntrackd and VRRP need it too: only the peer's address is answered, and nothing
that is read changes anything but the copy of its assignments.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

from nfcompile.kernel import KernelError, netns
from nfcompile.model.ranges import address_text

PORT = 3781
SECONDS = 3.0
MOST = 64 << 20
QUESTION_BYTES = 64

Answer = Callable[[str], dict[str, Any]]


def ask(own: int, peer: int, question: str, namespace: str | None) -> dict[str, Any] | None:
    """The peer's answer; None where it gives none in time."""

    def connected() -> socket.socket:
        return socket.create_connection(
            (address_text(peer), PORT), timeout=SECONDS, source_address=(address_text(own), 0)
        )

    try:
        with netns.beside(namespace, connected) as link:
            link.sendall(question.encode() + b"\n")
            data = bytearray()
            while part := link.recv(1 << 16):
                data += part
                if len(data) > MOST:
                    return None
        found = json.loads(data)
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def listen(own: int, namespace: str | None) -> socket.socket:
    """A socket that listens on the sync address. Raises KernelError."""

    def make() -> socket.socket:
        return socket.create_server((address_text(own), PORT))

    try:
        return netns.beside(namespace, make)
    except OSError as error:
        raise KernelError(f"cannot listen at {address_text(own)}:{PORT}: {error.strerror}") from None


def serve_one(server: socket.socket, peer: int, answer: Answer) -> None:
    """Answer one question of the peer; whatever goes wrong with it ends only that."""
    try:
        link, (source, _) = server.accept()
    except OSError:
        return
    with link:
        if source != address_text(peer):
            return
        link.settimeout(SECONDS)
        try:
            question = link.recv(QUESTION_BYTES).decode("ascii", "replace").strip()
            link.sendall(json.dumps(answer(question)).encode())
        except OSError:
            return
        except KernelError as error:
            link.sendall(json.dumps({"error": str(error)}).encode())
