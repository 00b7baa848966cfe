"""Two gateways that stand in for each other, between subscribers and the Internet, with the daemons and the
files that `build --bundle` makes.

    inner ---- switch ---- gw1, gw2 ---- switch ---- world        gw1 ---- sync ---- gw2

Every node has /run, /etc/keepalived and /etc/conntrackd of its own: what their packages put there, and the
bundle's files, as they are. Everything has names in /run/netns, so it belongs into scripts/in-namespaces.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

NODES = ("gw1", "gw2")
NAMESPACES = (*NODES, "inner", "world", "switch")
BIN = Path(sys.executable).parent
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
SERVER = "192.0.2.10"

ALL_KINDS = """\
nat_defaults: {port_block_size: 64}
gateway: {secondary_ips: [198.18.2.201-198.18.2.206]}
acls:
  plain: {10: allow ip 100.64.1.0/28}
  eim: {10: allow ip 100.64.2.0/28}
  blocks: {10: allow ip 100.64.3.0/28}
  whole: {10: allow ip 100.64.4.0/28}
pools:
  plain: {type: cgnat, acl: plain, priority: 100, global_ip: [203.0.113.16/30], hairpin: off}
  eim: {type: cgnat, acl: eim, priority: 110, global_ip: [203.0.113.20/30], filtering: endpoint_independent}
  blocks:
    type: cgnat
    acl: blocks
    priority: 120
    global_ip: [203.0.113.24/31]
    allocation: dynamic
    filtering: endpoint_independent
    port_range: 1024-3071
    limits_peruser: {portlimit_tcp: 64, portlimit_udp: 64, portlimit_icmp: 64}
  whole: {type: nat, acl: whole, priority: 130, global_ip: [203.0.113.32/28]}
  lines: {type: static, priority: 50, global_map: {100.64.5.0/28: 203.0.113.64/28}}
dnat:
  web: {protocol: tcp, dst_port: 7001, dnat_port: 8080, mark: 10}
  api: {protocol: udp, dst_port: 7001, dnat_port: 8080, mark: 11}
snat:
  web: {mark: 10, snat_ip: 198.18.2.201}
  api: {mark: 11, snat_ip: 198.18.2.203-198.18.2.206}
"""
"""A site with all kinds of pools, and customized SNAT and DNAT with secondary addresses."""

HEAD = """\
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
pairs: {east: {virtual: {lan0: [198.18.1.254/24], wan0: [198.18.2.254/24]}, advert: ADVERT, unicast: UNICAST}}
nodes:
  gw1: {pair: east, priority: 250, sync: {interface: sync0, address: 198.18.3.1},
        addresses: {lan0: 198.18.1.1/24, wan0: 198.18.2.1/24}}
  gw2: {pair: east, priority: 240, sync: {interface: sync0, address: 198.18.3.2},
        addresses: {lan0: 198.18.1.2/24, wan0: 198.18.2.2/24}}
