"""What `build --bundle` writes, given to its readers: lldpd."""

from __future__ import annotations

import sys

from support.bundles import COMMAND, FLAT, made, need, run

LLDP = """
import socket, sys, time
end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88CC))
end.bind(("far-wan0", 0))
open(sys.argv[2], "w").close()
end.settimeout(100)
until = time.monotonic() + 100
while time.monotonic() < until:
    frame = end.recv(2000)
    if sys.argv[1].encode() in frame:
        print("announced")
        break
"""


def test_lldpd_announces_the_sites_name_on_the_wire(tmp_path):
    """lldpd announces itself as it begins, and again after 30 s: the listener is there before it."""
    need("lldpd", "lldpcli")
    folder = made(tmp_path)
    (tmp_path / "listen.py").write_text(LLDP)
    script = f"""
    mkdir -p /run/lldpd
    ip link set wan0 up
    {sys.executable} {tmp_path}/listen.py nat-1.example.net $OUT/listens & listener=$!
    for i in $(seq 300); do [ -e $OUT/listens ] && break; sleep 0.1; done
    cp -r $BUNDLE/etc/lldpd.d /run/  # which its user may read
    lldpd -d -u /run/lldpd.socket -O /run/lldpd.d 2>$OUT/lldpd & daemon=$!
    wait $listener
    kill $daemon
    """
    assert run(script, folder, tmp_path / "out") == "announced\n"


NAME = "lldpcli show chassis | sed -n 's/.*SysName: *//p'"
HOST = f"{COMMAND} host"


def test_host_apply_tells_lldpd_and_host_revert_takes_it_back(tmp_path):
    """The one part of `host apply` that is no namespace's; the other files of lldpd hold again afterwards."""
    need("lldpd", "lldpcli")
    folder = made(tmp_path, site=FLAT)
    script = f"""
    mkdir -p /run/lldpd
    mount -t tmpfs tmpfs /etc/lldpd.d
    echo "configure system hostname 'as-before'" >/etc/lldpd.d/own.conf
    for name in lan0 wan0; do ip link set $name up; done
    lldpd -d 2>$OUT/lldpd & daemon=$!
    for i in $(seq 50); do [ "$({NAME})" = as-before ] && break; sleep 0.1; done
    {NAME}
    {HOST} apply $BUNDLE/etc/nfcompile/site.yaml --state-dir $OUT/state >$OUT/apply
    {NAME}
    cat /etc/lldpd.d/nfcompile.conf
    {HOST} check $BUNDLE/etc/nfcompile/site.yaml | grep -i lldp
    {HOST} revert --state-dir $OUT/state >$OUT/revert
    {NAME}
    ls /etc/lldpd.d
    kill $daemon
    """
    assert run(script, folder, tmp_path / "out").splitlines() == [
        "as-before",
        "nat-1.example.net",
        'configure system hostname "nat-1.example.net"',
        "ok       LLDP daemon: runs",
        "ok       name in LLDP: nat-1.example.net",
        "as-before",
        "own.conf",
    ]


def test_lldp_off_silences_the_sites_interfaces(tmp_path):
    need("lldpd", "lldpcli")
    folder = made(tmp_path, site=FLAT.replace("lldp_hostname: nat-1.example.net", "lldp: off"))
    script = f"""
    mkdir -p /run/lldpd
    mount -t tmpfs tmpfs /etc/lldpd.d
    for name in lan0 wan0; do ip link set $name up; done
    lldpd -d 2>$OUT/lldpd & daemon=$!
    for i in $(seq 50); do [ -n "$({NAME})" ] && break; sleep 0.1; done
    {HOST} check $BUNDLE/etc/nfcompile/site.yaml | grep LLDP || true
    {HOST} apply $BUNDLE/etc/nfcompile/site.yaml --state-dir $OUT/state >$OUT/apply
    {HOST} check $BUNDLE/etc/nfcompile/site.yaml | grep LLDP
    {HOST} revert --state-dir $OUT/state >$OUT/revert
    {HOST} check $BUNDLE/etc/nfcompile/site.yaml | grep LLDP || true
    kill $daemon
    """
    assert run(script, folder, tmp_path / "out").splitlines() == [
        *("differs  LLDP: on at lan0, wan0, should be: off", "ok       LLDP: off"),
        "differs  LLDP: on at lan0, wan0, should be: off",
    ]
