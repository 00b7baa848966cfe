"""`--verify`: the original and the compiled site are asked of every packet, and what differs is found."""

import json

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nfcompile.cli import import_verify
from nfcompile.diagnostics import SiteError
from nfcompile.importers.chains import Statement
from nfcompile.importers.form import ANYTHING, PORTED, InterfaceSet, Translate
from nfcompile.importers.reading import ForeignProgram
from nfcompile.model.ranges import EVERYWHERE, PORT_LAST, Range
from nfcompile.source import document
from nfcompile.verify.box import Box, explored
from nfcompile.verify.field_values import FieldValues
from nfcompile.verify.foreign import ANNOUNCED, DIFFER, UNCLEAR, verify
from nfcompile.verify.foreign_walk import SourceRow, Walk
from support.command import nfcompile
from support.imported import compiled, imported

SIDES = {"inside": ("lan0",), "outside": ("wan0",)}

TABLE = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:web - [0:0]
-A PREROUTING -i wan0 -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.7:80
-A PREROUTING -i wan0 -p udp --dport 5000:5010 -j DNAT --to-destination 10.0.0.8
-A POSTROUTING -s 10.0.0.0/24 -o wan0 -j web
-A POSTROUTING -s 10.0.0.0/16 -o wan0 -j SNAT --to-source 203.0.113.2-203.0.113.3
-A web -p tcp --dport 80 -j SNAT --to-source 203.0.113.1:5000-6000
COMMIT
"""


def test_a_site_that_does_the_same_is_verified():
    found = imported("iptables", TABLE, **SIDES)

    result = verify(found, compiled(found))

    assert result.holds
    assert result.complete
    assert result.boxes[DIFFER] == result.boxes[UNCLEAR] == 0
    assert result.boxes["agree"] > 40


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("snat_ip: 203.0.113.1", "snat_ip: 203.0.113.9", {9}),
        ("snat_port: 5000-6000", "snat_port: 5000-6001", {9}),
        ("dnat_port: 80", "dnat_port: 81", {5}),
        ("dst_port: 5000-5010", "dst_port: 5000-5009", {6}),
        ("src_cidr: 10.0.0.0/16", "src_cidr: 10.0.0.0/17", {8}),
        ("dnat_ip: 10.0.0.8", "dnat_ip: 10.0.0.9", {6}),
    ],
)
def test_a_site_that_does_something_else_is_not(old, new, lines):
    found = imported("iptables", TABLE, **SIDES)
    assert found.text.count(old) == 1
    wrong = found._replace(text=found.text.replace(old, new))

    result = verify(wrong, compiled(wrong))

    assert {one.line.line for one in result.different if one.line} == lines


WHOLE = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -i wan0 -d 203.0.113.16/28 -j NETMAP --to 10.0.5.16/28
-A POSTROUTING -s 10.0.5.16/28 -o wan0 -j NETMAP --to 203.0.113.16/28
-A POSTROUTING -d 198.18.0.0/16 -o wan0 -j ACCEPT
-A POSTROUTING -s 10.0.0.0/8 -o wan0 -p tcp -j MASQUERADE --to-ports 1024-4095
-A POSTROUTING ! -s 192.168.0.0/16 -o wan0 -j MASQUERADE
COMMIT
"""


def test_the_interfaces_address_exclusions_and_prefixes_are_verified():
    found = imported("iptables", WHOLE, **SIDES)

    result = verify(found, compiled(found))

    assert result.holds
    assert result.boxes[DIFFER] == result.boxes[UNCLEAR] == 0


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("snat_ip: interface", "snat_ip: 203.0.113.9", {7}),
        ("snat_port: 1024-4095", "snat_port: 1024-4094", {7}),
        ("exclude: on", "snat_ip: interface", {6}),
        ("dst_cidr: 198.18.0.0/16, exclude", "dst_cidr: 198.18.0.0/17, exclude", {6}),
        ("snat_prefix: 203.0.113.16/28", "snat_prefix: 203.0.113.32/28", {5}),
        ("snat_prefix: 203.0.113.16/28", "snat_ip: 203.0.113.16/28", {5}),
        ("dnat_prefix: 10.0.5.16/28", "dnat_prefix: 10.0.5.0/28", {4}),
        ('"!192.168.0.0/16"', "192.168.0.0/16", {8}),
    ],
)
def test_a_slip_in_them_is_found(old, new, lines):
    found = imported("iptables", WHOLE, **SIDES)
    assert old in found.text

    result = verify(found, compiled(found._replace(text=found.text.replace(old, new, 1))))

    assert not result.holds
    assert {one.line.line for one in result.different if one.line} >= lines


