"""Sites that are right, which `prove` took for wrong once, or that a ruleset was wrong for."""

from __future__ import annotations

import pytest

from nfcompile.verify import proof
from support.sites import site

ONE_HOST = {
    "a static entry": "pools: {p: {type: static, acl: a, priority: 1, global_map: {10.0.0.21: 200.0.1.2}}}",
    "a nat pool": """
pools: {p: {type: nat, allocation: deterministic, acl: a, priority: 1, subscribers: [10.0.0.0/28],
            global_ip: [203.0.0.0/28]}}""",
}


@pytest.mark.parametrize("pool", ONE_HOST)
def test_an_address_in_a_vlan_and_elsewhere_is_one_subscriber(pool: str) -> None:
    """The rule of the VLAN says nothing that the other one does not say."""
    rules = "{10: allow ip 10.0.0.0/24~102, 20: allow ip 10.0.0.0/24}"
    found = proof.prove(site(f"nat_defaults: {{vlan_mode: vlan}}\nacls: {{a: {rules}}}\n{ONE_HOST[pool]}"))

    assert found.holds, found.sharing


def default_pools(count: int, more: str = "") -> str:
    """Pools with nothing but their defaults, cgnat and dynamic nat in turn."""
    acls, pools = [], []
    for at in range(count):
        kind, size = (("cgnat", 28), ("nat", 29))[at % 2]
        acls.append(f"  a{at}: {{10: deny ip 10.{at}.0.0/30, 20: allow ip 10.{at}.0.0/26 dst any}}")
        pools.append(
            f"  p{at}: {{type: {kind}, acl: a{at}, priority: {at + 1}, global_ip: [203.0.{at}.0/{size}]}}"
        )
    return "\n".join(["acls:", *acls, "pools:", *pools, more])


