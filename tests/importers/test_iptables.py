"""What each construct of iptables becomes in a site, and what the account says of what has no word there."""

import pytest

from nfcompile.verify.foreign import verify
from support.imported import compiled, fates, imported, reasons, site_of


def nat(*rules, chains=()):
    head = [":PREROUTING ACCEPT [0:0]", ":POSTROUTING ACCEPT [0:0]", *(f":{name} - [0:0]" for name in chains)]
    return "\n".join(["*nat", *head, *rules, "COMMIT", ""])


def only(stage, *rules, chains=(), **options):
    """The one entry that rules make."""
    entries = site_of(imported("iptables", nat(*rules, chains=chains), **options))[stage]
    assert len(entries) == 1
    return next(iter(entries.values()))


@pytest.mark.parametrize(
    ("rule", "entry"),
    [
        ("-o wan0 -j MASQUERADE", {"interface": "wan0", "snat_ip": "interface"}),
        (
            "-s 10.0.0.0/8 -o wan0 -p tcp -j MASQUERADE --to-ports 1024-65535",
            {
                "interface": "wan0",
                "protocol": "tcp",
                "src_cidr": "10.0.0.0/8",
                "snat_ip": "interface",
                "snat_port": "1024-65535",
            },
        ),
        (
            "-s 10.0.0.7/32 -o wan0 -p udp -m udp --sport 5060 -j SNAT --to-source 203.0.113.9:5060",
            {
                "interface": "wan0",
                "protocol": "udp",
                "src_cidr": "10.0.0.7",
                "src_port": 5060,
                "snat_ip": "203.0.113.9",
                "snat_port": 5060,
            },
        ),
        (
            "-s 10.0.0.0/24 ! -d 192.168.0.0/16 -o wan0 -j SNAT --to-source 203.0.113.1-203.0.113.4",
            {
                "interface": "wan0",
                "src_cidr": "10.0.0.0/24",
                "dst_cidr": "!192.168.0.0/16",
                "snat_ip": "203.0.113.1-203.0.113.4",
            },
        ),
        (
            "-s 10.0.0.2/24 -d ! 10.0.0.0/255.0.0.0 -o wan0 -j MASQUERADE",
            {
                "interface": "wan0",
                "src_cidr": "10.0.0.0/24",
                "dst_cidr": "!10.0.0.0/8",
                "snat_ip": "interface",
            },
        ),
        (
            "-o wan0 -p tcp -m multiport --dports 80,443,8000:8080 -j MASQUERADE",
            {
                "interface": "wan0",
                "protocol": "tcp",
                "dst_port": [80, 443, "8000-8080"],
                "snat_ip": "interface",
            },
        ),
        (
            "-m iprange --src-range 10.0.0.3-10.0.0.9 -o wan0 -j SNAT --to-source 203.0.113.1",
            {"interface": "wan0", "src_cidr": "10.0.0.3-10.0.0.9", "snat_ip": "203.0.113.1"},
        ),
        (
            "-s 10.1.0.0/24 -o wan0 -j NETMAP --to 203.0.113.0/24",
            {"interface": "wan0", "src_cidr": "10.1.0.0/24", "snat_prefix": "203.0.113.0/24"},
        ),
        (
            '-o wan0 -m comment --comment "the \\"big\\" one" -m conntrack --ctstate NEW -j MASQUERADE',
            {"interface": "wan0", "snat_ip": "interface"},
        ),
        (
            "! -p udp -o wan0 -j MASQUERADE --random",
            {"interface": "wan0", "protocol": "!udp", "snat_ip": "interface"},
        ),
    ],
)
def test_source_translation(rule, entry):
    assert only("snat", f"-A POSTROUTING {rule}") == entry


@pytest.mark.parametrize(
    ("rule", "entry"),
    [
        (
            "-i wan0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.7:80",
            {
                "interface": "wan0",
                "protocol": "tcp",
                "dst_port": 8080,
                "dnat_ip": "10.0.0.7",
                "dnat_port": 80,
            },
        ),
        (
            "-i wan0 -d 203.0.113.0/24 -j NETMAP --to 10.1.0.0/24",
            {"interface": "wan0", "dst_cidr": "203.0.113.0/24", "dnat_prefix": "10.1.0.0/24"},
        ),
        (
            "-d 203.0.113.1/32 -i wan0 -p udp --dport 6000:6010 -j DNAT --to 10.0.0.7:7000-7010",
            {
                "interface": "wan0",
                "protocol": "udp",
                "dst_cidr": "203.0.113.1",
                "dst_port": "6000-6010",
                "dnat_ip": "10.0.0.7",
                "dnat_port": "7000-7010",
            },
        ),
        (
            "-i wan0 -p tcp --dport 80 -j DNAT --to-destination :8080",
            {"interface": "wan0", "protocol": "tcp", "dst_port": 80, "dnat_port": 8080},
        ),
    ],
)
def test_destination_translation(rule, entry):
    assert only("dnat", f"-A PREROUTING {rule}") == entry


