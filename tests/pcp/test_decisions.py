"""What is decided of a request, without a kernel: pools, blocks, quotas, nonces."""

from random import Random

import pytest

from nfcompile.ipalloc import Block
from nfcompile.model.parse import address
from nfcompile.pcp.decisions import Attempt, Closing, Forwarding, closing, lifetime, opening
from nfcompile.pcp.messages import AskMap, ResultCode, Told
from nfcompile.pcp.serving import Inside, ServedPools, quota
from support.sites import HEAD, site

TCP, UDP = 6, 17
SITE = """
nat_defaults: {portlimit_low: 64}
acls:
  homes:
    10: deny udp 100.64.0.3
    20: deny ip 100.64.0.0/26 198.18.0.0/16
    40: allow ip 100.64.0.0/26
  some: {10: allow ip 100.64.0.0/26 10.0.0.0/8}
  flats: {10: allow ip 100.64.2.0/26}
  silent: {10: allow ip 100.64.4.0/26}
  office: {10: allow ip 10.9.0.0/29}
  free: {10: allow ip 100.64.5.0/24}
pools:
  some: {type: cgnat, acl: some, priority: 1, global_ip: [203.0.113.64/28], port_forwarding: on}
  homes:
    type: cgnat
    acl: homes
    priority: 2
    global_ip: [203.0.113.0/29]
    port_forwarding: on
    limits_peruser: {portlimit_udp: 512}
  flats:
    type: cgnat
    acl: flats
    priority: 3
    allocation: dynamic
    global_ip: [203.0.113.16/28]
    port_forwarding: on
    timeouts_inactivity: {translation: 7200}
  silent: {type: cgnat, acl: silent, priority: 4, global_ip: [203.0.113.32/29]}
  office: {type: nat, allocation: deterministic, acl: office, priority: 5, global_ip: [200.0.2.0/29],
           port_forwarding: on}
  shut: {type: static, priority: 6, allow_external_connect: off, port_forwarding: on,
         global_map: {10.1.0.1: 200.0.3.1}}
  free: {type: fake, acl: free, priority: 7}
"""
POOLS = ServedPools(*(lambda one: (one.site, one.allocations))(site(HEAD + SITE)))
NONCE = b"0123456789ab"


def inside(text, protocol=TCP, port=6000):
    return Inside("lan0", protocol, address(text), port)


def asked(protocol=TCP, port=6000, seconds=3600, **more):
    return AskMap(protocol, port, seconds, nonce=NONCE, **more)


def decided(source, ask=None, held=(), mine=(), mapped=None):
    ask = ask or asked()
    mine_ = inside(source, ask.protocol, ask.port)
    return opening(ask, mine_, POOLS.of(mine_), held, mine, mapped)


def forwarding(port=6000, nonce=NONCE, protocol=TCP, global_port=1500):
    source, outside = address("100.64.0.1"), address("203.0.113.1")
    return Forwarding("homes", protocol, source, port, outside, global_port, nonce, 99.5)


@pytest.mark.parametrize(
    ("source", "protocol", "port", "pool"),
    [
        ("100.64.0.1", TCP, 6000, "homes"),
        ("100.64.0.3", UDP, 6000, None),
        ("100.64.0.3", TCP, 6000, "homes"),
        ("100.64.2.1", TCP, 6000, "flats"),
        ("100.64.4.1", TCP, 6000, None),
        ("10.9.0.1", TCP, 6000, "office"),
        ("10.1.0.1", TCP, 6000, None),
        ("100.64.5.1", TCP, 6000, None),
        ("192.0.2.1", TCP, 6000, None),
    ],
)
def test_the_pool_that_takes_packets_to_every_destination(source, protocol, port, pool):
    found = POOLS.of(inside(source, protocol, port))

    assert (found.pool.name if found else None) == pool


def test_every_port_that_is_tried_is_the_subscribers_own():
    """For all subscribers, whatever they wish: of the block, as far as the protocol may use it."""
    dice = Random(0)
    for _ in range(2000):
        source = f"100.64.0.{dice.randrange(64)}"
        protocol = dice.choice((TCP, UDP))
        ask = asked(protocol, dice.randrange(1, 65536), wish_port=dice.randrange(65536))
        served = POOLS.of(inside(source, protocol, ask.port))
        attempt = decided(source, ask)
        if served is None:
            assert attempt == Told(ResultCode.NOT_AUTHORIZED, 1800)
            continue
        (block,) = served.blocks(inside(source, protocol), ())
        low = served.allocation.low_block(block)
        last = block.first + (1023 if protocol == TCP else 511)

        assert attempt.address == block.address
        assert len(attempt.ports) == len(set(attempt.ports)) >= 200
        for port in attempt.ports:
            assert block.first <= port <= last or (low is not None and low.first <= port <= low.last)


