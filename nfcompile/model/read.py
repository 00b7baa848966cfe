"""Plain data that the schema accepted -> the values of `model.site`. The only room that knows YAML keys.

Collects every wrong value; what it returns cannot be wrong in itself (what is wrong between values is
for `analysis`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nfcompile.diagnostics import PROBLEMS_LIMIT, Diagnostic, Note, Path, SiteError
from nfcompile.model import parse
from nfcompile.model.acl import read_rule
from nfcompile.model.parse import Fault
from nfcompile.model.ranges import Range
from nfcompile.model.site import (
    Acl,
    AclRule,
    Alg,
    Defaults,
    DnatRule,
    Gateway,
    Interfaces,
    Limits,
    Match,
    Pool,
    Site,
    SnatRule,
    StaticEntry,
    Timeouts,
)

Data = dict[str, Any]
Value = TypeVar("Value")

TRUE_WORDS = (True, "on", "yes", "true", "enable")

NEAR_ACLS = 200
"""So many names of ACLs are looked through for the one that was meant: each takes 10 microseconds."""

FIELD_TYPES = {
    "global_ip": ("cgnat", "nat"),
    "port_range": ("cgnat",),
    "allocation": ("cgnat", "nat"),
    "subscribers": ("cgnat", "nat"),
    "global_map": ("static",),
    "filtering": ("cgnat",),
    "allow_external_connect": ("nat", "static"),
    "limits_peruser": ("cgnat",),
}
"""Which pool types have a parameter (the seed's table); one that is not listed belongs to all."""


def read_site(data: Data) -> tuple[Site, list[Diagnostic]]:
    """Read a whole site; the second value lists what is wrong, and then the site must not be used.

    Raises SiteError at the thousandth problem.
    """
    reader = _Reader()
    acls = {name: reader.acl(name, rules) for name, rules in (data.get("acls") or {}).items()}
    defaults = data.get("nat_defaults") or {}
    pools = [reader.pool(n, d, defaults, acls) for n, d in (data.get("pools") or {}).items()]
    site = Site(
        name=data.get("site") or "",
        interfaces=reader.interfaces(data["interfaces"]),
        gateway=reader.gateway(data.get("gateway") or {}),
        defaults=_defaults(defaults),
        acls=tuple(acls.values()),
        pools=tuple(pools),
        dnat=tuple(reader.dnat(n, d) for n, d in (data.get("dnat") or {}).items()),
        snat=tuple(reader.snat(n, d) for n, d in (data.get("snat") or {}).items()),
    )
    return site, reader.problems


NOTHING = Range(0, 0)


class _Reader:
    """Reads values and gathers what is wrong with them; a wrong value becomes a stand-in."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []

    def refuse(self, problem: Diagnostic) -> None:
        self.problems.append(problem)
        if len(self.problems) == PROBLEMS_LIMIT:
            raise SiteError(tuple(self.problems))

    def value(self, read: Callable[[str], Value], text: Any, path: Path, stand_in: Value) -> Value:
        try:
            return read(str(text))
        except Fault as fault:
            span = (fault.start, fault.end)
            self.refuse(Diagnostic(fault.code, fault.message, path, span=span, hint=fault.hint))
            return stand_in

    def addresses(self, texts: list[str], path: Path) -> tuple[Range, ...]:
        return tuple(
            self.value(parse.addresses, text, (*path, index), NOTHING) for index, text in enumerate(texts)
        )

    def interfaces(self, data: Data) -> Interfaces:
        inside, outside = data["inside"], data["outside"]
        for index, name in enumerate(outside):
            if name in inside:
                note = Note(f"'{name}' is an inside interface here", _inside_path(inside, name))
                message = f"interface '{name}' is inside and outside"
                path = ("interfaces", "outside", index)
                self.refuse(Diagnostic("interface-twice", message, path, notes=(note,)))
        vlans = tuple((int(vid), name) for vid, name in (data.get("vlans") or {}).items())
        return Interfaces(tuple(inside), tuple(outside), vlans)

    def gateway(self, data: Data) -> Gateway:
        primary = data.get("primary_ip")
        path = ("gateway", "primary_ip")
        return Gateway(
            None if primary is None else self.value(parse.address, primary, path, 0),
            self.addresses(data.get("secondary_ips") or [], ("gateway", "secondary_ips")),
        )

    def acl(self, name: str, data: Data | None) -> Acl:
        path: Path = ("acls", name)
        rules = []
        for number, text in sorted((data or {}).items(), key=lambda item: int(item[0])):
            rule = self._rule(text, int(number), (*path, number))
            if rule is not None:
                rules.append(rule)
        return Acl(path, name, tuple(rules))

    def _rule(self, text: str, number: int, path: Path) -> AclRule | None:
        return self.value(lambda words: read_rule(words, number, path), text, path, None)

    def pool(self, name: str, data: Data, defaults: Data, acls: dict[str, Acl]) -> Pool:
        path: Path = ("pools", name)
        kind = data["type"]
        self._fields_of_type(data, kind, path)
        subscribers = data.get("subscribers")
        return Pool(
            path=path,
            name=name,
            type=kind,
            enable=_flag(data, "enable", True),
            acl=self._acl_of(data, path, acls),
            priority=data["priority"],
            global_ip=self.addresses(data.get("global_ip") or [], (*path, "global_ip")),
            port_range=self._port_range(data.get("port_range", "1024-65535"), (*path, "port_range")),
            allocation=data.get("allocation", "dynamic" if kind == "nat" else "deterministic"),
            subscribers=None if subscribers is None else self.addresses(subscribers, (*path, "subscribers")),
            filtering=data.get("filtering", "address_and_port_dependent"),
            hairpin=_flag(data, "hairpin", True),
            allow_external_connect=_flag(data, "allow_external_connect", True),
            connection_logging=_flag(data, "connection_logging", True),
            randomize_ports=_flag(data, "randomize_ports", True) if "randomize_ports" in data else None,
            timeouts=_timeouts(defaults.get("timeouts_inactivity"), data.get("timeouts_inactivity")),
            limits=Limits(**{**(defaults.get("limits_peruser") or {}), **(data.get("limits_peruser") or {})}),
            global_map=self._global_map(data.get("global_map") or {}, (*path, "global_map")),
            given=frozenset(_given(data)),
        )

    def _port_range(self, text: Any, path: Path) -> Range:
        return self.value(lambda words: parse.ports(words, 0, "-:"), text, path, Range(1024, 65535))

    def _fields_of_type(self, data: Data, kind: str, path: Path) -> None:
        for key in data:
            types = FIELD_TYPES.get(key, (kind,))
            if kind not in types:
                message = f"pool type '{kind}' has no '{key}'"
                hint = f"'{key}' belongs to pool type {' and '.join(types)}"
                self.refuse(Diagnostic("wrong-pool-type", message, (*path, key), key=True, hint=hint))
        needed = {"cgnat": "global_ip", "nat": "global_ip", "static": "global_map"}.get(kind)
        if needed and not data.get(needed):
            message = f"pool '{path[-1]}' of type '{kind}' needs '{needed}'"
            at = (*path, needed) if needed in data else path
            self.refuse(Diagnostic("missing-key", message, at, key=True))

    def _acl_of(self, data: Data, path: Path, acls: dict[str, Acl]) -> Acl | None:
        name = data.get("acl", "none")
        if name == "none" or name in acls:
            return acls.get(name)
        import difflib

        near = difflib.get_close_matches(name, list(acls)[:NEAR_ACLS], 1)
        hint = f"did you mean '{near[0]}'?" if near else ""
        message = f"acl '{name}' is not defined"
        self.refuse(Diagnostic("unknown-acl", message, (*path, "acl"), hint=hint))
        return None

    def _global_map(self, data: Data, path: Path) -> tuple[StaticEntry, ...]:
        found = []
        for local_text, global_text in data.items():
            entry = (*path, local_text)
            try:
                found.append(_static_entry(entry, local_text))
            except Fault as fault:
                span = (fault.start, fault.end)
                self.refuse(Diagnostic(fault.code, fault.message, entry, True, span, fault.hint))
                continue
            globals_ = self.value(_static_addresses, global_text, entry, NOTHING)
            local = found[-1].local
            if globals_ is not NOTHING and globals_.size != local.size:
                message = f"{local.size} local but {globals_.size} global addresses"
                hint = "both sides of an entry need the same prefix length"
                self.refuse(Diagnostic("static-length", message, entry, hint=hint))
            found[-1] = found[-1]._replace(globals=globals_)
        return tuple(found)

    def _match(self, data: Data, path: Path) -> Match:
        protocol = parse.PROTOCOLS[data.get("protocol", "all")]
        ports = {}
        for key in ("src_port", "dst_port"):
            ports[key] = self._optional(parse.ports, data, key, path)
            if ports[key] is not None and protocol not in (6, 17):
                self._needs_protocol(key, path)
        return Match(
            protocol,
            self._optional(parse.addresses, data, "src_cidr", path),
            ports["src_port"],
            self._optional(parse.addresses, data, "dst_cidr", path),
            ports["dst_port"],
            data.get("interface"),
        )

    def _needs_protocol(self, key: str, path: Path) -> None:
        message = f"'{key}' needs protocol tcp or udp"
        hint = "add 'protocol: tcp'"
        self.refuse(Diagnostic("port-without-protocol", message, (*path, key), key=True, hint=hint))

    def _optional(self, read: Callable[[str], Value], data: Data, key: str, path: Path) -> Value | None:
        if data.get(key) is None:
            return None
        return self.value(read, data[key], (*path, key), None)

    def _nothing_to_do(self, path: Path, keys: str) -> None:
        message = f"{path[0]} rule '{path[-1]}' changes nothing"
        self.refuse(Diagnostic("rule-without-effect", message, path, key=True, hint=f"give it {keys}"))

    def dnat(self, name: str, data: Data) -> DnatRule:
        path: Path = ("dnat", name)
        match = self._match(data, path)
        rule = DnatRule(
            path,
            name,
            match,
            self._optional(parse.mark, data, "mark", path),
            self._optional(parse.addresses, data, "dnat_ip", path),
            self._optional(parse.ports, data, "dnat_port", path),
        )
        if not any(key in data for key in ("mark", "dnat_ip", "dnat_port")):
            self._nothing_to_do(path, "a 'mark', a 'dnat_ip' or a 'dnat_port'")
        if rule.dnat_port is not None and match.protocol not in (6, 17):
            self._needs_protocol("dnat_port", path)
        return rule

    def snat(self, name: str, data: Data) -> SnatRule:
        path: Path = ("snat", name)
        match = self._match(data, path)
        snat_port = self._optional(parse.ports, data, "snat_port", path)
        if snat_port is not None and match.protocol not in (6, 17):
            self._needs_protocol("snat_port", path)
        if data.get("snat_ip") is None:
            self._nothing_to_do(path, "a 'snat_ip'")
        return SnatRule(
            path,
            name,
            match,
            self._optional(parse.mark, data, "mark", path),
            self._optional(parse.addresses, data, "snat_ip", path) or NOTHING,
            snat_port,
        )


def _inside_path(inside: list[str], name: str) -> Path:
    return ("interfaces", "inside", inside.index(name))


def _static_addresses(text: str) -> Range:
    """An address or a prefix; a range cannot be mapped one to one by the kernel's NETMAP."""
    if "-" in text:
        hint = "write a prefix, or one entry an address"
        raise Fault("bad-address", f"'{text}' is a range", 0, len(text), hint)
    return parse.addresses(text)


def _static_entry(path: Path, text: str) -> StaticEntry:
    local, tilde, vid_text = text.partition("~")
    vid = parse.vlan_id(vid_text, len(local) + 1) if tilde else None
    return StaticEntry(path, _static_addresses(local), vid, NOTHING)


def _flag(data: Data, key: str, default: bool) -> bool:
    return data[key] in TRUE_WORDS if key in data else default


def _given(data: Data, above: str = "") -> list[str]:
    found = []
    for key, value in data.items():
        found.append(above + key)
        if isinstance(value, dict) and key != "global_map":
            found += _given(value, f"{above}{key}.")
    return found


def _timeouts(*layers: Data | None) -> Timeouts:
    merged: Data = {}
    for layer in layers:
        merged.update(layer or {})
    if "special_tcp_ports" in merged:
        ports = merged["special_tcp_ports"] or []
        merged["special_tcp_ports"] = tuple(sorted(set(ports)))
    return Timeouts(**merged)


def _number_or_none(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _defaults(data: Data) -> Defaults:
    alg = data.get("alg") or {}
    plain = {
        key: data[key] for key in ("vlan_mode", "l2mtu", "port_block_size", "lldp_hostname") if key in data
    }
    return Defaults(
        **plain,
        alg=Alg(**{key: _flag(alg, key, False) for key in alg}),
        sessions_per_translation=_number_or_none(data.get("sessions_per_translation")),
        udp_inbound_refresh=_flag(data, "udp_inbound_refresh", True),
        portlimit_low=_number_or_none(data.get("portlimit_low")),
        low_to_all_udp=_flag(data, "low_to_all_udp", False),
        lldp=_flag(data, "lldp", True),
        permit_invalid_flow=_flag(data, "permit_invalid_flow", False),
        flowtable=_flag(data, "flowtable", False),
        given=frozenset(_given(data)),
        timeouts=_timeouts(data.get("timeouts_inactivity")),
    )
