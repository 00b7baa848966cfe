"""Appending subscribers or global addresses changes no element of the subscribers that were there."""

import pytest

from nfcompile.emit import Map
from support.sites import site

SITE = """version: 1
interfaces: {{inside: [lan0], outside: [wan0]}}
acls: {{homes: {{10: allow ip 100.0.0.0/8}}}}
pools:
  homes: {{type: cgnat, acl: homes, priority: 1, global_ip: [{globals}], subscribers: [{subscribers}],
          {options}, limits_peruser: {{portlimit_tcp: 2048, portlimit_udp: {udp}}}}}
"""
BLOCKS = ("blocks", "blockchains", "moreblocks", "pieces", "morepieces")
FIRST = "203.0.113.0/29", "100.64.0.0/26"


def elements(globals_, subscribers, options, udp):
    """What leads a subscriber to its block: (map, key, data)."""
    text = SITE.format(globals=globals_, subscribers=subscribers, options=options, udp=udp)
    return {
        (one.name, element.key, element.data)
        for one in site(text).table.objects
        if isinstance(one, Map) and one.name.word.startswith(BLOCKS)
        for element in one.elements
    }


@pytest.mark.parametrize(
    "options", ["hairpin: off", "hairpin: on", "randomize_ports: on", "randomize_ports: off"]
)
@pytest.mark.parametrize("udp", [2048, 1024])
@pytest.mark.parametrize(
    ("globals_", "subscribers"),
    [
        (FIRST[0], f"{FIRST[1]}, 100.64.9.0/28"),
        (FIRST[0], f"{FIRST[1]}, 100.63.9.0/30"),
        (FIRST[0], f"{FIRST[1]}, 100.64.0.64/27"),
        (FIRST[0], f"{FIRST[1]}, 100.63.9.4, 100.63.9.9-100.63.9.20"),
        (f"{FIRST[0]}, 203.0.113.9", FIRST[1]),
        (f"{FIRST[0]}, 203.0.113.9", f"{FIRST[1]}, 100.63.8.0/25"),
    ],
)
def test_no_element_changes(options, udp, globals_, subscribers):
    before = elements(*FIRST, options, udp)
    after = elements(globals_, subscribers, options, udp)

    assert before
    assert before <= after