def test_wishes():
    """What the block has comes first; with PREFER_FAILURE nothing else."""
    block = POOLS.pools["homes"].blocks(inside("100.64.0.1"), ())[0]

    assert decided("100.64.0.1", asked(wish_port=block.first + 7)).ports[0] == block.first + 7
    assert decided("100.64.0.1", asked(port=block.first + 9)).ports[0] == block.first + 9
    insists = asked(wish_port=block.first + 7, prefer_failure=True)
    assert decided("100.64.0.1", insists).ports == [block.first + 7]
    elsewhere = asked(wish_port=block.first + 7, wish_address=block.address + 1, prefer_failure=True)
    assert decided("100.64.0.1", elsewhere).ports == []
    assert decided("100.64.0.1", elsewhere).otherwise == ResultCode.CANNOT_PROVIDE_EXTERNAL


def test_a_low_port_is_for_those_who_wish_for_it():
    found = decided("100.64.0.1", asked(port=80, wish_port=100))
    low = POOLS.pools["homes"].low_ports(POOLS.pools["homes"].blocks(inside("100.64.0.1"), ()))

    assert [run for run in low if run.first <= 100 <= run.last]
    assert found.ports[0] == 100
    assert min(found.ports[1:]) >= 1024


def test_a_socket_keeps_the_port_that_its_packets_have():
    block = POOLS.pools["homes"].blocks(inside("100.64.0.1"), ())[0]

    found = decided("100.64.0.1", asked(wish_port=block.first), mapped=(block.address, block.first + 33))
    stale = decided("100.64.0.1", asked(), mapped=(block.address, block.last + 1))

    assert found.ports == [block.first + 33]
    assert stale.ports == []


def test_renewal():
    """The same port, whatever is wished for; and who has another nonce has to wait until it is over."""
    mine = [forwarding()]

    assert decided("100.64.0.1", asked(wish_port=1600), mine=mine).ports == (1500,)
    other = [forwarding(nonce=b"another nonc")]
    assert decided("100.64.0.1", asked(), mine=other) == Told(ResultCode.NOT_AUTHORIZED, 99)
    insists = asked(wish_port=1600, prefer_failure=True)
    assert decided("100.64.0.1", insists, mine=mine).result == ResultCode.CANNOT_PROVIDE_EXTERNAL


def test_a_quota():
    full = [forwarding(7000 + n, global_port=1600 + n) for n in range(32)]

    assert decided("100.64.0.1", mine=full) == Told(ResultCode.USER_EX_QUOTA, 30)
    assert isinstance(decided("100.64.0.1", mine=full[1:]), Attempt)
    assert isinstance(decided("100.64.0.1", asked(port=7000), mine=full), Attempt)
    blocks = POOLS.pools["homes"].ports(UDP, POOLS.pools["homes"].blocks(inside("100.64.0.1"), ()))
    assert quota(blocks) == 32
    assert quota([one._replace(last=one.first + 39) for one in blocks]) == 10
    assert quota([one._replace(last=one.first) for one in blocks]) == 1


def test_closing():
    mine = [forwarding(6000), forwarding(6001), forwarding(6000, protocol=UDP), forwarding(6002, b"x" * 12)]

    one = closing(asked(seconds=0), mine)
    tcp = closing(asked(port=0, seconds=0), mine)
    every = closing(asked(0, 0, 0), mine)

    assert one == Closing((mine[0],), Told(ResultCode.SUCCESS, 0, mine[0].global_address, 1500))
    assert tcp == Closing((mine[0], mine[1]), Told(ResultCode.SUCCESS))
    assert every == Closing(tuple(mine[:3]), Told(ResultCode.SUCCESS))
    assert closing(asked(port=6002, seconds=0), mine) == Told(ResultCode.NOT_AUTHORIZED, 99)
    assert closing(asked(port=6009, seconds=0), mine) == Closing((), Told(ResultCode.SUCCESS))


def test_dynamic_pools():
    """Ports of assigned blocks, no longer than the subscriber keeps them; before it has one, later."""
    block = Block(address("203.0.113.17"), 1024, 1151)

    found = decided("100.64.2.1", asked(seconds=99999), held=[block])

    assert decided("100.64.2.1") == Told(ResultCode.NO_RESOURCES, 30)
    assert (found.address, found.lifetime) == (block.address, 7200)
    assert all(block.first <= port <= block.last for port in found.ports)


def test_whole_addresses():
    """In nat and static pools a port has its own number, and is open."""
    assert decided("10.9.0.2", asked(wish_port=99)) == Told(
        ResultCode.SUCCESS, 3600, address("200.0.2.2"), 6000
    )
    insists = asked(wish_port=99, prefer_failure=True)
    assert decided("10.9.0.2", insists).result == ResultCode.CANNOT_PROVIDE_EXTERNAL


@pytest.mark.parametrize(("protocol", "port"), [(132, 5), (0, 0), (TCP, 0), (1, 7)])
def test_other_protocols(protocol, port):
    assert decided("100.64.0.1", asked(protocol, port)).result == ResultCode.UNSUPP_PROTOCOL


@pytest.mark.parametrize(("wanted", "given"), [(1, 120), (500, 500), (1 << 31, 86400)])
def test_lifetimes(wanted, given):
    assert lifetime(POOLS.pools["homes"], wanted) == given