REDIRECT = """*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -s 10.0.0.0/24 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128
COMMIT
"""


def test_a_redirect_is_verified_where_addresses_are_known():
    own = {"lan0": 0x0A000001, "wan0": 0xC0000201}
    found = imported("iptables", REDIRECT, **SIDES, addresses=own)
    wrong = found.text.replace("192.0.2.1", "192.0.2.2")

    right = verify(found, compiled(found))
    slip = verify(found, compiled(found._replace(text=wrong)))

    assert right.holds
    assert right.boxes[UNCLEAR] == 0
    assert {one.line.line for one in slip.different} == {3}


LOOP = """*nat
-A PREROUTING -i wan0 -d 198.18.0.1 -j DNAT --to-destination 203.0.113.1
-A POSTROUTING -s 10.0.0.0/8 -o wan0 -j SNAT --to-source 203.0.113.1
COMMIT
"""


def test_what_a_rule_leads_to_an_own_address_is_dropped_as_announced():
    found = imported("iptables", LOOP, **SIDES)

    result = verify(found, compiled(found))

    assert result.holds
    assert result.boxes[ANNOUNCED]


STATED = """set nat cgnat pool external ext1 external-port-range '1024-65535'
set nat cgnat pool external ext1 per-user-limit port '2000'
set nat cgnat pool external ext1 range '192.0.2.222/31'
set nat cgnat pool internal int1 range '100.64.0.0/27'
set nat cgnat rule 10 source pool 'int1'
set nat cgnat rule 10 translation pool 'ext1'
"""


def test_a_pool_that_the_input_names_is_verified_by_its_rows():
    found = imported("vyos", STATED, **SIDES)

    result = verify(found, compiled(found))

    assert result.holds
    assert result.rows == 32
    assert result.boxes["agree"] > 5
    for old, new in (("global_ip: [192.0.2.222/31]", "global_ip: [192.0.2.220/31]"), ("fill: address", "")):
        assert old in found.text
        changed = found._replace(text=found.text.replace(old, new))
        assert not verify(changed, compiled(changed)).holds


def test_rules_that_are_not_translated_claim_nothing():
    text = TABLE.replace("COMMIT", "-A POSTROUTING -o wan0 -m owner --uid-owner 1 -j MASQUERADE\nCOMMIT")
    found = imported("iptables", text, **SIDES)

    result = verify(found, compiled(found))

    assert result.holds
    assert result.boxes[UNCLEAR] > 0


def test_too_many_boxes_are_said():
    found = imported("iptables", TABLE, **SIDES)

    assert not verify(found, compiled(found), most_boxes=3).complete


nets = st.sampled_from(["10.0.0.0/8", "10.0.0.0/24", "10.0.0.128/25", "10.0.0.5/32", "10.1.0.0/16"])


@st.composite
def snat(draw):
    words = [f"-s {draw(nets)}", "-o wan0"]
    words += [f"-d {draw(nets)}"] if draw(st.booleans()) else []
    ports = draw(st.sampled_from([None, "80", "1:100"]))
    protocol = (
        draw(st.sampled_from(["tcp", "udp"])) if ports else draw(st.sampled_from([None, "tcp", "icmp"]))
    )
    words += [f"-p {protocol}"] if protocol else []
    words += [f"--dport {ports}"] if ports else []
    return " ".join(words) + f" -j SNAT --to-source 203.0.113.{draw(st.integers(1, 3))}"


@settings(max_examples=60)
@given(
    st.lists(snat(), max_size=4),
    st.lists(
        st.tuples(st.sampled_from([80, 81]), st.sampled_from(["10.0.0.5", "10.1.0.5:8080"])), max_size=2
    ),
)
def test_random_tables_are_verified(sources, destinations):
    lines = [
        f"-A PREROUTING -i wan0 -p tcp --dport {port} -j DNAT --to-destination {to}"
        for port, to in destinations
    ]
    lines += [f"-A POSTROUTING {one}" for one in sources]
    found = imported("iptables", "\n".join(["*nat", *lines, "COMMIT", ""]), **SIDES)
    try:
        result = verify(found, compiled(found))
    except SiteError:
        event("refused")
        return
    event("verified")

    assert result.holds, result.different