def test_a_rule_without_interfaces_holds_for_all_of_them():
    found = imported(
        "iptables",
        nat(
            "-A PREROUTING -d 203.0.113.1/32 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.7",
            "-A POSTROUTING -s 10.0.0.0/24 -j MASQUERADE",
        ),
        inside=("lan0",),
        outside=("wan0",),
    )

    assert site_of(found)["dnat"]["l4"]["interface"] == ["lan0", "wan0"]
    assert site_of(found)["snat"]["l5"]["interface"] == ["lan0", "wan0"]


def test_redirect_goes_to_the_address_of_the_incoming_interface():
    rule = "-A PREROUTING -i lan0 -p tcp --dport 80 -j REDIRECT --to-ports 3128"

    without = imported("iptables", nat(rule))
    entry = only("dnat", rule, addresses={"lan0": 0x0A000001})

    assert fates(without) == ["4 not-translated needs-address"]
    assert entry == {
        "interface": "lan0",
        "protocol": "tcp",
        "dst_port": 80,
        "dnat_ip": "10.0.0.1",
        "dnat_port": 3128,
    }


def test_the_addresses_that_a_redirect_asks_for_are_the_last_thing_it_asks_for():
    rule = nat("-A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 3128")

    without = imported("iptables", rule)
    told = imported("iptables", rule, addresses={"lan0": 0x0A000001, "wan0": 0xC0000201})

    assert "--address lan0=A --address wan0=A" in without.text
    assert "dnat_ip: interface" not in without.text  # the nearest entry is one that a site may have
    assert fates(told) == ["4 translated dnat.l4, dnat.l4-2"]
    assert site_of(told)["interfaces"] == {"inside": ["lan0"], "outside": ["wan0"]}


def test_exclusions_stay_in_their_place_and_useless_ones_go():
    found = imported(
        "iptables",
        nat(
            "-A POSTROUTING -d 10.99.0.0/16 -o wan0 -j ACCEPT",
            "-A POSTROUTING -s 10.0.0.0/8 -o wan0 -j MASQUERADE",
            "-A POSTROUTING -d 192.0.2.0/24 -o wan0 -j ACCEPT",
        ),
    )

    assert list(site_of(found)["snat"]) == ["l4", "l5"]
    assert site_of(found)["snat"]["l4"] == {"interface": "wan0", "dst_cidr": "10.99.0.0/16", "exclude": "on"}
    assert reasons(found)[6] == "no rule after it would translate its packets"


def test_a_jump_and_its_rules_become_one():
    found = imported(
        "iptables",
        nat(
            "-A POSTROUTING -s 10.0.0.0/8 -o wan0 -j web",
            "-A web -p tcp --dport 80 -j SNAT --to-source 203.0.113.1",
            "-A web -s 10.0.0.0/16 -j SNAT --to-source 203.0.113.2",
            "-A web -s 172.16.0.0/12 -j SNAT --to-source 203.0.113.3",
            "-A other -j MASQUERADE",
            chains=("web", "other"),
        ),
    )

    assert site_of(found)["snat"] == {
        "l7": {
            "interface": "wan0",
            "protocol": "tcp",
            "src_cidr": "10.0.0.0/8",
            "dst_port": 80,
            "snat_ip": "203.0.113.1",
        },
        "l8": {"interface": "wan0", "src_cidr": "10.0.0.0/16", "snat_ip": "203.0.113.2"},
    }
    assert fates(found) == ["6 translated snat.l7, snat.l8", "7 translated snat.l7", "8 translated snat.l8"]
    assert reasons(found)[9] == "no packet comes here"
    assert reasons(found)[10] == "nothing leads to chain 'other'"


