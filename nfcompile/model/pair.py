"""The values of `pairs` and `nodes`: two gateways that stand in for each other, and what each has alone."""

from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.model.ranges import address_text


class InterfaceAddress(NamedTuple):
    """An address with its prefix length on an interface."""

    path: Path
    interface: str
    address: int
    length: int

    @property
    def text(self) -> str:
        return f"{address_text(self.address)}/{self.length}"

    def shares_network(self, other: "InterfaceAddress") -> bool:
        """Whether both are on one interface and in one network."""
        away = 32 - min(self.length, other.length)
        return self.interface == other.interface and self.address >> away == other.address >> away


class SyncLink(NamedTuple):
    """The link by which a node tells its peer of its connections."""

    path: Path
    interface: str
    address: int


class Node(NamedTuple):
    """One gateway of a fleet. `pair` is the name of its pair, None where it stands alone."""

    path: Path
    name: str
    pair: str | None
    priority: int
    sync: SyncLink | None
    addresses: tuple[InterfaceAddress, ...]


class Pair(NamedTuple):
    """Two nodes: `advert` is in seconds; `nodes` are all that name the pair, in the order of the site."""

    path: Path
    name: str
    virtual: tuple[InterfaceAddress, ...]
    virtual_router_id: int
    advert: float
    unicast: bool
    nodes: tuple[Node, ...]

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Interfaces with a virtual address, each once."""
        return tuple(dict.fromkeys(one.interface for one in self.virtual))

    @property
    def router_ids(self) -> tuple[int, ...]:
        """VRRP's number on each of these interfaces."""
        return tuple(range(self.virtual_router_id, self.virtual_router_id + len(self.interfaces)))

    def peer(self, node: Node) -> Node | None:
        """The other node of the pair."""
        return next((one for one in self.nodes if one.name != node.name), None)