def test_rows_are_walked_as_one_table_with_the_same_answers():
    statements = []
    for number in range(40):
        source = (Range(100 + number, 100 + number),)
        block = Range(1000 * (number % 4 + 1), 1000 * (number % 4 + 1) + 999)
        for protocol in (6, 17):
            match = ANYTHING.having(source=source, protocol=(Range(protocol, protocol),))
            statements.append(
                Statement(match, Translate(Range(5 + number // 4, 5 + number // 4), block), None, "")
            )
        statements.append(
            Statement(
                ANYTHING.having(source=source), Translate(Range(5 + number // 4, 5 + number // 4)), None, ""
            )
        )
    together = Walk(ForeignProgram({"s": statements}, {"snat": "s"}))
    apart = Walk(ForeignProgram({"s": statements}, {"snat": "s"}))
    apart.chains = {"s": statements}

    assert all(isinstance(step, SourceRow) for step in together.chains["s"])
    for protocol in (6, 17, 1):
        boxes = list(explored([everything(protocol)], lambda box: together.fate(box.packet, box.route)))
        assert len(boxes) <= 6
        for box, fate in boxes:
            one = box.one()
            expected = apart.fate(one.packet, one.route)
            found = together.fate(one.packet, one.route)
            assert (found.source, found.source_port) == (expected.source, expected.source_port), (box, fate)


def everything(protocol):
    ports = (Range(0, PORT_LAST),)
    names = frozenset({"wan0"})
    return Box(protocol, True, names, (EVERYWHERE,), ports, (EVERYWHERE,), ports, names, names)


def test_rows_in_another_order_are_walked_one_by_one():
    """A row for everything before the one for tcp takes its packets; the next subscriber's do not."""

    def row(source, protocol, to):
        match = ANYTHING.having(source=(Range(source, source),), outgoing=InterfaceSet(frozenset(["wan0"])))
        return Statement(
            match.having(protocol=protocol) if protocol else match, Translate(Range(to, to)), None, ""
        )

    statements = [row(1, None, 7), row(1, PORTED, 8), row(2, PORTED, 8), row(2, None, 7)] * 8

    walk = Walk(ForeignProgram({"s": statements}, {"snat": "s"}))

    assert not any(isinstance(step, SourceRow) for step in walk.chains["s"])
    box = everything(6)._replace(source=(Range(1, 1),))
    assert walk.fate(box.packet, box.route).source == FieldValues.whole("source", (Range(7, 7),))


def test_the_command_says_what_came_of_it(tmp_path):
    file = tmp_path / "rules.v4"
    file.write_text(TABLE)

    text = nfcompile("import", "iptables", str(file), "--verify", "--inside", "lan0")
    data = nfcompile("import", "iptables", str(file), "--verify", "--inside", "lan0", "--format", "json")

    assert text.returncode == 0
    assert text.stderr.splitlines()[-1].startswith("verified: ")
    assert json.loads(data.stderr)["verify"]["verified"] is True


def test_what_cannot_be_walked_is_said(tmp_path):
    file = tmp_path / "box"
    file.write_text("acla {\n10 allow ip any any\n}\n")

    ran = nfcompile("import", "econat", str(file), "--verify")

    assert ran.returncode == 0
    assert "not verified: the original has the words of a site; there is nothing to walk\n" in ran.stderr


def test_lines_that_a_comparison_refutes_are_not_translated():
    found = imported("iptables", TABLE, **SIDES)
    wrong = found._replace(text=found.text.replace("dnat_port: 80", "dnat_port: 81"))
    read = document.parse(wrong.text.encode(), "site.yaml")

    account = wrong.account.refuted(import_verify.compare(wrong, read).refuted)

    entry = account.entries[4]
    assert (entry.fate, entry.code) == ("not-translated", "differs")
    assert "original" in entry.reason
    assert account.totals["not-translated"] == 1


def test_an_entry_too_many_is_blamed_on_the_lines_that_it_came_from():
    found = imported("iptables", TABLE, **SIDES)
    wrong = found._replace(text=found.text.replace("src_cidr: 10.0.0.0/16, ", ""))
    read = document.parse(wrong.text.encode(), "site.yaml")

    assert {place[1] for place in import_verify.compare(wrong, read).refuted} == {8}