def test_return_takes_its_packets_out_of_the_rest_of_the_chain():
    found = imported(
        "iptables",
        nat(
            "-A POSTROUTING -j users",
            "-A POSTROUTING -o wan0 -j SNAT --to-source 203.0.113.9",
            "-A users -d 10.0.0.0/8 -j RETURN",
            "-A users -s 10.0.0.0/24 -o wan0 -j SNAT --to-source 203.0.113.1",
            chains=("users",),
        ),
    )

    assert site_of(found)["snat"] == {
        "l8": {
            "interface": "wan0",
            "src_cidr": "10.0.0.0/24",
            "dst_cidr": "!10.0.0.0/8",
            "snat_ip": "203.0.113.1",
        },
        "l6": {"interface": "wan0", "snat_ip": "203.0.113.9"},
    }
    assert "7 folded " in fates(found)


def test_goto_does_not_come_back():
    found = imported(
        "iptables",
        nat(
            "-A POSTROUTING -s 10.0.0.0/24 -g first",
            "-A POSTROUTING -o wan0 -j SNAT --to-source 203.0.113.9",
            "-A first -p tcp -o wan0 -j SNAT --to-source 203.0.113.1",
            chains=("first",),
        ),
    )

    assert site_of(found)["snat"]["l6"]["src_cidr"] == "!10.0.0.0/24"


@pytest.mark.parametrize(
    ("word", "said"), [("-p gre", "gre"), ("-p 50", "esp"), ("-p 253", "253"), ("! -p sctp", "!sctp")]
)
def test_every_protocol_has_a_name_or_a_number(word, said):
    rule = f"-A POSTROUTING -o wan0 {word} -j SNAT --to-source 203.0.113.1"

    found = imported("iptables", nat(rule), inside=("lan0",), outside=("wan0",))

    assert str(site_of(found)["snat"]["l4"]["protocol"]) == said
    assert verify(found, compiled(found)).holds


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("-A POSTROUTING -o wan0 -m set --match-set users src -j MASQUERADE", "ipset"),
        ("-A POSTROUTING -o wan0 -m owner --uid-owner 7 -j MASQUERADE", "no-match"),
        ("-A POSTROUTING -o wan0 -m limit --limit 5/min -j MASQUERADE", "no-match"),
        ("-A POSTROUTING -o wan0 -m mark --mark 0x1 -j MASQUERADE", "packet-mark"),
        ("-A POSTROUTING -o wan0 -p sctp --dport 80 -j SNAT --to-source 203.0.113.1", "no-protocol"),
        ("-A POSTROUTING -o wan0 -s host.example -j MASQUERADE", "host-name"),
        ("-A POSTROUTING -o ppp+ -j MASQUERADE", "interface-pattern"),
        ("-A POSTROUTING -j MASQUERADE", "from-outside"),
        ("-A POSTROUTING -s 10.0.0.0/24 -o wan0 -j NETMAP --to 203.0.113.0/25", "not-prefix"),
        ("-A POSTROUTING -o wan0 -j SAME --to 203.0.113.1-203.0.113.4", "no-target"),
        ("-A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 3128", "own-traffic"),
        ("-A PREROUTING -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.0.0.7", "needs-address"),
        ("-A PREROUTING -i wan0 ! -p icmp -m conntrack ! --ctstate DNAT -j DNAT --to 10.0.0.7", "no-match"),
    ],
)
def test_what_has_no_word_is_named_and_stands_as_a_comment(rule, code):
    found = imported("iptables", nat(rule), inside=("lan0",), outside=("wan0",))

    assert fates(found) == [f"4 not-translated {code}"]
    assert not found.account.complete
    if code != "own-traffic":
        assert f"# f1:4: {rule}"[:60] in found.text.replace("#   ", "# ")
        assert f"[{code}]" in found.text


@pytest.mark.parametrize(
    "line",
    [
        "-A POSTROUTING -o wan0 --no-such-option -j MASQUERADE",
        '-A POSTROUTING -o wan0 -m comment --comment "open -j MASQUERADE',
        "-A POSTROUTING -o",
        "-Q POSTROUTING",
        "POSTROUTING -o wan0",
    ],
)
def test_what_is_no_rule_is_unknown(line):
    assert [one.split()[1] for one in fates(imported("iptables", nat(line)))] == ["unknown"]


def test_rules_that_containers_write_are_left_to_them():
    found = imported(
        "iptables",
        nat(
            "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
            "-A DOCKER ! -i docker0 -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80",
            chains=("DOCKER",),
        ),
    )

    assert fates(found) == ["5 not-translated container", "6 not-translated container"]
    assert "docker writes this rule itself" in reasons(found)[6]


