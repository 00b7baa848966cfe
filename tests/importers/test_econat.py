"""EcoNAT's stored tree and its sessions: the same words as a site's, with EcoNAT's defaults written out."""

import pytest

from nfcompile import pipeline
from support.imported import fates, imported, reasons, site_of

STORED = """pools {
  poolhome {
    type cgnat
    enable
    acl aclhome
    priority 100
    global_ip (
      203.0.113.0/28
      198.51.100.7
    )
    port_range 1024:65535
    hairpin on
    connection_logging off
    randomize_ports on
    timeouts_inactivity
    {
      translation 86400
      udp 120
      special_tcp_ports ( 22 5222 )
    }
    limits_peruser
    {
      portlimit_tcp 2048
      portlimit_udp 2048
      portlimit_icmp 1024
    }
  }
  poolservers {
    type static
    enable
    acl none
    priority 50
    global_map ( 192.168.0.5-203.0.113.20 192.168.1.2~102 - 203.0.113.21 )
    port_range 1:2
  }
  poolempty {
    type nat
    priority 70
    global_ip ( )
  }
}
acls {
  aclhome {
    10 deny ip src range 100.64.0.1-100.64.0.9 dst any
    20 permit ip src net 100.64.0.0/24 dst any
    30 allow tcp from somewhere
  }
}
system {
  nat_defaults {
    vlan_mode vlan
    l2mtu 1522
    alg { ftp on }
    no_such_key 5
  }
  ntp {
    server 192.0.2.1
  }
}
"""


def test_a_stored_tree():
    found = imported("econat", STORED.replace("alg { ftp on }", "alg\n{\n  ftp on\n}"))
    site = site_of(found)

    assert site["pools"]["poolhome"] == {
        "type": "cgnat",
        "acl": "aclhome",
        "enable": "on",
        "priority": 100,
        "global_ip": ["203.0.113.0/28", "198.51.100.7"],
        "port_range": "1024-65535",
        "hairpin": "on",
        "connection_logging": "off",
        "randomize_ports": "on",
        "allocation": "dynamic",
        "timeouts_inactivity": {"translation": 86400, "udp": 120, "special_tcp_ports": [22, 5222]},
        "limits_peruser": {"portlimit_tcp": 2048, "portlimit_udp": 2048, "portlimit_icmp": 1024},
    }
    assert site["pools"]["poolservers"]["global_map"] == {
        "192.168.0.5": "203.0.113.20",
        "192.168.1.2~102": "203.0.113.21",
    }
    assert "poolempty" not in site["pools"]
    assert site["acls"]["aclhome"] == {
        "10": "deny ip src range 100.64.0.1-100.64.0.9 dst any",
        "20": "permit ip src net 100.64.0.0/24 dst any",
    }
    assert site["nat_defaults"] == {"vlan_mode": "vlan", "l2mtu": 1522, "alg": {"ftp": "on"}}
    assert [one.split(" ", 1)[1] for one in fates(found) if "not-translated" in one] == [
        "not-translated acl-rule",
        "not-translated no-parameter",
    ]
    assert not [one for one in fates(found) if "unknown" in one]


def test_a_stored_tree_is_a_site_that_check_accepts():
    text = STORED.replace("alg { ftp on }", "").replace("    no_such_key 5\n", "")
    found = imported("econat", text.replace("    30 allow tcp from somewhere\n", ""))

    problems = pipeline.check(pipeline.parse(found.text.encode(), "site.yaml")).diagnostics

    assert [one.code for one in problems if one.severity == "error"] == []
    assert found.account.complete


SESSION = """Box:1:# create pool test
Box:2:# create acl a
Box:3:acls.acla# 10 allow ip 10.0.0.0/24
Box:4:acls.acla# show
acla {
  10 permit ip src net 10.0.0.0/24 dst any
}
Box:5:# use acla pooltest
Box:6:pools.pooltest# global_ip add 203.0.113.0/30
Box:7:pools.pooltest# global_ip += ( 198.51.100.1 198.51.100.2 )
Box:8:pools.pooltest# global_ip
Box:9:(pools.pooltest.global_ip)# += (
Box:10:(pools.pooltest.global_ip)# 192.0.2.1
Box:11:(pools.pooltest.global_ip)# )
Box:12:pools.pooltest# global_ip -= 198.51.100.2
Box:13:pools.pooltest# priority 7
Box:14:pools.pooltest# limits_peruser portlimit_tcp 512
Box:15:pools.pooltest# show global_ip
global_ip (
  192.0.2.1
  198.51.100.1
  203.0.113.0/30
)
Box:16:pools.pooltest# analyze pooltest
# all is well
Box:17:pools.pooltest# disable
Box:18:pools.pooltest# clear sessions all
Sessions table purged
"""


