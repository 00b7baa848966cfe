"""What every part of the lowering needs: the site, the allocations of its pools, its two sides."""

from typing import NamedTuple

from nfcompile.allocation.pools import PoolAllocation
from nfcompile.emit.statements import IIFNAME, OIFNAME, Match, match
from nfcompile.model.site import Site


class Context(NamedTuple):
    """A gateway with its two sides; `inside` includes the VLAN interfaces that carry subscribers."""

    site: Site
    allocations: tuple[PoolAllocation, ...]
    inside: tuple[str, ...]
    outside: tuple[str, ...]

    @property
    def from_inside(self) -> Match:
        return match(IIFNAME, *self.inside)

    @property
    def from_outside(self) -> Match:
        return match(IIFNAME, *self.outside)

    @property
    def from_either(self) -> Match:
        return match(IIFNAME, *self.inside, *self.outside)

    def arriving(self, *, outside: bool, inside: bool) -> Match:
        """From one side or from both; at least one must be asked."""
        return self.from_either if outside and inside else self.from_outside if outside else self.from_inside

    @property
    def to_outside(self) -> Match:
        return match(OIFNAME, *self.outside)

    @property
    def to_inside(self) -> Match:
        return match(OIFNAME, *self.inside)

    @property
    def translates_outward(self) -> bool:
        """Whether any source is translated on its way from inside to an outside interface."""
        rules = (rule for rule in self.site.snat if not rule.exclude)
        names = {name for rule in rules for name in rule.match.interfaces(self.outside)}
        return bool(self.allocations) or not names.isdisjoint(self.outside)

    @property
    def outward(self) -> tuple[Match, Match]:
        """What is translated: from an inside to an outside interface."""
        return self.from_inside, self.to_outside


def lowering_context(site: Site, allocations: tuple[PoolAllocation, ...]) -> Context:
    """Work out the two sides; VLAN interfaces that the site names count as inside."""
    inside = list(site.interfaces.inside)
    if site.defaults.vlan_mode != "untagged":
        vids = [vid for vid, _ in site.interfaces.vlans]
        vids += [r.vid for acl in site.acls for r in acl.rules if r.vid is not None]
        vids += [e.vid for p in site.pools for e in p.global_map if e.vid is not None]
        for vid in sorted(set(vids)):
            name = site.interfaces.vlan(vid)
            if name not in inside:
                inside.append(name)
    return Context(site, allocations, tuple(inside), site.interfaces.outside)
