"""What an imported site does with a packet: CONTRACT.md's words for dnat, snat and cgnat pools, read aloud.

Only what `import` writes is known here. Any other key is an error of the test.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nfcompile.ipalloc import Layout, Stock
from nfcompile.model import parse
from nfcompile.model.ranges import Range

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}


class Probe(NamedTuple):
    """The first packet of a connection, and where routes send it."""

    incoming: str
    outgoing: str
    protocol: int
    source: int
    source_port: int
    destination: int
    destination_port: int


class Outcome(NamedTuple):
    """What became of each end: the addresses and ports that are right, None where it stays.

    'interface' is the address of the outgoing interface.
    """

    source: Range | str | None = None
    source_ports: Range | None = None
    destination: Range | None = None
    destination_ports: Range | None = None


def outcome(site: dict[str, Any], probe: Probe) -> Outcome:
    """The way of a packet through dnat, snat and the pools."""
    found = Outcome()
    for rule in (site.get("dnat") or {}).values():
        if matches(rule, probe, probe.incoming):
            found = found._replace(**changed(rule, "dnat", probe.destination))
            break
    if isinstance(found.destination, Range):
        probe = probe._replace(destination=found.destination.first)
    if found.destination_ports:
        probe = probe._replace(destination_port=found.destination_ports.first)
    sides = site["interfaces"]
    if probe.incoming not in sides["inside"]:
        return found
    for rule in (site.get("snat") or {}).values():
        if matches(rule, probe, probe.outgoing, sides["outside"]):
            return found._replace(**changed(rule, "snat", probe.source))
    if probe.outgoing not in sides["outside"]:
        return found
    for pool in sorted((site.get("pools") or {}).values(), key=lambda pool: pool["priority"]):
        if accepts(site["acls"][pool["acl"]], probe) and inside(ranges(pool["subscribers"]), probe.source):
            return found._replace(**block(pool, probe))
    return found


QUALIFIERS = {"interface", "protocol", "src_cidr", "src_port", "dst_cidr", "dst_port"}
KNOWN = QUALIFIERS | {
    "exclude",
    *(f"{stage}_{what}" for stage in ("snat", "dnat") for what in ("ip", "port", "prefix")),
}


def matches(rule: dict[str, Any], probe: Probe, interface: str, default: list[str] | None = None) -> bool:
    assert set(rule) <= KNOWN, rule
    wanted = rule.get("interface", default)
    names = wanted if isinstance(wanted, list) else [wanted]
    return (
        interface in names
        and within(rule.get("protocol"), probe.protocol, lambda text: Range(PROTOCOLS[text], PROTOCOLS[text]))
        and within(rule.get("src_cidr"), probe.source, parse.addresses)
        and within(rule.get("dst_cidr"), probe.destination, parse.addresses)
        and within(rule.get("src_port"), probe.source_port, parse.ports)
        and within(rule.get("dst_port"), probe.destination_port, parse.ports)
    )


def within(wanted: Any, value: int, read: Any) -> bool:
    """A list matches any of its values; '!x', or a list of such, what is none of them."""
    if wanted is None:
        return True
    values = [str(one) for one in (wanted if isinstance(wanted, list) else [wanted])]
    negated = {one.startswith("!") for one in values}
    assert len(negated) == 1, f"{wanted} mixes"
    hit = inside([read(one.lstrip("!")) for one in values], value)
    return hit != negated.pop()


def changed(rule: dict[str, Any], stage: str, old: int) -> dict[str, Any]:
    if rule.get("exclude") == "on":
        return {}
    end = "source" if stage == "snat" else "destination"
    found: dict[str, Any] = {}
    if f"{stage}_prefix" in rule:
        prefix = parse.prefix(rule[f"{stage}_prefix"])
        new = prefix.first | (old & (prefix.size - 1))
        found[end] = Range(new, new)
    elif rule.get(f"{stage}_ip") == "interface":
        found[end] = "interface"
    elif f"{stage}_ip" in rule:
        found[end] = parse.addresses(rule[f"{stage}_ip"])
    if f"{stage}_port" in rule:
        found[f"{end}_ports"] = parse.ports(str(rule[f"{stage}_port"]))
    return found


def accepts(acl: dict[str, str], probe: Probe) -> bool:
    """The first hit of an ACL whose rules speak of protocols and sources only."""
    for _, text in sorted(acl.items(), key=lambda item: int(item[0])):
        action, protocol, src, *source, dst, any_ = text.split()
        assert (src, dst, any_) == ("src", "dst", "any")
        if protocol != "ip" and PROTOCOLS[protocol] != probe.protocol:
            continue
        if source == ["any"] or inside([parse.addresses(source[-1])], probe.source):
            return action == "allow"
    return False


def block(pool: dict[str, Any], probe: Probe) -> dict[str, Any]:
    addresses = ranges(pool["global_ip"])
    if pool.get("fill", "spread") == "address":
        addresses = [Range(one, one) for entry in addresses for one in range(entry.first, entry.last + 1)]
    ports = parse.ports(pool["port_range"])
    layout = Layout(Stock(tuple(addresses), ports, pool["port_block_size"]), ranges(pool["subscribers"]))
    found = layout.binding(probe.source)
    assert found is not None
    # Protocols without ports keep theirs; the block is for the others.
    ported = probe.protocol in (6, 17)
    return {
        "source": Range(found.address, found.address),
        "source_ports": Range(found.first, found.last) if ported else None,
    }


def ranges(texts: list[str]) -> list[Range]:
    return [parse.addresses(text) for text in texts]


def inside(some: list[Range], value: int) -> bool:
    return any(one.first <= value <= one.last for one in some)
