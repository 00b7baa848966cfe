"""Two pairs on one link need different VRRP numbers; `check` knows a link by its network."""

import pytest

from nfcompile import pipeline

SITE = """\
version: 1
interfaces: {{inside: [lan0], outside: [wan0]}}
pairs:
  east: {{virtual: {{lan0: [10.0.0.1/24]}}{east}}}
  west: {{virtual: {{lan0: [{west}]}}{more}}}
nodes:
  gw1: {{pair: east, sync: {{interface: s0, address: 10.9.0.1}}, addresses: {{lan0: 10.0.0.2/24}}}}
  gw2: {{pair: east, priority: 90, sync: {{interface: s0, address: 10.9.0.2}},
         addresses: {{lan0: 10.0.0.3/24}}}}
  gw3: {{pair: west, sync: {{interface: s0, address: 10.9.0.1}}, addresses: {{lan0: 10.0.0.5/24}}}}
  gw4: {{pair: west, priority: 90, sync: {{interface: s0, address: 10.9.0.2}},
         addresses: {{lan0: 10.0.0.6/24}}}}
"""


@pytest.mark.parametrize(
    ("east", "west", "more", "hints"),
    [
        ("", "10.0.0.4/24", "", ["write 'virtual_router_id: 52'"]),
        ("", "10.0.0.4/24", ", virtual_router_id: 52", []),
        ("", "10.0.0.4/24", ", unicast: on", []),
        (", unicast: on", "10.0.0.4/24", "", []),
        ("", "10.0.1.4/24", "", []),
        ("", "10.0.1.4/23", "", ["write 'virtual_router_id: 52'"]),
        ("", "10.0.0.1/24", "", []),
        (", virtual_router_id: 247", "10.0.0.4/24", ", virtual_router_id: 247", ["let the ids begin lower"]),
    ],
)
def test_pairs_of_one_network(east, west, more, hints):
    document = pipeline.parse(SITE.format(east=east, west=west, more=more).encode(), "site.yaml")
    found = pipeline.check(document).diagnostics

    assert [(one.code, one.hint) for one in found] == [("pair-router-id", hint) for hint in hints]
