"""What verbs say of IPv6: npt pools in lists, plans and pictures, and questions about their addresses."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from support.command import nfcompile, write

SITE = """version: 1
interfaces: {inside: [lan0, lan1], outside: [wan0]}
nat_defaults: {timeouts_inactivity: {udp: 99}}
acls: {a: {10: allow ip 100.64.0.0/30 any}}
pools:
  flat: {type: npt, priority: 55, stateless: on, hairpin: off, global_map: {"fd00:a::/64": "2001:db8:a::/64"}}
  v6: {type: npt, priority: 40,
       global_map: {"fd00:2:0:40::/61": "2001:db8:2:40::/61", "fd00:1::/48": "2001:db8:1::/48"}}
  homes: {type: cgnat, acl: a, priority: 45, global_ip: [203.0.113.0/31]}
  gone: {type: npt, priority: 56, enable: off, global_map: {"fd00:b::/64": "2001:db8:b::/64"}}
"""
PAIRS = [
    ("v6", "fd00:1::/48", "2001:db8:1::/48"),
    ("v6", "fd00:2:0:40::/61", "2001:db8:2:40::/61"),
    ("flat", "fd00:a::/64", "2001:db8:a::/64"),
]


@pytest.fixture
def site(here: Any) -> str:
    return str(write("site.yaml", SITE))


def said(*arguments: object) -> Any:
    ran = nfcompile(*arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_mappings_have_a_row_for_each_pair_behind_the_subscribers(site: str) -> None:
    table = list(csv.reader(io.StringIO(said("mappings", site))))
    rows = json.loads(said("mappings", site, "--format", "json"))

    assert [row[0] for row in table] == ["pool", *4 * ["homes"], "v6", "v6", "flat"]
    assert table[5:] == [[*pair, "", "", "all"] for pair in PAIRS]
    assert [(one["pool"], one["subscriber"], one["global_ip"]) for one in rows[4:]] == PAIRS
    assert {one["port_first"] for one in rows[4:]} == {None}
    assert said("mappings", site, "--compact").splitlines()[-3:] == [
        ",".join([*pair, "", "", "all"]) for pair in PAIRS
    ]


def test_plan_says_that_nothing_runs_out(site: str) -> None:
    text = said("plan", site)
    pools = json.loads(said("plan", site, "--format", "json"))["pools"]

    assert [one["pool"] for one in pools] == ["homes", "v6", "flat"]
    assert [one.get("prefix_pairs") for one in pools] == [None, 2, 1]
    assert "v6: 2 pairs of prefixes of IPv6: each address inside has one outside, nothing runs out\n" in text
    assert "flat: 1 pair of prefixes of IPv6: " in text
    assert "gone" not in text
    said("plan", site, "--html", "plan.html")
    with open("plan.html", encoding="utf-8") as page:
        assert "2 pairs of prefixes of IPv6" in page.read()


def test_show_has_the_keys_of_the_type_and_inherits_nothing(site: str) -> None:
    pools = json.loads(said("show", site, "--format", "json"))["pools"]
    values = {one["key"]: (one["value"], one["from"]) for one in pools[1]["values"]}

    assert [(one["name"], one["enabled"]) for one in pools] == [
        *(("flat", True), ("v6", True), ("homes", True), ("gone", False)),
    ]
    assert values["global_map"] == (dict(pair[1:] for pair in reversed(PAIRS[:2])), "pool")
    assert (values["stateless"], values["hairpin"]) == ((False, "default"), (True, "default"))
    assert not [key for key in values if key.startswith(("timeouts", "limits", "acl", "port"))]
    assert "udp" not in said("show", site, "v6")
    unknown = nfcompile("show", site, "v7")
    assert (unknown.returncode, "there are: flat, v6, homes, gone" in unknown.stderr) == (2, True)


def test_graph_has_both_directions_of_ipv6(site: str) -> None:
    drawn = said("graph", site)
    picture = said("graph", site, "--format", "svg")

    assert [line.partition("[")[2] for line in drawn.splitlines() if "subgraph" in line][2:] == [
        *('"an IPv6 packet from inside"]', '"an IPv6 packet from outside"]'),
    ]
    assert drawn.index("pool v6 (npt, priority 40)") < drawn.index("pool flat (npt, priority 55)")
    assert "fd00:1::/48 to 2001:db8:1::/48" in drawn
    assert "stateless: every packet by itself" in drawn
    assert "gone" not in drawn
    ElementTree.fromstring(picture)
    assert "to 2001:db8:a::/64" in picture


@pytest.mark.parametrize(
    ("asked", "pool", "inside", "outside"),
    [
        ("fd00:1::10", "v6", "fd00:1::10", "2001:db8:1::10"),
        ("2001:db8:1:0:0::10", "v6", "fd00:1::10", "2001:db8:1::10"),
        ("[2001:db8:2:47::1]:443", "v6", "fd00:2:0:47::1", "2001:db8:2:47::1"),
        ("[FD00:A::1]", "flat", "fd00:a::1", "2001:db8:a::1"),
    ],
)
def test_lookup_both_ways_in_every_form(site: str, asked: str, pool: str, inside: str, outside: str) -> None:
    wanted = (pool, inside, outside, None, None, "translate")
    found = json.loads(said("lookup", site, asked, "--format", "json"))
    reported = json.loads(said("lookup", site, asked, "--report", "--format", "json"))["answers"][0]
    (row,) = csv.DictReader(io.StringIO(said("lookup", site, asked, "--format", "csv")))

    keys = ("pool", "subscriber", "global_ip", "port_first", "port_last", "action")
    assert tuple(found[key] for key in keys) == wanted
    assert tuple(reported[key] for key in keys) == wanted
    assert tuple(row[key] or None for key in keys) == wanted
    assert row["addr"] == asked.removesuffix(":443").strip("[]")
    assert row["port"] == ("443" if asked.endswith(":443") else "")


def test_lookup_of_a_file_has_both_versions(site: str) -> None:
    questions = "addr,port,proto\nfd00:1::7,80,tcp\n100.64.0.1,,\n[fd00:1::8],,\nfd00:b::1,,\nfd00::zz,,\n"
    write("asked.csv", questions)

    ran = nfcompile("lookup", site, "--bulk", "asked.csv")
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))

    assert ran.returncode == 1
    assert "asked.csv:6: error: 'fd00::zz' is not an address" in ran.stderr
    assert [(one["addr"], one["port"], one["pool"], one["action"]) for one in rows] == [
        ("fd00:1::7", "80", "v6", "translate"),
        ("100.64.0.1", "", "homes", "translate"),
        ("[fd00:1::8]", "", "v6", "translate"),
        ("fd00:b::1", "", "", "none"),
    ]


@pytest.mark.parametrize(
    "asked", ["fd00:1::10%lan0", "[fd00:1::10", "[fd00:1::10]:0", "[fd00:1::10]:65536", ":::"]
)
def test_what_is_no_address_is_an_error(site: str, asked: str) -> None:
    for ran in (
        nfcompile("lookup", site, asked),
        nfcompile("explain", site, "--proto", "tcp", "--src", "fd00::1", "--dst", asked),
    ):
        assert (ran.returncode, f"'{asked}' is not an address" in ran.stderr) == (2, True)
        assert "Traceback" not in ran.stderr


def explained(site: str, protocol: str, source: str, destination: str, *more: str) -> Any:
    asked = ("--proto", protocol, "--src", source, "--dst", destination, *more)
    return json.loads(said("explain", site, *asked, "--format", "json"))


FAR = "2001:db8:ffff::1"


@pytest.mark.parametrize(
    ("source", "destination", "more", "action", "pool", "to", "last"),
    [
        (
            "[fd00:1::10]:5000",
            f"[{FAR}]:443",
            (),
            "translate",
            "v6",
            f"[{FAR}]:443",
            "source becomes 2001:db8:1::10",
        ),
        (
            FAR,
            "2001:db8:1::10",
            ("--in", "wan0"),
            "translate",
            "v6",
            "fd00:1::10",
            "destination becomes fd00:1::10",
        ),
        (
            "fd00:1::10",
            "2001:db8:2:41::7",
            (),
            "translate",
            "v6",
            "fd00:2:0:41::7",
            "source becomes 2001:db8:1::10",
        ),
        ("fd00:a::10", FAR, (), "translate", "flat", FAR, "source becomes 2001:db8:a::10"),
        ("fd00:a::10", "2001:db8:a::1", (), "drop", "flat", "2001:db8:a::1", "hairpin is off in pool 'flat'"),
        ("fd00:b::10", FAR, (), "untranslated", None, FAR, "no npt pool has fd00:b::10"),
        (FAR, "fd00:1::10", ("--in", "wan0"), "untranslated", None, "fd00:1::10", "to no global prefix"),
        ("fd00:1::10", FAR, ("--in", "tun9"), "untranslated", None, FAR, "'tun9' is not an inside interface"),
        ("fd00:1::10", FAR, ("--out", "lan1"), "untranslated", None, FAR, "from 'lan0' to 'lan1' nothing"),
    ],
)
def test_explain_says_what_becomes_of_a_packet_and_why(
    site: str,
    source: str,
    destination: str,
    more: tuple[str, ...],
    action: str,
    pool: str | None,
    to: str,
    last: str,
) -> None:
    found = explained(site, "tcp", source, destination, *more)

    assert (found["action"], found["pool"], found["to"]) == (action, pool, to)
    assert last in found["steps"][-1]["text"]
    assert (found["global_ip"] is None) == (action != "translate")


def test_explain_names_the_lines_of_the_site(site: str) -> None:
    found = explained(site, "icmpv6", "fd00:a::10", FAR)
    text = said("explain", site, "--proto", "icmpv6", "--src", "fd00:1::10", "--dst", FAR)

    assert [one["path"] for one in found["steps"]] == [
        "pools.flat.stateless",
        "pools.flat.global_map.fd00:a::/64",
    ]
    assert "site.yaml:8: pool 'v6': the source becomes 2001:db8:1::10\n" in text


def test_explain_refuses_what_no_packet_is(site: str) -> None:
    for protocol, source, destination, why in (
        ("icmp", "fd00:1::1", FAR, "'icmp' is not a protocol of IPv6; write "),
        ("icmpv6", "100.64.0.1", "192.0.2.1", "'icmpv6' is not a protocol; write "),
        ("icmpv6", "[fd00:1::1]:5", FAR, "has no ports"),
        ("tcp", "100.64.0.1", FAR, "different IP versions"),
    ):
        ran = nfcompile("explain", site, "--proto", protocol, "--src", source, "--dst", destination)
        assert (ran.returncode, why in ran.stderr) == (2, True)


def test_explain_without_a_pool_of_ipv6_says_so(here: Any) -> None:
    write("plain.yaml", SITE[: SITE.index("  flat:")] + "  homes: {type: fake, acl: a, priority: 1}\n")
    found = explained("plain.yaml", "tcp", "fd00:1::1", FAR)

    assert found["action"] == "untranslated"
    assert found["steps"][0]["text"] == "the site has no npt pool: packets of IPv6 are forwarded as they are"
