"""What nft lists is read as what was written, and what is not known is said.

`listed/` has what two versions of nft list of the tables in support/every_form.py (`nft -j list table ip
nfcompile`, and `ip6`, after `nft -f`); tests/kernel/test_listing.py asks the nft of the machine.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nfcompile.emit import Chain, Flowtable, Map, Set
from nfcompile.emit.expressions import Bitwise, Element, Name, Verdict, keys
from nfcompile.emit.listing import UnknownListing, read_listing, read_table
from nfcompile.emit.listing.phrases import set_update
from nfcompile.emit.listing.statements import Types, statement
from nfcompile.emit.normal import normal
from nfcompile.emit.statements import CT_STATUS, IP_SADDR, META_MARK, CtCount, Limit, Match, SetUpdate, Use
from nfcompile.emit.validate import InvalidTable
from nfcompile.model.ranges import Range
from nfcompile.verify import walk
from support.every_form import SITE6, TABLE
from support.sites import site

LISTED = Path(__file__).parent / "listed"
VERSIONS = sorted(LISTED.glob("nft-*.json"))
OF_IPV6 = sorted(LISTED.glob("ip6-*.json"))
SETS = {"ends": Types(("ipv4_addr",), ("ipv4_addr", "inet_service")), "marks": Types(("mark",), ("mark",))}


def table(*entries: Any) -> list[Any]:
    return [
        {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
        {"table": {"family": "ip", "name": "nfcompile", "handle": 1}},
        *entries,
    ]


def entry(kind: str, name: str, **members: Any) -> dict[str, Any]:
    return {kind: {"family": "ip", "table": "nfcompile", "name": name, "handle": 2, **members}}


def rule(*statements: Any, **members: Any) -> dict[str, Any]:
    return {"rule": {"family": "ip", "table": "nfcompile", "chain": "c", "expr": list(statements), **members}}


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: str(path.stem))
def test_every_form_of_the_vocabulary_comes_back(path: Path) -> None:
    found = normal(read_table(json.loads(path.read_text())["nftables"]))
    wanted = normal(TABLE)

    assert [one.name for one in found.objects] == [one.name for one in wanted.objects]
    for mine, theirs in zip(wanted.objects, found.objects, strict=True):
        assert mine == theirs
    assert len(VERSIONS) == 2


@pytest.mark.parametrize("path", OF_IPV6, ids=lambda path: str(path.stem))
def test_every_form_of_ipv6_comes_back(path: Path) -> None:
    wanted = site(SITE6).npt
    assert wanted is not None
    assert normal(read_table(json.loads(path.read_text())["nftables"])) == normal(wanted)
    assert len(OF_IPV6) == len(VERSIONS)


def test_bits_are_tested_for_any_and_for_none() -> None:
    def read(op: str) -> Any:
        return statement(
            {"match": {"op": op, "left": {"ct": {"key": "status"}}, "right": ["snat", "dnat"]}}, {}
        )

    assert read("in") == Match(CT_STATUS, keys([48]), "in")
    assert read("!") == Match(Bitwise(CT_STATUS, 48), keys([0]))


def test_an_update_of_a_map_is_a_phrase() -> None:
    phrase = "add @ends { ip saddr timeout 1h3s limit rate over 5/week : ip daddr . udp dport }"
    found = statement(phrase, SETS)

    assert isinstance(found, SetUpdate)
    assert (found.op, found.name, found.key, found.timeout) == ("add", Name("ends"), IP_SADDR, 3603)
    assert found.condition == Limit(5, "week", 5, over=True)
    counted = statement("update @marks { meta mark & 0x000000ff ct count 3 : 0x00000007 }", SETS)
    assert isinstance(counted, SetUpdate)
    assert (counted.key, counted.condition) == (Bitwise(META_MARK, 0xFF), CtCount(3))


@pytest.mark.parametrize(
    "phrase",
    [
        "add @ends { ip saddr : ip daddr }",  # nft 1.0.2 cuts `. th dport` off
        "add @nowhere { ip saddr : ip daddr }",
        "add @marks { ip dscp : meta mark }",
        "add @marks { meta mark timeout 500ms : meta mark }",
        "add @marks { meta mark limit rate 5 mbytes/second : meta mark }",
        "add @marks { meta mark limit rate 5/week burst 1 packets ct count 5 : meta mark }",
        "add @marks { meta mark quota 5 bytes : meta mark }",
        "add @marks { meta mark : jhash ip saddr mod 5 }",
        "add @marks { meta mark : x } drop",
        "",
    ],
)
def test_a_phrase_that_is_not_known_is_an_error(phrase: str) -> None:
    with pytest.raises(UnknownListing):
        statement(phrase, SETS)


@pytest.mark.parametrize(
    "listed",
    [
        {"match": {"op": ">", "left": {"meta": {"key": "mark"}}, "right": 5}},
        {"match": {"op": "==", "left": {"meta": {"key": "length"}}, "right": 5}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "ip6", "field": "nexthdr"}}, "right": 6}},
        {"match": {"op": "==", "left": {"payload": {"base": "th", "offset": 0, "len": 8}}, "right": 5}},
        {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "ipencap"}},
        {
            "match": {
                "op": "==",
                "left": {"payload": {"protocol": "ip", "field": "saddr"}},
                "right": "host.example",
            }
        },
        {"match": {"op": "in", "left": {"&": [{"ct": {"key": "state"}}, "new"]}, "right": "new"}},
        {
            "match": {
                "op": "==",
                "left": {"fib": {"result": "type", "flags": ["daddr", "iif"]}},
                "right": "local",
            }
        },
        {"match": {"left": {"meta": {"key": "mark"}}, "right": 5}},
        {"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"jhash": {"mod": 5, "expr": 1}}}},
        {"mangle": {"key": {"meta": {"key": "priority"}}, "value": 1}},
        {"counter": {"packets": 0, "bytes": 0}},
        {"counter": None},
        {"limit": {"rate": 5, "per": "second", "burst": 5, "rate_unit": "mbytes"}},
        {"log": {"prefix": "x"}},
        {"log": {"prefix": "x", "group": 5, "snaplen": 5}},
        {"reject": {"type": "tcp reset"}},
        {"snat": {"family": "inet", "addr": "::1"}},
        {
            "set": {
                "op": "add",
                "elem": {"elem": {"val": {"meta": {"key": "mark"}}, "comment": "x"}},
                "set": "@s",
            }
        },
        {"set": {"op": "add", "elem": {"meta": {"key": "mark"}}, "set": "@s", "stmt": [{"quota": {}}]}},
        {"redirect": None},
        {"continue": None},
        {"queue": {"num": 1}},
        {"accept": None, "drop": None},
        {},
        None,
        7,
    ],
    ids=json.dumps,
)
def test_a_statement_that_is_not_known_is_an_error_that_names_it(listed: Any) -> None:
    with pytest.raises(UnknownListing) as problem:
        statement(listed, {})
    named = re.split(" (?:is|has) not ", str(problem.value))[0]
    assert named in json.dumps(listed)

    found = read_listing(table(entry("chain", "c"), rule({"drop": None}), rule(listed, {"accept": None})))

    assert not found.unread
    with pytest.raises(UnknownListing):
        read_table(table(entry("chain", "c"), rule(listed)))
    with pytest.raises(InvalidTable, match="not in the vocabulary"):
        walk.read(found.table)


@pytest.mark.parametrize(
    "listed",
    [
        entry("chain", "c", type="filter", hook="forward", prio=0, policy="drop"),
        entry("chain", "c", type="filter", hook="ingress", dev="lan0", prio=0, policy="accept"),
        entry("set", "s", type=["ether_addr", "mark"]),
        entry("set", "s", type="mark", flags=["constant"]),
        entry("set", "s", type="mark", stmt=[{"counter": None}]),
        entry("set", "s", type="mark", elem=[{"elem": {"val": 5, "comment": "x"}}]),
        entry("set", "s", type="mark", elem=[{"prefix": {"addr": 5}}]),
        entry("set", "s", type="ipv4_addr", elem=["10.0.0.1", {"concat": ["10.0.0.1", 5]}]),
        entry("map", "m", type="mark", map="mark", elem=[5]),
        entry("map", "m", type="mark", map="verdict", elem=[[5, {"queue": {"num": 1}}]]),
        entry("map", "m", type="mark", map="counter", elem=[[5, "c"]]),
        entry("ct timeout", "t", protocol="tcp", l3proto="inet", policy={}),
        entry("flowtable", "f", hook="ingress", prio=5, dev="lan0"),
        entry("quota", "q", bytes=5, used=0, inv=False),
        {"table": {"family": "ip", "name": "nfcompile", "handle": 1, "flags": "dormant"}},
    ],
    ids=json.dumps,
)
def test_an_object_that_is_not_known_is_told_apart(listed: Any) -> None:
    (kind, inside), *_ = listed.items()
    found = read_listing(table(entry("counter", "fine", packets=5, bytes=300), listed))

    assert found.unread == {f"{kind} {inside['name']}": json.dumps(listed)}
    assert [str(one.name) for one in found.table.objects] == ["fine"]
    with pytest.raises(UnknownListing, match=inside["name"]):
        read_table(table(listed))


def test_an_nft_that_lists_less_than_there_is_is_refused() -> None:
    old = table()
    old[0]["metainfo"]["version"] = "1.0.2"

    with pytest.raises(UnknownListing, match=r"nft 1\.0\.2 lists is not all"):
        read_listing(old)


def test_what_packets_leave_in_elements_is_not_read() -> None:
    lived = {"elem": {"val": 5, "timeout": 30, "expires": 12, "limit": {"rate": 1}}}
    data = [[lived, "10.0.0.1"]]
    (one, other) = read_table(
        table(
            entry("set", "s", type="mark", elem=[lived]),
            entry("map", "m", type="mark", map="ipv4_addr", elem=data),
        )
    ).objects

    assert isinstance(one, Set)
    assert isinstance(other, Map)
    assert one.elements == keys([5])
    assert other.elements == (Element((Range(5, 5),), (Range(0x0A000001, 0x0A000001),)),)


def test_sets_that_rules_write_into_are_dynamic() -> None:
    write = {"set": {"op": "add", "elem": {"meta": {"key": "mark"}}, "set": "@s"}}
    found = read_table(
        table(
            entry("set", "s", type="mark"),
            entry("set", "other", type="mark"),
            entry("chain", "c"),
            rule(write),
        )
    )

    flags = {str(one.name): one.flags for one in found.objects if isinstance(one, Set)}
    assert flags == {"s": ("dynamic",), "other": ()}


def test_a_later_entry_stands_in_the_place_of_an_earlier_one() -> None:
    """Sets are listed without their elements first, then one by one."""
    found = read_table(table(entry("set", "s", type="mark"), entry("set", "s", type="mark", elem=[5])))

    (one,) = found.objects
    assert isinstance(one, Set)
    assert one.elements == keys([5])


def test_verdicts_of_a_map_lead_to_chains() -> None:
    elements = [[5, {"goto": {"target": "c"}}], [6, {"drop": None}]]
    (one, _) = read_table(
        table(entry("map", "m", type="mark", map="verdict", elem=elements), entry("chain", "c"))
    ).objects

    assert isinstance(one, Map)
    assert [element.data for element in one.elements] == [Verdict("goto", Name("c")), Verdict("drop")]


def test_a_phrase_is_read_as_newer_nft_lists_it() -> None:
    phrase = set_update(
        "add @marks { meta mark & 0x000001ff | 0x00000100 : meta mark ^ 0x000000ff }", lambda _: ("mark",)
    )
    masked = {"|": [{"&": [{"meta": {"key": "mark"}}, 511]}, 256]}
    inverted = {"^": [{"meta": {"key": "mark"}}, 255]}

    assert phrase == statement(
        {"map": {"op": "add", "elem": masked, "data": inverted, "map": "@marks"}}, SETS
    )


def test_a_flowtable_has_one_device_or_several() -> None:
    def devices(listed: Any) -> Any:
        flowtable = entry("flowtable", "f", hook="ingress", prio=0, dev=listed)
        flow = {"flow": {"op": "add", "flowtable": "@f"}}
        one, chain = read_table(table(flowtable, entry("chain", "c"), rule(flow))).objects
        assert isinstance(one, Flowtable)
        assert isinstance(chain, Chain)
        assert chain.rules[0].statements == (Use("flow", Name("f")),)
        return one.devices

    assert devices("lan0") == ("lan0",)
    assert devices(["lan0", "wan0"]) == ("lan0", "wan0")
