"""What a site needs of its host, as values: no machine is asked."""

from nfcompile import pipeline
from nfcompile.host import bundle
from nfcompile.host.plan import Address, HostPlan, Link, Lldp, LocalRoute, LogReceiver, MarkRoute, Mtu, Sysctl
from nfcompile.host.planning import plan
from nfcompile.model.parse import address, addresses
from nfcompile.model.ranges import Range, range_text

HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
POOL = """
acls: {home: {10: allow ip 100.64.0.0/25}}
pools:
  home: {type: cgnat, acl: home, priority: 1, global_ip: [203.0.113.0/30], KEYS}
"""


def planned(text: str, head: str = HEAD) -> HostPlan:
    return plan(pipeline.compile_site(pipeline.parse((head + text).encode(), "site.yaml")))


def pool(keys: str = "hairpin: on", defaults: str = "") -> HostPlan:
    return planned((f"nat_defaults: {{{defaults}}}\n" if defaults else "") + POOL.replace("KEYS", keys))


def settings(found: HostPlan) -> dict[str, int]:
    return {one.name.removeprefix("net.netfilter.nf_conntrack_"): one.value for one in found.sysctls}


SIZES = {"max": 32768, "buckets": 32768}
"""128 subscribers with 256 connections each."""


def test_a_site_that_writes_nothing_needs_forwarding_and_room():
    found = pool()

    assert settings(found) == SIZES | {"net.ipv4.ip_forward": 1}
    assert (found.mtus, found.lldp, found.log_daemon, found.log) == ((), None, None, None)
    assert [one.name for one in found.modules] == ["nf_conntrack"]
    assert found.sysctls[-1].name == "net.ipv4.ip_forward"  # until then nothing passes untranslated


def test_written_timeouts_are_asked_for_with_their_place():
    found = pool("timeouts_inactivity: {other: 99}", "timeouts_inactivity: {icmp_session: 41, udp: 300}")

    other = ("pools", "home", "timeouts_inactivity", "other")
    assert Sysctl("net.netfilter.nf_conntrack_gre_timeout", 99, other) in found.sysctls
    icmp = ("nat_defaults", "timeouts_inactivity", "icmp_session")
    assert Sysctl("net.netfilter.nf_conntrack_icmp_timeout", 41, icmp) in found.sysctls
    kinds = ("gre_timeout", "gre_timeout_stream", "generic_timeout", "sctp_timeout_established")
    assert settings(found) == SIZES | dict.fromkeys(kinds, 99) | {
        "icmp_timeout": 41,
        "net.ipv4.ip_forward": 1,
    }


def test_icmp_is_not_asked_for_where_icmp_session_is_used():
    """A pool with mapping entries does not use `icmp`."""
    assert "icmp_timeout" not in settings(pool("hairpin: on", "timeouts_inactivity: {icmp: 41}"))
    assert settings(pool("hairpin: off", "timeouts_inactivity: {icmp: 41}"))["icmp_timeout"] == 41


def test_rules_without_a_pool_have_the_defaults_from_the_host():
    rules = "snat: {a: {src_cidr: 10.0.0.0/8, snat_ip: 203.0.113.9}}\n"
    found = planned("nat_defaults: {timeouts_inactivity: {udp: 77, tcp_final: 9, icmp_session: 5}}\n" + rules)

    finals = ("fin_wait", "close_wait", "last_ack", "time_wait")
    assert settings(found) == {
        **{"udp_timeout": 77, "udp_timeout_stream": 77, "net.ipv4.ip_forward": 1},
        **{f"tcp_timeout_{name}": 9 for name in finals},
    }


def test_a_flowtable_needs_the_kernels_own_timeouts():
    found = settings(pool("hairpin: off", "flowtable: on"))

    assert (found["tcp_timeout_established"], found["udp_timeout_stream"]) == (300, 300)


def test_permission_and_logs():
    assert settings(pool(defaults="permit_invalid_flow: on"))["tcp_loose"] == 1
    logged = settings(pool("connection_logging: on"))
    assert (logged["events"], logged["timestamp"]) == (1, 1)
    assert "events" not in settings(pool("connection_logging: off"))


def test_global_addresses_end_here_once():
    text = """
gateway: {primary_ip: 192.0.2.2, secondary_ips: [192.0.2.10-192.0.2.11]}
acls: {home: {10: allow ip 100.64.0.0/28}}
pools:
  home: {type: cgnat, acl: home, priority: 1, global_ip: [203.0.113.1-203.0.113.6]}
  lines: {type: static, priority: 2, global_map: {10.0.0.0/30: 198.51.100.0/30, 10.0.0.8: 198.51.100.4}}
  off: {type: static, priority: 3, enable: off, global_map: {10.0.0.9: 198.51.100.99}}
snat:
  own: {src_cidr: 10.1.0.0/24, snat_ip: 192.0.2.2}
  second: {src_cidr: 10.2.0.0/24, snat_ip: 192.0.2.10-192.0.2.12}
dnat:
  web: {interface: wan0, dst_cidr: 198.51.100.80, protocol: tcp, dst_port: 80, dnat_ip: 10.0.0.1}
  away: {dst_cidr: 198.51.100.81, protocol: tcp, dst_port: 80, dnat_ip: 10.0.0.1}
"""
    found = planned(text)

    assert [range_text(one.block) for one in found.local_routes] == [
        *("203.0.113.1", "203.0.113.2/31", "203.0.113.4/31", "203.0.113.6"),
        *("198.51.100.0/30", "198.51.100.4", "192.0.2.12", "198.51.100.80"),
    ]
    assert found.local_routes[-1] == LocalRoute(addresses("198.51.100.80"), ("dnat", "web", "dst_cidr"))
    assert found.addresses == (
        Address(address("192.0.2.2"), "wan0", ("gateway", "primary_ip"), own=True),
        Address(address("192.0.2.10"), "wan0", ("gateway", "secondary_ips", 0)),
        Address(address("192.0.2.11"), "wan0", ("gateway", "secondary_ips", 0)),
    )


