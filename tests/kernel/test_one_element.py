"""One element looked up by its key: what nft answers, too."""

from __future__ import annotations

import pytest

from nfcompile.kernel import KernelError, netns, nft
from nfcompile.kernel.one_element import element

TABLE = """
table ip nfcompile {
    map eim {
        type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; flags dynamic,timeout
        timeout 5m
        elements = { tcp . 100.64.0.1 . 5000 : 203.0.113.1 . 1024,
                     136 . 100.64.0.1 . 65535 : 203.0.113.2 . 0 }
    }
    map assigned {
        type ipv4_addr : mark; flags dynamic,timeout; timeout 5m
        elements = { 100.64.0.1 : 0x12, 255.255.255.255 : 0xffffffff }
    }
    map addresses { type mark : ipv4_addr; elements = { 0x00000001 : 203.0.113.1 } }
    map ports {
        type mark : ipv4_addr . inet_service; flags interval
        elements = { 1-5 : 203.0.113.1 . 7 }
    }
    map blocks { type mark : verdict; elements = { 0x1000000 : accept } }
    map netmap {
        type ipv4_addr : interval ipv4_addr; flags interval
        elements = { 100.64.0.0/24 : 203.0.113.0/24 }
    }
    set open {
        type inet_proto . ipv4_addr . inet_service; flags dynamic,timeout
        elements = { udp . 203.0.113.1 . 9 timeout 1h }
    }
    set names { type ifname; elements = { "lan0" } }
}
"""
ASKED = [
    ("eim", "tcp . 100.64.0.1 . 5000"),
    ("eim", "udp . 100.64.0.1 . 5000"),
    ("eim", "udplite . 100.64.0.1 . 65535"),
    ("eim", "136 . 100.64.0.1 . 65535"),
    ("assigned", "100.64.0.1"),
    ("assigned", "255.255.255.255"),
    ("assigned", "100.64.0.2"),
    ("addresses", "0x00000001"),
    ("addresses", "0x00000002"),
    ("ports", "0x00000003"),
    ("ports", "0x00000007"),
    ("blocks", "0x01000000"),
    ("netmap", "100.64.0.77"),
    ("netmap", "100.64.1.77"),
    ("open", "udp . 203.0.113.1 . 9"),
    ("open", "tcp . 203.0.113.1 . 9"),
    ("names", '"lan0"'),
    ("nothing", "100.64.0.1"),
]


@pytest.fixture
def table(gateway):
    assert netns.inside(gateway.path, lambda: nft.load(TABLE)) == ()
    return gateway.path


def test_every_kind_of_set_answers_as_nft_does(table):
    found = netns.inside(table, lambda: [element(*one) for one in ASKED])

    assert found == netns.inside(table, lambda: [nft.element(*one) for one in ASKED])
    assert found[:5] == ["203.0.113.1 . 1024", None, "203.0.113.2 . 0", "203.0.113.2 . 0", "0x00000012"]
    assert found[14:16] == ["", None]


def test_what_is_in_a_hash_is_not_asked_of_nft(table, monkeypatch):
    def asked(name, key):
        raise AssertionError(name)

    monkeypatch.setattr(nft, "element", asked)
    assert netns.inside(table, lambda: element("assigned", "100.64.0.1")) == "0x00000012"


@pytest.mark.parametrize("key", ["100.64.0.1", "tcp . 100.64.0.1", "tcp . 100.64.0.1 . 70000", "tcp . x . 1"])
def test_a_key_of_other_parts_is_an_error(table, key):
    with pytest.raises(KernelError, match="looking up an element of 'eim' failed"):
        netns.inside(table, lambda: element("eim", key))


def test_without_a_table(gateway):
    assert netns.inside(gateway.path, lambda: element("eim", "tcp . 100.64.0.1 . 5000")) is None
