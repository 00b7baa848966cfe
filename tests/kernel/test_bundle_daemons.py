"""What `build --bundle` writes, given to its readers: systemd, logrotate and ulogd."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from support.bundles import made, need, run

OUTPUTS = ("json:/var/log/nfcompile/log.jsonl", "postgresql://nat@db/nat?options=-csearch_path%3Dnat")


@pytest.mark.parametrize("outputs", [(), OUTPUTS], ids=["ulogd", "own"])
def test_systemd_takes_the_units(tmp_path, outputs):
    need("systemd-analyze", "ulogd")
    folder = made(tmp_path, outputs=outputs)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nfcompile").symlink_to(shutil.which("true") or "/bin/true")
    script = f"""
    mount --bind {tmp_path}/bin /usr/local/bin
    systemd-analyze verify --man=no $BUNDLE/etc/systemd/system/*.service 2>&1
    """
    assert run(script, folder, tmp_path / "out") == ""


def test_logrotate_takes_the_file_of_our_own_log(tmp_path):
    need("logrotate")
    folder = made(tmp_path, outputs=OUTPUTS)
    script = """
    mount -t tmpfs tmpfs /var/log
    mkdir /var/log/nfcompile
    echo one >/var/log/nfcompile/log.jsonl
    sed -i 's/systemctl .*/touch \\/run\\/reloaded/' $BUNDLE/etc/logrotate.d/nfcompile
    chown root:root $BUNDLE/etc/logrotate.d/nfcompile
    logrotate --force --state /run/state $BUNDLE/etc/logrotate.d/nfcompile 2>&1
    ls /var/log/nfcompile /run/reloaded
    """
    assert run(script, folder, tmp_path / "out").split() == [
        *("/run/reloaded", "/var/log/nfcompile:", "log.jsonl.1"),
    ]


def test_logrotate_takes_its_file(tmp_path):
    need("logrotate", "ulogd")
    folder = made(tmp_path)
    script = """
    mount -t tmpfs tmpfs /var/log
    mkdir /var/log/nfcompile
    echo one >/var/log/nfcompile/connections.json
    chown -R ulog:ulog /var/log/nfcompile
    sed -i 's/systemctl .*/touch \\/run\\/reloaded/' $BUNDLE/etc/logrotate.d/nfcompile
    chown root:root $BUNDLE/etc/logrotate.d/nfcompile
    logrotate --force --state /run/state $BUNDLE/etc/logrotate.d/nfcompile 2>&1
    ls /var/log/nfcompile /run/reloaded
    """
    assert run(script, folder, tmp_path / "out").split() == [
        *("/run/reloaded", "/var/log/nfcompile:", "connections.json.1"),
    ]


FIRST = """
import socket, sys, time
sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(40001, 41001):
    sending.sendto(b"x", ("127.0.0.1", port))
    time.sleep(0.1)
    try:
        if open(sys.argv[1]).read():
            break
    except FileNotFoundError:
        pass
"""
"""Connections one after the other until one is in the log: ulogd has begun."""
BURST = """
import socket
most = int(open("/proc/sys/net/netfilter/nf_conntrack_max").read())
sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(1, min(30_000, most // 2) + 1):
    sending.sendto(b"x", ("127.0.0.1", port))
print(port)
"""
DRAINED = """
import json, sys, time
def seen():
    with open("/proc/net/netlink") as table:
        rows = [line.split() for line in table][1:]
    waiting = sum(int(row[4]) for row in rows if row[1] == "12")
    drops = sum(int(row[8]) for row in rows if row[1] == "12")
    with open(sys.argv[1]) as log:
        written = {json.loads(line)["orig.l4.dport"] for line in log if line.endswith("\\n")}
    return len(written - {*range(40001, 41001)}), waiting, drops
until, readings = time.monotonic() + 200, []
while time.monotonic() < until:
    readings = [*readings[-2:], seen()]
    written, waiting, _ = readings[-1]
    if written >= int(sys.argv[2]) or (not waiting and readings == readings[:1] * 3):
        break
    time.sleep(1)
print(readings[-1][2])
"""
"""Wait until all is written, or nothing waits in the sockets of netfilter and the log has not grown for two
seconds; how many messages were lost."""


def test_ulogd_loses_nothing_of_a_burst(tmp_path):
    """30,000 connections, or half of what the machine's table of connections takes, while ulogd gets no
    processor at all: the kernel has room for each message, and each connection is in the log."""
    need("ulogd")
    folder = made(tmp_path)
    (tmp_path / "first.py").write_text(FIRST)
    (tmp_path / "burst.py").write_text(BURST)
    (tmp_path / "drained.py").write_text(DRAINED)
    script = f"""
    ip link set lo up
    mount -t tmpfs tmpfs /var/log
    mkdir /var/log/nfcompile
    nft -f $BUNDLE/etc/nfcompile/ruleset.nft
    sed -i 's/^logfile=.*/logfile="stdout"/' $BUNDLE/etc/nfcompile/ulogd.conf
    ulogd --configfile $BUNDLE/etc/nfcompile/ulogd.conf >$OUT/ulogd 2>&1 & daemon=$!
    log=/var/log/nfcompile/connections.json
    {sys.executable} {tmp_path}/first.py $log
    kill -STOP $daemon
    opened=$({sys.executable} {tmp_path}/burst.py)
    kill -CONT $daemon
    echo $opened
    {sys.executable} {tmp_path}/drained.py $log $opened
    kill $daemon
    cat $log
    """
    opened, lost, *lines = run(script, folder, tmp_path / "out").splitlines()
    records = [json.loads(line) for line in lines]

    ports = {one["orig.l4.dport"] for one in records if one["dest_ip"] == "127.0.0.1"}
    assert int(lost) == 0
    assert int(opened) >= 1000
    assert set(range(1, int(opened) + 1)) - ports == set()
