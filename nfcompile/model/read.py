"""Plain data that the schema accepted -> the values of `model.site`. The only room that knows YAML keys.

Collects every faulty value. A returned value has no fault in itself; faults between values are found in
`analysis`. Pools are read in `read_pool`, dnat and snat rules in `read_rule`.
"""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.diagnostics import Diagnostic, Path
from nfcompile.model import parse
from nfcompile.model.acl import read_rule
from nfcompile.model.fields import Data, Fields, Problems
from nfcompile.model.npt import NptPool
from nfcompile.model.read_fleet import read_node
from nfcompile.model.read_npt import read_npt
from nfcompile.model.read_pool import merged, read_pool, timeouts, written
from nfcompile.model.read_rule import read_dnat, read_snat
from nfcompile.model.site import Acl, AclRule, Alg, Defaults, GatewayAddresses, Interfaces, Pool, Site


class ReadSite(NamedTuple):
    """A site, what is wrong with it, and the paths of the values that are therefore left out."""

    site: Site
    problems: list[Diagnostic]
    unread: frozenset[Path]


def read_site(data: Data, defaults: Data, unread: frozenset[Path] = frozenset(), node: str = "") -> ReadSite:
    """Read a whole site; with any problem it is only good for finding more.

    `defaults` are the schema's, by section; `unread` are paths that have been left out of the data; `node` is
    the one that the data are of.
    """
    problems = Problems(unread)

    def fields(*path: str) -> Fields:
        found = data
        for step in path:
            found = found.get(step) or {}
        return Fields(found, defaults.get(path[0], {}), path, problems)

    names = dict.fromkeys([*(data.get("acls") or ()), *_names_below("acls", unread)])
    acls = {name: _acl(fields("acls", name)) for name in names}
    inherited = fields("nat_defaults")
    pools = [_pool(fields("pools", name), inherited, acls) for name in data.get("pools") or ()]
    dnat = [read_dnat(fields("dnat", name)) for name in data.get("dnat") or ()]
    snat = [read_snat(fields("snat", name)) for name in data.get("snat") or ()]
    member, pair = read_node(data, node, fields)
    site = Site(
        name=data.get("site") or "",
        interfaces=_interfaces(fields("interfaces")),
        gateway=_gateway(fields("gateway")),
        defaults=_defaults(inherited),
        acls=tuple(acls.values()),
        pools=tuple(pool for pool in pools if isinstance(pool, Pool)),
        npt=tuple(pool for pool in pools if isinstance(pool, NptPool)),
        dnat=tuple(rule for rule in dnat if rule is not None),
        snat=tuple(rule for rule in snat if rule is not None),
        node=member,
        pair=pair,
    )
    return ReadSite(site, problems.found, frozenset(problems.unread))


def _pool(fields: Fields, inherited: Fields, acls: dict[str, Acl]) -> Pool | NptPool | None:
    if fields.plain("type") == "npt":
        return read_npt(fields)
    return read_pool(fields, inherited, acls)


def _names_below(section: str, unread: frozenset[Path]) -> list[str]:
    """Names in a section whose values are unread: they exist, empty."""
    return [str(path[1]) for path in unread if len(path) == 2 and path[0] == section]


def _interfaces(fields: Fields) -> Interfaces:
    inside, outside = fields.plain("inside") or [], fields.plain("outside") or []
    vlans = tuple((int(vid), name) for vid, name in (fields.plain("vlans") or {}).items())
    networks = None
    if fields.has("inside_networks"):
        networks = fields.each("inside_networks", parse.addresses)
    return Interfaces(_names(inside), _names(outside), vlans, networks)


def _names(side: list[str | None]) -> tuple[str, ...]:
    return tuple(name for name in side if name is not None)


def _gateway(fields: Fields) -> GatewayAddresses:
    return GatewayAddresses(
        primary_ip=fields.read("primary_ip", parse.address),
        secondary_ips=fields.each("secondary_ips", parse.addresses),
    )


def _acl(fields: Fields) -> Acl:
    name = str(fields.path[-1])
    found = (_acl_rule(fields, number) for number in sorted(fields.data, key=int))
    return Acl(fields.path, name, tuple(rule for rule in found if rule is not None))


def _acl_rule(fields: Fields, number: str) -> AclRule | None:
    path = (*fields.path, number)
    return fields.read(number, lambda text: read_rule(text, int(number), path))


def _defaults(fields: Fields) -> Defaults:
    alg = Fields(fields.data.get("alg"), fields.defaults["alg"], (*fields.path, "alg"), fields.problems)
    return Defaults(
        vlan_mode=fields.plain("vlan_mode"),
        alg=Alg(*(alg.flag(key) for key in Alg._fields)),
        sessions_per_translation=fields.limit("sessions_per_translation"),
        udp_inbound_refresh=fields.flag("udp_inbound_refresh"),
        l2mtu=fields.plain("l2mtu"),
        portlimit_low=fields.limit("portlimit_low"),
        low_to_all_udp=fields.flag("low_to_all_udp"),
        lldp=fields.flag("lldp"),
        lldp_hostname=fields.plain("lldp_hostname"),
        permit_invalid_flow=fields.flag("permit_invalid_flow"),
        flowtable=fields.flag("flowtable"),
        strict_sources=fields.flag("strict_sources"),
        assignment_trial=fields.plain("assignment_trial"),
        timeouts_by=fields.plain("timeouts_by"),
        timeouts=timeouts(merged("timeouts_inactivity", fields, fields)),
        given=frozenset(written(fields.data)),
        differing=fields.differing(),
    )
