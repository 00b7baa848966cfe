"""What `sessions clear --mappings` takes out of the table, as elements."""

from nfcompile.live.purge import Purge
from nfcompile.live.sessions import SessionFilter
from nfcompile.model.parse import addresses
from support.sites import HEAD, site

SITE = f"""{HEAD}
acls: {{homes: {{10: allow ip 100.64.0.0/24}}}}
pools:
  homes: {{type: cgnat, acl: homes, priority: 4, global_ip: [203.0.113.0/28], port_forwarding: on}}
"""


def test_an_opened_port_goes_with_its_entry():
    """Or it would be open to the outside when another socket gets it."""
    listed = {
        "map eim_homes": {
            "udp . 100.64.0.3 . 5000": "203.0.113.3 . 1030",
            "udp . 100.64.0.4 . 5000": "203.0.113.4 . 1031",
        },
        "map eif_homes": {
            "udp . 203.0.113.3 . 1030": "100.64.0.3 . 5000",
            "udp . 203.0.113.4 . 1031": "100.64.0.4 . 5000",
        },
        "set forwarded_homes": {"udp . 203.0.113.3 . 1030": "", "udp . 203.0.113.4 . 1031": ""},
    }
    purge = Purge(site(SITE), SessionFilter(subscriber=addresses("100.64.0.3")))

    assert set(purge.keys) == set(listed)
    assert {key: list(gone) for key, gone in purge.choose(listed).items()} == {
        "map eim_homes": ["udp . 100.64.0.3 . 5000"],
        "map eif_homes": ["udp . 203.0.113.3 . 1030"],
        "set forwarded_homes": ["udp . 203.0.113.3 . 1030"],
    }
