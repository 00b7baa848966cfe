"""What a takeover reads off connections: assignments, owners, mapping entries, and what contradicts."""

from __future__ import annotations

from typing import Any

from nfcompile.allocation.numbering import Numbering
from nfcompile.kernel.conntrack import ASSURED, DESTINATION_NAT, SEEN_REPLY, SOURCE_NAT, Flow
from nfcompile.live.rebuilding import CopiedBlock, rebuilt
from nfcompile.model.parse import address
from nfcompile.pipeline import Compiled
from support.sites import site

TCP, UDP, GRE, EXPECTED = 6, 17, 47, 1
SERVER = address("192.0.2.10")
BLOCKS = """\
nat_defaults: {port_block_size: 64}
acls: {a: {10: allow ip 100.64.0.0/24}, b: {10: allow ip 100.65.0.0/24}, c: {10: allow ip 100.66.0.0/29}}
pools:
  blocks: {type: cgnat, acl: a, priority: 1, global_ip: [203.0.113.0/31], allocation: dynamic,
           port_range: 1024-1279, limits_peruser: {portlimit_tcp: 128, portlimit_udp: 64}}
  whole: {type: nat, acl: b, priority: 2, global_ip: [203.0.113.16/29]}
  plain: {type: cgnat, acl: c, priority: 3, global_ip: [203.0.113.32/32]}
"""


def compiled() -> Compiled:
    return site(BLOCKS)


def out(inside: str, port: int, outside: str, global_port: int, protocol: int = UDP, status: int = 0) -> Flow:
    """A connection from inside that was translated."""
    return Flow(
        protocol, address(inside), port, SERVER, 80, SERVER, 80, address(outside), global_port,
        0, 0, status | SOURCE_NAT | SEEN_REPLY | ASSURED, 60, 3, (0, 0), 1,
    )  # fmt: skip


def contents(*flows: Flow, copy: tuple[CopiedBlock, ...] = ()) -> dict[str, Any]:
    found = rebuilt(compiled(), flows, copy)
    return {one.name: {key: (data, life) for key, data, life in one.elements} for one in found.contents}


def block(number: int) -> tuple[int, int]:
    """The global address of a number of the pool `blocks`, and its first port."""
    (stock,) = (one.stock for one in compiled().allocations if one.pool.name == "blocks")
    found = Numbering(stock).block(number)
    assert found is not None
    return found.address, found.first


def blocks(found: dict[str, Any], slot: int) -> dict[int, tuple[int, int]]:
    return {key[0]: block(data[0]) for key, (data, _) in found[f"assigned{slot}_blocks"].items()}


def test_blocks_and_entries_of_a_dynamic_pool() -> None:
    inside = address("100.64.0.9")
    found = contents(
        out("100.64.0.9", 5000, "203.0.113.1", 1024 + 64),
        out("100.64.0.9", 5001, "203.0.113.1", 1024, TCP),
        out("100.64.0.9", 5000, "203.0.113.1", 1024 + 64, TCP),
    )

    outside = address("203.0.113.1")
    assert blocks(found, 1) == {inside: (outside, 1088)}
    assert blocks(found, 2) == {inside: (outside, 1024)}
    assert {block(key[0]) for key in found["taken_blocks"]} == {(outside, 1088), (outside, 1024)}
    assert {key: data for key, (data, _) in found["eim_blocks"].items()} == {
        (UDP, inside, 5000): (outside, 1088),
        (TCP, inside, 5001): (outside, 1024),
        (TCP, inside, 5000): (outside, 1088),
    }
    assert found["eif_blocks"][UDP, outside, 1088][0] == (inside, 5000)


def test_whole_addresses_and_their_owners() -> None:
    found = contents(out("100.65.0.3", 1, "203.0.113.18", 1, GRE))
    inside, outside = address("100.65.0.3"), address("203.0.113.18")

    assert found["owners_whole"] == {(outside,): ((inside,), 0)}
    assert list(found["assigned1_whole"]) == [(inside,)]


def test_a_connection_from_outside_says_the_same() -> None:
    inside, outside = address("100.64.0.9"), address("203.0.113.0")
    status = DESTINATION_NAT | SEEN_REPLY
    inward = Flow(UDP, SERVER, 80, outside, 1100, inside, 6000, SERVER, 80, 0, 0, status, 60, 0, (0, 0), 1)

    assert contents(inward)["eim_blocks"] == {(UDP, inside, 6000): ((outside, 1100), 0)}