def test_a_session_is_carried_out_and_its_answers_are_not():
    found = imported("econat", SESSION)
    pool = site_of(found)["pools"]["pooltest"]

    assert pool["global_ip"] == ["203.0.113.0/30", "198.51.100.1", "192.0.2.1"]
    assert (pool["enable"], pool["priority"], pool["acl"], pool["allocation"]) == (
        "off",
        7,
        "acla",
        "dynamic",
    )
    assert pool["randomize_ports"] == "off"
    assert pool["limits_peruser"] == {"portlimit_tcp": 512}
    assert site_of(found)["acls"] == {"acla": {"10": "allow ip 10.0.0.0/24"}}
    assert reasons(found)[6] == "shows what line 3 set"
    assert reasons(found)[21] == "shows what line 9 set"
    assert found.account.complete


def test_what_show_answers_is_what_there_is():
    found = imported(
        "econat", "Box:1:pools.poola# show\n type cgnat\n enable\n acl none\n global_ip ( 203.0.113.9 )\n …\n"
    )

    assert site_of(found)["pools"]["poola"]["global_ip"] == ["203.0.113.9"]


def test_the_second_of_two_pools_with_one_priority_is_off_as_on_the_box():
    pool = "  {0} {{\n    type cgnat\n    priority 5\n    global_ip ( 203.0.113.{1} )\n  }}\n"
    found = imported("econat", "pools {\n" + pool.format("poola", 1) + pool.format("poolb", 2) + "}\n")

    assert [one["enable"] for one in site_of(found)["pools"].values()] == ["on", "off"]
    assert "EcoNAT ignores it" in found.text


def test_spaces_of_a_terminal_are_spaces():
    found = imported("econat", "Box:1:pools.poola#\xa0global_ip add\xa0203.0.113.9\n")

    assert site_of(found)["pools"]["poola"]["global_ip"] == ["203.0.113.9"]


@pytest.mark.parametrize(
    ("addresses", "fate"),
    [("", "ignored"), ("global_ip ( 203.0.113.300 )", "not-translated"), ("global_ip ( )", "ignored")],
)
def test_a_pool_without_readable_addresses_is_left_out_whole(addresses, fate):
    text = f"pools {{\n pool1 {{\n type cgnat\n acl none\n priority 10\n {addresses}\n }}\n}}\n"

    found = imported("econat", text)

    assert "pool1" not in site_of(found).get("pools", {})
    assert {entry.fate for entry in found.account.entries if "type" in entry.text} == {fate}


@pytest.mark.parametrize(
    ("old", "new"), [("priority 10", "priority high"), ("acl none", "acl a\\b"), ("cgnat", "cgnt")]
)
def test_a_pool_with_a_value_that_decides_what_it_is_and_cannot_be_read_is_left_out_whole(old, new):
    text = "pools {\n pool1 {\n type cgnat\n acl none\n priority 10\n global_ip ( 203.0.113.1 )\n }\n}\n"
    fate = "not-translated"
    text = text.replace(old, new)

    found = imported("econat", text)

    assert "pool1" not in site_of(found).get("pools", {})
    assert {entry.fate for entry in found.account.entries if "type" in entry.text} == {fate}


def test_an_acl_whose_name_a_site_cannot_have_is_not_translated():
    found = imported("econat", "acls {\n a\\b {\n 10 permit ip src any dst any\n }\n}\n")

    assert "acls" not in site_of(found)
    assert fates(found) == ["2 not-translated bad-value", "3 not-translated bad-value"]


def test_an_acl_with_an_odd_name_and_no_rules_is_accounted_for():
    found = imported("econat", "MyEcoNAT:1:# show acls.a}b\nMyEcoNAT:2:acls.a}b# show\nacla {\n}\n")

    assert "acls" not in site_of(found)


def test_rule_0_of_an_acl_is_no_rule_of_a_site():
    found = imported("econat", "acls {\n acla {\n 0 allow ip 10.0.0.1\n 10 allow ip 10.0.0.2\n }\n}\n")

    assert list(site_of(found)["acls"]["acla"]) == ["10"]
    assert "3 not-translated acl-rule" in fates(found)


@pytest.mark.parametrize("end", ["", "  30 allow ip 10.0.0.0/8\n", "\n# done\n"])
def test_a_word_alone_is_a_block_only_if_the_block_follows(end):
    found = imported("econat", "acls {\n  aclhome\n  {\n    10 allow ip any\n  }\n  hairpin\n" + end)

    found_fates = {entry.text: entry.fate for entry in found.account.entries}
    assert (found_fates["aclhome"], found_fates["hairpin"]) == ("ignored", "unknown")
