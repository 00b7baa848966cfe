"""Which entries and sessions a site still gives: the pure half of what `apply` keeps."""

import pytest

from nfcompile.allocation.ownership import Bindings
from nfcompile.ipalloc import Block
from nfcompile.kernel.conntrack import Flow
from nfcompile.kernel.state_policy import Changes
from nfcompile.live.continuity import EXPECTED, SiteStatePolicy
from nfcompile.model.parse import address, addresses
from support.sites import site

ICMP, TCP, UDP, GRE = 1, 6, 17, 47
SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 64, portlimit_low: 64}
acls:
  homes: {10: allow ip 100.64.0.0/24}
  shops: {10: allow ip 100.64.2.0/24}
  office: {10: allow ip 10.9.0.0/24}
  free: {10: deny tcp 100.64.0.0/24 any dst port 22, 20: allow ip 100.64.0.0/24 198.18.9.0/24}
pools:
  free: {type: fake, acl: free, priority: 2}
  servers: {type: static, priority: 3, global_map: {192.168.0.0/28: 200.0.0.16/28, 192.168.1.9: 200.0.0.9}}
  homes: {type: cgnat, acl: homes, priority: 4, global_ip: [203.0.113.0/28],
          limits_peruser: {portlimit_tcp: 512, portlimit_udp: 256}}
  shops: {type: cgnat, allocation: dynamic, acl: shops, priority: 5, global_ip: [198.51.100.0/31],
          limits_peruser: {portlimit_tcp: 128, portlimit_udp: 128}}
  office: {type: nat, acl: office, priority: 6, global_ip: [200.0.2.0/29]}
