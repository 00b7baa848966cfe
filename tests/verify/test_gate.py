"""The gate of a node in a pair: proved open and closed, and what it spares."""

from nfcompile.emit import Chain
from nfcompile.live import gate
from nfcompile.lower import names
from nfcompile.pipeline import Compiled
from nfcompile.verify import proof
from nfcompile.verify.explain.answer import Question, explain
from nfcompile.verify.walk import NOTHING, Packet, one, read, walk
from support.sites import ROOT, site

OWN, PEER, ROUTER, SUBSCRIBER, SERVER = 0x64400002, 0x64400003, 0x64400001, 0x64400009, 0xC6336401
VRRP_GROUP, VRRP, TCP = 0xE0000012, 112, 6


def pair() -> Compiled:
    return site((ROOT / "tests" / "golden" / "pair-two-nodes" / "site.yaml").read_text())


def closed_verdicts(compiled: Compiled, protocol: int, destination: int, interface: str = "lan0") -> set[str]:
    packet = Packet(interface, protocol, one(SUBSCRIBER), one(4000), one(destination), one(80), True)
    return {each.verdict for each in walk(read(compiled.table), packet, lambda _: "wan0", NOTHING)}


def without_gate(compiled: Compiled) -> Compiled:
    """The site with a ruleset that lacks the rule of the gate."""
    kept = tuple(
        thing._replace(rules=thing.rules[1:])
        if isinstance(thing, Chain) and thing.name == names.PREROUTING
        else thing
        for thing in compiled.table.objects
    )
    return compiled._replace(table=compiled.table._replace(objects=kept))


def test_a_pair_is_proved_with_its_gate_open_and_closed() -> None:
    assert proof.prove(pair()).holds


def test_the_proof_misses_a_gate_that_is_not_there() -> None:
    found = proof.prove(without_gate(pair()))

    assert found.different
    assert {str(one.fate) for one in found.different} == {"drop (the gate is closed)"}


def test_a_closed_gate_drops_what_is_forwarded_and_spares_the_node() -> None:
    compiled = pair()

    assert closed_verdicts(compiled, TCP, SERVER) == {"drop"}
    assert closed_verdicts(compiled, TCP, ROUTER) == {"drop"}, "a virtual address is not the node's own"
    assert closed_verdicts(compiled, VRRP, VRRP_GROUP) == {"accept"}
    assert closed_verdicts(compiled, TCP, VRRP_GROUP) == {"accept"}, "multicast"
    assert closed_verdicts(compiled, VRRP, SERVER) == {"accept"}, "the protocol as such"


def test_takeover_opens_the_gate_for_both_sides() -> None:
    compiled = pair()

    opened = [key[0] for key, _, _ in gate.opened(compiled).elements]
    assert sorted(opened) == sorted({*compiled.site.interfaces.inside, *compiled.site.interfaces.outside})
    assert list(gate.closed().elements) == []


def test_explain_speaks_of_an_open_gate_and_of_a_closed_one() -> None:
    asked = Question(TCP, SUBSCRIBER, SERVER, 4000, 80)

    assert explain(pair(), asked).action == "translate"
    refused = explain(pair(), asked, NOTHING)
    assert (refused.action, refused.pool) == ("drop", None)
    assert refused.steps[-1].text.startswith("dropped: the gate is closed")
    assert refused.steps[-1].path == ("pairs", "east")
