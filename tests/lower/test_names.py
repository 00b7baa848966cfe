"""Names of nft objects: unique whatever the site calls its pools and rules."""

from collections import Counter as Count

import pytest

from nfcompile.emit import Chain, Counter, Map, Set
from nfcompile.pipeline import compile_site, parse

NAMES = ["x", "x_vlan", "vlan_x", "udp_x", "x_udp", "tcp_x", "invalid", "pool_invalid", "rules", "tcp", "1_x"]

SITE = """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {vlan_mode: vlan, portlimit_low: 64, sessions_per_translation: 9, port_block_size: 512,
  alg: {ftp: on, sip: on, pptp: on}, limits_peruser: {portlimit_tcp: 1024, portlimit_udp: 512}}
acls:
  a: {10: allow ip 100.64.0.0/28, 20: deny tcp any dport 25, 30: allow ip 100.65.0.0/28}
dnat:
DNAT
snat:
SNAT
pools:
POOLS
"""

KINDS = {
    "static": "{type: static, priority: N, global_map: {10.0.N.1: 200.0.N.1, 10.0.N.2~7: 200.0.N.2}}",
    "cgnat": "{type: cgnat, acl: a, priority: N, global_ip: [200.0.N.0/28], subscribers: [100.N.0.0/28]}",
    "ordered": "{type: cgnat, acl: a, priority: N, global_ip: [200.0.N.0/28], randomize_ports: off}",
    "dynamic": "{type: cgnat, acl: a, priority: N, global_ip: [200.0.N.0/28], allocation: dynamic}",
    "nat": "{type: nat, acl: a, priority: N, global_ip: [200.0.N.0/28]}",
}


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_names_never_meet(first: str, second: str) -> None:
    kinds = [KINDS[first], KINDS[second]]
    names = [name for name in NAMES if name[0].isalpha()]
    pools = [f"  {name}: {kinds[n % 2].replace('N', str(n))}" for n, name in enumerate(names, 1)]
    dnat = [
        f"  {name}: {{protocol: tcp, dst_port: {n}, dnat_port: {n + 100}, mark: {n}}}"
        for n, name in enumerate(names, 1)
    ]
    snat = [f"  {name}: {{mark: {n}, snat_ip: 192.0.2.{n}}}" for n, name in enumerate(names, 1)]
    text = SITE.replace("POOLS", "\n".join(pools)).replace("DNAT", "\n".join(dnat))
    table = compile_site(parse(text.replace("SNAT", "\n".join(snat)).encode(), "site.yaml")).table
    for kinds_of in ((Set, Map), (Chain,), (Counter,)):
        counted = Count(thing.name for thing in table.objects if isinstance(thing, kinds_of))
        assert [name for name, count in counted.items() if count > 1] == []
