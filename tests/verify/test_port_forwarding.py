"""Whatever the PCP daemon may write, the ruleset leads to the subscriber that asked, and from it: every port
that the daemon's decisions name for a subscriber, walked through the ruleset."""

from __future__ import annotations

from random import Random

import pytest

from nfcompile.emit import Name
from nfcompile.lower import names
from nfcompile.model.parse import address
from nfcompile.model.protocols import NAMES, TCP, UDP
from nfcompile.pcp.decisions import Attempt, opening
from nfcompile.pcp.messages import AskMap
from nfcompile.pcp.serving import Inside, ServedPools
from nfcompile.pipeline import Compiled
from nfcompile.verify import proof, walk
from nfcompile.verify.walk.values import Key
from support.sites import ROOT, site
from support.wires import route

FAR = address("198.18.0.1")
GOLDENS = ROOT / "tests" / "golden"
TRIES = 40


def golden(more: str = "") -> Compiled:
    text = (GOLDENS / "cgnat-port-forwarding" / "site.yaml").read_text()
    return site(text + more)


def key(protocol: int, at: int, port: int) -> Key:
    return walk.one(protocol), walk.one(at), walk.one(port)


def written(
    protocol: int, inside: tuple[int, int], outside: tuple[int, int], *, opened: bool = True
) -> walk.State:
    """The state after the daemon has opened a port; without `opened` a packet has made the entries."""
    elements: dict[tuple[Name, Key], Key | None] = {
        (names.eim("homes"), key(protocol, *inside)): (walk.one(outside[0]), walk.one(outside[1])),
        (names.eif("homes"), key(protocol, *outside)): (walk.one(inside[0]), walk.one(inside[1])),
    }
    if opened:
        elements[names.forwarded("homes"), key(protocol, *outside)] = ()
    return walk.State(elements)


def went(compiled: Compiled, state: walk.State, interface: str, protocol: int, *ends: int) -> set[object]:
    """All outcomes of a first packet: 'drop', or its ends."""
    asked = walk.Packet(interface, protocol, *map(walk.one, ends))
    walked = walk.walk(walk.read(compiled.table), asked, lambda to: route(to.first), state)
    return {
        "drop"
        if one.verdict == "drop"
        else tuple(
            end.first
            for end in (
                one.packet.source,
                one.packet.source_port,
                one.packet.destination,
                one.packet.destination_port,
            )
        )
        for one in walked
    }


@pytest.mark.parametrize(
    "more",
    ["", "    filtering: endpoint_independent\n", "    hairpin: off\n", "    randomize_ports: off\n",
     "    fill: address\n", "    inbound: subscriber\n"],
)  # fmt: skip
def test_any_port_that_the_daemon_may_open(more: str) -> None:
    compiled = golden(more)
    pools = ServedPools(compiled.site, compiled.allocations)
    dice = Random(more)
    for _ in range(TRIES):
        subscriber, port = address("100.64.0.0") + dice.randrange(64), dice.randrange(1024, 65536)
        protocol = dice.choice((TCP, UDP))
        inside = Inside("lan0", protocol, subscriber, port)
        ask = AskMap(protocol, port, 3600, dice.randrange(65536))
        attempt = opening(ask, inside, pools.of(inside), (), (), None)
        assert isinstance(attempt, Attempt)
        outside = attempt.address, dice.choice(attempt.ports)
        state = written(protocol, (subscriber, port), outside)
        said = NAMES[protocol], outside

        assert went(compiled, state, "wan0", protocol, FAR, 443, *outside) == {
            (FAR, 443, subscriber, port)
        }, said
        assert went(compiled, state, "lan0", protocol, subscriber, port, FAR, 443) == {
            (*outside, FAR, 443)
        }, said
        others = went(compiled, state, "lan0", protocol, subscriber, outside[1], FAR, 443)
        assert port == outside[1] or not any(
            one[:2] == outside for one in others if isinstance(one, tuple)
        ), said


def test_an_entry_alone_opens_nothing() -> None:
    """That of a packet, with filtering by address and port: what no subscriber has opened is dropped."""
    inside, outside = (address("100.64.0.1"), 5000), (address("203.0.113.1"), 1030)

    entry = written(UDP, inside, outside, opened=False)

    assert went(golden(), entry, "wan0", UDP, FAR, 443, *outside) == {"drop"}


def test_the_acl_is_asked_of_what_comes_in() -> None:
    """`deny tcp 100.64.0.0/26 any dport 25`"""
    inside, outside = (address("100.64.0.1"), 5000), (address("203.0.113.1"), 1030)
    state = written(TCP, inside, outside)

    assert went(golden(), state, "wan0", TCP, FAR, 25, *outside) == {"drop"}
    assert went(golden(), state, "wan0", TCP, FAR, 26, *outside) == {(FAR, 26, *inside)}


@pytest.mark.parametrize("name", ["cgnat-port-forwarding", "cgnat-dynamic-port-forwarding"])
def test_the_proof_holds(name: str) -> None:
    """Leaks are looked for in every state, so whatever stands in the set."""
    assert proof.prove(site((GOLDENS / name / "site.yaml").read_text())).holds
