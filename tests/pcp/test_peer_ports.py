"""What the nodes of a pair tell each other of open ports: only sound rows are taken, none for too long."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from nfcompile.ipalloc import Block
from nfcompile.pcp import peer_ports
from nfcompile.pcp.decisions import MOST_SECONDS, Forwarding
from nfcompile.pcp.peer_ports import PeerPorts, PortsCopy, sound
from nfcompile.pcp.serving import Inside, ServedPools
from support.sites import GOOD, site
from support.waiting import until

NONCE = "7477656c7665206279746573"
ROW: list[Any] = ["home", 17, 100, 6000, 200, 1500, NONCE, 60]
PORT = Forwarding("home", 17, 100, 6000, 200, 1500, bytes.fromhex(NONCE), 60.0)


def test_a_row_is_an_open_port() -> None:
    assert sound({"ports": [ROW]}) == (PORT,)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 7),
        (1, 256),
        (1, -1),
        (1, True),
        (2, 1 << 32),
        (2, "100.64.0.1"),
        (3, 65536),
        (4, -1),
        (5, 1.5),
        (6, NONCE[2:]),
        (6, "zz" * 12),
        (6, None),
        (7, 0),
        (7, MOST_SECONDS + 1),
    ],
)
def test_what_is_no_port_is_left_out(at: int, value: object) -> None:
    row = [*ROW[:at], value, *ROW[at + 1 :]]

    assert sound({"ports": [row, ROW, ROW[:7], [*ROW, 1], {}, None]}) == (PORT,)


@pytest.mark.parametrize("answer", [None, {}, {"ports": None}, {"ports": "homes"}, {"error": "no table"}])
def test_what_is_no_masters_answer_is_no_copy(answer: dict[str, Any] | None) -> None:
    assert sound(answer) is None


def test_time_goes_on_for_what_is_copied() -> None:
    copy = PortsCopy(1000.0, (PORT, PORT._replace(left=600.0)))

    assert [one.left for one in copy.left(1010.0)] == [50.0, 590.0]
    assert [one.left for one in copy.left(1060.0)] == [540.0]


def test_only_a_standby_asks_and_begins_without_what_it_knew_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_ports, "EVERY", 0.01)
    answers: list[dict[str, Any] | None] = [{"ports": [ROW]}]
    peer = PeerPorts(lambda: answers[0], time.monotonic)
    assert peer.copy is None

    peer.wanted(True)
    until(lambda: peer.copy is not None)
    answers[0] = None  # the master has died
    peer.wanted(True)
    kept = peer.copy
    peer.wanted(False)
    peer.wanted(True)

    assert kept is not None
    assert kept.ports == (PORT,)
    assert peer.copy is None


def test_a_pool_gives_what_its_subscriber_has() -> None:
    compiled = site(GOOD.replace("    priority", "    port_forwarding: on\n    priority"))
    pools = ServedPools(compiled.site, compiled.allocations)
    (served,) = pools.pools.values()
    subscriber = compiled.allocations[0].pool.acl.rules[0].source.first + 1  # type: ignore[union-attr]
    inside = Inside("", 17, subscriber, 6000)
    (block,) = served.blocks(inside, [])

    def gives(address: int, port: int, held: tuple[Block, ...] = ()) -> bool:
        return served.gives(inside, (address, port), held)

    assert gives(block.address, block.first)
    assert gives(block.address, block.last)
    assert not gives(block.address, block.last + 1)
    assert not gives(block.address + 1, block.first)
    assert not served.gives(inside._replace(address=subscriber + (1 << 20)), (block.address, block.first), [])


def test_a_gateway_that_never_stands_by_has_no_thread() -> None:
    before = threading.active_count()
    peer = PeerPorts(lambda: None, time.monotonic)
    assert threading.active_count() == before
    peer.wanted(True)
    assert threading.active_count() == before + 1
    peer.wanted(False)
