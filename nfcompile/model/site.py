"""The values of one site, in the words of site.yaml; its dnat and snat rules are in `rules`.

Each value carries its path, through which every later message finds its line. Knows nothing of nft
and nothing of YAML.
"""

from typing import NamedTuple

from nfcompile.diagnostics import Path
from nfcompile.model.npt import NptPool
from nfcompile.model.pair import Node, Pair
from nfcompile.model.protocols import ANY_PROTOCOL
from nfcompile.model.ranges import EVERYWHERE, Range
from nfcompile.model.rules import DnatRule, SnatRule


class Interfaces(NamedTuple):
    """Interface names as the kernel has them; `vlans` maps a VLAN id to the interface that carries it.

    An interface on both sides makes a one-armed gateway: there the addresses decide the direction, by
    `inside_networks`, or by every source that the site names where that is None.
    """

    inside: tuple[str, ...]
    outside: tuple[str, ...]
    vlans: tuple[tuple[int, str], ...] = ()
    inside_networks: tuple[Range, ...] | None = None

    @property
    def shared(self) -> tuple[str, ...]:
        """Interfaces that are on both sides."""
        return tuple(name for name in self.outside if name in self.inside)

    def vlan(self, vid: int) -> str:
        """The interface of `~vid`; without an entry in `vlans` it is '<first inside>.<vid>'."""
        return dict(self.vlans).get(vid, f"{self.inside[0]}.{vid}")


class GatewayAddresses(NamedTuple):
    """Addresses of the gateway itself (Aviatrix steps 1 and 2)."""

    primary_ip: int | None = None
    secondary_ips: tuple[Range, ...] = ()


class Timeouts(NamedTuple):
    """`timeouts_inactivity`, in seconds."""

    translation: int
    udp: int
    icmp: int
    tcp_handshake: int
    tcp_active: int
    tcp_final: int
    tcp_reset: int
    tcp_session_active: int
    udp_session: int
    icmp_session: int
    other: int
    special: int
    special_tcp_ports: tuple[int, ...]

    @property
    def longest(self) -> int:
        """The longest time that anything of a subscriber may be idle and still go on, in seconds."""
        return max(seconds for seconds in self if isinstance(seconds, int))


class Limits(NamedTuple):
    """`limits_peruser`: global ports per subscriber (tcp, udp), ICMP sessions, and all sessions."""

    portlimit_icmp: int
    portlimit_tcp: int
    portlimit_udp: int
    sessions: int | None


class Alg(NamedTuple):
    """Which application level gateways are on."""

    ftp: bool
    pptp: bool
    rtsp: bool
    sip: bool
    alg_on_bnat: bool


