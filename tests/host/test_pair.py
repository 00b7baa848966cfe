"""The files of a pair in a bundle: what keepalived and conntrackd are told, and the script between them."""

from __future__ import annotations

import json

import pytest

from nfcompile.host import bundle
from nfcompile.host.pair import pair_plan
from nfcompile.host.planning import plan
from nfcompile.model.fleet import NodeChoice
from nfcompile.pipeline import Compiled, compile_text

SITE = """\
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
gateway: {secondary_ips: [192.0.2.8-192.0.2.9]}
pairs: {east: {virtual: {lan0: [100.64.0.1/24], wan0: [192.0.2.2/28]}, virtual_router_id: 7, advert: 0.1}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: sync0, address: 10.255.0.1},
        addresses: {lan0: 100.64.0.2/24, wan0: 192.0.2.3/28}}
  gw2: {pair: east, sync: {interface: sync0, address: 10.255.0.2},
        addresses: {lan0: 100.64.0.3/24, wan0: 192.0.2.4/28}}
acls: {homes: {10: allow ip 100.64.0.16/28}}
pools:
  homes: {type: cgnat, acl: homes, priority: 100, global_ip: [192.0.2.12/31, 203.0.113.0/31],
          timeouts_inactivity: {tcp_active: 900}, hairpin: off}
"""


def compiled(node: str, text: str = SITE) -> Compiled:
    found = compile_text(text.encode(), "site.yaml", NodeChoice(node, True))
    assert found.compiled is not None, found.diagnostics
    return found.compiled


def files(node: str, text: str = SITE) -> dict[str, str]:
    made = compiled(node, text)
    written = bundle.files(plan(made), text.encode(), made.text.text, "networkd")
    return {one.path: one.data.decode() for one in written}


def test_what_moves_is_keepalived_s_alone() -> None:
    found = files("gw1")
    text = found["etc/keepalived/keepalived.conf"]

    first, second = text.split("vrrp_instance")[1:]
    assert "100.64.0.1/24 dev lan0" in first
    assert "virtual_ipaddress_excluded" not in first
    for moving in ("192.0.2.2/28", "192.0.2.8/32", "192.0.2.9/32", "192.0.2.12/32", "192.0.2.13/32"):
        assert f"{moving} dev wan0" in second
    assert "203.0.113" not in text
    networkd = found["etc/systemd/network/wan0.network.d/nfcompile.conf"]
    assert "192.0.2.8" not in networkd
    assert "203.0.113.0/31" in networkd


def test_only_a_pair_that_speaks_unicast_asks_the_cloud_for_its_addresses() -> None:
    plain, cloud = (
        files("gw1", text)["etc/keepalived/nfcompile-notify"]
        for text in (SITE, SITE.replace("advert: 0.1", "advert: 0.1, unicast: on"))
    )

    assert "take-addresses" not in plain
    assert cloud.index("/etc/nfcompile/take-addresses") < cloud.index("conntrackd -c |")
    # What runs beside the rest does not hold the lock of the roles.
    assert "} 9>&- &" in cloud


def test_the_two_halves_fit_each_other() -> None:
    one, other = (files(node)["etc/keepalived/keepalived.conf"] for node in ("gw1", "gw2"))
    for line in ("virtual_router_id 7", "virtual_router_id 8", "advert_int 0.1", "nopreempt"):
        assert line in one
        assert line in other
    assert "priority 150" in one
    assert "priority 100" in other
    first, second = (files(node)["etc/conntrackd/conntrackd.conf"] for node in ("gw1", "gw2"))
    assert "IPv4_address 10.255.0.1\n\t\tIPv4_Destination_Address 10.255.0.2" in first
    assert "IPv4_address 10.255.0.2\n\t\tIPv4_Destination_Address 10.255.0.1" in second
    assert "DisableExternalCache no" in first


def test_unicast_names_the_peer() -> None:
    text = files("gw2", SITE.replace("advert: 0.1", "unicast: on"))["etc/keepalived/keepalived.conf"]

    assert "unicast_src_ip 192.0.2.4\n\tunicast_peer {\n\t\t192.0.2.3\n" in text
    assert "mcast" not in text


def test_the_script_is_executable_and_named_by_both() -> None:
    found = files("gw1")
    listed = {one["path"]: one["mode"] for one in json.loads(found["MANIFEST.json"])}

    assert listed["etc/keepalived/nfcompile-notify"] == "0755"
    for page in ("keepalived/keepalived.conf", "conntrackd/conntrackd.conf"):
        assert "/etc/keepalived/nfcompile-notify" in found[f"etc/{page}"]


def test_timeouts_of_connections_that_were_taken_over() -> None:
    values = {one.name.rpartition("_conntrack_")[2]: one.value for one in plan(compiled("gw1")).sysctls}

    assert (values["tcp_timeout_established"], values["udp_timeout"]) == (900, 300)


@pytest.mark.parametrize("kind", ["service", "timer"])
def test_only_dynamic_pools_are_copied(kind: str) -> None:
    path = f"etc/systemd/system/nfcompile-ha-copy.{kind}"

    assert path not in files("gw1")
    assert path in files("gw1", SITE.replace("hairpin: off}", "hairpin: off, allocation: dynamic}"))


def test_a_node_alone_has_no_daemons() -> None:
    alone = SITE.replace("gw1: {pair: east, priority: 150,", "gw3: {}\n  gw1: {pair: east, priority: 150,")

    assert pair_plan(compiled("gw3", alone.replace("global_ip: [", "pair: east, global_ip: [")).site) is None
