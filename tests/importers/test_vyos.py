"""VyOS in both spellings, its cgnat, and the dialect of EdgeOS."""

import pytest

from support.imported import fates, imported, reasons, site_of

CURLY = """interfaces {
    ethernet eth0 {
        address dhcp
        description "to the provider { here }"
    }
    ethernet eth1 {
        address 10.0.0.1/24
        vif 20 {
            address 10.0.20.1/24
        }
    }
}
firewall {
    group {
        network-group SERVERS {
            network 10.0.20.0/25
            network 10.9.0.0/16
        }
    }
}
nat {
    destination {
        rule 10 {
            description "web"
            destination {
                port 80,443
            }
            inbound-interface {
                name eth0
            }
            protocol tcp
            translation {
                address 10.0.20.7
            }
        }
    }
    source {
        rule 100 {
            destination {
                group {
                    network-group SERVERS
                }
            }
            exclude
            outbound-interface {
                name eth0
            }
        }
        rule 110 {
            log
            outbound-interface {
                name eth0
            }
            source {
                address 10.0.0.0/8
            }
            translation {
                address masquerade
            }
        }
    }
}

// Warning: Do not remove the following line.
// vyos-config-version: "nat@7"
"""

SET = """set interfaces ethernet eth0 address 'dhcp'
set interfaces ethernet eth1 address '10.0.0.1/24'
set interfaces ethernet eth1 vif 20 address '10.0.20.1/24'
set firewall group network-group SERVERS network '10.0.20.0/25'
set firewall group network-group SERVERS network '10.9.0.0/16'
set nat destination rule 10 destination port '80,443'
set nat destination rule 10 inbound-interface name 'eth0'
set nat destination rule 10 protocol 'tcp'
set nat destination rule 10 translation address '10.0.20.7'
set nat source rule 100 destination group network-group 'SERVERS'
set nat source rule 100 exclude
set nat source rule 100 outbound-interface name 'eth0'
set nat source rule 110 outbound-interface name 'eth0'
set nat source rule 110 source address '10.0.0.0/8'
set nat source rule 110 translation address 'masquerade'
"""


def only(text, stage="snat", **options):
    entries = site_of(imported("vyos", text, **options))[stage]
    assert len(entries) == 1
    return next(iter(entries.values()))


def source(*leaves, number=10):
    return "".join(f"set nat source rule {number} {leaf}\n" for leaf in leaves)


def test_both_spellings_give_the_same_site():
    curly, lines = site_of(imported("vyos", CURLY)), site_of(imported("vyos", SET))

    assert curly == lines
    assert curly["interfaces"] == {"inside": ["eth1", "eth1.20"], "outside": ["eth0"]}
    assert curly["dnat"] == {
        "rule-10": {"interface": "eth0", "protocol": "tcp", "dst_port": [80, 443], "dnat_ip": "10.0.20.7"}
    }
    assert curly["snat"] == {
        "rule-100": {"interface": "eth0", "dst_cidr": ["10.0.20.0/25", "10.9.0.0/16"], "exclude": "on"},
        "rule-110": {"interface": "eth0", "src_cidr": "10.0.0.0/8", "snat_ip": "interface"},
    }


def test_every_line_of_the_curly_form_has_its_fate():
    found = imported("vyos", CURLY)
    said = {int(one.split()[0]): one.split(" ", 1)[1] for one in fates(found)}

    assert said[23] == "translated dnat.rule-10"
    assert said[35] == "translated dnat.rule-10"
    assert 24 not in said  # its description
    assert sum(found.account.totals.values()) == CURLY.count("\n")
    assert found.account.complete


@pytest.mark.parametrize(
    ("leaves", "entry"),
    [
        (
            ["outbound-interface eth0", "source address '!10.0.0.0/8'", "translation address 203.0.113.9"],
            {"interface": "eth0", "src_cidr": "!10.0.0.0/8", "snat_ip": "203.0.113.9"},
        ),
        (
            [
                "outbound-interface name eth0",
                "source address 10.1.0.0/24",
                "translation address 203.0.113.0/24",
            ],
            {"interface": "eth0", "src_cidr": "10.1.0.0/24", "snat_prefix": "203.0.113.0/24"},
        ),
        (
            [
                "outbound-interface name eth0",
                "protocol tcp_udp",
                "source address 10.1.0.0/24",
                "destination port '!25'",
                "translation address masquerade",
                "translation port 2000-3000",
            ],
            {
                "interface": "eth0",
                "protocol": ["tcp", "udp"],
                "src_cidr": "10.1.0.0/24",
                "dst_port": "!25",
                "snat_ip": "interface",
                "snat_port": "2000-3000",
            },
        ),
    ],
)
def test_source_rules(leaves, entry):
    assert only(source(*leaves)) == entry


def test_rules_go_by_number():
    text = source("outbound-interface name eth0", "translation address 203.0.113.2", number=20)
    text += source(
        "outbound-interface name eth0", "source address 10.0.0.9", "translation address 203.0.113.1", number=3
    )

    assert list(site_of(imported("vyos", text))["snat"]) == ["rule-3", "rule-20"]


def test_static_nat_is_a_rule_in_each_direction():
    found = imported(
        "vyos",
        "set nat static rule 5 destination address 203.0.113.0/28\n"
        "set nat static rule 5 inbound-interface eth0\n"
        "set nat static rule 5 translation address 10.0.0.0/28\n",
    )

    assert site_of(found)["dnat"]["static-5"]["dnat_prefix"] == "10.0.0.0/28"
    assert site_of(found)["snat"]["static-5"]["snat_prefix"] == "203.0.113.0/28"
    assert fates(found)[0] == "1 translated dnat.static-5, snat.static-5"


