"""`status` and `exporter` against a kernel: the numbers are what the packets were."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nfcompile import __version__
from nfcompile.kernel import tally
from nfcompile.model.parse import address
from support.command import NFCOMPILE
from support.frames import ECHO, ICMP, SYN, TCP, UDP, Packet
from support.lab import Lab
from support.sites import site
from support.waiting import PATIENCE
from support.wires import GATEWAY

SITE = """version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {port_block_size: 8, timeouts_inactivity: {tcp_handshake: 300}}
acls:
  homes: {10: allow ip 100.64.0.0/24}
  blocks: {10: allow ip 10.0.0.0/24}
  lines: {10: allow ip 192.168.7.0/24}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/30],
          limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64, portlimit_icmp: 2}}
  blocks: {type: cgnat, acl: blocks, priority: 2, global_ip: [203.0.113.8], allocation: dynamic, hairpin: off,
           port_range: 1024-1039, limits_peruser: {portlimit_tcp: 8, portlimit_udp: 8}}
  lines: {type: nat, acl: lines, priority: 3, global_ip: [203.0.113.16/28]}
snat:
  rest: {src_cidr: 172.31.0.0/24, snat_ip: 172.32.0.9}
"""
FAR = address("198.18.0.1")


def packet(source: str, port: int = 5000, protocol: int = UDP) -> tuple[str, Packet]:
    flags = {TCP: SYN, ICMP: ECHO}.get(protocol, 0)
    return "lan0", Packet(protocol, address(source), port, FAR, 0 if protocol == ICMP else 443, flags)


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Path:
    """The site loaded, and connections: too many pings from 100.64.0.2, and three want two blocks."""
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    lab.load(site(SITE).text.text)
    lab.exchange(
        [
            *(packet("100.64.0.1", port) for port in range(5000, 5004)),
            packet("100.64.0.1", 6000, TCP),
            packet("100.64.0.2"),
            *(packet("100.64.0.2", number, ICMP) for number in range(5)),
            *(packet(f"10.0.0.{number}") for number in (1, 2, 3)),
            packet("192.168.7.9"),
            packet("172.31.0.77"),
        ]
    )
    return path


def run(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    return lab.run(*NFCOMPILE, *arguments)


def status(lab: Lab, *arguments: str) -> dict[str, Any]:
    done = run(lab, "status", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {pool["pool"]: pool for pool in found["pools"]}


def test_the_use_of_each_pool(lab: Lab, gateway: Path) -> None:
    found = status(lab, str(gateway))
    homes, blocks, lines = by_name(found).values()

    assert found["sessions_counted"]
    assert found["missing"] == []
    assert (homes["sessions"], homes["active_subscribers"], homes["subscribers"]) == (8, 2, 256)
    assert (homes["blocks_assigned"], homes["addresses"]) == (256, 4)
    assert homes["addresses_used"] == 2
    assert homes["mapping_entries"] == 6
    assert (blocks["blocks"], blocks["blocks_assigned"], blocks["assignments"]) == (2, 2, 2)
    assert (blocks["sessions"], blocks["active_subscribers"], blocks["mapping_entries"]) == (2, 2, None)
    assert (lines["blocks"], lines["blocks_assigned"], lines["addresses_used"]) == (16, 1, 1)
    assert found["snat"] == [{"rule": "rest", "path": "snat.rest", "sessions": 1, "active_subscribers": 1}]
    assert found["connections"] >= 12
    assert found["connections_limit"] > found["connections"]


def test_what_was_dropped_and_why(lab: Lab, gateway: Path) -> None:
    lab.flight([("wan0", Packet(TCP, FAR, 999, address("203.0.113.0"), 3, SYN))])
    dropped = {drop["reason"]: drop for drop in status(lab, str(gateway))["drops"] if drop["packets"]}

    # These two count since the namespace was made: whatever other tests have met is in them.
    assert dropped.keys() - {"ports_taken", "connections_full"} == {
        "icmp_limit",
        "refused",
        "exhausted",
        "unsolicited",
    }
    assert (dropped["icmp_limit"]["packets"], dropped["icmp_limit"]["pool"]) == (1, "homes")
    assert (dropped["refused"]["packets"], dropped["refused"]["path"]) == (2, "pools")
    assert dropped["icmp_limit"]["path"] == "pools.homes.limits_peruser.portlimit_icmp"
    assert (dropped["exhausted"]["packets"], dropped["exhausted"]["pool"]) == (1, "blocks")
    assert dropped["exhausted"]["bytes"] > 0
    assert (dropped["unsolicited"]["packets"], dropped["unsolicited"]["pool"]) == (1, None)


def test_the_busiest_subscribers(lab: Lab, gateway: Path) -> None:
    top = status(lab, str(gateway), "--top", "2")["top"]

    assert [
        (one["subscriber"], one["pool"], one["sessions"], one["tcp"], one["udp"], one["icmp"]) for one in top
    ] == [
        ("100.64.0.1", "homes", 5, 1, 4, 0),
        ("100.64.0.2", "homes", 3, 0, 1, 2),
    ]


def test_text_says_the_same(lab: Lab, gateway: Path) -> None:
    lines = run(lab, "status", str(gateway), "--top", "1").stdout.splitlines()
    words = [line.split() for line in lines]

    assert ["homes", "cgnat", "2/256", f"256/{4 * ((65536 - 1024) // 64)}", "2/4", "6", "8"] in words
    assert ["rest", "1", "1"] in words
    assert ["100.64.0.1", "pools.homes", "5", "1", "4", "0"] in words
    assert any("pools.homes.limits_peruser.portlimit_icmp" in line for line in lines)


def test_a_terminal_gets_tables_and_can_do_without_colours(lab: Lab, gateway: Path) -> None:
    shown = lab.ask(GATEWAY, _on_terminal, [*NFCOMPILE, "status", str(gateway), "--no-color"])

    assert "─" in shown
    assert "homes" in shown
    assert "\x1b[" not in shown


def _on_terminal(command: list[str]) -> str:
    parent, child = pty.openpty()
    process = subprocess.Popen(command, stdout=child, stderr=child)
    os.close(child)
    shown = b""
    try:
        while data := os.read(parent, 4096):
            shown += data
    except OSError:  # the other end of a terminal is closed
        pass
    process.wait(PATIENCE)
    os.close(parent)
    return shown.decode()


def test_another_sites_ruleset_is_said(lab: Lab, gateway: Path) -> None:
    gateway.write_text(SITE.replace("homes: {type", "flats: {type"))
    done = run(lab, "status", str(gateway))

    assert done.returncode == 0
    assert "the ruleset in the kernel is not this site's (it has no counter '" in done.stderr


def test_one_sentence_where_nothing_is_loaded(lab: Lab, gateway: Path) -> None:
    lab.must("nft", "flush", "ruleset")
    done = run(lab, "status", str(gateway))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "nfcompile: error: no ruleset of nfcompile is loaded here; apply the site first\n"


def test_prometheus_text_is_read_by_the_client(lab: Lab, gateway: Path) -> None:
    samples = read(run(lab, "status", str(gateway), "--format", "prometheus").stdout)

    assert samples["nfcompile_up", ()] == 1
    assert samples["nfcompile_pool_sessions", (("pool", "homes"),)] == 8
    assert samples["nfcompile_pool_assignments_total", (("pool", "blocks"),)] == 2
    assert samples["nfcompile_dropped_packets_total", (("pool", "homes"), ("reason", "icmp_limit"))] == 1
    assert samples["nfcompile_dropped_packets_total", (("pool", ""), ("reason", "unsolicited"))] == 0
    assert samples["nfcompile_snat_sessions", (("rule", "rest"),)] == 1


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_watch_shows_one_block_after_the_other_and_ends(lab: Lab, gateway: Path) -> None:
    command = [*NFCOMPILE, "status", str(gateway), "--watch", "--interval", "0.1", "--format", "json"]
    lines, code = lab.ask(GATEWAY, _first_lines, command, 3)

    assert [json.loads(line)["snat"][0]["sessions"] for line in lines] == [1, 1, 1]
    assert code == 130


def test_watch_ends_with_the_pipe_it_writes_to(lab: Lab, gateway: Path) -> None:
    command = " ".join(["status", str(gateway), "--watch", "--interval", "0.1"])
    shell = f'"$@" {command} | head -1; echo ${{PIPESTATUS[0]}}'
    done = lab.run("bash", "-c", shell, "bash", *NFCOMPILE)

    assert done.stdout.splitlines()[1:] == ["141"]
    assert done.stdout.startswith("connections: ")
    assert done.stderr == ""


def _first_lines(command: list[str], number: int) -> tuple[list[str], int]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(number)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        return lines, process.wait(PATIENCE)


def test_every_scrape_of_the_exporter_asks_anew(lab: Lab, gateway: Path) -> None:
    holder = f"/proc/{lab.ask(GATEWAY, os.getpid)}/ns/net"
    command = [*NFCOMPILE, "exporter", str(gateway), "--netns", holder, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address_ = process.stderr.readline().split()[-1]
        try:
            before = scrape(address_)
            lab.exchange([packet("100.64.0.77", 1), packet("100.64.0.77", 2)])
            after = scrape(address_)
            lab.must("nft", "flush", "ruleset")
            gone = scrape(address_)
        finally:
            process.terminate()
            code = process.wait(PATIENCE)

    key = "nfcompile_pool_sessions", (("pool", "homes"),)
    assert after[key] - before[key] == 2
    assert gone.pop(("nfcompile_build_info", (("version", __version__),))) == 1
    assert gone == {("nfcompile_up", ()): 0}
    assert code == 0


def scrape(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return read(answer.read().decode())


def test_counting_elements_without_the_kernels_help_gives_the_same(
    lab: Lab, gateway: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels before 6.16 do not say how many elements a set has."""
    told = lab.ask(GATEWAY, _tally).elements
    walked = lab.ask(GATEWAY, _tally_of_an_old_kernel).elements

    names = ["eim_homes", "taken_blocks", "taken_lines"]
    assert [walked[name] for name in names] == [6, 2, 1]
    if told["taken_blocks"] is not None:
        assert [told[name] for name in names] == [6, 2, 1]
    assert walked["global_addresses"] is None