"""


class PairLab:
    """The two nodes; `folder` has everything that they write."""

    def __init__(self, folder: Path, site: str, advert: str = "0.1", unicast: str = "off") -> None:
        self.folder = folder
        self.site = folder / "site.yaml"
        self.site.write_text(HEAD.replace("ADVERT", advert).replace("UNICAST", unicast) + site)
        self.daemons: dict[tuple[str, str], subprocess.Popen[bytes]] = {}

    # ---- building

    @contextmanager
    def up(self) -> Iterator[PairLab]:
        """Build all of it, and take it away."""
        self.clean()
        try:
            self._wire()
            for node in NODES:
                self._node(node)
            for node in NODES:
                self.start(node)
            self._server()
            self.wait(lambda: self.is_master("gw1"), "gw1 is master")
            self.wait(lambda: self.gate("gw1") == "open", "the gate of gw1 is open")
            yield self
        finally:
            self.clean()

    def _wire(self) -> None:
        for name in NAMESPACES:
            run("ip", "netns", "add", name)
            inside(name, "ip link set lo up")
        inside("switch", "for b in lan wan; do ip link add br-$b type bridge; ip link set br-$b up; done")
        wires = [("inner", "eth0", "lan"), ("world", "eth0", "wan")]
        wires += [(node, f"{side}0", side) for node in NODES for side in ("lan", "wan")]
        for name, interface, side in wires:
            port = f"{side}-{name}"
            run(*f"ip link add {interface} netns {name} type veth peer name {port} netns switch".split())
            inside("switch", f"ip link set {port} master br-{side} up")
            inside(name, f"ip link set {interface} up")
        run(
            *[
                "ip",
                "link",
                "add",
                "sync0",
                "netns",
                "gw1",
                "type",
                "veth",
                "peer",
                "name",
                "sync0",
                "netns",
                "gw2",
            ]
        )
        inside(
            "inner",
            "ip addr add 198.18.1.100/24 dev eth0; ip route add default via 198.18.1.254;"
            "ip route add local 100.64.0.0/10 dev lo",
        )
        inside(
            "world",
            f"ip addr add 198.18.2.100/24 dev eth0; ip addr add {SERVER}/32 dev lo;"
            "for g in 203.0.113.0/24 200.0.0.0/24; do ip route add $g via 198.18.2.254; done",
        )

    def _node(self, node: str) -> None:
        number = NODES.index(node) + 1
        inside(
            node,
            f"""ip link set sync0 up; ip addr add 198.18.3.{number}/24 dev sync0
            ip addr add 198.18.1.{number}/24 dev lan0; ip addr add 198.18.2.{number}/24 dev wan0
            for i in all lan0 wan0; do
                sysctl -qw net.ipv4.conf.$i.rp_filter=0 net.ipv4.conf.$i.send_redirects=0
            done
            ip route add 100.64.0.0/10 via 198.18.1.100; ip route add default via 198.18.2.100""",
        )
        for part in ("run/lock", "bundle"):
            (self.folder / node / part).mkdir(parents=True)
        self.nfcompile(
            node, "build", str(self.site), "--node", node, "--bundle", str(self.folder / node / "bundle")
        )
        self._copy_bundle(node)
        for name, value in self.sysctls(node).items():
            inside(node, f"sysctl -qw {name}={value} 2>/dev/null || true")
        self.nfcompile(node, "apply", str(self.site), "--node", node, "--yes")

    def _copy_bundle(self, node: str) -> None:
        """`cp -r DIR/etc /` of docs/ha.md, for the node's own folders. keepalived 2.3 does not start without
        the file `keepalived.config-opts` of its package."""
        own = self.folder / node
        for daemon in ("keepalived", "conntrackd"):
            for source in (Path("/etc"), own / "bundle/etc"):
                shutil.copytree(source / daemon, own / "etc" / daemon, dirs_exist_ok=True)

    def sysctls(self, node: str) -> dict[str, str]:
        text = (self.folder / node / "bundle/etc/sysctl.d/60-nfcompile.conf").read_text()
        pairs = (line.split(" = ") for line in text.splitlines() if " = " in line)
        return dict(pairs)

    def _server(self) -> None:
        script = Path(__file__).with_name("pair_server.py")
        command = ["ip", "netns", "exec", "world", sys.executable, "-P", str(script)]
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, start_new_session=True, preexec_fn=die_with_parent
        )
        self.daemons["world", "server"] = server
        assert server.stdout
        assert server.stdout.readline() == b"ready\n"

    # ---- the daemons of a node

    def start(self, node: str) -> None:
        """conntrackd, the answers to the peer, and keepalived, as systemd would."""
        shutil.rmtree(self.folder / node / "run")
        (self.folder / node / "run/lock").mkdir(parents=True)
        self.start_conntrackd(node)
        self.spawn(node, "serve", str(BIN / "nfcompile"), "ha", "serve")
        self.spawn(node, "keepalived", "keepalived", "--dont-fork", "--log-console", "--log-detail")

    def start_conntrackd(self, node: str) -> None:
        for stale in ("lock/conntrack.lock", "conntrackd.ctl"):
            (self.folder / node / "run" / stale).unlink(missing_ok=True)
        self.spawn(node, "conntrackd", "conntrackd")
        self.wait((self.folder / node / "run/conntrackd.ctl").exists, f"conntrackd of {node} runs")

    def spawn(self, node: str, name: str, *command: str) -> None:
        with open(self.folder / node / f"{name}.log", "ab") as log:
            self.daemons[node, name] = subprocess.Popen(
                self.of_node(node, *command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment(node), start_new_session=True,
                preexec_fn=die_with_parent,
            )  # fmt: skip

    def kill(self, node: str, *names: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End daemons of a node, and what they have started."""
        for name in names or ("keepalived", "conntrackd", "serve"):
            daemon = self.daemons.pop((node, name), None)
            if daemon is not None:
                with suppress(ProcessLookupError):
                    os.killpg(daemon.pid, how)
                daemon.wait(10)

    def power_cut(self, node: str) -> None:
        """All links at once, then all processes."""
        inside("switch", f"ip link set lan-{node} down; ip link set wan-{node} down")
        inside(node, "ip link set sync0 down")
        self.kill(node)

    def reboot(self, node: str) -> None:
        """A node that had a power cut comes back with nothing but its disk."""
        inside(
            node,
            "nft flush ruleset; conntrack -F 2>/dev/null; ip addr flush dev lan0; ip addr flush dev wan0",
        )
        number = NODES.index(node) + 1
        inside(
            node,
            f"ip addr add 198.18.1.{number}/24 dev lan0; ip addr add 198.18.2.{number}/24 dev wan0;"
            "ip link set sync0 up; ip route replace 100.64.0.0/10 via 198.18.1.100;"
            "ip route replace default via 198.18.2.100",
        )
        self.nfcompile(node, "boot")
        inside("switch", f"ip link set lan-{node} up; ip link set wan-{node} up")
        self.start(node)

    # ---- asking

    def nfcompile(self, node: str, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            self.of_node(node, str(BIN / "nfcompile"), *arguments),
            capture_output=True, text=True, env=self.environment(node), timeout=60, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, (
            f"{node}: {arguments}: {done.stdout[-500:]}{done.stderr[-1500:]}"
        )
        return done.stdout

    def status(self, node: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.nfcompile(node, "ha", "status", "--format", "json", check=False)
        )
        return found

    def gate(self, node: str) -> str:
        done = in_namespace(node, "nft", "list", "set", "ip", "nfcompile", "gate")
        return "open" if '"wan0"' in done else "closed"

    def is_master(self, node: str) -> bool:
        return all(
            f"198.18.{net}.254" in in_namespace(node, "ip", "-4", "-o", "addr", "show", "dev", device)
            for net, device in ((1, "lan0"), (2, "wan0"))
        )

    def of_node(self, node: str, *command: str) -> list[str]:
        """A command as a node runs it: its network, and its own /run and configuration."""
        own = self.folder / node
        binds = f"mount --bind {own}/run /run;"
        binds += f"if [ -d {own}/etc ]; then mount --bind {own}/etc/keepalived /etc/keepalived;"
        binds += f"mount --bind {own}/etc/conntrackd /etc/conntrackd; fi;"
        return ["ip", "netns", "exec", node, "sh", "-c", f'{binds} exec "$@"', "sh", *command]

    def environment(self, node: str) -> dict[str, str]:
        path = f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin"
        return {
            "PATH": path,
            "NFCOMPILE_STATE_DIR": str(self.folder / node / "state"),
            "HOME": "/",
            "LANG": "C.UTF-8",
        }

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 20) -> float:
        """Wait until something is so; how long it took."""
        begun = time.monotonic()
        while not condition():
            if time.monotonic() - begun > seconds:
                raise AssertionError(f"not so after {seconds} s: {what}\n{self.logs()}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def logs(self) -> str:
        files = sorted(self.folder.glob("gw*/*.log"))
        return "".join(f"== {file.parent.name}/{file.name}\n{file.read_text()[-1500:]}" for file in files)

    def clean(self) -> None:
        for node, name in list(self.daemons):
            self.kill(node, name)
        there = in_namespace("", "ip", "netns", "list").split()
        for name in NAMESPACES:
            if name in there:
                for pid in in_namespace("", "ip", "netns", "pids", name).split():
                    if int(pid) != os.getpid():
                        with suppress(OSError):
                            os.kill(int(pid), signal.SIGKILL)
                run("ip", "netns", "del", name)


def die_with_parent() -> None:
    """Between fork and exec: whatever ends the test ends its daemons."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def inside(namespace: str, script: str) -> str:
    return run("ip", "netns", "exec", namespace, "sh", "-c", script)


def in_namespace(namespace: str, *command: str) -> str:
    """What a command says, whether it ends well or not."""
    prefix = ["ip", "netns", "exec", namespace] if namespace else []
    return subprocess.run([*prefix, *command], capture_output=True, text=True, timeout=30, check=False).stdout


def socket_of(namespace: str, kind: socket.SocketKind) -> socket.socket:
    """A socket that belongs to a namespace."""
    made: list[socket.socket] = []

    def work() -> None:
        with open(f"/run/netns/{namespace}") as name:
            assert ctypes.CDLL(None, use_errno=True).setns(name.fileno(), CLONE_NEWNET) == 0
        made.append(socket.socket(socket.AF_INET, kind))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    return made[0]
