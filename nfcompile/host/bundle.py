"""The host's half for good, as files that Debian's own tools read: laid out as below `/`, the same bytes
for the same site. Nothing here touches the machine; pages are in `templates/host`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from nfcompile.host import lldp, log_files
from nfcompile.host.daemons import LOG_GROUP
from nfcompile.host.plan import HostPlan, Sysctl
from nfcompile.model.ranges import Range, address_text, cidrs, range_text

PLAIN, SECRET, EXECUTABLE = "0644", "0600", "0755"
USUAL_SIZE = 262144
"""What the kernel itself takes for tables of connections where there is memory: a file does not make it
less."""
NETWORKS = ("networkd", "netplan", "ifupdown")
MANIFEST = "MANIFEST.json"
LOGROTATE, LOG_UNIT = "etc/logrotate.d/nfcompile", "etc/systemd/system/nfcompile-log.service"
SITE, RULESET = "etc/nfcompile/site.yaml", "etc/nfcompile/ruleset.nft"


class BundleFile(NamedTuple):
    """One file: where it belongs below `/`, its permissions in octal, what it is for."""

    path: str
    mode: str
    purpose: str
    data: bytes


class MarkFiles(NamedTuple):
    """Answers with a mark and where they go."""

    mark: int
    destinations: tuple[str, ...]


class InterfaceFiles(NamedTuple):
    """What the files say of one interface. `mtu` 0: nothing."""

    name: str
    parent: str
    vid: int
    mtu: int
    addresses: tuple[str, ...]
    global_blocks: tuple[str, ...]
    marks: tuple[MarkFiles, ...]

    @property
    def has_routes(self) -> bool:
        return bool(self.global_blocks or self.marks)

    @property
    def says_something(self) -> bool:
        return bool(self.mtu or self.addresses or self.has_routes)


class NetplanSection(NamedTuple):
    """Interfaces of one of netplan's kinds."""

    name: str
    interfaces: tuple[InterfaceFiles, ...]


class Ending(NamedTuple):
    """The type of the routes by which global addresses end here. What else it takes: for ip, and for
    netplan."""

    type: str
    device: str = ""
    scope: str = ""
    table: int = 0


LOCAL, NULL = Ending("local", " dev lo", "host", 255), Ending("blackhole")
Render = Callable[..., bytes]


def files(
    plan: HostPlan,
    site: bytes,
    ruleset: str,
    network: str,
    routed: bool = False,
    outputs: Sequence[str] = (),
) -> tuple[BundleFile, ...]:
    """All files of a site and, last, the manifest that lists them. `routed`: the routers outside route the
    global addresses here, so no ARP request comes for them; then a null route is enough. `outputs` are those
    of `nfcompile log`; without them ulogd2 logs."""
    page = _pages()
    found = [
        BundleFile(SITE, PLAIN, "the site", site),
        BundleFile(RULESET, PLAIN, "the ruleset, as 'build' writes it", ruleset.encode()),
        *_kernel(plan, page),
        *FORMS[network](interfaces(plan), page, NULL if routed else LOCAL),
        *_lldp(plan),
        *(_own_log(plan, page, outputs) if outputs else _ulogd(plan, page)),
        *_units(plan, page),
        *_pair(plan, page),
    ]
    listed = [{"path": one.path, "mode": one.mode, "for": one.purpose} for one in found]
    manifest = json.dumps(listed, indent=2, ensure_ascii=False) + "\n"
    return *found, BundleFile(MANIFEST, PLAIN, "this list", manifest.encode())


def interfaces(plan: HostPlan) -> tuple[InterfaceFiles, ...]:
    """What the plan says of each interface; local routes stand with the first outside one."""
    outside = plan.default_route.interfaces[0]
    found = []
    for link in plan.links:
        marks = [
            MarkFiles(one.mark, tuple(_blocks(one.destinations)))
            for one in plan.mark_routes
            if one.interface == link.name
        ]
        addresses = [one for one in plan.addresses if one.interface == link.name and not one.own]
        routes = plan.local_routes if link.name == outside else ()
        mtus = [one.bytes for one in plan.mtus if one.interface == link.name]
        found.append(
            InterfaceFiles(
                link.name,
                link.parent,
                link.vid,
                mtus[0] if mtus else 0,
                tuple(address_text(one.address) for one in addresses),
                tuple(range_text(one.block) for one in routes),
                tuple(marks),
            )
        )
    return tuple(one for one in found if one.says_something)


def _kernel(plan: HostPlan, page: Render) -> Iterator[BundleFile]:
    settings = [one._replace(value=_at_boot(one)) for one in plan.sysctls]
    text = page("sysctl.conf", settings=settings)
    yield BundleFile("etc/sysctl.d/60-nfcompile.conf", PLAIN, "settings of the kernel", text)
    text = page("modules.conf", modules=[one.name for one in plan.modules])
    yield BundleFile("etc/modules-load.d/nfcompile.conf", PLAIN, "modules of the kernel", text)


def _at_boot(setting: Sysctl) -> int:
    return max(setting.value, USUAL_SIZE) if setting.at_least else setting.value


