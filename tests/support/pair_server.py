"""The Internet of the pair's lab: it answers with the address and port that a packet came from.

Run as a program in the namespace of the outside. A datagram 'other' is answered from another port, which only
endpoint-independent filtering lets in.
"""

from __future__ import annotations

import selectors
import socket
import sys

PORTS = (7000, 7001, 7002, 8080)
OTHER_PORT = 20000
IP_PKTINFO = 8
"""linux/in.h; Python has no name for it."""


def main() -> None:
    """Echo until killed; says 'ready' first."""
    selector = selectors.DefaultSelector()
    for port in PORTS:
        listener = socket.create_server(("0.0.0.0", port), backlog=1024)
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, accept)
        selector.register(bound(port), selectors.EVENT_READ, echo)
    global other
    other = bound(OTHER_PORT)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            try:
                key.data(selector, key.fileobj)
            except OSError:
                continue


def bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    made.bind(("0.0.0.0", port))
    made.setblocking(False)
    return made


def accept(selector: selectors.BaseSelector, listener: socket.socket) -> None:
    link, _ = listener.accept()
    link.setblocking(False)
    selector.register(link, selectors.EVENT_READ, speak)


def speak(selector: selectors.BaseSelector, link: socket.socket) -> None:
    try:
        data = link.recv(65536)
    except ConnectionError:
        data = b""
    if not data:
        selector.unregister(link)
        link.close()
        return
    address, port = link.getpeername()
    link.send(b"".join(b"%s %d\n" % (address.encode(), port) for _ in range(data.count(b"\n"))))


def echo(_: selectors.BaseSelector, link: socket.socket) -> None:
    data, extra, _, (address, port) = link.recvmsg(2048, 256)
    answer = b"%s %d" % (address.encode(), port)
    if data.startswith(b"other"):
        # From the address that was asked, but another port.
        other.sendmsg([b"inbound"], _from(extra), 0, (address, port))
    else:
        link.sendmsg([answer], _from(extra), 0, (address, port))


def _from(extra: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """The control message that makes an answer come from the address that was asked."""
    return [
        (socket.IPPROTO_IP, IP_PKTINFO, b"\0" * 4 + data[8:12] + b"\0" * 4)
        for level, kind, data in extra
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO)
    ]


if __name__ == "__main__":
    sys.exit(main())
