"""A site with every kind of line that can decide about a packet: what the tests of `explain` ask about."""

SITE = """\
version: 1
interfaces: {inside: [lan0], outside: [wan0], vlans: {102: lan0.102}}
gateway: {primary_ip: 172.32.0.10, secondary_ips: [172.32.0.201-172.32.0.210]}
nat_defaults: {vlan_mode: vlan, alg: {ftp: on}, sessions_per_translation: 500}
acls:
  partners:
    10: deny ip 100.64.9.0/24
    20: allow tcp 100.64.0.0/20 dst 198.51.100.0/24
  residential:
    10: allow ip 100.64.0.0/21
    20: allow ip 100.64.8.0/21
  campus:
    5: allow ip 10.30.0.0/16 dst 10.40.0.0/16
  mobile:
    5: allow ip 10.50.0.0/24
pools:
  partners: {type: nat, acl: partners, priority: 10, global_ip: [203.0.114.0/28]}
  campus: {type: fake, acl: campus, priority: 20}
  servers:
    type: static
    priority: 50
    hairpin: on
    global_map:
      192.168.0.5: 200.0.0.3
      192.168.0.6~102: 200.0.0.4
  residential:
    type: cgnat
    acl: residential
    priority: 100
    global_ip: [203.0.113.0/25]
    hairpin: on
    timeouts_inactivity: {udp: 120, udp_session: 90}
    limits_peruser: {portlimit_icmp: 512}
  mobile:
    type: cgnat
    acl: mobile
    priority: 110
    allocation: dynamic
    hairpin: off
    global_ip: [203.0.115.0/29]
dnat:
  web: {protocol: tcp, dst_port: 8001, dnat_port: 8080, mark: 10}
  api: {protocol: tcp, dst_port: 8002, dnat_ip: 192.0.2.9, dnat_port: 8443, mark: 11}
  watch: {protocol: udp, dst_port: 514, mark: 12}
snat:
  by-mark-10: {mark: 10, snat_ip: 172.32.0.201}
  by-mark-11: {mark: 11, snat_ip: 172.32.0.203-172.32.0.206}
  by-source: {src_cidr: 10.60.0.0/16, protocol: tcp, snat_ip: 172.32.0.207, snat_port: 30000-31000}
"""
