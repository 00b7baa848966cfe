"""RouterOS exports: joined lines, lists, chains, and the family that netmap writes."""

import pytest

from nfcompile.verify.foreign import verify
from support.imported import compiled, fates, imported, reasons, site_of

EXPORT = r"""# 2026-01-01 by RouterOS 7.15
/interface list member
add interface=ether1 list=WAN
add interface=bridge list=LAN
/ip address
add address=10.0.0.1/24 interface=bridge network=10.0.0.0
/ip firewall address-list
add address=192.0.2.0/24 list=partners
add address=198.51.100.7 list=partners
add address=host.example list=names
/ip firewall filter
add action=accept chain=forward in-interface=bridge
/ip firewall nat
add action=accept chain=srcnat dst-address-list=partners out-interface-list=WAN
add action=masquerade chain=srcnat comment="defconf: masquerade \"all\"" \
    ipsec-policy=out,none out-interface-list=WAN
add action=dst-nat chain=dstnat dst-address=203.0.113.1 dst-port=8080,8443 in-interface=ether1 \
    protocol=tcp to-addresses=10.0.0.7 to-ports=80
add action=redirect chain=dstnat dst-port=53 in-interface=bridge protocol=udp
add action=masquerade chain=srcnat disabled=yes out-interface=ether9
"""


def test_an_export_with_lists_and_joined_lines():
    found = imported("routeros", EXPORT)
    site = site_of(found)

    assert site["interfaces"] == {"inside": ["bridge"], "outside": ["ether1"]}
    assert site["snat"] == {
        "l14": {"interface": "ether1", "dst_cidr": ["192.0.2.0/24", "198.51.100.7"], "exclude": "on"},
        "l15": {"interface": "ether1", "snat_ip": "interface"},
    }
    assert site["dnat"] == {
        "l17": {
            "interface": "ether1",
            "protocol": "tcp",
            "dst_cidr": "203.0.113.1",
            "dst_port": [8080, 8443],
            "dnat_ip": "10.0.0.7",
            "dnat_port": 80,
        },
        "l19": {"interface": "bridge", "protocol": "udp", "dst_port": 53, "dnat_ip": "10.0.0.1"},
    }
    assert [
        (entry.line, entry.end_line) for entry in found.account.entries if entry.fate == "translated"
    ] == [
        (14, 14),
        (15, 16),
        (17, 18),
        (19, 19),
    ]
    assert sum(found.account.totals.values()) == EXPORT.count("\n")
    assert any(guess.what == "ipsec-policy" for guess in found.account.guesses)


def netmap(blocks, icmp=lambda block: True):
    lines = ["/ip firewall nat"]
    for block in range(blocks):
        base = f"src-address=100.64.0.{block * 8}/29 to-addresses=203.0.113.0/29"
        ports = f"to-ports={1000 + block * 1500}-{2499 + block * 1500}"
        for protocol in ("udp", "tcp"):
            lines.append(
                f"add action=netmap chain=srcnat out-interface=wan0 protocol={protocol} {base} {ports}"
            )
        if icmp(block):
            lines.append(f"add action=netmap chain=srcnat out-interface=wan0 protocol=icmp {base}")
    return "\n".join(lines) + "\n"


def test_netmap_rules_over_neighbouring_blocks_are_one_pool():
    found = imported("routeros", netmap(10))

    assert site_of(found)["pools"]["l2"] == {
        "type": "cgnat",
        "acl": "l2",
        "priority": 10,
        "global_ip": ["203.0.113.0/29"],
        "port_range": "1000-15999",
        "port_block_size": 1500,
        "subscribers": ["100.64.0.0-100.64.0.79"],
        "hairpin": "off",
        "connection_logging": "off",
        "limits_peruser": dict.fromkeys(("portlimit_tcp", "portlimit_udp", "portlimit_icmp"), 1500),
    }
    assert found.account.totals["folded"] == 30
    assert site_of(found)["acls"]["l2"] == {
        "10": "allow tcp src range 100.64.0.0-100.64.0.79 dst any",
        "20": "allow udp src range 100.64.0.0-100.64.0.79 dst any",
        "30": "allow icmp src range 100.64.0.0-100.64.0.79 dst any",
    }


