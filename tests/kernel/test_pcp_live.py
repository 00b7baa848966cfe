"""`nfcompile pcp` as time goes by: lifetimes that end, blocks of dynamic pools, an apply meanwhile."""

from __future__ import annotations

import socket
from pathlib import Path

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.command import NFCOMPILE
from support.dynamic_pools import SHORT
from support.frames import UDP, Packet
from support.lab import Lab
from support.pcp import FAR, FURTHER, NO_RESOURCES, POOLS, SUCCESS, Client, answering, arrives, read
from support.sites import site
from support.waiting import PATIENCE, until
from support.wires import INSIDE

DYNAMIC = """
nat_defaults: {port_block_size: 64, timeouts_inactivity: {TIMEOUTS}}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    allocation: dynamic
    global_ip: [203.0.113.0/30]
    limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64, portlimit_icmp: 64}
    port_forwarding: on
"""


def test_a_dynamic_pool_until_the_lifetime_ends(lab: Lab, tmp_path: Path) -> None:
    """Nothing before the subscriber has a block; then a port of it; then nothing again. Here all timeouts are
    two seconds, so no lifetime is longer."""
    pools = DYNAMIC.replace("TIMEOUTS", SHORT)
    lab.load(site(pools).text.text)
    with answering(lab, tmp_path, pools):
        client = Client(lab, "100.64.0.1")
        early = client.map(UDP, 6000)
        told = early

        def opened() -> bool:
            """A machine that is busy may need more than one try: all is over after two seconds."""
            nonlocal told
            (sent,) = lab.flight([("lan0", Packet(UDP, address("100.64.0.1"), 5000, FAR, 443, 0))])
            told = client.map(UDP, 6000)
            is_own = (told.address, told.port // 64) == (
                address_text(sent[0].packet.source),
                sent[0].packet.source_port // 64,
            )
            return is_own and arrives(lab, told.address, told.port) == "100.64.0.1:6000"

        until(opened)
        until(lambda: "udp" not in lab.must("nft", "list", "set", "ip", "nfcompile", "forwarded_homes"))
        over = arrives(lab, told.address, told.port, far=FURTHER)

    assert (early.result, early.lifetime) == (NO_RESOURCES, 30)
    assert (told.result, told.lifetime) == (SUCCESS, 2)
    assert over is None


def test_what_is_open_outlives_apply(lab: Lab, tmp_path: Path) -> None:
    """Of the same site with another timeout: the same entries. Where the blocks move: the port is closed, and
    clients are told."""
    lab.load(site(POOLS).text.text)
    moved = POOLS.replace("port_range: 1024-17407", "port_range: 20000-40000")
    with (
        answering(lab, tmp_path, POOLS) as made,
        lab.socket(INSIDE, socket.SOCK_DGRAM, ("0.0.0.0", 5350)) as heard,
    ):
        told = Client(lab, "100.64.0.1").map(UDP, 6000)
        apply = [
            *NFCOMPILE,
            "apply",
            "-y",
            str(tmp_path / "site.yaml"),
            "--state-dir",
            str(tmp_path / "state"),
        ]
        made.site(
            POOLS.replace(
                "port_forwarding: on", "port_forwarding: on\n    timeouts_inactivity: {udp: 200}", 1
            )
        )
        lab.must(*apply)
        kept = arrives(lab, told.address, told.port)
        made.site(moved)
        lab.must(*apply)
        gone = arrives(lab, told.address, told.port, far=FURTHER)
        until(lambda: "before their lifetime ended" in made.said(), made.said)
        heard.settimeout(PATIENCE)
        epoch = read(heard.recv(2048)).epoch
        again = Client(lab, "100.64.0.1").map(UDP, 6000)

    assert kept == "100.64.0.1:6000"
    assert gone is None
    assert (again.result, epoch < 60) == (SUCCESS, True)
    assert again.port >= 20000
