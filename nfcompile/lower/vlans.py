"""The same address on two VLANs at once: a conntrack zone for each VLAN, in the original direction only.

Answers come back in zone 0, where all global addresses are one port space; the zone of their connection says
to which VLAN they belong, and becomes the packet mark by which the host routes them (`ip rule fwmark`).
Emitted only for sites that name one address in two VLANs: two base chains cost 7 % of every packet.
"""

from __future__ import annotations

from nfcompile.emit import Chain, Element, Hook, Map, Object, Rule
from nfcompile.emit.expressions import Field, Lookup
from nfcompile.emit.statements import ACCEPT, IIFNAME, IP_DADDR, Mangle, key, lookup, match, set_mark
from nfcompile.lower import names
from nfcompile.lower.context import Context
from nfcompile.lower.contribution import Contribution
from nfcompile.model.site import Pool, Site
from nfcompile.model.vlans import shared_addresses

PATH = ("nat_defaults", "vlan_mode")
ZONE = Field("ct original zone")


def vlan_zones(context: Context) -> Contribution:
    """The zones on the way in, the marks on the way back."""
    vids = shared_vids(context.site)
    if not vids:
        return Contribution()
    zones = tuple(Element(key(context.site.interfaces.vlan(vid)), key(vid)) for vid in vids)
    back = tuple(Element(key(vid), key(vid)) for vid in vids)
    mark = set_mark(Lookup(ZONE, back, ("mark",)))
    tagged = {context.site.interfaces.vlan(vid) for vid in vids}
    arriving = match(IIFNAME, *(name for name in context.outside if name not in tagged))
    answers = Rule((arriving, mark, ACCEPT), PATH)
    objects: list[Object] = [
        Chain(
            names.VLAN_ZONES,
            (Rule((Mangle(ZONE, Lookup(IIFNAME, zones, ("zone",))),), PATH),),
            PATH,
            Hook("filter", "prerouting", "raw"),
        )
    ]
    rules = [answers]
    elements = tuple(_inbound_marks(context.site))
    if elements:
        name, interval = names.VLAN_OF_GLOBAL, ("interval",)
        objects.append(Map(name, ("ipv4_addr",), ("mark",), PATH, elements, interval))
        rules.append(Rule((arriving, set_mark(lookup(IP_DADDR, name))), PATH))
    objects.append(Chain(names.VLAN_ANSWERS, tuple(rules), PATH, Hook("filter", "prerouting", "mangle")))
    return Contribution(tuple(objects))


def zone_remarks(site: Site) -> tuple[str, ...]:
    """What the host has to route."""
    vids = shared_vids(site)
    if not vids:
        return ()
    head = "these VLANs share addresses; the host routes what goes back to them by its mark:"
    return head, *(f"ip rule add fwmark {vid} lookup {vid}" for vid in vids)


def shared_vids(site: Site) -> tuple[int, ...]:
    """VLANs that share an address with another one."""
    return tuple(sorted({tagged.vid for pair in shared_addresses(site) for tagged in pair}))


def pool_vid(pool: Pool) -> int | None:
    """The VLAN of a pool whose ACL names one only."""
    vids = {rule.vid for rule in pool.acl.rules if rule.allow} if pool.acl else set()
    return vids.pop() if len(vids) == 1 else None


def _inbound_marks(site: Site) -> list[Element]:
    """Global addresses behind which one VLAN stands."""
    found = []
    for pool in site.active_pools:
        vid = pool_vid(pool)
        if vid is not None:
            found += [(one, vid, pool.path) for one in pool.global_ip]
        found += [(e.globals, e.vid, e.path) for e in pool.global_map if e.vid is not None]
    return [Element((one,), key(vid), path) for one, vid, path in sorted(found)]