def test_what_nothing_has_answered_is_on_trial_here_too() -> None:
    """One connection of a subscriber that is answered speaks for all; so does the copy of the peer."""
    silent, heard, copied = (address(f"100.64.0.{n}") for n in (7, 8, 9))
    quiet = [
        one._replace(status=SOURCE_NAT)
        for one in (
            out("100.64.0.7", 1, "203.0.113.0", 1024),
            out("100.64.0.8", 1, "203.0.113.0", 1088),
        )
    ]
    flows = *quiet, out("100.64.0.8", 2, "203.0.113.0", 1089)
    found = contents(*flows, copy=(CopiedBlock("blocks", copied, address("203.0.113.1"), 1024),))

    assert {key[0]: life for key, (_, life) in found["assigned1_blocks"].items()} == {heard: 0, copied: 0}
    assert {key[0]: life for key, (_, life) in found["ontrial1_blocks"].items()} == {silent: 0}
    assert sorted(life for _, life in found["taken_blocks"].values()) == [0, 0, 40]
    assert {key[1:]: life for key, (_, life) in found["eim_blocks"].items()} == {
        (silent, 1): 30,
        (heard, 1): 0,
        (heard, 2): 0,
    }
    assert sorted(life for _, life in found["eif_blocks"].values()) == [0, 0, 30]


def test_what_contradicts_an_earlier_connection_is_left_out_and_counted() -> None:
    first, second = out("100.64.0.1", 1, "203.0.113.0", 1024), out("100.64.0.2", 1, "203.0.113.0", 1025)
    found = rebuilt(compiled(), [first, second])

    assert (found.flows, found.assignments, found.mappings, found.clashes) == (2, 1, 1, 1)


def test_a_helpers_port_makes_no_entry_and_foreign_addresses_nothing() -> None:
    found = rebuilt(
        compiled(),
        [
            out("100.64.0.1", 1, "203.0.113.0", 1030, TCP, EXPECTED),
            out("100.64.0.1", 1, "198.51.100.1", 1030),
            out("100.64.0.1", 1, "203.0.113.0", 9999),
        ],
    )

    assert (found.assignments, found.clashes) == (0, 0)


def test_a_copy_fills_what_no_connection_says() -> None:
    flow = out("100.64.0.1", 1, "203.0.113.0", 1024)
    copy = (
        CopiedBlock("blocks", address("100.64.0.7"), address("203.0.113.1"), 1024),
        CopiedBlock("blocks", address("100.64.0.8"), address("203.0.113.0"), 1024),
        CopiedBlock("blocks", address("100.64.0.1"), address("203.0.113.1"), 1088),
        CopiedBlock("blocks", address("100.64.0.6"), address("203.0.113.1"), 1),
        CopiedBlock("gone", address("100.64.0.6"), address("203.0.113.1"), 1024),
    )
    found = rebuilt(compiled(), [flow], copy)

    assert (found.assignments, found.copied) == (2, 1)
    held = blocks(contents(flow, copy=copy), 1)
    assert held == {
        address("100.64.0.1"): (address("203.0.113.0"), 1024),
        address("100.64.0.7"): (address("203.0.113.1"), 1024),
    }, "a further block is on the same address"


def test_longer_lives_of_tcp_entries() -> None:
    text = BLOCKS.replace(
        "port_block_size: 64", "port_block_size: 64, timeouts_inactivity: {tcp_active: 900}"
    )
    made = rebuilt(
        site(text), [out("100.66.0.1", 1, "203.0.113.32", 2000, protocol) for protocol in (UDP, TCP)]
    )
    (lives,) = [
        {key[0]: life for key, _, life in one.elements} for one in made.contents if one.name == "eim_plain"
    ]

    assert lives[UDP] == 0
    assert lives[TCP] > 900


def test_what_the_peer_has_opened_is_closed() -> None:
    """Its set is emptied: what stood there is of another time, and clients ask again."""
    found = rebuilt(site(BLOCKS.replace("acl: a,", "acl: a, port_forwarding: on,")), ())

    assert [list(one.elements) for one in found.contents if one.name == "forwarded_blocks"] == [[]]
