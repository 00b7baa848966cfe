"""The host's half of a gateway as values: what the machine needs besides the ruleset.

Made from a site alone (`planning`), compared with a machine in `judging`, brought about by `doing`, written
as files by `bundle`. Every value carries the path of the key that asks for it. Knows nothing of the
machine.
"""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.model.ranges import Range


class Link(NamedTuple):
    """An interface that the site names; `parent` and `vid` where it is to be a VLAN of another one."""

    name: str
    path: Path
    parent: str = ""
    vid: int = 0


class Address(NamedTuple):
    """An address of the gateway on an interface; `own` is the primary one, which comes from elsewhere."""

    address: int
    interface: str
    path: Path
    own: bool = False


class LocalRoute(NamedTuple):
    """Global addresses, a CIDR block, that are the gateway's: it answers ARP for them and they do not
    loop."""

    block: Range
    path: Path


class DefaultRoute(NamedTuple):
    """The way to the Internet, through one of these interfaces."""

    interfaces: tuple[str, ...]
    path: Path


class SubscriberRoute(NamedTuple):
    """The way back to a pool's subscribers, through one of these interfaces."""

    subscribers: tuple[Range, ...]
    interfaces: tuple[str, ...]
    path: Path


class MarkRoute(NamedTuple):
    """Answers with this packet mark go to a VLAN; the routing table has the mark's number."""

    mark: int
    interface: str
    destinations: tuple[Range, ...]
    path: Path


class Mtu(NamedTuple):
    """The largest IP packet of an interface, in bytes."""

    interface: str
    bytes: int
    path: Path


class Module(NamedTuple):
    """A module of the kernel. `first_half` is the one that the kernel loads by itself where this one is
    needed, '' where none is."""

    name: str
    path: Path
    first_half: str = ""


class Sysctl(NamedTuple):
    """A setting of the kernel, spelled as sysctl(8) does: `value` or, with `at_least`, more.

    `unless` are other values that do as well. `machine`: one for the whole machine, not for each network
    namespace.
    """

    name: str
    value: int
    path: Path
    at_least: bool = False
    unless: tuple[int, ...] = ()
    machine: bool = False


class Lldp(NamedTuple):
    """Announcements to the neighbours: whether, with which name ('': the host's own), on which interfaces."""

    on: bool
    hostname: str
    interfaces: tuple[str, ...]
    path: Path


class LogReceiver(NamedTuple):
    """What a log daemon has to listen to: block assignments (NFLOG), connections (conntrack events)."""

    assignments: bool
    connections: bool
    path: Path


class VrrpInstance(NamedTuple):
    """VRRP on one interface: what moves there. `more` are addresses that no advert has room for."""

    interface: str
    router_id: int
    own: str
    peer: str
    virtual: tuple[str, ...]
    more: tuple[str, ...]


class PairPlan(NamedTuple):
    """One node's half of its pair. `unsynced` are addresses whose connections are the nodes' own."""

    name: str
    node: str
    priority: int
    advert: str
    unicast: bool
    instances: tuple[VrrpInstance, ...]
    sync_interface: str
    sync_own: str
    sync_peer: str
    unsynced: tuple[str, ...]
    has_copies: bool
    path: Path


class HostPlan(NamedTuple):
    """What a site needs of its host. `lldp` and `log_daemon` are None where the site does not ask for them;
    `log` is what the ruleset sends, asked for or not; `opens_ports` the key by which subscribers open
    ports, if any may."""

    links: tuple[Link, ...]
    addresses: tuple[Address, ...]
    local_routes: tuple[LocalRoute, ...]
    default_route: DefaultRoute
    subscriber_routes: tuple[SubscriberRoute, ...]
    mark_routes: tuple[MarkRoute, ...]
    mtus: tuple[Mtu, ...]
    modules: tuple[Module, ...]
    sysctls: tuple[Sysctl, ...]
    lldp: Lldp | None
    log: LogReceiver | None
    log_daemon: LogReceiver | None
    pair: PairPlan | None = None
    node: str = ""
    opens_ports: Path | None = None
