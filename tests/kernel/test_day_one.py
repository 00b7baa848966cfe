"""docs/day-one.md, typed word for word: in the end a subscriber's packet leaves with a global address.

The machine of the page is this one, under an overlay that vanishes, in namespaces of its own. What it takes
from a network (the first block, marked `bash`) is there already. `systemctl` enables units as ever; what it
would start is started by a stand-in, which fails where it cannot.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.lab import cannot
from support.privilege import is_root

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/day-one.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NEEDED = ("/lib/systemd/systemd-networkd", "lldpd", "lldpcli", "systemctl", "conntrack")

# The machine before step 2: two wires, to a subscriber and to the Internet; an empty state directory.
MACHINE = r"""
set -eu
work=$1
mount -t tmpfs tmpfs $work
mkdir $work/upper $work/temporary $work/root
mount -t overlay -o lowerdir=/,upperdir=$work/upper,workdir=$work/temporary overlay $work/root
cd $work/root
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs run
mkdir -p run/netns run/lldpd run/systemd/netif/links run/systemd/netif/leases run/systemd/netif/lldp
chown -R systemd-network:systemd-network run/systemd/netif
rm -rf var/lib/nfcompile etc/nfcompile etc/systemd/network/* etc/lldpd.d/*
rm -f etc/systemd/system/*.wants/nfcompile*
cp $2/nfcompile usr/local/bin/nfcompile
cp $2/systemctl usr/local/sbin/systemctl
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec chroot . env -u NFCOMPILE_STATE_DIR PATH=$path bash $2/typed
"""
WIRES = """
set -eu
ip link set lo up
sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
ip netns add home
ip netns add internet
ip link add lan0 type veth peer name far netns home
ip link add wan0 type veth peer name far netns internet
ip -n home link set far up
ip -n home address add 100.64.0.10/22 dev far
ip -n home route add default via 100.64.0.1
ip -n internet link set lo up
ip -n internet link set far up
ip -n internet address add 192.0.2.1/30 dev far
ip -n internet address add 198.51.100.1/32 dev lo
ip -n internet route add 203.0.113.0/28 via 192.0.2.2
sent() { ip netns exec home python3 -c '
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.settimeout(5)
one.sendto(b"who am I", ("198.51.100.1", 9))
print(one.recv(99).decode())' 2>/dev/null || echo "no answer"; }
ip netns exec internet python3 -c '
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("198.51.100.1", 9))
while True:
    _, sender = one.recvfrom(99)
    one.sendto(f"you are {sender[0]}".encode(), sender)' &
"""
SYSTEMCTL = r"""#!/bin/bash
# Enables as ever (which works without systemd); then starts what is asked for by name.
/usr/bin/systemctl "$@" 2>&1 | grep -v chroot
case "$1 $*" in "restart "* | *--now*) ;; *) exit 0 ;; esac
for name in "$@"; do
    case $name in
        systemd-networkd)
            [ -s /run/networkd.pid ] && kill "$(cat /run/networkd.pid)" && sleep 0.5
            /lib/systemd/systemd-networkd >/run/networkd.log 2>&1 & echo $! >/run/networkd.pid
            for i in $(seq 50); do ip -4 route show default | grep -q wan0 && break; sleep 0.2; done ;;
        systemd-sysctl)
            /lib/systemd/systemd-sysctl /etc/sysctl.d/60-nfcompile.conf 2>&1 | grep -v nf_conntrack_ ;;
        lldpd)
            lldpcli show chassis >/dev/null 2>&1 && kill "$(cat /run/lldpd.pid)" && sleep 0.5
            rm -f /run/lldpd.socket
            lldpd -d >/run/lldpd.log 2>&1 & echo $! >/run/lldpd.pid
            for i in $(seq 50); do lldpcli show chassis >/dev/null 2>&1 && break; sleep 0.1; done ;;
        systemd-modules-load | nfcompile-exporter | restart | enable | --now) ;;
        *) echo "the stand-in for systemctl does not know $name" >&2; exit 1 ;;
    esac
done
exit 0
"""


def typed() -> str:
    """The page's commands as one script that stops at the first that fails, and shows what was in between.

    `host check` fails where something is missing: here the clock at least, which is this machine's.
    """
    parts = [WIRES]
    for number, block in enumerate(BLOCKS):
        if "nfcompile diff" in block:
            parts.append("sed -i 's/icmp_session: 60/icmp_session: 61/' /etc/nfcompile/site.yaml")
        text = f"( {block} ) || true" if "host check" in block else block
        parts.append(f"echo '--- {number}'\n{text}")
        if "apply --host" in block:
            parts.append('echo "the Internet says: $(sent)"')
    parts.append("echo '--- end'\nls /etc/systemd/system/*.wants/")
    return "\n".join(parts)


def outputs(said: str) -> dict[str, str]:
    """What each block printed, by its number."""
    parts = re.split(r"^--- (\S+)\n", said, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_of_day_one(tmp_path):
    for program in NEEDED:
        if not shutil.which(program) and not os.path.exists(program):
            cannot(f"not installed: {program}")
    if not is_root():
        cannot("an overlay over this machine's files is for root")
    files = {
        "nfcompile": f"#!/bin/sh\nexec env PYTHONPATH={ROOT} {sys.executable} -c "
        "'from nfcompile.cli import main; main()' \"$@\"\n",
        "systemctl": SYSTEMCTL,
        "typed": typed(),
        "machine": MACHINE,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "work").mkdir()
    inner = ["bash", str(tmp_path / "machine"), str(tmp_path / "work"), str(tmp_path)]
    done = subprocess.run(
        ["unshare", "-nmpf", "--mount-proc", "--kill-child", *inner],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    said = outputs(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    applied = [said[str(n)] for n, block in enumerate(BLOCKS) if "apply --host" in block]
    assert len(applied) == 2
    assert all("the Internet says: you are 203.0.113." in text for text in applied), applied
    before, after = (said[str(n)].splitlines() for n, block in enumerate(BLOCKS) if "host check" in block)
    faults = ("missing ", "differs ")
    assert len([line for line in before if line.startswith(faults)]) > 8
    assert [line for line in after if line.startswith(faults) and " clock: " not in line] == []
    assert {"nfcompile.service", "nfcompile-exporter.service"} <= set(said["end"].split())


def test_the_page_has_its_blocks():
    """So that a change of the fences does not quietly leave commands out."""
    assert (len(BLOCKS), PAGE.count("\n```bash\n"), PAGE.count("```")) == (9, 1, 20)


@pytest.mark.parametrize("word", ["lan0", "wan0", "203.0.113.0/28", "100.64.0.0/22"])
def test_the_first_lines_name_what_is_to_be_replaced(word):
    assert word in PAGE.partition("## 1.")[0]
