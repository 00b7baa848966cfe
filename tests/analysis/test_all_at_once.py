"""`check` finds the problems of all stages at once, and judges nothing that depends on an unread part."""

import copy
import json

import pytest

from nfcompile import pipeline

SITE = {
    "version": 1,
    "interfaces": {"inside": ["lan0"], "outside": ["wan0"], "vlans": {"102": "lan0.102"}},
    "gateway": {"primary_ip": "172.32.0.10", "secondary_ips": ["172.32.0.201", "172.32.0.202-172.32.0.203"]},
    "nat_defaults": {
        "vlan_mode": "vlan",
        "alg": {"ftp": "on"},
        "port_block_size": 64,
        "portlimit_low": 64,
        "timeouts_inactivity": {"udp": 120, "special_tcp_ports": [22, 23]},
        "limits_peruser": {"portlimit_tcp": 512, "portlimit_udp": 512, "portlimit_icmp": 512},
    },
    "acls": {
        "homes": {"10": "deny ip 100.64.0.64/26", "20": "allow ip 100.64.0.0/24"},
        "all": {"10": "allow ip any"},
        "vlan": {"10": "allow ip 10.0.0.0/28~102"},
    },
    "pools": {
        "servers": {
            "type": "static",
            "priority": 10,
            "global_map": {"192.168.0.5": "200.0.0.3", "192.168.8.0/28": "200.0.8.0/28"},
        },
        "homes": {"type": "cgnat", "acl": "homes", "priority": 20, "global_ip": ["203.0.113.0/31"]},
        "rest": {
            "type": "cgnat",
            "acl": "all",
            "priority": 50,
            "global_ip": ["203.0.113.8/31", "203.0.113.12"],
            "subscribers": ["100.64.0.64/26"],
            "port_range": "1024-65535",
            "randomize_ports": "on",
        },
        "tagged": {"type": "nat", "acl": "vlan", "priority": 30, "global_ip": ["203.0.113.64/28"]},
    },
    "dnat": {
        "web": {"protocol": "tcp", "dst_port": 8001, "dnat_port": 8080, "mark": 10},
        "dns": {"protocol": "udp", "dst_cidr": "192.0.2.1", "dst_port": 53, "dnat_ip": "192.0.2.2"},
    },
    "snat": {"web": {"mark": 10, "snat_ip": "172.32.0.201"}},
}


def spots(value, path=()):
    """The path of everything in a site."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from spots(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from spots(inner, (*path, index))


def damaged(path, value):
    site = copy.deepcopy(SITE)
    parent = site
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return site


def checked(site):
    return pipeline.check(pipeline.parse(json.dumps(site).encode(), "site.yaml")).diagnostics


def test_the_site_has_no_problem():
    assert checked(SITE) == []


def value_at(path):
    value = SITE
    for step in path:
        value = value[step]
    return value


WRONG = {"keys": {"zz": {"zz": []}}, "list": [[[]]], "text": "a b?"}
CASES = [
    pytest.param(path, wrong, id=f"{'.'.join(map(str, path))}-{name}")
    for path in spots(SITE)
    for name, wrong in WRONG.items()
    if not (name == "keys" and isinstance(value_at(path), dict))
]


@pytest.mark.parametrize(("path", "value"), CASES)
def test_one_fault_is_one_place(path, value):
    """Whatever cannot be read, nothing else is blamed for it."""
    found = checked(damaged(path, value))

    assert found
    for one in found:
        shorter = min(len(one.path), len(path))
        assert one.path[:shorter] == path[:shorter], one


FAULTS = {
    "unknown-key": (("nat_defaults", "port_blocksize"), 1024),
    "acl-syntax": (("acls", "homes", "30"), "grant ip 100.64.9.0/24"),
    "bad-address": (("gateway", "secondary_ips", 0), "172.32.0.201/33"),
    "unknown-acl": (("pools", "tagged", "acl"), "vlans"),
    "equal-priority": (("pools", "rest", "priority"), 10),
    "pool-overlap": (("pools", "rest", "global_ip", 1), "200.0.0.3"),
    "local-twice": (("pools", "servers", "global_map", "192.168.8.5"), "200.0.9.5"),
    "out-of-range": (("nat_defaults", "l2mtu"), 1),
    "rule-without-effect": (("dnat", "nothing"), {}),
}


def test_faults_of_every_stage_are_found_together():
    site = copy.deepcopy(SITE)
    for path, value in FAULTS.values():
        parent = site
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = value

    assert sorted(one.code for one in checked(site)) == sorted(FAULTS)


def test_a_key_given_twice_does_not_hide_the_rest():
    text = (
        "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
        "acls: {a: {10: allow ip 10.0.0.0/30}}\nacls: {b: {10: allow ip 10.1.0.0/30}}\n"
        "pools:\n  a: {type: fake, acl: a, priority: 5}\n  b: {type: fake, acl: b, priority: 5}\n"
    )
    compilation = pipeline.compile_text(text.encode(), "site.yaml")

    assert compilation.compiled is None
    assert [one.code for one in compilation.diagnostics] == ["yaml-duplicate-key", "equal-priority"]


def test_an_entry_after_an_unread_one_keeps_its_place():
    site = copy.deepcopy(SITE)
    site["pools"]["rest"]["global_ip"] = ["203.0.113.8/33", "203.0.113.1"]

    (overlap,) = (one for one in checked(site) if one.code == "pool-overlap")
    assert overlap.path == ("pools", "rest", "global_ip", 1)


def test_a_disabled_pool_may_be_incomplete():
    site = copy.deepcopy(SITE)
    site["pools"]["later"] = {"type": "cgnat", "priority": 20, "enable": "off", "acl": "not-yet"}
    assert checked(site) == []

    site["pools"]["later"]["enable"] = "on"
    assert {one.code for one in checked(site)} == {"missing-key", "unknown-acl", "equal-priority"}
