"""What a pool without mapping entries would gain and lose if its ports came of the source port alone.

Then a socket has one port for all destinations (RFC 4787 REQ-1), whatever else is open; but a second socket
whose port comes out the same is lost as long as both talk to one server. Beside it the kernel's choice, which
such pools have.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict

import measure
import sites
from frames import Batch
from growth_lab import SERVERS, SUBSCRIBERS, GrowthLab, gateway
from lab import Flow, Gateway

LIVE = (100, 200, 300, 400, 600, 800)
PORTS = 1024
BLOCK = re.compile(r"\t\t\t(\S+) : (\S+) \. (\d+)-(\d+),\n")
END = re.compile(r"sport=(\d+) dport=\d+ .*?src=\S+ dst=(\S+) sport=\d+ dport=(\d+)")


def arithmetic(where: GrowthLab) -> None:
    """First packets that are lost to one server, and sockets that have another port at a second one."""
    site = sites.aligned(SUBSCRIBERS // 2, ports=PORTS)
    kernel = gateway(where, "the kernel's choice", site)
    text = (where.folder / f"{len(where.made) - 1}.nft").read_text()
    computed = gateway(where, "computed alone", "", computed_alone(text))
    rows = []
    for one in (kernel, computed):
        lost = _lost_to_one_server(one)
        split = [_with_two_ports(one, live) for live in LIVE]
        rows.append((f"{one.name}: lost to one server", *(f"{share:.1%}" for share in lost)))
        rows.append((f"{one.name}: sockets with two ports", *split))
    measure.heading(
        "Ports of a pool without mapping entries, by the sockets of the subscriber that are alive"
    )
    measure.table(["", *(f"to {n}" for n in LIVE)], rows)


def computed_alone(text: str) -> str:
    """A ruleset of one prefix and blocks of 1,024 ports, with ports that are computed and nothing else."""
    found = re.search(r"map blocks_homes \{.*?\n\t\}\n", text, re.DOTALL)
    assert found is not None
    chains, elements = [], []
    for source, prefix, first, _ in BLOCK.findall(found.group(0)):
        base, bits = prefix.split("/")
        host = sites.text((1 << 32 - int(bits)) - 1)
        port = f"th sport & 0x{PORTS - 1:x} ^ 0x{int(first):x}"
        rule = f"meta l4proto {{ tcp, udp }} snat to ip saddr & {host} | {base} : {port}"
        chains.append(f"\tchain c_{first} {{\n\t\t{rule}\n\t}}\n\n")
        elements.append(f"\t\t\t{source} : goto c_{first},\n")
    listed = "".join(elements)
    table = f"\tmap leads {{\n\t\ttype ipv4_addr : verdict\n\t\telements = {{\n{listed}\t\t}}\n\t}}\n\n"
    asked = re.search(r"udp snat ip prefix to (ip saddr & \S+) map @blocks_homes", text)
    assert asked is not None
    look = f"\t\tmeta l4proto {{ tcp, udp }} {asked.group(1)} vmap @leads\n"
    at = text.index("\tchain nat_prerouting {")
    text = text[:at] + table + text[at:]
    at = text.index("\tchain translate_homes {")
    text = text[:at] + "".join(chains) + text[at:]
    at = text.index("\t\tmeta l4proto udp snat ip prefix")
    return text[:at] + look + text[at:]


def _lost_to_one_server(one: Gateway) -> list[float]:
    ports = random.Random(5).sample(range(1024, 65536), LIVE[-1])
    shares, begin = [], 0
    for end in LIVE:
        before = one.left()
        flows = (Flow(sites.FIRST_SUBSCRIBER + 9, port, SERVERS + 7, 53) for port in ports[begin:end])
        Batch([flow.frame() for flow in flows]).send(one.socket)
        shares.append(1 - (one.left() - before) / (end - begin))
        begin = end
    one.forget()
    return shares


def _with_two_ports(one: Gateway, live: int) -> int:
    """Each of so many sockets sends to two servers drawn at random."""
    rng = random.Random(live)
    ports = rng.sample(range(1024, 65536), live)
    for _ in range(2):
        flows = (
            Flow(sites.FIRST_SUBSCRIBER + 9, port, SERVERS + rng.randrange(1, 255), 443) for port in ports
        )
        Batch([flow.frame() for flow in flows]).send(one.socket)
    ends = defaultdict(set)
    for source, *end in END.findall(one.namespace.do("conntrack", "-L", "-p", "udp")):
        ends[source].add(tuple(end))
    one.forget()
    return sum(len(found) > 1 for found in ends.values())