ONE_ARMED = """version: 1
interfaces: {inside: [eth0, tun0], outside: [eth0], inside_networks: [10.0.0.0/8]}
acls: {home: {10: allow ip 10.1.0.0/28}}
pools: {home: {type: static, priority: 1, global_map: {10.1.0.1: 203.0.113.1}}}
"""


def test_subscribers_of_a_one_armed_gateway_are_behind_its_interface():
    """The interface is inside, too, though the default route leads through it; no redirects past it."""
    compiled = pipeline.compile_site(pipeline.parse(ONE_ARMED.encode(), "site.yaml"))

    found = plan(compiled)

    assert [one.interfaces for one in found.subscriber_routes] == [("eth0", "tun0")]
    assert settings(found)["net.ipv4.conf.eth0.send_redirects"] == 0


def test_l2mtu_is_a_packet_of_each_interface():
    assert pool(defaults="l2mtu: 1522").mtus == (
        Mtu("lan0", 1500, ("nat_defaults", "l2mtu")),
        Mtu("wan0", 1500, ("nat_defaults", "l2mtu")),
    )


def test_lldp_is_asked_for_where_it_is_written():
    path = ("nat_defaults", "lldp")
    names = ("lan0", "wan0")
    assert pool(defaults="lldp: on").lldp == Lldp(True, "", names, path)
    assert pool(defaults="lldp: off, lldp_hostname: gw").lldp == Lldp(False, "", names, path)
    named = Lldp(True, "gw", names, ("nat_defaults", "lldp_hostname"))
    assert pool(defaults="lldp_hostname: gw").lldp == named
    assert pool(defaults='lldp_hostname: ""').lldp is None


VLANS = """version: 1
interfaces: {inside: [lan0], outside: [wan0], vlans: {101: lan0.101, 103: eth7}}
nat_defaults: {vlan_mode: vlan}
acls:
  one: {10: allow ip 192.168.1.0/25~101}
  two: {10: allow ip 192.168.1.0/25~102, 20: allow ip 192.168.9.0/30~102}
pools:
  one: {type: cgnat, acl: one, priority: 1, global_ip: [203.0.113.0/30]}
  two: {type: cgnat, acl: two, priority: 2, global_ip: [203.0.113.4/30]}
"""


def test_vlans_that_share_addresses_are_routed_by_mark():
    found = planned("", VLANS)

    assert found.links[2:] == (
        Link("lan0.101", ("interfaces", "vlans", "101"), "lan0", 101),
        Link("eth7", ("interfaces", "vlans", "103"), "lan0", 103),
        Link("lan0.102", ("acls", "two", "10"), "lan0", 102),
    )
    whole = Range(address("192.168.1.0"), address("192.168.1.127"))
    assert found.mark_routes[0] == MarkRoute(101, "lan0.101", (whole,), ("acls", "one", "10"))
    assert [(one.mark, len(one.destinations)) for one in found.mark_routes] == [(101, 1), (102, 2)]
    loose = [one for one in found.sysctls if "rp_filter" in one.name]
    assert [(one.name, one.value, one.unless) for one in loose] == [
        ("net.ipv4.conf.lan0/101.rp_filter", 2, (0,)),
        ("net.ipv4.conf.lan0/102.rp_filter", 2, (0,)),
    ]


def test_helpers_need_their_second_half():
    assert [one.name for one in pool(defaults="alg: {ftp: on, sip: on}").modules] == [
        *("nf_conntrack", "nf_nat_ftp", "nf_nat_sip"),
    ]


def test_a_dynamic_pool_logs_its_blocks_asked_or_not():
    """The bundle always listens; only what is written is demanded of the host."""
    silent = pool("allocation: dynamic, hairpin: off")
    assert (silent.log, silent.log_daemon) == (LogReceiver(True, False, ("pools",)), None)
    path = ("pools", "home", "connection_logging")
    loud = pool("allocation: dynamic, hairpin: off, connection_logging: on")
    assert loud.log == loud.log_daemon == LogReceiver(True, True, path)


def test_room_for_connections_of_everybody_who_can_be_served():
    """A /24 of subscribers on 2 addresses of 72 blocks: 144 can be served, 144 x 256 connections."""
    text = """
acls: {home: {10: allow ip any}}
pools:
  home: {type: cgnat, acl: home, priority: 1, global_ip: [203.0.113.0/31], allocation: dynamic, hairpin: off,
         limits_peruser: {portlimit_tcp: 896, portlimit_udp: 896, portlimit_icmp: 896}}
"""
    blocks = 2 * (64512 // 128)
    assert settings(planned(text))["max"] == 1 << (blocks * 256 - 1).bit_length()


def test_the_same_site_gives_the_same_bytes():
    def made(network: str) -> list[tuple[str, bytes]]:
        return [(one.path, one.data) for one in bundle.files(planned("", VLANS), b"site", "ruleset", network)]

    for network in bundle.NETWORKS:
        assert made(network) == made(network)


def test_a_bundle_never_makes_the_table_of_connections_smaller():
    """The kernel's own value on a machine with memory is 262144."""
    files = {one.path: one.data.decode() for one in bundle.files(pool(), b"", "", "networkd")}

    assert "net.netfilter.nf_conntrack_max = 262144\n" in files["etc/sysctl.d/60-nfcompile.conf"]