def _tally() -> tally.Tally:
    return tally.read()


def _tally_of_an_old_kernel() -> tally.Tally:
    tally._SET_COUNT = 999
    try:
        return tally.read(walk=frozenset({"eim_homes", "taken_blocks", "taken_lines"}))
    finally:
        tally._SET_COUNT = 20


def test_no_privilege_is_one_sentence(lab: Lab, gateway: Path) -> None:
    command = [
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        "--inh-caps=-all",
        *NFCOMPILE,
    ]
    os.chmod(gateway.parent, 0o755)
    done = lab.run(*command, "status", "-", stdin=SITE)

    assert done.returncode == 1
    assert done.stderr.startswith("nfcompile: error: permission denied reading the ")


FULL_BLOCK = SITE.replace(
    "limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64, portlimit_icmp: 2}", "MORE"
).replace("          MORE", "          hairpin: off, limits_peruser: {portlimit_tcp: 8, portlimit_udp: 8}")


def test_a_full_block_is_not_a_full_connection_table(lab: Lab, tmp_path: Path) -> None:
    """Eight ports, twelve sockets: conntrack counts each refusal as insert_failed and as drop."""
    path = tmp_path / "site.yaml"
    path.write_text(FULL_BLOCK)
    lab.load(site(FULL_BLOCK).text.text)
    before = said(lab, path)
    lab.exchange([packet("100.64.0.1", 5000 + number) for number in range(12)])

    after = said(lab, path)
    new = {reason: packets - before.get(reason, 0) for reason, packets in after.items()}
    assert (new["ports_taken"], new["connections_full"]) == (4, 0)


def said(lab: Lab, path: Path) -> dict[str, int]:
    """Packets by reason."""
    told = json.loads(lab.must(*NFCOMPILE, "status", str(path), "--format", "json"))
    return {drop["reason"]: drop["packets"] for drop in told["drops"]}