snat: {web: {mark: 10, snat_ip: 172.32.0.201}}
""".replace("deny tcp 100.64.0.0/24 any dst port 22", "deny tcp 100.64.0.0/24 any dport 22")
FAR = "198.18.0.1"


def compiled(text=SITE):
    return site(text)


def allocation(name):
    return next(one for one in compiled().allocations if one.pool.name == name)


def out(protocol, source, global_ip, port, status=0, far=FAR):
    """A flow from inside with a translated source."""
    ends = address(source), 5000, address(far), 53
    back = address(far), 53, address(global_ip), port
    return Flow(protocol, *ends, *back, 0, 0, status, 100, 0, (8, 0), 1)


def back_in(protocol, global_ip, port, inside):
    """A flow that the outside opened."""
    ends = address(FAR), 9000, address(global_ip), port
    back = address(inside), 5000, address(FAR), 9000
    return Flow(protocol, *ends, *back, 0, 0, 0, 100, 0, (8, 0), 1)


@pytest.mark.parametrize(
    ("protocol", "port", "given"),
    [
        (TCP, 1024, True),
        (TCP, 1535, True),
        (TCP, 1536, False),
        (TCP, 1023, False),
        (TCP, 64, True),
        (TCP, 127, True),
        (TCP, 128, False),
        (UDP, 1279, True),
        (UDP, 1280, False),
        (ICMP, 1535, True),
        (ICMP, 100, False),
        (GRE, 7, True),
    ],
)
def test_a_subscriber_has_the_ports_of_its_block(protocol, port, given):
    """The first block of 512, of which udp uses 256; low ports are tcp's and udp's; gre has none."""
    homes = Bindings(allocation("homes"))

    assert homes.gives(protocol, address("100.64.0.3"), address("203.0.113.3"), port) is given
    assert not homes.gives(protocol, address("100.64.0.3"), address("203.0.113.4"), port)
    assert not homes.gives(protocol, address("100.64.0.4"), address("203.0.113.3"), port)


def test_a_server_has_its_address_and_nobody_elses():
    servers = Bindings(allocation("servers"))

    assert servers.gives(TCP, address("192.168.0.5"), address("200.0.0.21"), 7)
    assert servers.gives(GRE, address("192.168.1.9"), address("200.0.0.9"), 0)
    assert not servers.gives(TCP, address("192.168.0.5"), address("200.0.0.22"), 7)
    assert not servers.gives(TCP, address("192.168.0.5"), address("200.0.0.9"), 7)
    assert not servers.gives(TCP, address("192.168.0.5"), address("1.0.0.1"), 7)


def test_a_dynamic_pool_gives_what_was_assigned():
    shop = address("100.64.2.9")
    shops = Bindings(allocation("shops"), {shop: [Block(address("198.51.100.1"), 1088, 1151)]})

    assert shops.gives(UDP, shop, address("198.51.100.1"), 1100)
    assert not shops.gives(UDP, shop, address("198.51.100.1"), 1024)
    assert shops.address(shop, address("198.51.100.1"))
    assert not shops.address(shop, address("198.51.100.0"))
    assert not shops.gives(UDP, address("100.64.2.8"), address("198.51.100.1"), 1100)


ASSIGNED = {"map assigned1_shops": {"100.64.2.9": "0x02004000"}}


@pytest.mark.parametrize(
    ("flow", "lost"),
    [
        (out(TCP, "100.64.0.3", "203.0.113.3", 1030), False),
        (out(TCP, "100.64.0.3", "203.0.113.3", 1030, EXPECTED), False),
        (out(TCP, "100.64.0.3", "203.0.113.3", 9030), True),
        (out(TCP, "100.64.0.3", "203.0.113.3", 9030, EXPECTED), False),
        (out(TCP, "100.64.0.3", "203.0.113.4", 1030, EXPECTED), True),
        (out(TCP, "100.64.0.3", "192.0.2.7", 1030), False),  # nobody's address
        (out(TCP, "100.64.0.3", "192.0.2.65", 1030), True),  # a pool's, formerly
        (out(TCP, "10.0.0.1", "172.32.0.201", 1030), False),  # by mark
        (out(TCP, "100.64.0.3", "100.64.0.3", 5000), False),
        (out(UDP, "100.64.2.9", "198.51.100.0", 1100), False),
        (out(UDP, "100.64.2.9", "198.51.100.0", 1030), True),
        (out(UDP, "100.64.2.8", "198.51.100.0", 1100), True),
        (back_in(TCP, "200.0.0.21", 80, "192.168.0.5"), False),
        (back_in(TCP, "200.0.0.21", 80, "192.168.0.6"), True),
        (back_in(UDP, "203.0.113.3", 1030, "100.64.0.3"), False),
        (back_in(UDP, "203.0.113.3", 1030, "100.64.0.4"), True),
    ],
)
def test_a_flow_is_lost_when_the_site_would_not_give_it(flow, lost):
    wrong = SiteStatePolicy(compiled()).orphaned_flows((addresses("192.0.2.64/26"),), ASSIGNED)

    assert wrong(flow) is lost


def test_a_hairpin_is_lost_when_one_of_both_ends_is():
    wrong = SiteStatePolicy(compiled()).orphaned_flows((), {})
    ends = address("100.64.0.3"), 5000, address("203.0.113.4"), 1030
    right = Flow(
        UDP, *ends, address("100.64.0.4"), 53, address("203.0.113.3"), 1040, 0, 0, 0, 9, 0, (0, 0), 1
    )

    assert not wrong(right)
    assert wrong(right._replace(reply_dport=9999))
    assert wrong(right._replace(reply_src=address("100.64.0.5")))


@pytest.mark.parametrize(
    ("flow", "bare"),
    [
        (out(UDP, "100.64.2.3", "100.64.2.3", 5000), True),
        (out(UDP, "100.64.2.3", "198.51.100.0", 1100), False),
        (out(UDP, "192.168.9.9", "192.168.9.9", 5000), False),
    ],
)
def test_who_is_always_translated_may_not_run_bare(flow, bare):
    assert SiteStatePolicy(compiled()).untranslated_flows()(flow) is bare


def test_a_subscriber_of_some_destinations_may_run_bare_to_the_others():
    acls = "acls: {a: {10: deny tcp any dst any dport 25, 20: allow ip 10.0.0.0/28 198.18.0.0/16}}\n"
    pool = "pools: {a: {type: nat, acl: a, priority: 1, global_ip: [203.0.113.0/28]}}\n"
    bare = SiteStatePolicy(compiled(acls + pool)).untranslated_flows()
    flow = out(TCP, "10.0.0.3", "10.0.0.3", 5000, far="198.18.9.9")

    assert bare(flow)
    assert not bare(flow._replace(dport=25, reply_sport=25))
    assert not bare(out(TCP, "10.0.0.3", "10.0.0.3", 5000, far="198.19.9.9"))
    assert not bare(out(TCP, "10.0.0.3", "203.0.113.3", 5000, far="198.18.9.9"))


def test_what_a_fake_pool_passes_may_run_bare():
    """Unless the rule before it denies: the destination is the one after dnat."""
    first = SITE.replace("deny tcp 100.64.0.0/24", "deny tcp 100.64.2.0/24").replace(
        "20: allow ip 100.64.0.0/24 198.18.9.0/24", "20: allow ip 100.64.2.0/24 198.18.9.0/24"
    )
    bare = SiteStatePolicy(compiled(first)).untranslated_flows()
    passed = out(TCP, "100.64.2.3", "100.64.2.3", 5000, far="198.18.9.9")

    assert not bare(passed)
    assert bare(passed._replace(dport=22, reply_sport=22))
    assert bare(out(TCP, "100.64.2.3", "100.64.2.3", 5000))


def changes(*objects, **elements):
    return Changes(objects, {f"map {name}": frozenset(keys) for name, keys in elements.items()})


def test_nothing_is_reviewed_when_other_pools_change():
    continuity = SiteStatePolicy(compiled())

    assert (
        continuity.sets_to_prune(
            changes("map outward_servers", "set global_addresses", "ct timeout tcp_homes")
        )
        == ()
    )
    assert continuity.sets_to_prune(changes("chain translate_homes")) == ()
    assert continuity.sets_to_prune(changes("map addresses_office")) == (
        "map ontrial1_office",
        "map assigned1_office",
        "set taken_office",
        "map owners_office",
        "set newcomers_office",
    )


def test_a_pool_that_asks_for_other_packets_concerns_those_after_it():
    found = SiteStatePolicy(compiled()).sets_to_prune(changes("chain pool_homes"))

    assert "map eim_homes" in found
    assert "map assigned2_shops" in found
    assert SiteStatePolicy(compiled()).sets_to_prune(changes("chain pool_office"))[0] == "map ontrial1_office"


@pytest.mark.parametrize(
    ("key", "moves"),
    [
        ("map blocks_homes", True),
        ("set translated_sources", True),
        ("chain pool_homes", True),
        ("chain nat_postrouting", True),
        ("counter dropped_pool_homes", False),
        ("ct timeout tcp_homes", False),
        ("chain translate_homes", False),
    ],
)
def test_only_what_moves_somebody_looks_at_sessions(key, moves):
    assert SiteStatePolicy(compiled()).may_orphan_sessions(changes(key)) is moves


def test_stale_assignments_take_their_numbers_and_entries_with_them():
    """The second block of all addresses has changed (0x4000). 9.9.9.9 is no subscriber."""
    listed = {
        "map assigned1_shops": {
            "100.64.2.1": "0x02000000",
            "100.64.2.2": "0x02004000",
            "9.9.9.9": "0x02008000",
        },
        "map assigned2_shops": {"100.64.2.1": "0x02ffffff"},
        "set taken_shops": dict.fromkeys(("0x02000000", "0x02004000", "0x02008000", "0x02ffffff"), ""),
        "map eim_shops": {
            "udp . 100.64.2.1 . 5000": "198.51.100.0 . 1030",
            "udp . 100.64.2.2 . 5000": "198.51.100.0 . 1090",
        },
        "map eif_shops": {
            "udp . 198.51.100.0 . 1030": "100.64.2.1 . 5000",
            "udp . 198.51.100.0 . 1090": "100.64.2.2 . 5000",
        },
    }

    found = SiteStatePolicy(compiled()).stale(
        changes("map blocks_shops", blocks_shops=["0x00004000"]), listed
    )

    assert {key: sorted(stale) for key, stale in found.items() if stale} == {
        "map assigned1_shops": ["100.64.2.2", "9.9.9.9"],
        "map assigned2_shops": ["100.64.2.1"],
        "set taken_shops": ["0x02004000", "0x02008000", "0x02ffffff"],
        "map eim_shops": ["udp . 100.64.2.2 . 5000"],
        "map eif_shops": ["udp . 198.51.100.0 . 1090"],
    }


def test_what_an_snat_rule_excludes_may_run_bare():
    """By all its qualifiers, the destination after dnat; where an earlier rule translates it may not."""
    rules = """snat:
  mail: {protocol: tcp, dst_port: 25, snat_ip: 172.32.0.201}
  vpn: {dst_cidr: 198.18.9.0/24, exclude: on}