def test_subscribers_without_a_rule_for_icmp_stay_without_in_the_pool():
    found = imported("routeros", netmap(10, icmp=lambda block: block != 3))

    assert list(site_of(found)["acls"]["l2"].values())[:3] == [
        "allow tcp src net 100.64.0.24/29 dst any",
        "allow udp src net 100.64.0.24/29 dst any",
        "deny ip src net 100.64.0.24/29 dst any",
    ]
    assert found.account.totals["folded"] == 29


def test_foreign_names_of_interfaces_can_be_mapped():
    text = '/ip firewall nat\nadd action=masquerade chain=srcnat out-interface="ether1 to the provider"\n'

    plain = imported("routeros", text, outside=("wan0",))
    mapped = imported("routeros", text, connections={"ether1 to the provider": "wan0"})

    assert fates(plain) == ["2 not-translated bad-interface"]
    assert site_of(mapped)["snat"]["l2"]["interface"] == "wan0"


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("chain=srcnat action=masquerade out-interface=wan0 src-address-list=names", "group"),
        ("chain=srcnat action=masquerade out-interface-list=GONE", "group"),
        ("chain=srcnat action=masquerade out-interface=wan0 routing-mark=isp2", "no-match"),
        ("chain=srcnat action=same out-interface=wan0 to-addresses=203.0.113.1", "no-target"),
    ],
)
def test_what_has_no_word_is_named(rule, code):
    text = "/ip firewall address-list\nadd address=host.example list=names\n/ip firewall nat\nadd " + rule

    assert fates(imported("routeros", text, outside=("wan0",))) == [f"4 not-translated {code}"]


def test_a_script_is_not_run():
    found = imported(
        "routeros", "/ip firewall nat\n:foreach i in=$list do={\n  add chain=srcnat src-address=$i\n}\n"
    )

    assert {one.split()[2] for one in fates(found)} == {"shell"}
    assert "export" in reasons(found)[2]
    assert "snat" not in site_of(found)


NETMAP = (
    "/ip firewall nat\nadd chain=srcnat action=netmap out-interface=wan0 protocol=tcp "
    "src-address=100.64.0.0/{0} to-addresses=203.0.113.0/{0} to-ports=1000-1999\n"
)


def test_one_to_one_with_new_ports_is_a_rule_for_each_host():
    found = imported("routeros", NETMAP.format(31), outside=("wan0",), inside=("lan0",))
    rules = list(site_of(found)["snat"].values())

    assert [(rule["src_cidr"], rule["snat_ip"]) for rule in rules] == [
        ("100.64.0.0", "203.0.113.0"),
        ("100.64.0.1", "203.0.113.1"),
    ]
    assert {rule["snat_port"] for rule in rules} == {"1000-1999"}
    assert verify(found, compiled(found)).holds


def test_one_to_one_with_new_ports_is_not_a_rule_for_each_of_too_many_hosts():
    lines = "".join(
        f"add chain=srcnat action=netmap out-interface=wan0 protocol=tcp src-address=10.{n}.0.0/24 "
        f"to-addresses=203.0.113.0/24 to-ports={1000 + n * n}-{2000 + n * n}\n"
        for n in range(100)
    )
    one = imported("routeros", NETMAP.format(23), outside=("wan0",), inside=("lan0",))
    many = imported("routeros", "/ip firewall nat\n" + lines, outside=("wan0",), inside=("lan0",))

    assert fates(one) == ["2 not-translated no-target"]
    assert many.account.totals["translated"] == 78  # 256 rules each, 20,000 at most
    assert {entry.code for entry in many.account.entries if entry.fate == "not-translated"} == {"too-many"}
