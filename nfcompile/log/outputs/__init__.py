"""Where records can go: one kind, one file; OUTPUTS is the table by what a destination begins with."""

from __future__ import annotations

from collections.abc import Callable

from nfcompile.log.delivery import Output


class BadDestination(ValueError):
    """A destination that cannot be followed."""


def _json_lines(destination: str) -> Output:
    from nfcompile.log.outputs.json_lines import JsonLines

    return JsonLines(destination)


def _ipfix_udp(destination: str) -> Output:
    from nfcompile.log.outputs.ipfix_udp import IpfixUdp

    return IpfixUdp(*host_and_port(destination))


def _ipfix_tcp(destination: str) -> Output:
    from nfcompile.log.outputs.ipfix_tcp import IpfixTcp

    return IpfixTcp(*host_and_port(destination))


OUTPUTS: dict[str, Callable[[str], Output]] = {
    "json:": _json_lines,
    "ipfix+udp://": _ipfix_udp,
    "ipfix+tcp://": _ipfix_tcp,
}


def opened(destination: str) -> Output:
    """The output of that name. Raises BadDestination."""
    for word, make in OUTPUTS.items():
        if destination.startswith(word) and destination != word:
            return make(destination.removeprefix(word))
    known = ", ".join(f"{word}..." for word in OUTPUTS)
    raise BadDestination(f"'{destination}' is no destination; there are {known}")


def host_and_port(text: str) -> tuple[str, int]:
    """Read HOST:PORT; an IPv6 host stands in brackets. Raises BadDestination.

    >>> host_and_port("[::1]:4739")
    ('::1', 4739)
    """
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise BadDestination(f"'{text}' is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
