"""What a command line says of an output: its destination, and the settings that some kinds want."""

from __future__ import annotations

from typing import NamedTuple


class BadDestination(ValueError):
    """A destination that cannot be followed."""


class OutputSettings(NamedTuple):
    """What outputs that hold the logs of many gateways want to know: this gateway's name, and after how many
    days to drop records (0: never)."""

    gateway: str = ""
    keep: int = 0


NO_SETTINGS = OutputSettings()


def host_and_port(text: str) -> tuple[str, int]:
    """Read HOST:PORT; an IPv6 host stands in brackets. Raises BadDestination.

    >>> host_and_port("[::1]:4739")
    ('::1', 4739)
    """
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise BadDestination(f"'{text}' is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
