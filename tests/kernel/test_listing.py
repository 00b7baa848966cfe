"""Values -> text -> kernel -> values: what a kernel holds of every ruleset that the repository shows is read
back as what was compiled; and `prove --live` says where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nfcompile.emit import CtHelper, Flowtable, Map, Table, render
from nfcompile.emit.deviations import as_compiled, deviations
from nfcompile.emit.listing import Listed, read_listing, read_table
from nfcompile.emit.normal import normal
from nfcompile.kernel import nft
from nfcompile.live import ruleset
from nfcompile.pipeline import Compiled
from nfcompile.verify.proof import prove
from support import sites
from support.bare_gateway import OTHER, SITE, Namespace, apply, run
from support.every_form import TABLE
from support.lab import Lab, lacking
from support.sites import ROOT, RULESETS
from support.wires import GATEWAY

PROVED = ("isp", "static", "cgnat-dynamic-hairpin", "dnat-qualifiers", "vlan-same-address", "low-ports")
"""Sites whose table is proved as the kernel lists it: mapping entries, dynamic blocks, VLANs, marks ..."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT).parent)


def compiled(ruleset: Path) -> Compiled:
    return sites.site(ruleset.with_name("site.yaml").read_bytes())


def loaded(lab: Lab, table: Table) -> Listed:
    """Load a table, and read what nft lists of it."""
    if any(isinstance(one, Flowtable) for one in table.objects) and not lab.has_flowtable():
        lacking("flowtable")
    lab.load(render(table).text)
    # As kernel.nft asks: names of protocols are those of the machine's /etc/protocols.
    text = lab.must("nft", "--json", "--numeric-protocol", "list", "table", "ip", "nfcompile")
    return read_listing(json.loads(text)["nftables"])


def with_known_helpers(table: Table) -> Table:
    """A helper that few kernels have is compared as another one, with everything else of its case."""
    objects = (
        one._replace(type="ftp") if isinstance(one, CtHelper) and one.type == "rtsp" else one
        for one in table.objects
    )
    return table._replace(objects=tuple(objects))


@pytest.mark.parametrize("path", RULESETS, ids=name)
def test_what_is_loaded_is_read_back(lab: Lab, path: Path) -> None:
    table = with_known_helpers(compiled(path).table)

    listed = loaded(lab, table)

    assert list(deviations(table, listed)) == []
    assert normal(listed.table) == normal(table)


ODD = """
interfaces: {inside: [INSIDE], outside: [wan0]}
pools:
  odd: {type: npt, priority: 4, stateless: STATELESS,
        global_map: {"fc00::/7": "2a00::/7", "2001:db8::1/128": "2001:db8::2/128", "4:0:0:8::/63": "5::/63"}}
"""
OF_IPV6 = [
    *(
        sites.site(ODD.replace("INSIDE", side).replace("STATELESS", word))
        for side in ("lan0", "wan0")
        for word in ("on", "off")
    ),
    *(compiled(path) for path in RULESETS if path.parent.name in ("npt", "npt-stateless")),
]
"""Sites with a table of IPv6: prefixes of every kind of length, one-armed, with and without tracking."""


@pytest.mark.parametrize("site", OF_IPV6)
def test_the_table_of_ipv6_is_read_back_and_proved(lab: Lab, site: Compiled) -> None:
    assert site.npt is not None
    lab.load(site.text.text)

    listed = lab.ask(GATEWAY, ruleset.listed6)

    assert list(deviations(site.npt, listed)) == []
    assert normal(listed.table) == normal(site.npt)
    of_kernel, of_site = prove(site._replace(npt=listed.table)), prove(site)
    assert of_kernel.holds
    assert of_kernel.prefix_boxes == of_site.prefix_boxes > 1


def test_every_form_of_the_vocabulary_is_read_back(lab: Lab) -> None:
    listed = loaded(lab, TABLE)

    assert list(deviations(TABLE, listed)) == []
    assert normal(listed.table) == normal(TABLE)


@pytest.mark.parametrize(
    "path", [path for path in RULESETS if path.parent.name in PROVED], ids=lambda path: str(path.parent.name)
)
def test_the_kernels_own_table_is_proved(lab: Lab, path: Path) -> None:
    """Not the site's where they are alike: the values that were read, with the names of the kernel."""
    site = compiled(path)
    listed = loaded(lab, site.table)

    of_kernel = prove(site._replace(table=listed.table))
    of_site = prove(site)

    assert of_kernel.holds
    assert (of_kernel.boxes, of_kernel.ways) == (of_site.boxes, of_site.ways)


