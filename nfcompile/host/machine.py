"""What is there: the network of a namespace and, without one, the rest of the machine, read at one time.

A Machine is plain values, so what follows from it (`judging`) can be tested without one. Everything is
read, and nothing is changed, here.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.host import daemons
from nfcompile.host.daemons import Daemons
from nfcompile.host.plan import HostPlan
from nfcompile.kernel import netns, network
from nfcompile.kernel.network import HostLink, RoutingRule
from nfcompile.model.ranges import Range

if TYPE_CHECKING:
    from socket import socket

SOMEWHERE = 0x01010101
"""1.1.1.1: an address that only a default route, or a full table of the Internet, leads to. Nothing is
sent."""
NOWHERE = (network.BLACKHOLE, network.UNREACHABLE, network.PROHIBIT)
INTERFACES = "net.ipv4.conf"
MODULES, CONNTRACK = "/proc/modules", "/proc/sys/net/netfilter"


class AddressSeen(NamedTuple):
    """An address of the host, and the name of its interface."""

    address: int
    interface: str


class RouteSeen(NamedTuple):
    """A route: to where, of which type (network.UNICAST and so on), through which interface."""

    destination: Range
    type: int
    interface: str


class SysctlSeen(NamedTuple):
    """A setting of the kernel; one that may not be written belongs to another namespace."""

    value: int
    writable: bool


class Machine(NamedTuple):
    """What was found. `way_out` is the interface through which the Internet is reached, '' for none; `routes`
    are those of the site's interfaces, of the table `local`, and null routes. `forwarding` are the settings
    that the kernel changes when forwarding is switched. `daemons` is None in a named namespace."""

    links: dict[str, HostLink]
    addresses: tuple[AddressSeen, ...]
    routes: tuple[RouteSeen, ...]
    marked: dict[int, tuple[RouteSeen, ...]]
    rules: tuple[RoutingRule, ...]
    way_out: str
    sysctls: dict[str, SysctlSeen]
    forwarding: tuple[tuple[str, int], ...]
    tracks: bool
    modules: frozenset[str]
    loadable: frozenset[str]
    daemons: Daemons | None


def observe(plan: HostPlan, namespace: str | None) -> Machine:
    """Read everything that a plan is about; in a named namespace, what belongs to it."""
    network = netns.inside(namespace, lambda: _network(plan))
    modules, loadable = _loaded(), _loadable(one.name for one in plan.modules)
    beside = None if namespace is not None else daemons.observe(plan)
    return network._replace(modules=modules, loadable=loadable, daemons=beside)


def sysctl_file(name: str) -> str:
    """The file of a setting.

    >>> sysctl_file("net.ipv4.conf.lan0/102.rp_filter")
    '/proc/sys/net/ipv4/conf/lan0.102/rp_filter'
    """
    return "/proc/sys/" + name.translate(str.maketrans("./", "/."))


def read_sysctl(name: str) -> SysctlSeen | None:
    """Its value, None where the kernel has no such setting."""
    try:
        with open(sysctl_file(name)) as file:
            value = int(file.read())
            return SysctlSeen(value, bool(os.fstat(file.fileno()).st_mode & 0o200))
    except (OSError, ValueError):
        return None


def _network(plan: HostPlan) -> Machine:
    with network.opened() as asking:
        links = network.links(asking)
        spelled = {link.number: name for name, link in links.items()}
        way_out = network.way(asking, SOMEWHERE)
        addresses = network.addresses(asking)
        return Machine(
            links,
            tuple(AddressSeen(one.address, spelled.get(one.interface, "")) for one in addresses),
            tuple(_spelled(_routes(asking, plan, links), spelled)),
            {
                one.mark: tuple(_spelled(network.routes(asking, table=one.mark), spelled))
                for one in plan.mark_routes
            },
            network.rules(asking),
            spelled.get(way_out or 0, ""),
            dict(_sysctls(plan)),
            tuple(_forwarding()),
            os.path.isdir(CONNTRACK),
            frozenset(),
            frozenset(),
            None,
        )


def _routes(asking: socket, plan: HostPlan, links: dict[str, HostLink]) -> Iterator[network.Route]:
    yield from network.routes(asking, table=network.LOCAL_TABLE)
    for kind in NOWHERE:
        yield from network.routes(asking, type=kind)
    for wanted in plan.links:
        if wanted.name in links:
            yield from network.routes(asking, interface=links[wanted.name].number)


def _spelled(routes: Iterable[network.Route], names: dict[int, str]) -> Iterator[RouteSeen]:
    for one in routes:
        yield RouteSeen(one.destination, one.type, names.get(one.interface, ""))


def _sysctls(plan: HostPlan) -> Iterator[tuple[str, SysctlSeen]]:
    for one in plan.sysctls:
        for name in (one.name, *larger(one.name)):
            found = read_sysctl(name)
            if found is not None:
                yield name, found


def _forwarding() -> Iterator[tuple[str, int]]:
    """inet_forward_change in net/ipv4/devinet.c sets these for all interfaces."""
    for path in sorted(glob.glob(sysctl_file(f"{INTERFACES}.*.forwarding"))):
        name = f"{INTERFACES}.{path.split('/')[-2].replace('.', '/')}.forwarding"
        seen = read_sysctl(name)
        if seen is not None and path.split("/")[-2] != "all":  # which is ip_forward itself
            yield name, seen.value
    accepts = f"{INTERFACES}.all.accept_redirects"
    seen = read_sysctl(accepts)
    if seen is not None:
        yield accepts, seen.value


def larger(name: str) -> tuple[str, ...]:
    """The kernel takes the larger of an interface's rp_filter and that of all."""
    return (f"{INTERFACES}.all.rp_filter",) if name.endswith(".rp_filter") else ()


def _loaded() -> frozenset[str]:
    """The loaded modules; none where the kernel has no modules at all."""
    return frozenset(_read(MODULES, lambda line: line.partition(" ")[0]))


def _loadable(names: Iterable[str]) -> frozenset[str]:
    """Those of some modules that are files of the running kernel: neither built in nor unknown."""
    wanted = set(names)
    files = f"/lib/modules/{os.uname().release}/modules.dep"
    found = _read(files, lambda line: line.partition(":")[0].rpartition("/")[2].partition(".")[0])
    return frozenset(wanted.intersection(name.replace("-", "_") for name in found))


def _read(path: str, word: Callable[[str], str]) -> list[str]:
    try:
        with open(path) as file:
            return [word(line) for line in file]
    except OSError:
        return []
