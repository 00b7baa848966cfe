"""The chains of a dynamic pool's blocks, where they are few and where they are many."""

from __future__ import annotations

import pytest

from support.sites import site

POOL = """
nat_defaults: {{port_block_size: {size}}}
acls: {{homes: {{10: allow ip 100.64.0.0/24}}}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 1
    allocation: dynamic
    hairpin: off
    global_ip: [203.0.113.0/29]
    limits_peruser: {{portlimit_tcp: {size}, portlimit_udp: {size}}}
"""


def translating(size: int) -> list[str]:
    text = site(POOL.format(size=size)).text.text
    return [line.strip() for line in text.splitlines() if "map @addresses_homes :" in line]


def test_few_blocks_have_a_rule_each() -> None:
    found = translating(64)
    assert len(found) == 1008
    assert all(line.startswith("meta l4proto { tcp, udp, icmp } snat") for line in found)


@pytest.mark.parametrize("size", [8, 60])
def test_of_many_blocks_none_has_an_anonymous_set(size: int) -> None:
    """For each such set the kernel walks the whole transaction: seconds and minutes instead of one."""
    found = translating(size)
    assert len(found) == 3 * (64512 // size)
    assert not [line for line in found if "{" in line]
    assert {line.split()[2] for line in found} == {"tcp", "udp", "icmp"}
