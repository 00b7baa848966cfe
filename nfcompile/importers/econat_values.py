"""Values of EcoNAT's parameters -> the site's, and which type of pool has which of them."""

from __future__ import annotations

from collections.abc import Callable

from nfcompile.importers import values
from nfcompile.source.layout import Item, LaidOutNode, Scalar, mapping, scalar, sequence

TYPES = ("cgnat", "nat", "static", "fake")
NEEDED = {"cgnat": "global_ip", "nat": "global_ip", "static": "global_map"}
OF_TYPE = {
    "global_ip": ("cgnat", "nat"),
    "port_range": ("cgnat",),
    "global_map": ("static",),
    "allow_external_connect": ("nat", "static"),
    "limits_peruser": ("cgnat",),
}
"""Parameters that some types of pools do not have."""
SWITCHES = ("enable", "hairpin", "allow_external_connect", "connection_logging", "randomize_ports")


class NotAccepted(Exception):
    """A value that a site does not accept."""


def priority(words: tuple[str, ...]) -> LaidOutNode:
    """The value of `priority`. Raises NotAccepted."""
    return scalar(whole_number(words[0]))


def whole_number(text: str) -> int:
    """A whole number of at most ten digits. Raises NotAccepted."""
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        raise NotAccepted(f"'{text}' is not a number")
    return int(text)


def word_of(words: tuple[str, ...]) -> Scalar:
    """A value of the device: one word, or one number. Raises NotAccepted."""
    if len(words) != 1:
        raise NotAccepted("one word is needed")
    text = words[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 else text.strip('"')


def _switch(words: tuple[str, ...]) -> LaidOutNode:
    if words[0] not in ("on", "off", "enable", "disable"):
        raise NotAccepted(f"'{words[0]}' is not on or off")
    return scalar("on" if words[0] in ("on", "enable") else "off")


def _addresses(words: tuple[str, ...]) -> LaidOutNode:
    for word in words:
        values.addresses(word)
    return sequence(list(words), flow=True)


def _port_range(words: tuple[str, ...]) -> LaidOutNode:
    found = values.ports(words[0])
    return scalar(f"{max(found.first, 1)}-{found.last}")


def _map(words: tuple[str, ...]) -> LaidOutNode:
    items = []
    for word in words:
        local, dash, there = word.partition("-")
        if not dash:
            raise NotAccepted(f"'{word}' is not a pair of addresses")
        values.addresses(local.partition("~")[0])
        values.addresses(there)
        items.append(Item(local, scalar(there)))
    return mapping(*items)


PARAMETERS: dict[str, Callable[[tuple[str, ...]], LaidOutNode]] = {
    "global_ip": _addresses,
    "global_map": _map,
    "port_range": _port_range,
    **dict.fromkeys(SWITCHES, _switch),
}
"""Readers of a pool's parameters; each raises NotAccepted, Unreadable or ValueError."""

DEVICE = (
    "vlan_mode", "sessions_per_translation", "udp_inbound_refresh", "l2mtu", "port_block_size",
    "portlimit_low", "low_to_all_udp", "lldp", "lldp_hostname", "permit_invalid_flow",
)  # fmt: skip
"""The parameters of the device that a site has too."""
