"""A pool with the host's own address: `apply` refuses it, unless the site says that it is the gateway's."""

from __future__ import annotations

import json
import subprocess

import pytest

from support.bare_gateway import SITE
from support.operator import Operator

OWN = SITE.replace("203.0.113.0/30", "203.0.113.8/30")
STATED = OWN.replace("version: 1", "version: 1\ngateway: {primary_ip: 203.0.113.9}")
STATIC = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
pools: {web: {type: static, priority: 1, global_map: {192.168.1.8/30: 203.0.113.8/30}}}
"""
LINKS = """link add lan0 type veth peer name wan0
link set lan0 up
link set wan0 up
address add 203.0.113.9/24 dev wan0
address add 198.51.100.1/32 dev wan0
route add default via 203.0.113.1
"""


@pytest.fixture
def reachable(operator: Operator) -> Operator:
    """A gateway with an address of its own and a default route, and another address beside it."""
    command = ["nsenter", f"--net={operator.gateway.path}", "ip", "-batch", "-"]
    subprocess.run(command, input=LINKS, text=True, check=True)
    return operator


def refusal(operator: Operator, text: str) -> dict[str, object]:
    ran = operator.does("apply", "-", "--format", "json", site=text)
    assert ran.returncode == 1
    (found,) = (one for one in json.loads(ran.stdout)["diagnostics"] if one["severity"] == "error")
    return found


def test_a_pool_with_the_hosts_own_address_is_refused(reachable: Operator) -> None:
    reachable.applies(SITE)
    found = refusal(reachable, OWN)
    assert (found["code"], found["path"]) == ("own-address", "pools.home.global_ip[0]")
    assert "primary_ip: 203.0.113.9" in str(found["hint"])
    assert reachable.live() == SITE


def test_a_static_pool_with_it_names_the_port_of_ssh(reachable: Operator) -> None:
    found = refusal(reachable, STATIC)
    assert found["code"] == "own-address"
    assert "port 22 of 203.0.113.9, would lead to 192.168.1.9" in str(found["hint"])
    assert not reachable.gateway.tables()


def test_the_gateways_address_in_the_site_and_other_addresses_of_the_host_are_accepted(
    reachable: Operator,
) -> None:
    reachable.applies(STATED)
    reachable.applies(OWN.replace("203.0.113.8/30", "198.51.100.0/30"))