"""
    bare = SiteStatePolicy(compiled(SITE[: SITE.index("snat:")] + rules)).untranslated_flows()
    excluded = out(TCP, "100.64.2.3", "100.64.2.3", 5000, far="198.18.9.9")

    assert not bare(excluded)
    assert bare(excluded._replace(dport=25, reply_sport=25))
    assert bare(excluded._replace(dst=address(FAR), reply_src=address(FAR)))


def test_the_gateways_own_address_is_given_by_a_rule_with_the_interfaces():
    """A connection that a pool gave that address before is now the rule's."""
    own = SITE[: SITE.index("snat:")] + "gateway: {primary_ip: 192.0.2.1}\n"
    flow = out(TCP, "10.1.0.3", "192.0.2.1", 5000)
    before = (addresses("192.0.2.1"),)

    assert SiteStatePolicy(compiled(own)).orphaned_flows(before, {})(flow)
    given = compiled(own + "snat: {all: {src_cidr: 10.0.0.0/8, snat_ip: interface}}\n")
    assert not SiteStatePolicy(given).orphaned_flows(before, {})(flow)


def test_what_stays_inside_a_one_armed_gateway_runs_bare():
    """It comes in and goes out by one interface, as what is translated does."""
    one = SITE.replace(
        "outside: [wan0]", "outside: [lan0], inside_networks: [100.64.0.0/10, 10.0.0.0/8, 192.168.0.0/16]"
    )
    bare = SiteStatePolicy(compiled(one)).untranslated_flows()

    assert bare(out(UDP, "100.64.2.3", "100.64.2.3", 5000))
    assert not bare(out(UDP, "100.64.2.3", "100.64.2.3", 5000, far="10.1.1.1"))


