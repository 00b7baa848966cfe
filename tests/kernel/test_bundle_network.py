"""What `build --bundle` writes, given to its readers: networkd, netplan, ifupdown and sysctl."""

from __future__ import annotations

import json
import sys

import pytest

from support.bundles import CHECK, FLAT, made, need, run

NETWORK = ("host-interface", "host-mtu", "host-address", "host-route", "host-rule", "host-default-route")
NETWORK = (*NETWORK, "host-subscriber-route")
NETWORKD = """
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network:systemd-network /run/systemd/netif
mount --bind $BUNDLE/etc/systemd/network /etc/systemd/network
mount -o remount,ro /sys
/lib/systemd/systemd-networkd 2>$OUT/networkd & daemon=$!
"""
SETTLED = f"""
for i in $(seq 60); do
    {CHECK} >$OUT/check || true
    {sys.executable} -c "$FAULTS" $OUT/check && break
    sleep 0.5
done
cat $OUT/check
"""
# netplan 1.1 has systemd and udev reload, which do not run here. Its files are for networkd alone to read.
NETPLAN = """
mkdir $OUT/bin
ln -s /bin/true $OUT/bin/systemctl
ln -s /bin/true $OUT/bin/udevadm
PATH=$OUT/bin:$PATH netplan generate --root-dir $BUNDLE 2>$OUT/netplan
"""
BASE = {
    "lan0": "[Network]\nAddress=100.64.0.1/10\n",
    "lan1": "[Network]\nLinkLocalAddressing=no\n",
    "lan2": "[Network]\nLinkLocalAddressing=no\n",
    "wan0": "[Network]\nAddress=192.0.2.2/24\nGateway=192.0.2.1\n",
}


def network_faults(text: str) -> list[str]:
    """Lines about the network that are not ok."""
    lines = json.loads(text)["host"]
    assert {line["code"] for line in lines} >= {*NETWORK} - {"host-rule"}
    return [f"{x['what']}: {x['is']}" for x in lines if x["code"] in NETWORK and x["state"] != "ok"]


def complaints(said: str) -> list[str]:
    """What networkd says of the bundle's files; newer ones name each that they use, too."""
    lines = [line for line in said.splitlines() if "nfcompile.conf" in line]
    return [line for line in lines if ": Configuring with /etc/systemd/network/" not in line]


@pytest.mark.parametrize("routed", [False, True], ids=["local", "null"])
def test_networkd_makes_of_it_what_the_site_needs(tmp_path, routed):
    need("/lib/systemd/systemd-networkd")
    folder = made(tmp_path, routed=routed)
    for name, text in BASE.items():
        main = folder / f"etc/systemd/network/{name}.network"
        main.write_text(f"[Match]\nName={name}\n\n{text}")

    found = run(NETWORKD + SETTLED + "kill $daemon", folder, tmp_path / "out")

    assert network_faults(found) == []
    assert complaints((tmp_path / "out/networkd").read_text()) == []


@pytest.mark.parametrize("routed", [False, True], ids=["local", "null"])
def test_netplan_makes_of_it_what_the_site_needs(tmp_path, routed):
    need("netplan", "/lib/systemd/systemd-networkd")
    folder = made(tmp_path, "netplan", FLAT, routed)
    main = folder / "etc/netplan/50-own.yaml"
    main.write_text("""network:
  version: 2
  ethernets:
    lan0: {addresses: [100.64.0.1/10]}
    wan0: {addresses: [192.0.2.2/24], routes: [{to: default, via: 192.0.2.1}]}
""")
    main.chmod(0o600)
    script = f"""
    {NETPLAN}
    mkdir -p $BUNDLE/etc/systemd/network
    cp -a $BUNDLE/run/systemd/network/* $BUNDLE/etc/systemd/network/
    {NETWORKD}
    {SETTLED}
    kill $daemon
    """
    found = run(script, folder, tmp_path / "out")

    assert network_faults(found) == []
    assert (tmp_path / "out/netplan").read_text() == ""


def test_netplan_takes_vlans(tmp_path):
    need("netplan")
    folder = made(tmp_path, "netplan")

    run(NETPLAN, folder, tmp_path / "out")

    assert (tmp_path / "out/netplan").read_text() == ""
    text = (folder / "run/systemd/network/10-netplan-lan2.network").read_text()
    assert "[RoutingPolicyRule]\nFrom=0.0.0.0/0\nTable=102\nFirewallMark=102\n" in text
    assert "[Route]\nDestination=192.168.1.0/25\nScope=link\nTable=102\n" in text


@pytest.mark.parametrize("routed", [False, True], ids=["local", "null"])
def test_ifupdown_makes_of_it_what_the_site_needs(tmp_path, routed):
    need("ifup")
    folder = made(tmp_path, "ifupdown", routed=routed)
    (folder / "etc/network/interfaces").write_text("""
auto lan0 lan1 lan2 wan0
iface lan0 inet static
    address 100.64.0.1/10
iface lan1 inet manual
    up ip link set lan1 up
iface lan2 inet manual
    up ip link set lan2 up
iface wan0 inet static
    address 192.0.2.2/24
    gateway 192.0.2.1
source interfaces.d/*
""")
    script = f"""
    mkdir -p /run/network
    ip link set lo up
    routes() {{ ip -4 route show table all | grep -v ' dev lo '; }}
    routes >$OUT/routes || true
    ip -4 rule >$OUT/rules
    ifup -a -i $BUNDLE/etc/network/interfaces 2>$OUT/ifup
    ifdown -a -i $BUNDLE/etc/network/interfaces 2>>$OUT/ifup
    {{ routes || true; }} | diff $OUT/routes -
    [ -z "$(ip -4 route show table local dev lo | grep -v 127)" ]
    ip -4 rule | diff $OUT/rules -
    ifup -a -i $BUNDLE/etc/network/interfaces 2>>$OUT/ifup
    {CHECK} || true
    """
    found = run(script, folder, tmp_path / "out")

    assert network_faults(found) == []


def test_the_settings_are_taken(tmp_path):
    """Of connection tracking's sizes the kernel says that they are another namespace's."""
    need("/lib/systemd/systemd-sysctl")
    folder = made(tmp_path)
    script = f"""
    nft add table ip t
    /lib/systemd/systemd-sysctl $BUNDLE/etc/sysctl.d/60-nfcompile.conf 2>$OUT/sysctl || true
    {CHECK} || true
    """
    found = json.loads(run(script, folder, tmp_path / "out"))["host"]

    settings = {line["what"]: line["state"] for line in found if line["code"] == "host-sysctl"}
    assert set(settings.values()) == {"ok"}
    assert {"net.ipv4.ip_forward", "net.netfilter.nf_conntrack_icmp_timeout"} <= set(settings)
    refused = (tmp_path / "out/sysctl").read_text().splitlines()
    assert [
        line for line in refused if "nf_conntrack_max" not in line and "nf_conntrack_buckets" not in line
    ] == []


@pytest.mark.parametrize("network", ["networkd", "netplan", "ifupdown"])
def test_the_manifest_lists_what_is_there(tmp_path, network):
    folder = made(tmp_path, network)

    listed = json.loads((folder / "MANIFEST.json").read_text())

    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert {one["path"] for one in listed} == there - {"MANIFEST.json"}
    assert {one["path"]: f"0{(folder / one['path']).stat().st_mode & 0o777:o}" for one in listed} == {
        one["path"]: one["mode"] for one in listed
    }
