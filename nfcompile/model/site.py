"""The values of one site, with the words of CONTRACT: pools, ACLs, dnat and snat rules, defaults.

Each value carries its path, through which every later message finds its line. Knows nothing of nft
and nothing of YAML.
"""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.model.ranges import Range


class Interfaces(NamedTuple):
    """Interface names as the kernel has them; `vlans` maps a VLAN id to the interface that carries it."""

    inside: tuple[str, ...]
    outside: tuple[str, ...]
    vlans: tuple[tuple[int, str], ...] = ()

    def vlan(self, vid: int) -> str:
        """The interface of `~vid`; without an entry in `vlans` it is '<first inside>.<vid>'."""
        return dict(self.vlans).get(vid, f"{self.inside[0]}.{vid}")


class Gateway(NamedTuple):
    """Addresses of the gateway itself (Aviatrix steps 1 and 2)."""

    primary_ip: int | None = None
    secondary_ips: tuple[Range, ...] = ()


class Timeouts(NamedTuple):
    """`timeouts_inactivity`, in seconds; the defaults are EcoNAT's."""

    translation: int = 86400
    udp: int = 300
    icmp: int = 60
    tcp_handshake: int = 4
    tcp_active: int = 300
    tcp_final: int = 240
    tcp_reset: int = 4
    tcp_session_active: int = 120
    udp_session: int = 120
    icmp_session: int = 120
    other: int = 300
    special: int = 600
    special_tcp_ports: tuple[int, ...] = ()

    @property
    def longest(self) -> int:
        """The longest time that anything of a subscriber may be idle and still go on, in seconds."""
        return max(self[:12])


class Limits(NamedTuple):
    """`limits_peruser`: global ports a subscriber (tcp, udp) and simultaneous ICMP sessions."""

    portlimit_icmp: int = 1024
    portlimit_tcp: int = 1024
    portlimit_udp: int = 1024


class Alg(NamedTuple):
    """Which application level gateways are on."""

    ftp: bool = False
    pptp: bool = False
    rtsp: bool = False
    sip: bool = False
    alg_on_bnat: bool = False


class Defaults(NamedTuple):
    """`nat_defaults`: the device-wide half (the half that pools inherit is already in the pools)."""

    vlan_mode: str = "untagged"
    alg: Alg = Alg()
    sessions_per_translation: int | None = None
    udp_inbound_refresh: bool = True
    l2mtu: int = 1522
    port_block_size: int = 128
    portlimit_low: int | None = None
    low_to_all_udp: bool = False
    lldp: bool = True
    lldp_hostname: str = ""
    permit_invalid_flow: bool = False
    flowtable: bool = False
    given: frozenset[str] = frozenset()
    """The keys below `nat_defaults` that the operator wrote, dotted ('timeouts_inactivity.udp')."""
    timeouts: Timeouts = Timeouts()
    """For what no pool translates; the pools have their own."""


class AclRule(NamedTuple):
    """One line of an ACL. An empty tuple of ports means any port; protocol -1 is `ip`."""

    path: Path
    number: int
    allow: bool
    protocol: int
    source: Range
    vid: int | None
    destination: Range
    source_ports: tuple[Range, ...] = ()
    destination_ports: tuple[Range, ...] = ()

    @property
    def only_source(self) -> bool:
        """Whether the source address alone decides a hit."""
        return (
            self.protocol == ANY_PROTOCOL
            and self.vid is None
            and self.destination == Range(0, 0xFFFFFFFF)
            and not self.source_ports
            and not self.destination_ports
        )


ANY_PROTOCOL = -1


class Acl(NamedTuple):
    """An ordered list of rules, ascending by number."""

    path: Path
    name: str
    rules: tuple[AclRule, ...]


class StaticEntry(NamedTuple):
    """One line of `global_map`: local addresses (in a VLAN, where `vid` is set) and as many global ones."""

    path: Path
    local: Range
    vid: int | None
    globals: Range


class Pool(NamedTuple):
    """One pool; parameters that its type does not have keep their defaults and mean nothing.

    `given` holds the keys that the operator wrote, dotted below the pool ('timeouts_inactivity.udp').
    """

    path: Path
    name: str
    type: str
    enable: bool
    acl: Acl | None
    priority: int
    global_ip: tuple[Range, ...]
    port_range: Range
    allocation: str
    subscribers: tuple[Range, ...] | None
    filtering: str
    hairpin: bool
    allow_external_connect: bool
    connection_logging: bool
    randomize_ports: bool | None
    timeouts: Timeouts
    limits: Limits
    global_map: tuple[StaticEntry, ...]
    given: frozenset[str]

    @property
    def can_be_reached(self) -> bool:
        """Whether anybody may open a session to a global address of an address-only pool."""
        return self.type in ("nat", "static") and (self.allow_external_connect or self.hairpin)

    @property
    def opens_to_outside(self) -> bool:
        """Whether the outside may open sessions to a global address of the pool."""
        if self.type == "cgnat":
            return self.filtering == "endpoint_independent"
        return self.type in ("nat", "static") and self.allow_external_connect

    @property
    def renews(self) -> bool:
        """Whether packets of running connections renew what the kernel holds for a subscriber."""
        dynamic = self.allocation == "dynamic" and self.type in ("cgnat", "nat")
        return self.keeps_mapping_entries or dynamic

    @property
    def can_be_offloaded(self) -> bool:
        """Whether packets of running connections may pass unseen (`flowtable`)."""
        return self.type != "fake" and not self.renews

    @property
    def keeps_mapping_entries(self) -> bool:
        """Whether the pool keeps an entry for each inside socket, longer than its sessions live."""
        wanted = self.hairpin or self.filtering == "endpoint_independent"
        return self.type == "cgnat" and (wanted or self.randomize_ports is not None)


class Mark(NamedTuple):
    """A conntrack mark; only the bits of `mask` belong to it."""

    value: int
    mask: int = 0xFFFFFFFF


class Match(NamedTuple):
    """The qualifiers that dnat and snat rules share; None and () mean any. Protocol -1 is `all`."""

    protocol: int
    src_cidr: Range | None
    src_port: Range | None
    dst_cidr: Range | None
    dst_port: Range | None
    interface: str | None


class DnatRule(NamedTuple):
    """Aviatrix step 3: what matches gets a mark, another destination address, another port."""

    path: Path
    name: str
    match: Match
    mark: Mark | None
    dnat_ip: Range | None
    dnat_port: Range | None


class SnatRule(NamedTuple):
    """Aviatrix step 4: what matches (a mark too) leaves from an address or a segment."""

    path: Path
    name: str
    match: Match
    mark: Mark | None
    snat_ip: Range
    snat_port: Range | None


class Site(NamedTuple):
    """One gateway."""

    name: str
    interfaces: Interfaces
    gateway: Gateway
    defaults: Defaults
    acls: tuple[Acl, ...]
    pools: tuple[Pool, ...]
    dnat: tuple[DnatRule, ...]
    snat: tuple[SnatRule, ...]

    @property
    def active_pools(self) -> tuple[Pool, ...]:
        """Enabled pools in the order in which a packet asks them."""
        return tuple(sorted((pool for pool in self.pools if pool.enable), key=lambda p: p.priority))