def test_an_opened_port_goes_with_its_entry():
    """That of 100.64.0.4 leads to another subscriber's global socket; for 1040 nothing is mapped any more."""
    text = SITE.replace("type: cgnat, acl: homes,", "type: cgnat, acl: homes, port_forwarding: on,")
    ends = ("203.0.113.3 . 1030", "203.0.113.3 . 1031", "203.0.113.3 . 1040")
    listed = {
        "map eim_homes": {
            "udp . 100.64.0.3 . 5000": "203.0.113.3 . 1030",
            "udp . 100.64.0.4 . 5000": "203.0.113.3 . 1031",
        },
        "map eif_homes": {
            "udp . 203.0.113.3 . 1030": "100.64.0.3 . 5000",
            "udp . 203.0.113.3 . 1031": "100.64.0.4 . 5000",
        },
        "set forwarded_homes": {f"udp . {end}": "" for end in ends},
    }
    policy = SiteStatePolicy(compiled(text))
    changed = changes("map pieces_homes", pieces_homes=["100.64.0.0"])

    assert set(listed) <= set(policy.sets_to_prune(changed))
    assert {key: sorted(stale) for key, stale in policy.stale(changed, listed).items() if stale} == {
        "map eim_homes": ["udp . 100.64.0.4 . 5000"],
        "map eif_homes": ["udp . 203.0.113.3 . 1031"],
        "set forwarded_homes": ["udp . 203.0.113.3 . 1031", "udp . 203.0.113.3 . 1040"],
    }


def test_a_trial_goes_with_its_assignment_and_interfaces_may_have_new_ones():
    """The number of the first subscriber means another block now; the others keep theirs."""
    listed = {
        "map ontrial1_shops": {"100.64.2.9": "0x02000000", "100.64.2.8": "0x02000001"},
        "set newcomers_shops": {'"lan0"': ""},
    }
    policy = SiteStatePolicy(compiled())

    gone = policy.stale(changes("map addresses_shops", addresses_shops={"0x02000000"}), listed)
    assert gone["map ontrial1_shops"] == {"100.64.2.9": "0x02000000"}
    assert gone["set newcomers_shops"] == {'"lan0"': ""}

    gone = policy.stale(changes("map addresses_shops", addresses_shops={"0x0200ffff"}), listed)
    assert not any(gone.values())
