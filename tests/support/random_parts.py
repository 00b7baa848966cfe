"""Parts of random sites as their author would write them: addresses, ports, ACL rules, dnat and snat rules.

Small networks and few ports, so that parts of one site meet; and the ends of what there is: 0.0.0.0,
255.255.255.255, the first and last address of a network, /0 and /32, the ports 1 and 65535.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NETWORKS = {"lan0": "10.0.0.", "lan1": "10.1.0.", "lan0.102": "10.102.0."}
FAR = {"wan0": "198.18.0.", "wan1": "198.18.1."}
VLANS = {101: "lan1", 102: "lan0.102"}
PORTS = (53, 80, 443, 8001, 8002, 8010)

hosts = st.integers(0, 63)
networks = st.sampled_from(sorted(NETWORKS.values()))
fars = st.sampled_from(sorted(FAR.values()))
everybody = st.sampled_from(("any", "0.0.0.0/0", "0.0.0.0-255.255.255.255"))
wide_sources = st.sampled_from(
    ("10.0.0.0/8", "10.0.0.0/32", "0.0.0.1-10.0.0.40", "10.0.0.20-255.255.255.254", "0.0.0.0/1", "10.1.0.63")
)
wide_destinations = st.sampled_from(
    ("0.0.0.1-198.18.0.20", "198.18.0.31-255.255.255.255", "128.0.0.0/1", "198.18.0.0/32", "198.18.0.0/15")
)
global_ends = ("203.0.0.4", "203.0.1.7", "200.0.0.9", "200.0.1.16/30")


def one_in(many: int) -> st.SearchStrategy[bool]:
    """Now and then: true in one of so many cases."""
    return st.sampled_from((*(False,) * (many - 1), True))


@st.composite
def blocks(
    draw: st.DrawFn, prefix: st.SearchStrategy[str], forms: tuple[str, ...] = ("host", "net", "range")
) -> str:
    """Addresses as the site writes them: a host, a net or a range."""
    form, start = draw(st.sampled_from(forms)), draw(prefix)
    low = draw(hosts)
    if form == "host":
        return f"{start}{low}{draw(st.sampled_from(('', '/32')))}"
    if form == "net":
        bits = draw(st.integers(1, 6))
        return f"{start}{low >> bits << bits}/{32 - bits}"
    return f"{start}{low}-{start}{draw(st.integers(low, 63))}"


many = ("net", "range", "range")
sources = st.one_of(blocks(networks, many), blocks(networks, many), blocks(networks), wide_sources, everybody)
destinations = st.one_of(blocks(fars, many), blocks(fars), wide_destinations)
ports = st.sampled_from(
    (*map(str, PORTS), "8000-8005", "1-65535", "65535", "1", "1-443", "443-65535", "65534-65535")
)
port_lists = st.one_of(ports, st.sampled_from(("53,443", "1,80,8000-65535")))
source_ports = st.sampled_from(("20000-40000", "1-20200", "20210,20217-65535", "1-65535", "65535", "1,65535"))


@st.composite
def acl_rules(draw: st.DrawFn, vid: int | None) -> str:
    """A rule; where the ACL is one VLAN's, most of its rules say so."""
    protocol = draw(st.sampled_from(("ip", "ip", "ip", "tcp", "udp", "icmp", "gre", "253")))
    source = draw(sources)
    if vid is not None and not draw(one_in(4)):
        source += f"~{vid}"
    words = [draw(st.sampled_from(("allow", "allow", "permit", "deny"))), protocol, "src", source]
    ported = protocol in ("tcp", "udp")
    if ported and draw(one_in(2)):
        words += ["sport", draw(source_ports)]
    if draw(one_in(3)):
        words += ["dst", draw(destinations)]
    if ported and draw(one_in(2)):
        words += ["dport", draw(port_lists)]
    return " ".join(words)


@st.composite
def acls(draw: st.DrawFn, vid: int | None) -> dict[str, str]:
    """Mostly an ACL ends with a rule that lets many in; what comes before it makes holes."""
    numbers = draw(st.lists(st.integers(1, 98), min_size=0, max_size=4, unique=True))
    rules = {str(number): draw(acl_rules(vid)) for number in numbers}
    if not rules or not draw(one_in(4)):
        tag = "" if vid is None else f"~{vid}"
        rules["99"] = f"allow ip {draw(st.one_of(everybody, wide_sources, blocks(networks, many)))}{tag}"
    return rules