NO_ALARM = {
    "a subscriber that is counted as a source, and as where a block leads": """
version: 1
interfaces: {inside: [lan0], outside: [wan0, wan1], vlans: {102: lan0.102}}
nat_defaults: {vlan_mode: vlan, limits_peruser: {sessions: 65535}}
acls:
  homes:
    10: allow ip 10.102.0.56-10.102.0.63
    20: allow udp src 10.102.0.16-10.102.0.51
    30: allow ip 10.1.0.63~102
pools: {homes: {type: cgnat, priority: 1, acl: homes, global_ip: [203.0.0.0/27], inbound: subscriber}}
gateway: {secondary_ips: [203.1.0.1]}
""",
    "sources on one address whose boxes are joined, and parted by a rule about some of them": """
acls:
  homes: {10: allow ip 10.1.0.8-10.1.0.25, 20: allow ip 10.0.0.10 dst 198.18.1.20/30, 30: allow ip 0.0.0.0/1}
pools:
  homes: {type: cgnat, priority: 1, acl: homes, subscribers: [10.1.0.0/26, 10.102.0.0/26],
          global_ip: [203.0.2.255, 203.0.2.0],
          limits_peruser: {sessions: 1, portlimit_tcp: 64, portlimit_udp: 128}}
""",
    "nine pools with their defaults": default_pools(9),
    "fifteen pools with their defaults": default_pools(15),
    "a dynamic nat pool with hairpin, which is the default": """
acls: {a: {1: allow ip 10.4.2.64/28}}
pools: {p1: {type: nat, acl: a, priority: 1, global_ip: [203.1.0.0/29]}}
""",
    "ports of a list that overlap": """
acls: {a0: {10: allow udp src any sport 22-1024}, a2: {10: "allow udp src any sport 443-65535,53-80,1023"}}
pools:
  p0: {type: fake, acl: a0, priority: 1}
  p1: {type: nat, acl: a2, priority: 2, global_ip: [203.1.0.0/29]}
""",
    "a rule of a VLAN for another protocol": """
nat_defaults: {vlan_mode: vlan}
acls: {a: {10: allow icmp src 10.1.0.0/28, 20: allow gre src any~101}}
pools: {p: {type: nat, acl: a, priority: 1, allocation: deterministic, subscribers: [10.1.0.0/28],
            global_ip: [203.1.0.0/28]}}
""",
    "an entry of a static pool that a fake pool would pass": """
acls:
  s: {10: allow ip any}
  f: {10: allow ip any, 20: allow tcp any dport 443}
  c: {10: allow ip 10.2.0.0/29}
pools:
  s: {type: static, acl: s, priority: 1, global_map: {10.0.0.1: 203.0.113.9}}
  f: {type: fake, acl: f, priority: 2}
  c: {type: cgnat, acl: c, priority: 3, global_ip: [203.0.113.0]}
""",
    "any subscriber, and mapping entries that the outside may use": """
acls: {a: {10: allow ip any}}
pools: {p: {type: cgnat, acl: a, priority: 1, allocation: dynamic, global_ip: [203.0.113.0/31],
            port_range: 1024-2047, filtering: endpoint_independent}}
""",
    "a dynamic pool whose ports are no multiple of its blocks": """
acls: {a: {10: allow ip 10.1.0.0/31}}
pools: {p: {type: cgnat, acl: a, priority: 1, allocation: dynamic, global_ip: [203.0.113.0/31],
            port_range: 1024-4095, port_block_size: 1000, hairpin: off}}
""",
    "some destinations of a subscriber, and mapping entries that the outside may use": """
acls: {a: {10: allow tcp src 10.1.0.0/31 dst 198.51.100.0/24, 20: allow udp src 10.1.0.0/31 any}}
pools: {p: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/31], port_range: 1024-2047,
            filtering: endpoint_independent}}
""",
    "a dnat rule to a range of addresses": """
acls: {a: {1: allow icmp src net 0.0.0.0/1}}
dnat: {d: {protocol: all, mark: 10, dnat_ip: 192.0.2.9-192.0.2.12}}
pools: {p: {type: cgnat, acl: a, priority: 1, allocation: dynamic, global_ip: [203.0.113.0/29],
            port_range: 1024-2047}}
""",
    # The token that a packet to a mapping entry gets is no mark that an `snat` rule asks for.
    "a token is no mark of a rule": """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 64}
acls: {a: {1: allow ip 10.0.0.0/26}}
pools: {p: {type: cgnat, acl: a, priority: 1, subscribers: [10.0.0.0/26], global_ip: [203.0.113.0/27],
            port_range: 60000-65535, inbound: subscriber}}
dnat: {d: {protocol: tcp, dst_cidr: 198.51.100.7/32, mark: 18, dnat_port: 8002}}
snat: {s: {mark: 18, src_cidr: 10.0.0.0/26, dst_cidr: 10.0.0.0/8, snat_prefix: 192.0.2.0/26}}
""",
    # An element may lead anywhere, so to a destination that an `snat` rule is for.
    "a rule translates what an element leads elsewhere": """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
acls: {a: {1: allow ip 10.0.0.0/26}}
pools: {p: {type: cgnat, acl: a, priority: 1, subscribers: [10.0.0.0/26], global_ip: [203.0.113.0/30],
            port_range: 32768-65535, inbound: subscriber}}
snat: {s: {protocol: [tcp, udp], dst_cidr: 198.18.0.0/15, snat_ip: 192.0.2.8}}
""",
    # A mapping leads inside; on a gateway with one arm addresses say what that is.
    "no mapping leads outside by a shared interface": """
version: 1
interfaces: {inside: [lan0, wan0], outside: [lan0, wan0]}
acls: {a: {1: allow ip src 10.0.0.0/32 dst 198.18.1.24-198.18.1.28}}
pools:
  p: {type: cgnat, priority: 2, subscribers: [10.102.0.36/31], global_ip: [203.0.113.7],
      port_range: 1024-32767, inbound: subscriber}
  q: {type: cgnat, priority: 1, acl: a, global_ip: [203.0.113.7], port_range: 32768-65535,
      filtering: endpoint_independent}
""",
    # 609 blocks: the low bits of the last one's number are not those of all.
    "the last blocks of an address are fewer": """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
acls: {a: {1: allow ip 10.0.0.0/26}}
pools: {p: {type: cgnat, acl: a, priority: 1, allocation: dynamic, global_ip: [203.0.113.0/30],
            port_range: 1024-39999, port_block_size: 64,
            limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64}}}
""",
    # The gate of a pair holds each interface; a box may be of packets from both.
    "an open gate is open for every interface": """
version: 1
interfaces: {inside: [lan0, lan1], outside: [wan0]}
acls: {a: {1: allow ip 100.64.0.0/24}}
pools: {p: {type: nat, acl: a, priority: 1, global_ip: [203.0.113.0/30]}}
pairs: {east: {virtual: {lan0: [100.64.0.1/10], wan0: [192.0.2.2/28]}, unicast: on}}
nodes:
  a: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
      addresses: {lan0: 100.64.0.2/10, wan0: 192.0.2.3/28}}
  b: {pair: east, sync: {interface: sync0, address: 10.255.0.2},
      addresses: {lan0: 100.64.0.3/10, wan0: 192.0.2.4/28}}
""",
    # A dynamic pool has its addresses too, and gives tokens to connections of both: they were silent.
    "a pool that renews nothing, beside one that outside packets do not keep alive": """
nat_defaults: {port_block_size: 64, udp_inbound_refresh: off}
acls: {a: {1: allow ip 10.1.0.0/26}, b: {1: allow ip 10.2.0.0/26}}
pools:
  p0: {type: cgnat, priority: 1, acl: a, hairpin: off, subscribers: [10.1.0.0/26], global_ip: [203.0.0.0/29],
       port_range: 40000-65535, filtering: address_and_port_dependent, inbound: subscriber,
       limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64}}
  p1: {type: cgnat, priority: 2, acl: b, allocation: dynamic, subscribers: [10.2.0.0/26],
       global_ip: [203.0.0.0/29], port_range: 1024-39999,
       limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64}}
""",
    # An element may lead to where the rule translates.
    "a rule with the address of the interface, beside subscribers that reach each other": """
nat_defaults: {vlan_mode: vlan}
pools:
  p0: {type: static, priority: 2, global_map: {10.102.0.0~102: 200.2.0.0}}
  p2: {type: cgnat, priority: 1, subscribers: [10.1.0.56/30], global_ip: [203.0.2.0], inbound: subscriber}
snat: {s: {protocol: tcp, dst_port: 1-443, snat_ip: interface}}
""",
    # An element may lead to where the acl denies the pool.
    "a destination that the acl leaves out, beside subscribers that reach each other": """
acls: {a0: {30: deny ip src any dst 198.18.0.0/15, 99: allow ip 0.0.0.0/1}}
pools:
  p0: {type: cgnat, priority: 1, subscribers: [10.102.0.48/28], global_ip: [203.0.0.0/27],
       port_range: 40000-65535, inbound: subscriber}
  p1: {type: cgnat, priority: 2, acl: a0, subscribers: [10.102.0.0/26], global_ip: [203.0.0.0/27],
       port_range: 1024-39999}
""",
    # ... or to a port that it denies.
    "a port that the acl leaves out, of a subscriber that is reached by its block": """
nat_defaults: {port_block_size: 64}
acls: {a0: {1: deny tcp src 10.102.0.13 dst any dport 8000-8005, 99: allow ip 10.102.0.0/28}}
pools:
  p3: {type: cgnat, priority: 1, acl: a0, subscribers: [10.102.0.0/28], global_ip: [203.0.3.0],
       port_range: 60000-65535, inbound: subscriber, limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64}}
""",
    # What the first pool would have translated left by the fake one, if it was open before the pools.
    "a pool for a vlan, a fake one for it, and a static entry of the same host": """
interfaces: {inside: [lan0], outside: [wan0], vlans: {102: lan0.102}}
nat_defaults: {vlan_mode: vlan}
acls: {a: {1: allow ip any~102}}
pools:
  p2: {type: nat, allocation: deterministic, priority: 1, acl: a, subscribers: [10.1.0.48/28],
       global_ip: [203.0.2.0/24]}
  p1: {type: fake, priority: 2, acl: a}
  p3: {type: static, priority: 3, global_map: {10.1.0.49: 200.1.3.9}}
""",
    # What comes to the address already goes where it went, not where the others are led.
    "a dnat rule to an address that packets may have": """
dnat: {d1: {interface: [wan0], dst_cidr: 200.0.0.9, mark: 2}, d2: {dnat_ip: 200.0.0.9}}
snat: {s0: {snat_ip: 203.1.0.255}}
""",
}


@pytest.mark.parametrize("case", NO_ALARM)
def test_what_is_right_is_no_counterexample(case: str) -> None:
    """Each of them was a leak, a difference or a traceback once."""
    found = proof.prove(site(NO_ALARM[case]))

    assert found.holds, found