def test_what_is_disabled_deleted_set_again_or_incomplete_translates_nothing():
    found = imported(
        "vyos",
        source("outbound-interface name eth0", "translation address masquerade", "disable", number=1)
        + source("outbound-interface name eth0", "translation address masquerade", number=2)
        + "delete nat source rule 2\n"
        + source("outbound-interface name eth0", number=3)
        + source(
            "outbound-interface name eth8",
            "outbound-interface name eth9",
            "translation address masquerade",
            number=4,
        ),
    )

    assert list(site_of(found)["snat"]) == ["rule-4"]
    assert site_of(found)["snat"]["rule-4"]["interface"] == "eth9"
    assert reasons(found)[5] == "deleted again in line 6"
    assert reasons(found)[7] == "the rule has no translation, and VyOS refuses it"
    assert reasons(found)[8] == "line 9 takes its place"


@pytest.mark.parametrize(
    ("leaves", "code"),
    [
        (["outbound-interface name eth0", "load-balance backend 203.0.113.1 weight 50"], "load-balance"),
        (
            [
                "outbound-interface name eth0",
                "source group address-group GONE",
                "translation address masquerade",
            ],
            "group",
        ),
        (
            ["outbound-interface name eth0", "source fqdn host.example", "translation address masquerade"],
            "host-name",
        ),
        (["outbound-interface name bond1*", "translation address masquerade"], "interface-pattern"),
        (
            ["outbound-interface name eth0", "packet-type broadcast", "translation address masquerade"],
            "no-match",
        ),
    ],
)
def test_what_has_no_word_is_named(leaves, code):
    found = imported("vyos", source(*leaves), inside=("lan0",), outside=("eth0",))

    assert {entry.code for entry in found.account.entries} == {code}
    assert f"[{code}]" in found.text


def test_service_nat_of_edgeos():
    found = imported(
        "vyos",
        "set service nat rule 5010 type masquerade\n"
        "set service nat rule 5010 outbound-interface eth0\n"
        "set service nat rule 10 type destination\n"
        "set service nat rule 10 inbound-interface eth0\n"
        "set service nat rule 10 protocol tcp\n"
        "set service nat rule 10 destination port 8080\n"
        "set service nat rule 10 inside-address address 10.0.0.7\n"
        "set service nat rule 10 inside-address port 80\n",
    )

    assert site_of(found)["snat"]["rule-5010"] == {"interface": "eth0", "snat_ip": "interface"}
    assert site_of(found)["dnat"]["rule-10"]["dnat_port"] == 80
    assert any(guess.what == "dialect" for guess in found.account.guesses)


def test_redirect_knows_the_addresses_of_the_configuration():
    text = (
        "set interfaces ethernet eth1 address 10.0.0.1/24\n"
        "set nat destination rule 1 inbound-interface name eth1\n"
        "set nat destination rule 1 protocol tcp\n"
        "set nat destination rule 1 destination port 80\n"
        "set nat destination rule 1 translation redirect port 3128\n"
    )

    assert only(text, "dnat")["dnat_ip"] == "10.0.0.1"


@pytest.mark.parametrize("to", ["redirect port 22", "port 22"])
def test_a_new_port_needs_a_protocol_that_has_ports(to):
    """VyOS refuses such a rule, and so would `check` refuse the site."""
    rule = "set nat destination rule 1"
    text = f"{rule} inbound-interface name wan0\n{rule} translation {to}\n"

    found = imported("vyos", text, addresses={"wan0": 0xC0000201})

    assert fates(found) == ["1 not-translated no-protocol", "2 not-translated no-protocol"]
    assert "dnat" not in site_of(found)


CGNAT = """set nat cgnat log-allocation
set nat cgnat pool external out external-port-range '40000-60000'
set nat cgnat pool external out per-user-limit port '5000'
set nat cgnat pool external out range 192.0.2.9 seq '20'
set nat cgnat pool external out range 192.0.2.1-192.0.2.2 seq '10'
set nat cgnat pool external spare range 198.51.100.1/32
set nat cgnat pool internal in range '100.64.0.0/29'
set nat cgnat rule 10 source pool 'in'
set nat cgnat rule 10 translation pool 'out'
"""


def test_cgnat_is_a_pool_that_fills_address_by_address():
    found = imported("vyos", CGNAT)
    pool = site_of(found)["pools"]["rule-10"]

    assert pool["global_ip"] == ["192.0.2.1-192.0.2.2", "192.0.2.9"]
    assert pool["subscribers"] == ["100.64.0.0/29"]
    assert (pool["port_range"], pool["port_block_size"], pool["fill"]) == ("40000-60000", 5000, "address")
    assert pool["limits_peruser"] == dict.fromkeys(("portlimit_tcp", "portlimit_udp", "portlimit_icmp"), 5000)
    assert [one.split(" ", 1)[1] for one in fates(found)] == ["folded pools.rule-10"] * 7
    assert reasons(found)[6] == "no rule uses this pool"


def test_an_interface_that_is_named_twice_is_one():
    rule = "set nat destination rule 100 inbound-interface name 'pppoe0'\n"

    found = imported("vyos", 2 * rule, outside=("wan0",))

    assert site_of(found)["interfaces"]["inside"] == ["pppoe0"]


def test_cgnat_with_more_hosts_than_blocks_is_not_translated():
    few = CGNAT.replace("port '5000'", "port '20000'").replace("192.0.2.1-192.0.2.2", "192.0.2.1")

    found = imported("vyos", few)

    assert "pools" not in site_of(found)
    assert {entry.code for entry in found.account.entries if entry.fate == "not-translated"} == {"few-blocks"}
    assert "pool 'out' has 2 blocks of 20000 ports, and 'in' more hosts" in reasons(found).values()