def test_each_change_of_a_chain_or_set_is_a_deviation(lab: Lab) -> None:
    """A rule less in any chain, an element less in any set: what is read tells all of it apart."""
    site = compiled(next(path for path in RULESETS if path.parent.name == "isp"))
    listed = loaded(lab, site.table)

    for at, one in enumerate(listed.table.objects):
        for field in ("rules", "elements"):
            if found := getattr(one, field, ()):
                objects = list(listed.table.objects)
                objects[at] = one._replace(**{field: found[:-1]})
                changed = Listed(listed.table._replace(objects=tuple(objects)), {})
                (deviation,) = deviations(site.table, changed)
                assert deviation.object.endswith(f" {one.name}")
                assert deviation.spots


SPELLED = {
    "ipv4_addr": "100.64.0.1",
    "inet_service": "5000",
    "inet_proto": "udp",
    "ether_type": "ip",
    "mark": "5",
}


def test_what_packets_write_does_not_count(lab: Lab) -> None:
    site = compiled(next(path for path in RULESETS if path.parent.name == "isp"))
    maps = [one for one in site.table.objects if isinstance(one, Map) and "dynamic" in one.flags]
    assert maps
    text = site.text.text
    for one in maps:
        key, data = (" . ".join(SPELLED[kind] for kind in types) for types in (one.key, one.data))
        text += f"add element ip nfcompile {one.name} {{ {key} : {data} }}\n"
    lab.must("nft", "flush", "ruleset")
    assert lab.ask(GATEWAY, nft.load, text) == ()

    listed = lab.ask(GATEWAY, ruleset.listed)

    assert list(deviations(site.table, listed)) == []
    assert set(as_compiled(site.table, listed.table).objects) == set(site.table.objects)


# ---- prove --live


def live(gateway: Namespace, *arguments: str, site: str = SITE):  # type: ignore[no-untyped-def]
    return run("prove", "-", "--live", "--netns", gateway.path, *arguments, site=site)


def test_what_apply_loaded_is_proved(gateway: Namespace) -> None:
    apply(gateway)

    ran = live(gateway)
    data = json.loads(live(gateway, "--format", "json").stdout)

    assert (ran.returncode, ran.stderr) == (0, "")
    first, *rest = ran.stdout.splitlines()
    assert first == f"kernel     {data['kernel']['objects']} objects, all as the site says"
    assert [line.split()[0] for line in rest] == ["packets", "leaks", "later", "sharing", "appending"]
    assert (data["proved"], data["kernel"]["different"]) == (True, [])
    assert live(gateway, "-q").stdout == ""


def test_a_rule_of_another_program_is_found_and_shown(gateway: Namespace) -> None:
    """The site's own proof holds; that of the table in the kernel does not, and says for which packets."""
    apply(gateway)
    gateway.nft("insert", "rule", "ip", "nfcompile", "pools", "ip", "saddr", "100.64.0.9", "accept")

    ran = live(gateway)
    data = json.loads(live(gateway, "--format", "json").stdout)

    assert ran.returncode == 1
    assert ran.stdout.startswith(
        f"kernel     NO: 1 of {data['kernel']['objects']} objects is not as the site says\n"
        "    chain pools (pools): differs\n"
        "        + rule 1: ip saddr 100.64.0.9 accept\n"
        "packets    NO: "
    )
    assert "from lan0, 100.64.0.9" in ran.stdout
    assert data["kernel"]["different"] == [
        {
            "family": "ip",
            "kind": "chain",
            "name": "pools",
            "path": "pools",
            "how": "changed",
            "places": [{"place": "rule 1", "site": None, "kernel": "ip saddr 100.64.0.9 accept"}],
        }
    ]
    assert data["proved"] is False
    assert data["packets"]["different"]
    assert run("prove", "-", site=SITE).returncode == 0


def test_a_change_that_no_packet_meets_is_a_difference_all_the_same(gateway: Namespace) -> None:
    apply(gateway)
    gateway.nft("-f", "-", text="table ip nfcompile { chain spy { ip saddr 10.0.0.1 drop; }; }\n")

    ran = live(gateway)
    data = json.loads(live(gateway, "--format", "json").stdout)

    assert ran.returncode == 1
    assert "    chain spy: not of the site\n        + rule 1: ip saddr 10.0.0.1 drop\n" in ran.stdout
    assert "\npackets    NO" not in ran.stdout
    assert (data["proved"], data["packets"]["different"]) == (False, [])