class Defaults(NamedTuple):
    """`nat_defaults`: the device-wide half (the half that pools inherit is already in the pools).

    `timeouts` are for connections that no pool translates. `given` are the written keys below
    `nat_defaults`, dotted ('timeouts_inactivity.udp'), `differing` those whose value is not the default.
    """

    vlan_mode: str
    alg: Alg
    sessions_per_translation: int | None
    udp_inbound_refresh: bool
    l2mtu: int
    portlimit_low: int | None
    low_to_all_udp: bool
    lldp: bool
    lldp_hostname: str
    permit_invalid_flow: bool
    flowtable: bool
    strict_sources: bool
    assignment_trial: int
    timeouts_by: str
    timeouts: Timeouts
    given: frozenset[str]
    differing: frozenset[str]


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
    """One pool; parameters that its type does not have keep their defaults and have no effect.

    `given` are the written keys, dotted below the pool ('timeouts_inactivity.udp'); `differing` are those
    whose value is not the inherited one or the default. `permit_invalid_flow` is the gateway's: idle TCP goes
    on from its global port.
    """

    path: Path
    name: str
    type: str
    enable: bool
    acl: Acl | None
    priority: int
    global_ip: tuple[Range, ...]
    port_range: Range
    port_block_size: int
    allocation: str
    fill: str
    inbound: str
    subscribers: tuple[Range, ...] | None
    filtering: str
    hairpin: bool
    allow_external_connect: bool
    connection_logging: bool
    randomize_ports: bool | None
    port_forwarding: bool
    timeouts: Timeouts
    limits: Limits
    global_map: tuple[StaticEntry, ...]
    permit_invalid_flow: bool
    given: frozenset[str]
    differing: frozenset[str]

    @property
    def translates(self) -> bool:
        """Whether packets of the pool leave with a global address (all types but fake)."""
        return self.type != "fake"

    @property
    def shares_addresses(self) -> bool:
        """Whether subscribers share a global address by its ports (cgnat)."""
        return self.type == "cgnat"

    @property
    def allocates(self) -> bool:
        """Whether subscribers are assigned a part of `global_ip` (cgnat, nat)."""
        return self.type in ("cgnat", "nat")

    @property
    def owns_addresses(self) -> bool:
        """Whether a local address has a global one for itself, all ports of it (nat, static)."""
        return self.translates and not self.shares_addresses

    @property
    def is_static(self) -> bool:
        """Whether `global_map` has a fixed global address for each local one (static)."""
        return self.type == "static"

    @property
    def is_dynamic(self) -> bool:
        """Whether the kernel assigns the blocks, on demand."""
        return self.allocates and self.allocation == "dynamic"

    @property
    def is_deterministic(self) -> bool:
        """Whether the blocks are computed from the subscribers (RFC 7422)."""
        return self.allocates and self.allocation == "deterministic"

    @property
    def global_ranges(self) -> tuple[Range, ...]:
        """All global addresses of the pool, in the order of the file."""
        return (*self.global_ip, *(entry.globals for entry in self.global_map))

    @property
    def hairpins(self) -> bool:
        """Whether subscribers reach other subscribers' global addresses through the pool."""
        return self.translates and self.hairpin

    @property
    def can_be_reached(self) -> bool:
        """Whether subscribers or the outside may open sessions to a global address that is not shared."""
        return self.owns_addresses and (self.allow_external_connect or self.hairpin)

    @property
    def opens_to_outside(self) -> bool:
        """Whether the outside may open sessions to a global address of the pool."""
        if self.shares_addresses:
            return self.filtering == "endpoint_independent" or self.leads_inbound or self.port_forwarding
        return self.translates and self.allow_external_connect

    @property
    def leads_inbound(self) -> bool:
        """Whether what comes to a subscriber's block and meets no mapping goes to the subscriber."""
        return self.shares_addresses and self.is_deterministic and self.inbound == "subscriber"

    @property
    def renews(self) -> bool:
        """Whether packets of running connections refresh entries of the ruleset."""
        return self.keeps_mapping_entries or self.is_dynamic

    @property
    def can_be_offloaded(self) -> bool:
        """Whether packets of running connections may pass without meeting a rule (`flowtable`)."""
        return self.translates and not self.renews

    @property
    def keeps_mapping_entries(self) -> bool:
        """Whether the pool keeps an entry for each inside socket, longer than its sessions live."""
        wanted = self.hairpin or self.filtering == "endpoint_independent" or self.permit_invalid_flow
        wanted = wanted or self.port_forwarding
        return self.shares_addresses and (wanted or self.randomize_ports is not None)

    @property
    def keeps_forwardings(self) -> bool:
        """Whether subscribers open ports of their block to the outside (PCP, NAT-PMP)."""
        return self.shares_addresses and self.port_forwarding

    @property
    def ports_at_random(self) -> bool | None:
        """True: random ports, False: in order, None: the kernel chooses.

        The kernel tries the source port first, again and again, though a forwarding may have it: with
        `port_forwarding` ports are random unless the site says otherwise.
        """
        return True if self.randomize_ports is None and self.keeps_forwardings else self.randomize_ports

    @property
    def opens_ports(self) -> bool:
        """Whether subscribers may open ports. Those with a whole address have all of them open, unless the
        outside opens nothing there."""
        return self.port_forwarding and self.opens_to_outside

    @property
    def takes_any_source(self) -> bool:
        """Whether the ACL allows any source and `subscribers` does not say which: the gateway's own addresses
        are among those."""
        asks = self.allocates and self.subscribers is None
        rules = self.acl.rules if self.acl and asks else ()
        return any(rule.allow and rule.only_source and rule.source == EVERYWHERE for rule in rules)

    @property
    def is_reached_by_acl(self) -> bool:
        """Whether the ACL is asked of connections that the outside, or another subscriber, opens."""
        return self.can_be_reached or self.keeps_forwardings


class Site(NamedTuple):
    """One gateway. `pools` are those of IPv4, `npt` those of IPv6; of a fleet it is `node`, in `pair`."""

    name: str
    interfaces: Interfaces
    gateway: GatewayAddresses
    defaults: Defaults
    acls: tuple[Acl, ...]
    pools: tuple[Pool, ...]
    npt: tuple[NptPool, ...]
    dnat: tuple[DnatRule, ...]
    snat: tuple[SnatRule, ...]
    node: Node | None = None
    pair: Pair | None = None

    @property
    def rules(self) -> tuple[DnatRule | SnatRule, ...]:
        """The dnat rules, then the snat rules."""
        return (*self.dnat, *self.snat)

    @property
    def active_pools(self) -> tuple[Pool, ...]:
        """Enabled pools in packet order: ascending priority."""
        return tuple(sorted((pool for pool in self.pools if pool.enable), key=lambda p: p.priority))
