"""Plain data that the schema accepted -> the values of `model.site`. The only room that knows YAML keys.

Collects every faulty value. A returned value has no fault in itself; faults between values are found in
`analysis`. Pools are read in `read_pool`, dnat and snat rules in `read_rule`.
"""

from __future__ import annotations

from nfcompile.diagnostics import Diagnostic, Note, Path
from nfcompile.model import parse
from nfcompile.model.acl import read_rule
from nfcompile.model.fields import Data, Fields, Problems
from nfcompile.model.read_pool import merged, read_pool, timeouts, written
from nfcompile.model.read_rule import read_dnat, read_snat
from nfcompile.model.site import Acl, AclRule, Alg, Defaults, GatewayAddresses, Interfaces, Site


def read_site(data: Data, defaults: Data) -> tuple[Site, list[Diagnostic]]:
    """Read a whole site; the second value lists its faults, and with any of them the site must not be used.

    `defaults` are the schema's, by section. Raises SiteError at the thousandth problem.
    """
    problems = Problems()

    def fields(*path: str) -> Fields:
        found = data
        for step in path:
            found = found.get(step) or {}
        return Fields(found, defaults.get(path[0], {}), path, problems)

    acls = {name: _acl(fields("acls", name)) for name in data.get("acls") or ()}
    inherited = fields("nat_defaults")
    pools = [read_pool(fields("pools", name), inherited, acls) for name in data.get("pools") or ()]
    dnat = [read_dnat(fields("dnat", name)) for name in data.get("dnat") or ()]
    snat = [read_snat(fields("snat", name)) for name in data.get("snat") or ()]
    site = Site(
        name=data.get("site") or "",
        interfaces=_interfaces(fields("interfaces")),
        gateway=_gateway(fields("gateway")),
        defaults=_defaults(inherited),
        acls=tuple(acls.values()),
        pools=tuple(pools),
        dnat=tuple(dnat),
        snat=tuple(rule for rule in snat if rule is not None),
    )
    return site, problems.found


def _interfaces(fields: Fields) -> Interfaces:
    inside, outside = fields.plain("inside"), fields.plain("outside")
    for index, name in enumerate(outside):
        if name in inside:
            first: Path = ("interfaces", "inside", inside.index(name))
            note = Note(f"'{name}' is an inside interface here", first)
            message = f"interface '{name}' is inside and outside"
            path = ("interfaces", "outside", index)
            fields.problems.refuse(Diagnostic("interface-twice", message, path, notes=(note,)))
    vlans = tuple((int(vid), name) for vid, name in (fields.plain("vlans") or {}).items())
    return Interfaces(tuple(inside), tuple(outside), vlans)


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
        port_block_size=fields.plain("port_block_size"),
        portlimit_low=fields.limit("portlimit_low"),
        low_to_all_udp=fields.flag("low_to_all_udp"),
        lldp=fields.flag("lldp"),
        lldp_hostname=fields.plain("lldp_hostname"),
        permit_invalid_flow=fields.flag("permit_invalid_flow"),
        flowtable=fields.flag("flowtable"),
        timeouts=timeouts(merged("timeouts_inactivity", fields, fields)),
        given=frozenset(written(fields.data)),
    )
