"""`show`: the values that hold, and where each comes from; the model and the schema have the same ones."""

import json

import pytest

from nfcompile import pipeline
from nfcompile.model import effective
from nfcompile.source.schema import schema
from support.command import nfcompile, write
from support.sites import GOOD, ROOT

SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults:
  timeouts_inactivity: {udp: 200, icmp: 30}
  alg: {ftp: yes}
acls:
  homes: {10: allow ip 100.64.0.0/24}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 1
    global_ip: [203.0.113.0/30, 203.0.113.8]
    hairpin: disable
    timeouts_inactivity: {udp: 100}
  lines: {type: nat, acl: homes, priority: 2, global_ip: [198.51.100.0/28], enable: off}
"""


@pytest.fixture
def site(here):
    return write("site.yaml", SITE)


def shown(site, *arguments):
    ran = nfcompile("show", site, *arguments, "--format", "json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def by_key(values):
    return {one["key"]: one for one in values}


def test_every_value_has_its_origin(site):
    homes, lines = shown(site)["pools"]
    found = by_key(homes["values"])

    assert (homes["name"], homes["type"], homes["enabled"]) == ("homes", "cgnat", True)
    assert found["hairpin"] == {
        "key": "hairpin",
        "value": False,
        "from": "pool",
        "path": "pools.homes.hairpin",
        "line": 14,
    }
    assert found["timeouts_inactivity.udp"] | {"path": ""} == {
        "key": "timeouts_inactivity.udp",
        "value": 100,
        "from": "pool",
        "path": "",
        "line": 15,
    }
    inherited = found["timeouts_inactivity.icmp"]
    assert (inherited["value"], inherited["from"], inherited["line"]) == (30, "nat_defaults", 4)
    assert inherited["path"] == "nat_defaults.timeouts_inactivity.icmp"
    default = found["timeouts_inactivity.tcp_final"]
    assert (default["value"], default["from"], default["path"], default["line"]) == (
        240,
        "default",
        None,
        None,
    )
    assert found["allocation"]["value"] == "deterministic"
    assert (found["subscribers"]["value"], found["subscribers"]["from"]) == (["100.64.0.0/24"], "computed")
    assert (found["ports_per_block"]["value"], found["blocks_per_subscriber"]["value"]) == (1024, 1)
    assert (found["randomize_ports"]["value"], found["randomize_ports"]["from"]) == (None, "unset")
    other = by_key(lines["values"])
    assert (lines["enabled"], other["allocation"]["value"], other["subscribers"]["from"]) == (
        False,
        "dynamic",
        "unset",
    )


def test_a_pool_has_the_keys_of_its_type_only(site):
    homes, lines = ({one["key"] for one in pool["values"]} for pool in shown(site)["pools"])

    assert {"filtering", "limits_peruser.portlimit_tcp", "port_range"} <= homes - lines
    assert "allow_external_connect" in lines - homes
    assert "global_map" not in homes | lines


def test_the_gateway_comes_first_and_a_pool_alone(site):
    assert by_key(shown(site)["nat_defaults"])["alg.ftp"]["value"] is True
    alone = shown(site, "lines")
    assert ([pool["name"] for pool in alone["pools"]], alone["nat_defaults"]) == (["lines"], [])


def test_text(site):
    lines = [line.split() for line in nfcompile("show", site, "homes").stdout.splitlines()]

    assert lines[0] == ["pools.homes", "value", "from"]
    assert ["hairpin", "off", "site.yaml:14"] in lines
    assert ["timeouts_inactivity.icmp", "30", "site.yaml:4", "(nat_defaults)"] in lines
    assert ["timeouts_inactivity.tcp_final", "240", "default"] in lines
    assert ["global_ip", "203.0.113.0/30,", "203.0.113.8", "site.yaml:13"] in lines
    assert ["subscribers", "100.64.0.0/24", "computed"] in lines


def test_an_unknown_pool_and_a_refused_site(here, site):
    ran = nfcompile("show", site, "nosuch")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "nfcompile: error: no pool is called 'nosuch'; there are: homes, lines\n"
    refused = nfcompile("show", write("bad.yaml", GOOD.replace("priority: 1", "priority: one")))
    assert (refused.returncode, refused.stdout) == (1, "")


PLAIN = {"type", "enable", "priority", "allocation", "filtering", "hairpin"}
PLAIN |= {"allow_external_connect", "connection_logging", "randomize_ports"}
SITES = sorted(ROOT.glob("tests/golden/*/ruleset.nft"))


@pytest.mark.parametrize("ruleset", SITES, ids=lambda path: path.parent.name)
def test_what_is_shown_is_what_the_compiler_reads(ruleset):
    """Key by key, in every golden site."""
    whole = pipeline.parse((ruleset.parent / "site.yaml").read_bytes(), "site.yaml")
    document = pipeline.answering(whole)[0]
    site = pipeline.read(document)

    gateway = {one.key: one.value for one in effective.of_gateway(pipeline.data_of_node(document), schema())}
    for name in (name for name in site.defaults._fields if name not in ("given", "differing", "timeouts")):
        read = getattr(site.defaults, name)
        if name == "alg":
            assert {f"alg.{key}": value for key, value in read._asdict().items()}.items() <= gateway.items()
        else:
            assert gateway[name] == ("nolimit" if read is None else read), name
    for pool in site.pools:
        values = effective.of_pool(pipeline.data_of_node(document), schema(), pool.name)
        found = {one.key: one.value for one in values}
        for key, value in found.items():
            if key.startswith("timeouts_inactivity."):
                read = getattr(pool.timeouts, key.partition(".")[2])
                assert (sorted(set(value)) if isinstance(value, list) else value) == (
                    list(read) if isinstance(read, tuple) else read
                )
            elif key.startswith("limits_peruser."):
                limit = getattr(pool.limits, key.partition(".")[2])
                assert value == ("nolimit" if limit is None else limit)
            elif key in PLAIN:
                assert value == getattr(pool, key), key
