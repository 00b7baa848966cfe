"""A valid site that has every key of the schema."""

EVERY_KEY = """\
version: 1
site: metro-1
interfaces: {inside: [lan0], outside: [wan0], vlans: {102: lan0.102}, inside_networks: [10.0.0.0/8]}
gateway: {primary_ip: 172.32.0.10, secondary_ips: [172.32.0.201-172.32.0.210]}
nat_defaults:
  vlan_mode: untagged
  alg: {ftp: off, pptp: off, rtsp: off, sip: off, alg_on_bnat: off}
  sessions_per_translation: nolimit
  udp_inbound_refresh: on
  l2mtu: 1522
  port_block_size: 128
  portlimit_low: nolimit
  low_to_all_udp: off
  lldp: on
  lldp_hostname: ""
  permit_invalid_flow: off
  flowtable: on
  strict_sources: off
  assignment_trial: 30
  timeouts_by: ruleset
  timeouts_inactivity:
    {translation: 86400, udp: 300, icmp: 60, tcp_handshake: 4, tcp_active: 300, tcp_final: 240, tcp_reset: 4,
     tcp_session_active: 120, udp_session: 120, icmp_session: 120, other: 300, special: 600,
     special_tcp_ports: [22]}
  limits_peruser: {portlimit_icmp: 1024, portlimit_tcp: 1024, portlimit_udp: 1024, sessions: nolimit}
acls:
  residential:
    10: deny  ip 100.64.9.0/24
    20: allow ip 100.64.0.0/20 any
pools:
  residential:
    type: cgnat
    enable: on
    acl: residential
    priority: 100
    global_ip: [203.0.113.0/26, 198.51.100.7, 198.51.100.16-198.51.100.20]
    port_range: 1024:65535
    allocation: deterministic
    fill: spread
    inbound: drop
    subscribers: [100.64.0.0/20]
    filtering: address_and_port_dependent
    hairpin: yes
    connection_logging: enable
    randomize_ports: true
    port_forwarding: on
    timeouts_inactivity: {udp: 120}
    limits_peruser: {portlimit_tcp: 2048}
  servers:
    type: static
    priority: 50
    allow_external_connect: disable
    global_map: {192.168.0.5: 200.0.0.3, 192.168.1.2~102: 3.3.3.3}
  passthrough: {type: fake, acl: none, priority: 200, enable: no, pair: east}
  v6: {type: npt, priority: 40, stateless: off, global_map: {"fd00:1::/48": "2001:db8:1::/48"}}
dnat:
  web: {protocol: tcp, src_cidr: 10.0.0.0/8, src_port: 1-2, dst_cidr: 0.0.0.0/0, dst_port: 8001,
        interface: lan0, dnat_ip: 192.0.2.9, dnat_port: 8080, mark: 10}
  lines: {dst_cidr: 198.51.100.0/24, dnat_prefix: 10.1.0.0/24, exclude: off}
snat:
  by-mark: {protocol: udp, src_cidr: 10.0.0.0/8, src_port: 1, dst_cidr: 0.0.0.0/0, dst_port: 1-2,
            interface: wan0, snat_ip: 172.32.0.201, snat_port: 1-9, mark: 0x10/0xff}
  lines: {src_cidr: 10.1.0.0/24, snat_prefix: 198.51.100.0/24, exclude: off}
pairs:
  east: {virtual: {lan0: [100.64.0.1/10]}, virtual_router_id: 51, advert: 0.1, unicast: off}
nodes:
  gw1:
    pair: east
    priority: 150
    sync: {interface: sync0, address: 10.255.0.1}
    addresses: {lan0: 100.64.0.2/10}
    interfaces: {inside: [eth0], outside: [eth1]}
    primary_ip: 172.32.0.11
"""
