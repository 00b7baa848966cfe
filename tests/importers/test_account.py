"""Every line of any input has one fate, whatever the input is."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nfcompile.importers.account import FATES, Accounting, Origin
from nfcompile.importers.importing import READERS, import_files
from nfcompile.importers.kinds import UnknownKind, guess_kind
from nfcompile.importers.lines import read_text, shown
from nfcompile.importers.reading import ImportOptions
from nfcompile.source import document
from support.imported import fates, imported

WORDS = [
    "*nat",
    ":POSTROUTING",
    "-A",
    "PREROUTING",
    "POSTROUTING",
    "-s",
    "10.0.0.0/8",
    "!",
    "-d",
    "-o",
    "wan0",
    "-p",
    "tcp",
    "--dport",
    "80:90",
    "-j",
    "SNAT",
    "--to-source",
    "203.0.113.1:1-2",
    "MASQUERADE",
    "COMMIT",
    "set",
    "nat",
    "source",
    "rule",
    "10",
    "{",
    "}",
    "translation",
    "address",
    "delete",
    "'a",
    '"',
    "/ip",
    "firewall",
    "add",
    "action=netmap",
    "chain=srcnat",
    "src-address=10.0.0.0/29",
    "to-addresses=203.0.113.0/29",
    "\\",
    "Box:1:pools.poola#",
    "global_ip",
    "(",
    ")",
    "+=",
    "create",
    "pool",
    "type",
    "cgnat",
    "acl",
    "permit",
    "timeouts_inactivity",
    "show",
    "resource",
    "aviatrix_gateway_snat",
    '"x"',
    "=",
    "snat_policy",
    "[",
    ",",
    "null",
    "-9",
    "1e9",
    "internal",
    "range",
    "seq",
    "#",
    "//",
    "/*",
    "-1",
    "99999999999",
]

lines = st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), max_size=20).map("\n".join)
noise = st.binary(max_size=300)


def check(kind, data):
    found = import_files(kind, [("f", data)], ImportOptions())
    text = read_text("f", data)
    account = found.account

    assert sum(account.totals.values()) == len(text.lines)
    ends = [0, *(entry.end_line for entry in account.entries)]
    assert [entry.line for entry in account.entries] == [end + 1 for end in ends[:-1]]
    assert all(entry.fate in FATES and entry.text.isprintable() for entry in account.entries)
    assert json.loads(json.dumps(account.as_data()))["totals"] == account.totals
    document.parse(found.text.encode(), "site.yaml")
    assert import_files(kind, [("f", data)], ImportOptions()).text == found.text


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        lines.map(str.encode), noise, st.tuples(lines, noise).map(lambda both: both[0].encode() + both[1])
    )
)
@example(b"")
@example(b"\xff\xfe*\x00n\x00")
@example(b"\x00" * 50)
@example(b"a" * 5000)
def test_any_bytes_have_an_account(kind, data):
    check(kind, data)


@pytest.mark.parametrize(
    "text",
    [
        "*nat\n"
        + "".join(f":c{n} - [0:0]\n" for n in range(60))
        + "-A POSTROUTING -j c0\n"
        + "".join(f"-A c{n} -j c{n + 1}\n-A c{n} -j c{n + 1}\n" for n in range(59))
        + "-A c59 -o wan0 -j MASQUERADE\nCOMMIT\n",
        "*nat\n:a - [0:0]\n-A POSTROUTING -j a\n-A a -j a\nCOMMIT\n",
        "*nat\n:a - [0:0]\n-A POSTROUTING -j a\n"
        + "".join(
            f"-A a -s 10.{n}.0.0/16 -d 10.{n}.1.0/24 -p tcp --dport {n + 1} -j RETURN\n" for n in range(200)
        )
        + "-A a -o wan0 -j MASQUERADE\nCOMMIT\n",
        "*nat\n" + "-A POSTROUTING -s 10.0.0.1 ! -d 10.0.0.0/8 -o wan0 -j MASQUERADE\n" * 20000 + "COMMIT\n",
        "*nat\n-A POSTROUTING -o wan0 -m comment --comment " + '"' * 200001 + "\nCOMMIT\n",
        "*nat\n-A POSTROUTING " + "-s 10.0.0.0/8 " * 50000 + "-j MASQUERADE\nCOMMIT\n",
    ],
    ids=["doubling", "loop", "scattered", "equal rules", "quotes", "one long line"],
)
def test_time_is_bounded(text):  # fmt: skip
    start = time.process_time()

    check("iptables", text.encode())

    assert time.process_time() - start < 20  # two imports, on a machine that does other things too


@pytest.mark.parametrize("kind", ["vyos", "routeros", "econat", "aviatrix"])
def test_deep_and_long_input_of_the_other_kinds_is_bounded(kind):
    start = time.process_time()

    for text in (
        "a {\n" * 20000,
        "( " * 50000,
        "{" * 50000,
        "set nat source rule 1 " + "x " * 50000,
        "\\\n" * 20000,
        "Box:1:pools.poola# global_ip add 203.0.113.1\n" * 5000,
    ):
        check(kind, text.encode())

    assert time.process_time() - start < 60


def test_of_two_fates_the_worse_one_is_told_and_names_add_up():
    ledger = Accounting([read_text("f", b"one\ntwo\nthree\n")])
    one, two = Origin(0, 1, 1), Origin(0, 2, 2)

    ledger.note([one], "translated", to="snat.a")
    ledger.note([one], "translated", to="snat.b")
    ledger.note([two], "not-translated", "ipset", "why")
    ledger.note([two], "translated", to="snat.c")
    entries = ledger.account("iptables").entries

    assert [(entry.fate, entry.to) for entry in entries] == [
        ("translated", "snat.a, snat.b"),
        ("not-translated", "snat.c"),
        ("unknown", ""),
    ]


def test_foreign_text_is_cut_and_cleaned():
    assert shown("a\x1b[31m" + "b" * 500, 20) == "a\\x1b[31mbbbbbbbb..."
    assert "\x1b" not in imported("iptables", "*nat\n-A POSTROUTING \x1b[31m -o wan0 -j MASQUERADE\n").text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("iptables", "*nat\n-A POSTROUTING -o wan0 -j MASQUERADE\nCOMMIT\n"),
        ("vyos", "set nat source rule 1 translation address masquerade\n"),
        ("vyos", "nat {\n    source {\n    }\n}\n"),
        ("routeros", "/ip firewall nat\nadd action=masquerade chain=srcnat\n"),
        ("econat", "Box:1:# create pool a\n"),
        ("econat", "acla {\n10 allow ip any any\n}\n"),
        ("aviatrix", 'resource "aviatrix_gateway_snat" "a" {\n}\n'),
        ("aviatrix", '{"values": {"type": "aviatrix_gateway_snat"}}\n'),
    ],
)
def test_the_kind_is_guessed(kind, text):
    assert guess_kind((read_text("f", text.encode()),))[0] == kind


def test_what_looks_like_no_kind_is_refused():
    with pytest.raises(UnknownKind):
        guess_kind((read_text("f", b"hello\nworld\n"),))


CODE = r"`([a-z0-9]+(?:-[a-z0-9]+)*)`"


def test_every_code_of_the_account_is_documented():
    """Codes are written where a line is noted; the page explains each, and has none of the past."""
    import re

    root = Path(__file__).parents[2]
    source = "".join(file.read_text() for file in (root / "nfcompile/importers").glob("*.py"))
    calls = ["unread", "differs"]
    calls += re.findall(
        r"(?:Unreadable|Unsaid|Unsayable|_Nothing|doubtful)\(\s*\"([a-z0-9-]+)\"", source
    ) + re.findall(r"\"(?:not-translated|unknown|ignored)\",\s*\"([a-z0-9-]+)\"", source)
    table = (root / "docs/migrate.md").read_text().split("## What the codes mean", 1)[1].split("\n## ", 1)[0]

    assert sorted(set(calls) - set(FATES)) == sorted(re.findall(r"^\| " + CODE, table, re.MULTILINE))


def test_fates_of_an_empty_file():
    assert fates(imported("vyos", "")) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("econat", "Box:1:system.nat_defaults# lldp_hostname a\x01b\n"),
        ("econat", "Box:1:acls.acla.deeper# 10 allow ip any any\n"),
        ("econat", "Box:1:pools.poola.timeouts_inactivity# udp 5\n"),
        ("routeros", "/ip/firewall/nat/add action=masquerade chain=srcnat out-interface=wan0\n"),
        ("vyos", "set nat cgnat\n"),
        ("vyos", "nat {\n    cgnat {\n    }\n}\n"),
        ("iptables", "*nat\n:\n-A\n-A POSTROUTING\n-I POSTROUTING 99999999999999999999 -j ACCEPT\nCOMMIT\n"),
    ],
)
def test_what_fuzzing_found(kind, text):
    check(kind, text.encode())


def test_a_menu_may_be_written_with_slashes():
    text = "/ip/firewall/nat/add action=masquerade chain=srcnat out-interface=wan0\n"

    assert fates(imported("routeros", text)) == ["1 translated snat.l1"]