def test_what_cannot_be_read_is_shown_and_not_proved(gateway: Namespace) -> None:
    apply(gateway)
    gateway.nft("add", "rule", "ip", "nfcompile", "pools", "meta", "length", ">", "1000", "drop")
    gateway.nft("add", "quota", "ip", "nfcompile", "q", "{ 25 mbytes }")

    ran = live(gateway)
    data = json.loads(live(gateway, "--format", "json").stdout)

    assert ran.returncode == 1
    shown = '{"match": {"op": ">", "left": {"meta": {"key": "length"}}, "right": 1000}}'
    assert f"{shown} drop\n" in ran.stdout
    assert "quota q: not of the site" in ran.stdout
    assert f"not proved: chain pools: nft lists {shown}" in ran.stderr
    assert data["proved"] is False
    assert [one["name"] for one in data["kernel"]["different"]] == ["pools", "q"]
    assert shown in data["reason"]


def test_another_site_differs_by_its_elements(gateway: Namespace) -> None:
    apply(gateway)

    ran = live(gateway, site=OTHER)

    assert ran.returncode == 1
    assert "        - element: 100.64.0.0 : 198.51.100.0/30 . 1024-1919\n" in ran.stdout
    assert "        + element: 100.64.0.0 : 203.0.113.0/30 . 1024-1919\n" in ran.stdout


def test_a_table_that_no_packet_meets_is_not_the_sites(gateway: Namespace) -> None:
    apply(gateway)
    gateway.nft("add", "table", "ip", "nfcompile", "{ flags dormant; }")

    ran = live(gateway)

    assert ran.returncode == 1
    assert "table nfcompile: differs" in ran.stdout


def test_where_nothing_is_loaded_nothing_is_proved(gateway: Namespace) -> None:
    ran = live(gateway)
    data = json.loads(live(gateway, "--format", "json").stdout)

    assert ran.returncode == 1
    assert "not proved: no ruleset of nfcompile is loaded here" in ran.stderr
    assert data == {"proved": False, "reason": "no ruleset of nfcompile is loaded here; apply the site first"}
    assert run("prove", "-", "--netns", gateway.path, site=SITE).returncode == 2


def test_the_reader_raises_for_what_it_does_not_know(lab: Lab) -> None:
    loaded(lab, TABLE)
    lab.must("nft", "add", "rule", "ip", "nfcompile", "lower", "counter", "drop")
    text = lab.must("nft", "-j", "list", "table", "ip", "nfcompile")

    with pytest.raises(ValueError, match="is not in the vocabulary"):
        read_table(json.loads(text)["nftables"])


# ---- prove --live, the table of IPv6

NPT = (
    SITE
    + """  v6: {type: npt, priority: 40, global_map: {"fd00:1::/48": "2001:db8:a1::/48"}}
"""
)


def test_the_table_of_ipv6_is_proved_as_the_kernel_holds_it(gateway: Namespace) -> None:
    """As applied; with a rule of another program in it, and with an element less."""
    apply(gateway, site=NPT)
    first, *rest = live(gateway, site=NPT).stdout.splitlines()
    assert first.endswith(" objects, all as the site says")
    assert rest[-1].startswith("prefixes   ")
    assert "NO" not in rest[-1]

    gateway.nft(
        "insert", "rule", "ip6", "nfcompile", "npt_prerouting", "ip6", "daddr", "2001:db8:a1::7", "accept"
    )
    ran = live(gateway, site=NPT)
    assert ran.returncode == 1
    assert (
        "    ip6 chain npt_prerouting (pools): differs\n        + rule 1: ip6 daddr 2001:db8:a1::7 accept\n"
        in ran.stdout
    )
    assert "\nprefixes   NO: " in ran.stdout
    assert "to 2001:db8:a1::7 from " in ran.stdout

    gateway.nft("delete", "element", "ip6", "nfcompile", "npt_local_prefixes", "{ fd00:1::/48 }")
    data = json.loads(live(gateway, "--format", "json", site=NPT).stdout)
    named = [(one["family"], one["kind"], one["name"]) for one in data["kernel"]["different"]]
    assert named == [("ip6", "set", "npt_local_prefixes"), ("ip6", "chain", "npt_prerouting")]


def test_a_table_of_ipv6_that_one_side_lacks_is_a_difference(gateway: Namespace) -> None:
    """Without the table packets leave as they are, which the line `prefixes` shows; a table that the site
    does not have is proved too."""
    apply(gateway)
    ran = live(gateway, site=NPT)
    assert ran.returncode == 1
    assert "    ip6 table nfcompile (pools): not in the kernel\n" in ran.stdout
    assert "\nprefixes   NO: " in ran.stdout

    apply(gateway, site=NPT)
    ran = live(gateway, site=SITE)
    assert ran.returncode == 1
    assert "    ip6 table nfcompile: not of the site\n" in ran.stdout
    assert "\nprefixes   NO: " in ran.stdout
