"""The timeouts that a site asks of the host: the longest of its pools, of those that use them."""

from support.sites import site

SITE = """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {flowtable: FLOWTABLE}
acls: {a: {10: allow ip 100.64.0.0/28}, b: {10: allow ip 100.65.0.0/28}, c: {10: allow ip 100.66.0.0/28}}
pools:
  a: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/28], hairpin: off,
      timeouts_inactivity: {icmp: 31, icmp_session: 99, other: 210, tcp_active: 41, udp: 51}}
  b: {type: cgnat, acl: b, priority: 2, global_ip: [203.0.113.16/28], hairpin: on,
      timeouts_inactivity: {icmp: 98, icmp_session: 32, other: 200, tcp_active: 90, udp: 91}}
  c: {type: nat, acl: c, priority: 3, global_ip: [203.0.113.32/28], allocation: deterministic,
      timeouts_inactivity: {icmp: 11, other: 190, tcp_active: 40, udp: 50, special: 43,
                            special_tcp_ports: [22]}}
"""


def sysctls(flowtable: str = "off") -> dict[str, int]:
    compiled = site(SITE.replace("FLOWTABLE", flowtable))
    return {name.removeprefix("net.netfilter.nf_conntrack_"): n for name, n in compiled.sysctls.items()}


def test_the_longest_of_what_each_pool_uses():
    """ICMP: the session's where there are mapping entries (b), else the translation's (a, c)."""
    other = dict.fromkeys(("gre_timeout", "gre_timeout_stream", "generic_timeout"), 210)
    assert sysctls() == {"icmp_timeout": 32} | other


def test_connections_that_leave_a_flowtable():
    """Of pools whose connections go there: b has mapping entries, so its connections do not."""
    on = sysctls("on")
    assert on["udp_timeout_stream"] == 51
    assert on["tcp_timeout_established"] == 43
