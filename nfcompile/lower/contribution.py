"""What one feature adds to the table: objects of its own, and rules in the chains that features share."""

from typing import NamedTuple

from nfcompile.emit import Object, Rule

Rules = tuple[Rule, ...]


class Contribution(NamedTuple):
    """Objects, and rules of the shared chains by the name of the field (table.SHARED has the chains).

    prerouting, postrouting   nat chains: new connections only
    outbound                  new connections from inside to outside
    gateway                   what is for the gateway itself
    forward                   every forwarded packet, before source NAT
    translated                every forwarded packet, after source NAT
    outgoing                  packets from inside to outside that have not been translated
    """

    objects: tuple[Object, ...] = ()
    prerouting: Rules = ()
    postrouting: Rules = ()
    outbound: Rules = ()
    gateway: Rules = ()
    forward: Rules = ()
    translated: Rules = ()
    outgoing: Rules = ()