def _networkd(found: Iterable[InterfaceFiles], page: Render, routes: Ending) -> Iterator[BundleFile]:
    for one in found:
        path = f"etc/systemd/network/{one.name}.network.d/nfcompile.conf"
        purpose = f"what {one.name} has besides what its own {one.name}.network says"
        yield BundleFile(path, PLAIN, purpose, page("networkd.conf", interface=one, routes=routes))


def _netplan(found: tuple[InterfaceFiles, ...], page: Render, routes: Ending) -> Iterator[BundleFile]:
    kinds = (
        NetplanSection("ethernets", tuple(one for one in found if not one.vid)),
        NetplanSection("vlans", tuple(one for one in found if one.vid)),
    )
    text = page("netplan.yaml", kinds=[kind for kind in kinds if kind.interfaces], routes=routes)
    purpose = "what the interfaces have besides what other files say"
    if found:
        yield BundleFile("etc/netplan/60-nfcompile.yaml", SECRET, purpose, text)


def _ifupdown(found: tuple[InterfaceFiles, ...], page: Render, routes: Ending) -> Iterator[BundleFile]:
    if found:
        purpose = "what the interfaces have besides what /etc/network/interfaces says"
        text = page("ifupdown", interfaces=found, routes=routes)
        yield BundleFile("etc/network/interfaces.d/nfcompile", PLAIN, purpose, text)


FORMS: dict[str, Callable[[tuple[InterfaceFiles, ...], Render, Ending], Iterator[BundleFile]]] = {
    "networkd": _networkd,
    "netplan": _netplan,
    "ifupdown": _ifupdown,
}


def _lldp(plan: HostPlan) -> Iterator[BundleFile]:
    announced = b"" if plan.lldp is None else lldp.configuration(plan.lldp).encode()
    if announced:
        yield BundleFile(lldp.FILE.lstrip("/"), PLAIN, "what lldpd announces", announced)


def _ulogd(plan: HostPlan, page: Render) -> Iterator[BundleFile]:
    if plan.log is not None:
        text = page("ulogd.conf", log=plan.log, group=LOG_GROUP)
        yield BundleFile("etc/nfcompile/ulogd.conf", PLAIN, "what ulogd2 logs", text)
        yield BundleFile(LOGROTATE, PLAIN, "how long logs are kept", page("logrotate"))
        yield BundleFile(LOG_UNIT, PLAIN, "runs ulogd2 for this gateway", page("nfcompile-log.service"))


def _own_log(plan: HostPlan, page: Render, outputs: Sequence[str]) -> Iterator[BundleFile]:
    if plan.log is not None:
        made = log_files.made(page, plan.log, outputs, plan.node)
        if made.logrotate:
            yield BundleFile(LOGROTATE, PLAIN, "how long logs are kept", made.logrotate)
        yield BundleFile(LOG_UNIT, SECRET if made.secret else PLAIN, "runs 'nfcompile log'", made.unit)


def _units(plan: HostPlan, page: Render) -> Iterator[BundleFile]:
    units = {
        "nfcompile.service": "loads the ruleset at boot",
        "nfcompile-exporter.service": "serves figures to Prometheus",
    }
    if plan.opens_ports is not None:
        units["nfcompile-pcp.service"] = "opens ports for subscribers"
    for name, purpose in units.items():
        yield BundleFile(f"etc/systemd/system/{name}", PLAIN, purpose, page(name, node=plan.node))


def _pair(plan: HostPlan, page: Render) -> Iterator[BundleFile]:
    """The daemons of a pair: VRRP, connection tracking, and the script by which one tells the other."""
    if plan.pair is None:
        return
    files = {
        "keepalived/keepalived.conf": ("keepalived.conf", PLAIN, "which node is master"),
        "keepalived/nfcompile-notify": ("notify", EXECUTABLE, "what a node does when its role changes"),
        "conntrackd/conntrackd.conf": ("conntrackd.conf", PLAIN, "how connections are synchronised"),
        "systemd/system/conntrackd.service.d/nfcompile.conf": (
            "conntrackd.dropin",
            PLAIN,
            "restarts conntrackd",
        ),
        "systemd/system/keepalived.service.d/nfcompile.conf": (
            "keepalived.dropin",
            PLAIN,
            "orders keepalived",
        ),
        "systemd/system/nfcompile-ha.service": ("nfcompile-ha.service", PLAIN, "answers the peer"),
    }
    if plan.pair.has_copies:
        for kind in ("service", "timer"):
            name = f"nfcompile-ha-copy.{kind}"
            files[f"systemd/system/{name}"] = (
                name,
                PLAIN,
                "keeps the peer's assignments of idle subscribers",
            )
    for path, (name, mode, purpose) in files.items():
        yield BundleFile(f"etc/{path}", mode, purpose, page(name, pair=plan.pair))


def _blocks(ranges: Iterable[Range]) -> Iterator[str]:
    for one in ranges:
        for first, bits in cidrs(one):
            yield range_text(Range(first, first + (1 << bits) - 1))


def _pages() -> Render:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nfcompile", "templates/host"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )

    def page(name: str, **values: Any) -> bytes:
        return environment.get_template(f"{name}.j2").render(**values).encode()

    return page
