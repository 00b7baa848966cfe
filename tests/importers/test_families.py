"""Families of rules that are one pool: recognised when the pool gives every row, and otherwise left alone."""

import ipaddress
import time

import pytest

from nfcompile.importers.inbound import bindings
from nfcompile.model.ranges import address_text
from support.imported import fates, imported, site_of

INSIDE, GLOBAL = ipaddress.ip_address("100.64.0.0"), ipaddress.ip_address("203.0.112.0")


def rules(blocks, protocols=("tcp", "udp", None), inbound=False, out=""):
    """Rules as generators write them; `blocks` are (subscriber, address, first port, last port)."""
    before, lines = [], []
    for subscriber, address, first, last in blocks:
        for protocol in protocols:
            ports = f":{first}-{last}" if protocol in ("tcp", "udp") else ""
            match = f" -p {protocol}" if protocol else ""
            lines.append(
                f"-A POSTROUTING -s {subscriber}/32{out}{match} -j SNAT --to-source {address}{ports}"
            )
            if inbound and ports:
                match = f"-d {address}/32 -p {protocol} -m {protocol} --dport {first}:{last}"
                before.append(f"-A PREROUTING {match} -j DNAT --to-destination {subscriber}")
    return [*before, *lines]


def nat(*lines):
    return "\n".join(["*nat", ":PREROUTING ACCEPT [0:0]", ":POSTROUTING ACCEPT [0:0]", *lines, "COMMIT", ""])


def address_first(count, each, size, first=1024):
    return [
        (
            INSIDE + number,
            GLOBAL + number // each,
            first + number % each * size,
            first + (number % each + 1) * size - 1,
        )
        for number in range(count)
    ]


