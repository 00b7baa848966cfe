"""The same address on two VLANs at once: a conntrack zone for each VLAN, in the original direction only.

Answers come back in zone 0, where all global addresses are one port space; the zone of their connection says
to which VLAN they belong, and becomes the packet mark by which the host routes them (`ip rule fwmark`).
Emitted only for sites that name one address in two VLANs: two base chains cost 7 % of every packet.
"""

from __future__ import annotations

from nfcompile.emit import Chain, Element, Hook, Map, Rule
from nfcompile.emit.objects import Object
from nfcompile.lower.gate import Gate
from nfcompile.model.ranges import range_text
from nfcompile.model.site import Pool, Site
from nfcompile.model.vlans import shared_addresses

PATH = ("nat_defaults", "vlan_mode")
COMMENT = "nat_defaults.vlan_mode"


def zone_objects(gate: Gate) -> tuple[Object, ...]:
    """The zones on the way in, the marks on the way back."""
    vids = shared_vids(gate.site)
    if not vids:
        return ()
    zones = ", ".join(f'"{gate.site.interfaces.vlan(vid)}" : {vid}' for vid in vids)
    back = ", ".join(f"{vid} : {vid}" for vid in vids)
    answers = Rule(
        (gate.from_outside, f"meta mark set ct original zone map {{ {back} }} accept"), PATH, COMMENT
    )
    objects: list[Object] = [
        Chain(
            "vlan_zones",
            (Rule((f"ct original zone set iifname map {{ {zones} }}",), PATH, COMMENT),),
            PATH,
            Hook("filter", "prerouting", "raw"),
        )
    ]
    rules = [answers]
    elements = tuple(_inbound_marks(gate.site))
    if elements:
        interval = ("interval",)
        objects.append(Map("vlan_of_global", "ipv4_addr", "mark", PATH, elements, interval))
        rules.append(Rule((gate.from_outside, "meta mark set ip daddr map @vlan_of_global"), PATH, COMMENT))
    objects.append(Chain("vlan_answers", tuple(rules), PATH, Hook("filter", "prerouting", "mangle")))
    return tuple(objects)


def zone_remarks(site: Site) -> tuple[str, ...]:
    """What the host has to route."""
    vids = shared_vids(site)
    if not vids:
        return ()
    head = "these VLANs share addresses; the host routes what goes back to them by its mark:"
    return head, *(f"ip rule add fwmark {vid} lookup {vid}" for vid in vids)


def shared_vids(site: Site) -> tuple[int, ...]:
    """VLANs that share an address with another one."""
    return tuple(sorted({vid for pair in shared_addresses(site) for vid in pair[:2]}))


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
    return [Element(range_text(one), str(vid), path) for one, vid, path in sorted(found)]
