"""Names of nft objects: unique whatever the site calls its pools and rules."""

import inspect
import re
from itertools import product

import pytest

from nfcompile.emit import Name
from nfcompile.emit.validate import InvalidTable, validate
from nfcompile.lower import names
from support.sites import site

SITE = """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {vlan_mode: vlan, portlimit_low: 64, sessions_per_translation: 9, port_block_size: 512,
  flowtable: on, alg: {ftp: on, sip: on, pptp: on}, limits_peruser: {portlimit_tcp: 1024, portlimit_udp: 512}}
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
    "ordered": "{type: cgnat, acl: a, priority: N, global_ip: [200.0.N.0/28], randomize_ports: off, "
    "port_range: 62464-65535}",  # an element for every port
    "dynamic": "{type: cgnat, acl: a, priority: N, global_ip: [200.0.N.0/28], allocation: dynamic}",
    "nat": "{type: nat, acl: a, priority: N, global_ip: [200.0.N.0/28]}",
}


def compiled(pools: list[str], kinds: list[str]):
    lines = [f"  {name}: {kinds[n % len(kinds)].replace('N', str(n))}" for n, name in enumerate(pools, 1)]
    dnat = [
        f"  {name}: {{protocol: tcp, dst_port: {n}, dnat_port: {n + 100}, mark: {n}}}"
        for n, name in enumerate(pools, 1)
    ]
    snat = [f"  {name}: {{mark: {n}, snat_ip: 192.0.2.{n}}}" for n, name in enumerate(pools, 1)]
    text = SITE.replace("POOLS", "\n".join(lines)).replace("DNAT", "\n".join(dnat))
    return site(text.replace("SNAT", "\n".join(snat))).table


def fixed() -> set[str]:
    return {str(value) for _, value in inspect.getmembers(names) if isinstance(value, Name)}


def tails() -> list[str]:
    """Ends of emitted names that a pool may be called: with the rest in front it would be that name."""
    emitted = fixed() | {str(one.name) for kind in KINDS.values() for one in compiled(["x"], [kind]).objects}
    ends = {name.split("_", n)[-1] for name in emitted for n in range(1, name.count("_") + 1)}
    return sorted(
        end for end in ends | {"x", "x_x", "tcp_x"} if re.fullmatch("[A-Za-z][A-Za-z0-9_-]{0,30}", end)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_names_never_meet(kind: str) -> None:
    """Pools that are called as the ends of our own names are: `take_` + `shortcut` was a fixed name once."""
    ends = tails()
    assert "shortcut" not in fixed() or "shortcut" in ends or len(ends) > 20
    for first in range(0, len(ends), 20):
        validate(compiled(ends[first : first + 20], [KINDS[kind], *KINDS.values()]))


def test_a_fixed_name_is_no_word_of_a_pool_with_a_pool() -> None:
    """Words stand in front of a pool's name and an underscore; no fixed name may begin so."""
    words = {
        one.name.word for kind in KINDS.values() for one in compiled(["x"], [kind]).objects if one.name.owner
    }
    assert len(words) > 40
    assert [(word, name) for word, name in product(words, fixed()) if name.startswith(f"{word}_")] == []


def test_two_objects_of_one_name_are_refused() -> None:
    table = compiled(["x"], [KINDS["cgnat"]])
    chain = next(one for one in table.objects if str(one.name) == "pool_x")

    with pytest.raises(InvalidTable, match="two objects are called chain pool_x"):
        validate(table._replace(objects=(*table.objects, chain)))