def test_only_the_last_nat_table_counts_and_ipv6_does_not():
    found = imported(
        "iptables",
        nat("-A POSTROUTING -o old0 -j MASQUERADE")
        + "# Generated by ip6tables-save v1.8\n"
        + nat("-A POSTROUTING -o six0 -j MASQUERADE")
        + "# Generated by iptables-save v1.8\n*filter\n-A FORWARD -i lan0 -j ACCEPT\nCOMMIT\n"
        + nat("-A POSTROUTING -o wan0 -j MASQUERADE"),
    )

    assert [entry["interface"] for entry in site_of(found)["snat"].values()] == ["wan0"]
    assert reasons(found)[4].startswith("the nat table of line ")
    assert site_of(found)["interfaces"]["outside"] == ["wan0"]
    assert "lan0" in site_of(found)["interfaces"]["inside"]


def test_a_plain_list_of_commands_is_read_with_its_order():
    found = imported(
        "iptables",
        "#!/bin/sh\n"
        "echo 1 > /proc/sys/net/ipv4/ip_forward\n"
        "iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE\n"
        "iptables -t nat -F\n"
        "sudo /sbin/iptables -t nat -A POSTROUTING -o wan0 -s 10.0.0.0/24 -j MASQUERADE\n"
        "iptables -t nat -I POSTROUTING -d 10.0.0.0/8 -o wan0 -j ACCEPT\n"
        "iptables -A FORWARD -i lan0 -j ACCEPT\n"
        "iptables -t nat -A POSTROUTING -o wan0 -p tcp -j MASQUERADE\n"
        "iptables -t nat -D POSTROUTING -o wan0 -p tcp -j MASQUERADE\n",
    )

    assert list(site_of(found)["snat"]) == ["l6", "l5"]
    assert reasons(found)[3] == "removed again in line 4"
    assert reasons(found)[8] == "removed again in line 9"


def test_a_shell_program_is_not_run():
    found = imported("iptables", "WAN=eth0\niptables -t nat -A POSTROUTING -o $WAN -j MASQUERADE\n")

    assert fates(found) == ["2 not-translated shell"]
    assert "iptables-save" in reasons(found)[2]
    assert "snat" not in site_of(found)


def test_carriage_returns_counters_and_empty_lines_do_no_harm():
    text = nat("[12:3456] -A POSTROUTING -o wan0 -j MASQUERADE", "", "# a comment").replace("\n", "\r\n")

    assert list(site_of(imported("iptables", text))["snat"]) == ["l4"]


def test_sides_are_guessed_from_the_rules_and_said():
    found = imported(
        "iptables",
        nat(
            "-A PREROUTING -i wan0 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.7",
            "-A POSTROUTING -s 10.0.0.0/24 -o wan0 -j SNAT --to-source 203.0.113.1",
            "-A POSTROUTING -s 10.8.0.0/24 -o lan0 -j SNAT --to-source 10.0.0.1",
        ),
    )

    assert site_of(found)["interfaces"] == {"inside": ["lan0"], "outside": ["wan0"]}
    assert {guess.what for guess in found.account.guesses} == {"interfaces.inside", "interfaces.outside"}
    assert "guessed" in found.text


def test_what_the_command_line_says_is_no_guess():
    found = imported(
        "iptables", nat("-A POSTROUTING -o wan0 -j MASQUERADE"), inside=("br0",), outside=("wan0", "wan1")
    )

    assert site_of(found)["interfaces"] == {"inside": ["br0"], "outside": ["wan0", "wan1"]}
    assert found.account.guesses == ()


def test_rules_for_whatever_comes_in_need_no_sides():
    found = imported(
        "iptables",
        nat(
            "-A PREROUTING -i eth1 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.7",
            "-A POSTROUTING -j MASQUERADE",
        )
        + "*filter\n-A FORWARD -i eth0 -o eth1 -j ACCEPT\nCOMMIT\n",
    )

    assert site_of(found)["interfaces"] == {
        "inside": ["eth0", "eth1"],
        "outside": ["eth0", "eth1"],
        "inside_networks": ["0.0.0.0/0"],
    }
    assert site_of(found)["snat"] == {"l5": {"interface": ["eth0", "eth1"], "snat_ip": "interface"}}
    assert all("whatever comes in" in guess.reason for guess in found.account.guesses)


def test_a_shell_program_with_its_commands_in_the_midst_of_lines_is_told_to_be_one():
    text = "#!/bin/sh\nfor i in 1 2; do iptables -t nat -A POSTROUTING -s 10.0.0.$i -j MASQUERADE; done\n"

    found = imported("iptables", text)

    assert fates(found) == ["2 not-translated shell"]
    assert "iptables-save" in reasons(found)[2]
