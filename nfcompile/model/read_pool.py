"""One pool of `pools`: its keys -> a Pool; the values that it inherits from `nat_defaults` are in it too."""

from __future__ import annotations

from nfcompile.diagnostics import Diagnostic, Path
from nfcompile.model import parse
from nfcompile.model.fields import Data, Fields, Problems
from nfcompile.model.parse import Fault
from nfcompile.model.ranges import Range
from nfcompile.model.site import Acl, Limits, Pool, StaticEntry, Timeouts

MAX_ACLS_COMPARED = 200
"""So many names of ACLs are compared with an unknown one for the hint: each takes 10 microseconds."""

FIELD_TYPES = {
    "global_ip": ("cgnat", "nat"),
    "port_range": ("cgnat",),
    "port_block_size": ("cgnat",),
    "allocation": ("cgnat", "nat"),
    "subscribers": ("cgnat", "nat"),
    "global_map": ("static",),
    "fill": ("cgnat",),
    "inbound": ("cgnat",),
    "filtering": ("cgnat",),
    "stateless": ("npt",),
    "allow_external_connect": ("nat", "static"),
    "port_forwarding": ("cgnat", "nat", "static"),
    "limits_peruser": ("cgnat",),
}
"""Which pool types have a parameter (the seed's table); one that is not listed belongs to all."""
NEEDED = {"cgnat": "global_ip", "nat": "global_ip", "static": "global_map"}
ALLOCATION = {"nat": "dynamic"}
"""What `allocation` is if it is not written; all other types are deterministic."""


def read_pool(fields: Fields, inherited: Fields, acls: dict[str, Acl]) -> Pool | None:
    """Read a pool; None where its type is not known. A pool whose `enable` is unread counts as disabled.

    `inherited` is `nat_defaults`, `acls` are those of the site.
    """
    kind = fields.plain("type")
    if kind is None:
        fields.problems.leave_out(fields.path)
        return None
    enable = fields.flag("enable") and not fields.is_unread("enable")
    _check_type(fields, kind, enable)
    return Pool(
        path=fields.path,
        name=str(fields.path[-1]),
        type=kind,
        enable=enable,
        acl=_acl(fields, acls, enable),
        priority=fields.plain("priority") or 0,
        global_ip=fields.each("global_ip", parse.addresses),
        port_range=fields.read("port_range", parse.ports) or parse.ports(fields.defaults["port_range"]),
        port_block_size=fields.plain("port_block_size") or inherited.plain("port_block_size"),
        allocation=fields.plain("allocation") or ALLOCATION.get(kind, "deterministic"),
        fill=fields.plain("fill"),
        inbound=fields.plain("inbound"),
        subscribers=fields.each("subscribers", parse.addresses) if fields.has("subscribers") else None,
        filtering=fields.plain("filtering"),
        hairpin=fields.flag("hairpin"),
        allow_external_connect=fields.flag("allow_external_connect"),
        connection_logging=fields.flag("connection_logging"),
        randomize_ports=fields.flag("randomize_ports") if fields.has("randomize_ports") else None,
        port_forwarding=fields.flag("port_forwarding"),
        timeouts=timeouts(merged("timeouts_inactivity", inherited, fields)),
        limits=_limits(merged("limits_peruser", inherited, fields)),
        global_map=_global_map(fields),
        permit_invalid_flow=inherited.flag("permit_invalid_flow"),
        given=frozenset(written(fields.data)),
        differing=fields.differing(inherited.data),
    )


def _check_type(fields: Fields, kind: str, enable: bool) -> None:
    """Refuse parameters that the pool's type does not have; if it is enabled, refuse also missing ones."""
    for key in fields.data:
        types = FIELD_TYPES.get(key, (kind,))
        if kind not in types:
            message = f"pool type '{kind}' has no '{key}'"
            hint = f"'{key}' belongs to pool type {' and '.join(types)}"
            path = (*fields.path, key)
            fields.problems.refuse(Diagnostic("wrong-pool-type", message, path, key=True, hint=hint))
    needed = NEEDED.get(kind)
    if needed and enable and not fields.plain(needed) and not fields.is_unread(needed):
        message = f"pool '{fields.path[-1]}' of type '{kind}' needs '{needed}'"
        path = (*fields.path, needed) if needed in fields.data else fields.path
        fields.problems.refuse(Diagnostic("missing-key", message, path, key=True), (*fields.path, needed))


def _acl(fields: Fields, acls: dict[str, Acl], enable: bool) -> Acl | None:
    name = fields.plain("acl")
    if name == "none" or name in acls or not enable:
        return acls.get(name)
    if ("acls",) in fields.problems.unread:
        fields.problems.leave_out((*fields.path, "acl"))
        return None
    import difflib

    near = difflib.get_close_matches(name, list(acls)[:MAX_ACLS_COMPARED], 1)
    hint = f"did you mean '{near[0]}'?" if near else ""
    if name.removeprefix("acl") in acls:
        hint = f"the prefix 'acl' is not part of the name here: write '{name.removeprefix('acl')}'"
    message = f"acl '{name}' is not defined"
    path = (*fields.path, "acl")
    fields.problems.refuse(Diagnostic("unknown-acl", message, path, hint=hint), path)
    return None


def merged(key: str, inherited: Fields, fields: Fields) -> Data:
    """A section's values: the pool's over those of nat_defaults over the schema's."""
    defaults = inherited.defaults[key]
    layers = (defaults, inherited.data.get(key), fields.data.get(key))
    return {name: value for layer in layers for name, value in (layer or {}).items() if name in defaults}


def _limits(merged: Data) -> Limits:
    sessions = merged["sessions"]
    return Limits(**merged)._replace(sessions=sessions if isinstance(sessions, int) else None)


def timeouts(merged: Data) -> Timeouts:
    ports = {port for port in merged["special_tcp_ports"] if port is not None}
    return Timeouts(**merged)._replace(special_tcp_ports=tuple(sorted(ports)))


def written(data: Data, above: str = "") -> list[str]:
    """The keys that the operator wrote, dotted below their section."""
    found = []
    for key, value in data.items():
        found.append(above + key)
        if isinstance(value, dict) and key != "global_map":
            found += written(value, f"{above}{key}.")
    return found


def _global_map(fields: Fields) -> tuple[StaticEntry, ...]:
    path = (*fields.path, "global_map")
    entries = (
        _entry(fields.problems, (*path, local), local, text)
        for local, text in (fields.plain("global_map") or {}).items()
    )
    return tuple(entry for entry in entries if entry is not None)


def _entry(problems: Problems, path: Path, local_text: str, global_text: str) -> StaticEntry | None:
    local = problems.read(_local, local_text, path, key=True)
    globals_ = problems.read(_static_addresses, global_text, path)
    if local is None or globals_ is None:
        return None
    addresses, vid = local
    if globals_.size != addresses.size:
        message = f"{addresses.size} local but {globals_.size} global addresses"
        hint = "both sides of an entry need the same prefix length"
        problems.refuse(Diagnostic("static-length", message, path, hint=hint), path)
        return None
    return StaticEntry(path, addresses, vid, globals_)


def _local(text: str) -> tuple[Range, int | None]:
    local, tilde, vid = text.partition("~")
    return _static_addresses(local), parse.vlan_id(vid, len(local) + 1) if tilde else None


def _static_addresses(text: str) -> Range:
    """An address or a prefix; a range cannot be mapped one to one by the kernel's NETMAP."""
    if "-" in text:
        hint = "write a prefix, or one entry for each address"
        raise Fault("bad-address", f"'{text}' is a range", 0, len(text), hint)
    return parse.addresses(text)