def spread(count, addresses, size, first=1024):
    return [
        (
            INSIDE + number,
            GLOBAL + number % addresses,
            first + number // addresses * size,
            first + (number // addresses + 1) * size - 1,
        )
        for number in range(count)
    ]


def table(found):
    """Every row that the pools give, as `blocks` has them."""
    return {
        (address_text(subscriber), address_text(block.address), block.first, block.last)
        for pool in found.pools
        for subscriber, block in bindings(pool)
    }


@pytest.mark.parametrize(
    ("blocks", "fill"),
    [
        (address_first(64, 8, 2000), "address"),
        (address_first(61, 8, 2000), "address"),
        (address_first(8, 8, 2000), "spread"),
        (address_first(40, 1, 60000), "address"),
        (spread(64, 8, 1000), "spread"),
        (spread(60, 8, 1000), "spread"),
    ],
    ids=["full", "the last not full", "one address", "one each", "spread", "spread, not full"],
)
def test_a_family_is_one_pool_with_the_same_rows(blocks, fill):
    found = imported("iptables", nat(*rules(blocks)))

    assert len(found.pools) == 1
    assert found.pools[0].fill == fill
    assert table(found) == {tuple(map(str, row[:2])) + row[2:] for row in blocks}
    assert found.account.totals["folded"] == 3 * len(blocks)
    assert "snat" not in site_of(found)


def test_a_first_block_without_port_0_makes_two_pools_on_the_same_addresses():
    blocks = [
        (subscriber, address, max(first, 1), last)
        for subscriber, address, first, last in address_first(64, 8, 8192, first=0)
    ]

    found = imported("iptables", nat(*rules(blocks, inbound=True)))

    assert table(found) == {tuple(map(str, row[:2])) + row[2:] for row in blocks}
    assert [one["port_range"] for one in site_of(found)["pools"].values()] == ["1-8191", "8192-65535"]
    assert [one["inbound"] for one in site_of(found)["pools"].values()] == ["subscriber"] * 2
    assert found.account.totals["folded"] == 5 * len(blocks)


def test_rules_only_for_tcp_and_udp_are_a_pool_for_tcp_and_udp():
    found = imported("iptables", nat(*rules(address_first(8, 4, 1000), protocols=("tcp", "udp"))))

    words = [text.split()[1] for text in site_of(found)["acls"]["l4"].values()]
    assert words == ["tcp", "udp"]


def test_a_rule_behind_a_family_loses_the_subscribers_and_one_before_it_does_not():
    """A site asks its `snat` first; the original asks the family before its last rule."""
    family = rules(address_first(16, 4, 1000), out=" -o wan0")
    before = "-A POSTROUTING -d 192.0.2.0/24 -o wan0 -j SNAT --to-source 198.51.100.1"
    behind = "-A POSTROUTING -o wan0 -j MASQUERADE"

    found = imported("iptables", nat(before, *family, behind))

    assert site_of(found)["snat"] == {
        "l4": {"interface": "wan0", "dst_cidr": "192.0.2.0/24", "snat_ip": "198.51.100.1"},
        "l53": {"interface": "wan0", "src_cidr": "!100.64.0.0/28", "snat_ip": "interface"},
    }


def test_a_rule_between_the_rules_of_one_subscriber_keeps_the_family_from_being_a_pool():
    lines = rules(address_first(4, 4, 1000))
    lines.insert(1, "-A POSTROUTING -s 100.64.0.0/32 -p udp -o wan0 -j SNAT --to-source 198.51.100.1")

    found = imported("iptables", nat(*lines), inside=("lan0",), outside=("wan0",))

    assert found.pools == ()
    assert len(site_of(found)["snat"]) == 13


@pytest.mark.parametrize(
    "spoil",
    [
        lambda blocks: blocks[:3],
        lambda blocks: [(a, b, first, last - number) for number, (a, b, first, last) in enumerate(blocks)],
        lambda blocks: [
            (a, b, first + 7 * number, last + 7 * number) for number, (a, b, first, last) in enumerate(blocks)
        ],
    ],
    ids=["few", "unequal blocks", "unequal steps"],
)
def test_what_follows_no_arithmetic_stays_as_it_is(spoil):
    blocks = spoil(address_first(8, 8, 1000))

    found = imported("iptables", nat(*rules(blocks)), inside=("lan0",), outside=("wan0",))

    assert found.pools == ()
    assert {one.split()[1] for one in fates(found)} == {"translated"}


def test_a_gap_begins_a_new_pool():
    first, second = address_first(16, 4, 1000), address_first(40, 4, 1000)[24:]

    found = imported("iptables", nat(*rules(first + second)))

    assert table(found) == {tuple(map(str, row[:2])) + row[2:] for row in first + second}
    assert len(found.pools) == 1  # a pool's subscribers may have gaps


def test_inbound_rules_for_some_blocks_only_stay_rules():
    blocks = address_first(16, 4, 1000)
    lines = rules(blocks, inbound=True)
    del lines[0]

    found = imported("iptables", nat(*lines), inside=("lan0",), outside=("wan0",))

    assert "inbound" not in site_of(found)["pools"]["l35"]
    assert len(site_of(found)["dnat"]) == 31


def test_another_rule_for_a_global_address_behind_the_inbound_rules_keeps_them_rules():
    lines = rules(address_first(16, 4, 1000), inbound=True)
    lines.insert(32, "-A PREROUTING -d 203.0.112.0/32 -p tcp --dport 443 -j DNAT --to-destination 10.0.0.7")

    found = imported("iptables", nat(*lines), inside=("lan0",), outside=("wan0",))

    assert len(site_of(found)["dnat"]) == 33


def test_twenty_thousand_lines_take_less_than_five_seconds():
    text = nat(*rules(address_first(4096, 8, 8000, first=1000), inbound=True))
    start = time.process_time()

    found = imported("iptables", text)

    assert time.process_time() - start < 5
    assert text.count("\n") > 20000
    assert found.account.totals["folded"] == 5 * 4096
    assert len(found.text) < 3000


def test_chains_for_each_address_are_a_family_too():
    blocks = address_first(32, 4, 2000)
    lines = [f":OUT{number} - [0:0]" for number in range(8)]
    lines += [f"-A POSTROUTING -s {INSIDE + 4 * number}/30 -o wan0 -j OUT{number}" for number in range(8)]
    for place, line in enumerate(rules(blocks)):
        lines.append(line.replace("POSTROUTING", f"OUT{place // 12}"))

    found = imported("iptables", nat(*lines))

    assert table(found) == {tuple(map(str, row[:2])) + row[2:] for row in blocks}
    assert found.account.totals["folded"] == 8 + 96


def test_a_pool_for_one_of_two_outside_interfaces_leaves_the_other_alone():
    family = rules(address_first(16, 4, 1000), out=" -o wan0")
    other = "-A POSTROUTING -s 10.0.0.0/24 -o wan1 -j MASQUERADE"

    found = imported("iptables", nat(*family, other))

    assert site_of(found)["interfaces"]["outside"] == ["wan0", "wan1"]
    assert site_of(found)["snat"]["l4-only"] == {
        "interface": "wan1",
        "src_cidr": "100.64.0.0/28",
        "exclude": "on",
    }
