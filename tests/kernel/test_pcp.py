"""`nfcompile pcp`: ports that clients of PCP and NAT-PMP open, with real packets from outside."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import pytest

from nfcompile.model.parse import address
from nfcompile.model.ranges import address_text
from support.command import NFCOMPILE
from support.frames import TCP, UDP, Packet
from support.lab import Lab
from support.pcp import (
    ADDRESS_MISMATCH,
    CANNOT_PROVIDE_EXTERNAL,
    FAR,
    FILTER,
    FURTHER,
    MALFORMED_OPTION,
    MALFORMED_REQUEST,
    MAP,
    NO_RESOURCES,
    NOT_AUTHORIZED,
    PEER,
    POOLS,
    PREFER_FAILURE,
    SERVER,
    SUCCESS,
    THIRD_PARTY,
    UNSUPP_OPCODE,
    UNSUPP_OPTION,
    UNSUPP_PROTOCOL,
    UNSUPP_VERSION,
    USER_EX_QUOTA,
    Client,
    PcpCommand,
    answering,
    arrives,
    as_ipv6,
    map_request,
    option,
    read,
    request,
)
from support.peers import need
from support.sites import site
from support.wires import INSIDE


@pytest.fixture(scope="module")
def daemon(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PcpCommand]:
    """One daemon for all tests that load no site of their own; each has subscribers of its own."""
    lab.load(site(POOLS).text.text)
    with answering(lab, tmp_path_factory.mktemp("pcp"), POOLS) as made:
        yield made


def test_a_port_is_opened_for_everybody(daemon: PcpCommand) -> None:
    lab, client = daemon.lab, Client(daemon.lab, "100.64.0.1")

    told = client.map(UDP, 6000)

    assert (told.result, told.lifetime, told.inside, told.protocol) == (SUCCESS, 3600, 6000, UDP)
    assert told.address == "200.0.2.1"
    assert 1024 <= told.port <= 2047
    assert arrives(lab, told.address, told.port) == "100.64.0.1:6000"
    assert arrives(lab, told.address, told.port, far=FURTHER, sport=77) == "100.64.0.1:6000"
    assert arrives(lab, told.address, told.port, TCP) is None
    assert arrives(lab, told.address, told.port + 1) is None


def test_a_wish_is_met_where_the_block_has_the_port(daemon: PcpCommand) -> None:
    client = Client(daemon.lab, "100.64.0.2")

    assert client.map(TCP, 80, wish=1500).port == 1500
    assert client.map(TCP, 1600).port == 1600
    assert client.map(TCP, 81, wish=9000).port in range(1024, 2048)
    assert arrives(daemon.lab, "200.0.2.2", 1500, TCP) == "100.64.0.2:80"


def test_the_inside_socket_keeps_the_port_when_it_sends(daemon: PcpCommand) -> None:
    """Also one that has sent before: then the port that it had is opened."""
    lab, client = daemon.lab, Client(daemon.lab, "100.64.0.3")
    told = client.map(UDP, 6001)
    sent = [("lan0", Packet(UDP, address("100.64.0.3"), port, FAR, 443, 0)) for port in (6001, 6002)]

    (opened, other) = lab.flight(sent)
    third = client.map(UDP, 6003, wish=other[0].packet.source_port)
    later = client.map(UDP, 6002, wish=1900)

    entry = f"{{ udp . {told.address} . {told.port} }}"
    left = lab.must("nft", "get", "element", "ip", "nfcompile", "eif_homes", entry)
    assert re.search(r"expires (1h|5\dm)", left), f"packets have changed the lifetime: {left}"
    assert opened[0].packet.source_port == told.port
    assert other[0].packet.source_port == later.port
    assert (third.result, third.port != later.port) == (SUCCESS, True)
    assert arrives(lab, later.address, later.port, far=FURTHER) == "100.64.0.3:6002"


def test_no_other_socket_gets_an_opened_port(daemon: PcpCommand) -> None:
    """All the ports of the block are used by other sockets, but not this one."""
    lab, home = daemon.lab, address("100.64.0.4")
    told = Client(lab, "100.64.0.4").map(UDP, 6000, wish=2777)
    packets = [("lan0", Packet(UDP, home, 20000 + n, FAR, 443, 0)) for n in range(1000)]

    ports = [seen[0].packet.source_port for seen in lab.flight(packets) if seen]

    assert told.port == 2777
    assert len(ports) > 900
    assert set(ports) <= set(range(2048, 3072)) - {2777}
    assert arrives(lab, told.address, told.port) == "100.64.0.4:6000"


def test_a_subscriber_cannot_take_what_another_one_has(daemon: PcpCommand) -> None:
    lab = daemon.lab
    one, other = Client(lab, "100.64.0.5"), Client(lab, "100.64.0.6")
    told = one.map(UDP, 6000)

    second = other.map(UDP, 6000, wish=told.port, address=told.address)
    insists = other.map(UDP, 6001, wish=told.port, address=told.address, options=option(PREFER_FAILURE))
    closes = other.map(UDP, 6000, lifetime=0, nonce=b"another nonc")

    assert second.result == SUCCESS
    assert second.address != told.address
    assert insists.result == CANNOT_PROVIDE_EXTERNAL
    assert closes.result == NOT_AUTHORIZED
    assert arrives(lab, told.address, told.port) == "100.64.0.5:6000"


def test_only_the_nonce_that_opened_a_port_changes_it(daemon: PcpCommand) -> None:
    lab, client = daemon.lab, Client(daemon.lab, "100.64.0.7")
    told = client.map(UDP, 6000)

    again = client.map(UDP, 6000, lifetime=7200, wish=1029)
    other = client.map(UDP, 6000, nonce=b"another nonc")
    closes = client.map(UDP, 6000, lifetime=0, nonce=b"another nonc")

    assert (again.result, again.port, again.lifetime) == (SUCCESS, told.port, 7200)
    assert (other.result, closes.result) == (NOT_AUTHORIZED, NOT_AUTHORIZED)
    assert arrives(lab, told.address, told.port) == "100.64.0.7:6000"


def test_a_closed_port_is_closed(daemon: PcpCommand) -> None:
    """One, then all of a protocol; what is not open is closed already."""
    lab, client = daemon.lab, Client(daemon.lab, "100.64.0.8")
    ports = [client.map(UDP, 6000 + n).port for n in range(3)]

    assert client.map(UDP, 6000, lifetime=0)[2:4] == (SUCCESS, 0)
    assert arrives(lab, "200.0.2.0", ports[0]) is None
    assert arrives(lab, "200.0.2.0", ports[1]) == "100.64.0.8:6001"
    assert client.map(UDP, 0, lifetime=0).result == SUCCESS
    assert [arrives(lab, "200.0.2.0", port, sport=10) for port in ports] == [None, None, None]
    assert client.map(UDP, 6000, lifetime=0).result == SUCCESS


def test_a_subscriber_opens_so_many_ports_at_most(daemon: PcpCommand) -> None:
    """32 of 1,024; others are refused until one is closed, and other subscribers are not."""
    client = Client(daemon.lab, "100.64.0.9")

    results = [client.map(UDP, 6000 + n).result for n in range(32)]

    assert results == [SUCCESS] * 32
    assert client.map(TCP, 6000).result == USER_EX_QUOTA
    assert client.map(UDP, 6000).result == SUCCESS
    assert client.map(UDP, 6000, lifetime=0).result == SUCCESS
    assert client.map(TCP, 6000).result == SUCCESS
    assert Client(daemon.lab, "100.64.0.10").map(UDP, 6000).result == SUCCESS


def test_lifetimes_have_bounds(daemon: PcpCommand) -> None:
    client = Client(daemon.lab, "100.64.0.11")

    assert client.map(UDP, 6000, lifetime=1).lifetime == 120
    assert client.map(UDP, 6001, lifetime=0xFFFFFFFF).lifetime == 86400
    listed = daemon.lab.must("nft", "list", "set", "ip", "nfcompile", "forwarded_homes")
    assert re.search(r"200\.0\.2\.3 \. \d+ timeout 2m expires (1m5|2m)", listed), listed


def test_refusals_are_answered(daemon: PcpCommand) -> None:
    client = Client(daemon.lab, "100.64.0.12")
    own, other = client.address, as_ipv6("100.64.0.13")
    short = map_request(own, UDP, 6000)
    cases = {
        UNSUPP_VERSION: [request(MAP, own, version=1), request(MAP, own, version=77), b"\x03\x01"],
        UNSUPP_OPCODE: [request(PEER, own, rest=bytes(56)), request(99, own)],
        MALFORMED_REQUEST: [
            request(MAP, own)[:20],
            short[:40],
            short + b"\0\0",
            short + option(200, bytes(1100)),
            map_request(own, 0, 6000),
        ],
        UNSUPP_OPTION: [
            map_request(own, UDP, 6000, options=option(THIRD_PARTY, other)),
            map_request(own, UDP, 6000, options=option(FILTER, bytes(20))),
            map_request(own, UDP, 6000, options=option(127)),
        ],
        MALFORMED_OPTION: [
            map_request(own, UDP, 6000, options=b"\xc8\0\0\x20"),
            map_request(own, UDP, 6000, options=option(PREFER_FAILURE, b"four")),
            map_request(own, UDP, 6000, lifetime=0, options=option(PREFER_FAILURE)),
        ],
        UNSUPP_PROTOCOL: [map_request(own, 132, 6000), map_request(own, 0, 0), map_request(own, UDP, 0)],
        ADDRESS_MISMATCH: [map_request("100.64.0.13", UDP, 6000)],
        SUCCESS: [map_request(own, UDP, 6000, options=option(200, b"unknown")), request(0, own)],
    }

    for expected, asked in cases.items():
        for data in asked:
            told = read(client.ask(data))
            assert (told.version, told.result) == (2, expected), data


def test_who_may_ask(daemon: PcpCommand) -> None:
    """Neither whom the acl denies, nor a pool without the key; in a static pool all ports are open."""
    lab = daemon.lab

    assert Client(lab, "100.64.0.60").map(UDP, 6000).result == NOT_AUTHORIZED
    assert Client(lab, "100.64.2.9").map(UDP, 6000).result == NOT_AUTHORIZED
    assert Client(lab, "10.0.0.1").map(UDP, 6000).result == NOT_AUTHORIZED
    told = Client(lab, "192.168.0.5").map(UDP, 6000, wish=7000)
    assert (told.result, told.address, told.port) == (SUCCESS, "200.0.2.20", 6000)
    assert arrives(lab, "200.0.2.20", 6000) == "192.168.0.5:6000"


def test_the_acl_holds_for_connections_from_outside(daemon: PcpCommand) -> None:
    """The subscriber may not reach that host by tcp, so it is not reached by it."""
    told = Client(daemon.lab, "100.64.0.14").map(TCP, 6000)

    assert arrives(daemon.lab, told.address, told.port, TCP) == "100.64.0.14:6000"
    assert arrives(daemon.lab, told.address, told.port, TCP, far=FURTHER) is None


def test_other_subscribers_reach_an_opened_port(daemon: PcpCommand) -> None:
    """Hairpin: by the global address, and they are seen with theirs."""
    lab = daemon.lab
    told = Client(lab, "100.64.0.15").map(UDP, 6000)
    near = Packet(UDP, address("100.64.0.16"), 5000, address(told.address), told.port, 0)

    (seen,) = lab.flight([("lan0", near)])

    assert (seen[0].wire, address_text(seen[0].packet.destination)) == ("lan0", "100.64.0.15")
    assert seen[0].packet.destination_port == 6000
    assert address_text(seen[0].packet.source).startswith("200.0.2.")


def test_a_real_client_of_nat_pmp(daemon: PcpCommand) -> None:
    """libnatpmp asks for the global address, opens a port and closes it."""
    need("natpmpc")
    lab = daemon.lab
    Client(lab, "100.64.0.1").link.close()

    said = lab.must("natpmpc", "-g", SERVER, "-a", "1234", "6100", "udp", "600", side=INSIDE)

    assert "Public IP address : 200.0.2.1" in said
    mapped = re.search(r"Mapped public port (\d+) protocol UDP to local port 6100 li\w+ 600", said)
    assert mapped, said
    assert mapped[1] == "1234"
    assert arrives(lab, "200.0.2.1", 1234) == "100.64.0.1:6100"
    closed = lab.must("natpmpc", "-g", SERVER, "-a", "0", "6100", "udp", "0", side=INSIDE)
    assert re.search(r"local port 6100 li\w+ 0", closed), closed
    assert arrives(lab, "200.0.2.1", 1234, sport=10) is None


def test_nat_pmp_is_refused_with_its_own_codes(daemon: PcpCommand) -> None:
    client, denied = Client(daemon.lab, "100.64.0.17"), Client(daemon.lab, "100.64.0.60")

    assert client.ask(b"\0\x09")[:4] == b"\0\x89\0\x05"
    assert denied.ask(b"\0\0")[:4] == b"\0\x80\0\x02"
    assert denied.ask(b"\0\1\0\0\x17\x70\0\0\0\0\x0e\x10")[:4] == b"\0\x81\0\x02"


def test_a_flood_costs_its_sender_alone(daemon: PcpCommand) -> None:
    """Beyond the rate a subscriber is told to wait; another one is served as before."""
    client = Client(daemon.lab, "100.64.0.18")

    results = [client.map(UDP, 6000).result for _ in range(400)]

    assert results[0] == SUCCESS
    assert NO_RESOURCES in results
    assert set(results) == {SUCCESS, NO_RESOURCES}
    assert Client(daemon.lab, "100.64.0.19").map(UDP, 6000).result == SUCCESS


def test_any_bytes(daemon: PcpCommand) -> None:
    """Bytes without sense cost nothing but their answer, and the daemon says nothing of them."""
    client = Client(daemon.lab, "100.64.0.20")
    said = daemon.said()
    dropped = b"", b"\2", b"\2\x81" + bytes(58), b"\0\x80", b"\0\1\0", b"\xff" * 1400
    for data in (*dropped, b"\x7f" * 1400, bytes(1500)):
        client.link.send(data)

    told = [client.link.recv(2048) for _ in range(2)]

    assert [one[:4].hex() for one in told] == ["02ff0001", "00800000"]
    assert len(told[0]) == 1100
    assert daemon.said() == said


def test_what_is_open_outlives_the_daemon(daemon: PcpCommand) -> None:
    """Its successor knows who opened what, begins its epoch anew, and tells all subscribers."""
    lab, client = daemon.lab, Client(daemon.lab, "100.64.0.21")
    told = client.map(UDP, 6000)
    with lab.socket(INSIDE, socket.SOCK_DGRAM, ("0.0.0.0", 5350)) as heard:
        daemon.stop()
        assert arrives(lab, told.address, told.port) == "100.64.0.21:6000"
        daemon.start()
        announced = read(heard.recv(2048))

    again = client.map(UDP, 6000)

    assert (announced.version, announced.opcode, announced.result) == (2, 0, SUCCESS)
    assert client.map(UDP, 6000, nonce=b"another nonc").result == NOT_AUTHORIZED
    assert (again.port, again.address) == (told.port, told.address)
    assert again.epoch <= told.epoch + 60
    assert int(re.findall(r"; (\d+) ports are open", daemon.said())[0]) >= 1


def test_status_counts_open_ports(daemon: PcpCommand) -> None:
    """Of the pool that opens some; a pool without the key, or with whole addresses, has no such number."""
    lab, client = daemon.lab, Client(daemon.lab, "100.64.0.22")
    before = open_ports(daemon)
    told = [client.map(UDP, 6000 + number).result for number in range(3)]
    opened = open_ports(daemon)
    client.map(UDP, 6000, lifetime=0)
    closed = open_ports(daemon)

    text = lab.must(*NFCOMPILE, "status", str(daemon.folder / "site.yaml"))
    metrics = lab.must(
        *NFCOMPILE, "status", str(daemon.folder / "site.yaml"), "--format", "prometheus", "--full"
    )
    assert told == [SUCCESS] * 3
    assert [one["homes"] - before["homes"] for one in (opened, closed)] == [3, 2]
    assert (opened["shops"], opened["servers"]) == (None, None)
    assert "open ports" in text
    assert f'nfcompile_pool_open_ports{{pool="homes"}} {float(closed["homes"])}' in metrics
    assert 'nfcompile_pool_open_ports{pool="shops"}' not in metrics


def open_ports(daemon: PcpCommand) -> dict[str, int]:
    """By pool; `--full` counts them where the kernel does not say it."""
    site_file = str(daemon.folder / "site.yaml")
    told = json.loads(daemon.lab.must(*NFCOMPILE, "status", site_file, "--full", "--format", "json"))
    return {pool["pool"]: pool["open_ports"] for pool in told["pools"]}
