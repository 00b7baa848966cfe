"""What is inside a gateway: interfaces, and on a one-armed gateway the networks behind its interface."""

from typing import NamedTuple

from nfcompile.model.ranges import EVERYWHERE, Range, subtract, union
from nfcompile.model.site import Site
from nfcompile.model.sources import named_sources, own_sources


class GatewaySides(NamedTuple):
    """The sides of a gateway.

    `shared` interfaces are on both: there an address in `networks` is inside, any other one outside. The
    interfaces of VLANs that the site names are inside.
    """

    inside: tuple[str, ...]
    outside: tuple[str, ...]
    shared: tuple[str, ...] = ()
    networks: tuple[Range, ...] = ()
    holds_everything: bool = False

    @property
    def every_interface(self) -> tuple[str, ...]:
        """The interfaces of both sides, each once."""
        return tuple(dict.fromkeys((*self.inside, *self.outside)))

    @property
    def has_outside(self) -> bool:
        """Whether anything is outside: not if every interface is shared and every network is inside."""
        return set(self.outside) - set(self.shared) != set() or not self.holds_everything

    def is_inside(self, interface: str, address: int) -> bool:
        """Whether a packet with that source, or destination, comes from inside, or goes there."""
        if interface not in self.shared:
            return interface in self.inside
        return any(one.first <= address <= one.last for one in self.networks)


def sides(site: Site) -> GatewaySides:
    """Both sides of a site, with the networks that count as inside if an interface is shared."""
    inside = list(site.interfaces.inside)
    if site.defaults.vlan_mode != "untagged":
        vids = [vid for vid, _ in site.interfaces.vlans]
        vids += [r.vid for acl in site.acls for r in acl.rules if r.vid is not None]
        vids += [e.vid for p in site.pools for e in p.global_map if e.vid is not None]
        inside += (site.interfaces.vlan(vid) for vid in sorted(set(vids)))
    found = GatewaySides(tuple(dict.fromkeys(inside)), site.interfaces.outside)
    if not site.interfaces.shared:
        return found
    named = site.interfaces.inside_networks
    networks = named_sources(site) if named is None else union(named)
    own = [*own_sources(site), *(one for pool in site.active_pools for one in pool.global_ranges)]
    return found._replace(
        shared=site.interfaces.shared,
        networks=union(subtract(networks, own)),
        holds_everything=networks == (EVERYWHERE,),
    )