@st.composite
def global_maps(draw: st.DrawFn, number: int, vids: tuple[int, ...]) -> dict[str, str]:
    """Each pool has its own sixteen addresses of every network, so that no local address is mapped twice; in
    several VLANs it may be, since it is another host in each."""
    entries = {}
    mine = number % 4 * 16
    for index, start in enumerate(NETWORKS.values()):
        there = f"200.{index}.{number}."
        tags = [f"~{vid}" for vid in vids] if vids and draw(st.booleans()) else [""]
        form = draw(st.sampled_from(("none", "hosts", "net")))
        for turn, tag in enumerate(tags):
            if form == "hosts":
                entries[f"{start}{mine + 1}{tag}"] = f"{there}{9 + 32 * turn}"
                entries[f"{start}{mine + 5}{tag}"] = f"{there}{2 + 32 * turn}"
            elif form == "net":
                entries[f"{start}{mine + 4}/30{tag}"] = f"{there}{16 + 32 * turn}/30"
                entries[f"{start}{mine}{tag}"] = f"{there}{32 * turn}"
    return entries or {f"10.0.0.{mine}": f"200.0.{number}.1"}


@st.composite
def matches(draw: st.DrawFn, interfaces: tuple[str, ...]) -> dict[str, Any]:
    """The qualifiers that dnat and snat rules share."""
    rule: dict[str, Any] = {}
    protocol = draw(st.sampled_from(("all", "tcp", "tcp", "udp", "icmp")))
    if protocol != "all":
        rule["protocol"] = protocol
    if draw(one_in(3)):
        rule["src_cidr"] = draw(sources.filter(lambda one: one != "any"))
    if draw(one_in(3)):
        rule["dst_cidr"] = draw(st.one_of(destinations, st.just("0.0.0.0/0")))
    if protocol in ("tcp", "udp"):
        if draw(one_in(2)):
            rule["dst_port"] = draw(st.one_of(ports, st.sampled_from(("8001", "8002", "8000-8005"))))
        if draw(one_in(3)):
            rule["src_port"] = draw(st.sampled_from(("1-20200", "20217-65535", "65535", "1-65535")))
    if draw(one_in(3)):
        rule["interface"] = draw(st.sampled_from(interfaces))
    return rule


marks = st.sampled_from((1, 2, 0x12, "0x10/0xf0", "0x2/0xf", "0x80000000/0x80000000"))


@st.composite
def dnat_rules(draw: st.DrawFn) -> dict[str, Any]:
    """To a far host or segment, now and then to a subscriber, or to a global address."""
    rule = draw(matches(("lan0", "lan1", "wan0", "wan1")))
    if draw(one_in(5)):
        rule["dst_cidr"] = draw(st.sampled_from(global_ends))
    if not draw(one_in(4)):
        rule["mark"] = draw(marks)
    if rule.get("protocol") in ("tcp", "udp") and draw(st.booleans()):
        rule["dnat_port"] = draw(st.sampled_from(("9001", "8002", "443", "65535", "1", "9001-9004")))
    if draw(one_in(2)) or not rule.keys() & {"mark", "dnat_port"}:
        there = ("198.18.0.200", "198.18.1.200", "198.18.0.208-198.18.0.215", "198.18.0.0")
        rule["dnat_ip"] = draw(st.sampled_from((*there, *there, "10.0.0.5", "10.1.0.63", *global_ends[:3])))
    return rule


@st.composite
def snat_rules(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """From an address or a segment of their own, now and then from some of its ports."""
    rule = draw(matches(("wan0", "wan1", "lan1")))
    if not draw(one_in(4)):
        rule["mark"] = draw(marks)
    start = f"203.1.{number}."
    segment = (start + "1", start + "8-" + start + "11", start + "0", start + "255")
    rule["snat_ip"] = draw(st.sampled_from(segment))
    if rule.get("protocol") in ("tcp", "udp") and draw(one_in(2)):
        rule["snat_port"] = draw(st.sampled_from(("30000-31000", "65000-65535", "1-1023")))
    return rule
