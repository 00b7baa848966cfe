"""Third-party peers on both sides of a compiled gateway: a STUN server, an FTP server, SIP phones, ulogd2."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.lab import Lab
from support.peers import HOME, SERVER, SERVER2, hosts, need, running
from support.sites import site
from support.waiting import until
from support.wires import INSIDE, OUTSIDE

POOL = """
nat_defaults: {alg: {ftp: ALG, sip: ALG}}
acls: {homes: {10: allow ip 100.64.0.0/26}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    global_ip: [203.0.113.0/28]
    hairpin: HAIRPIN
    filtering: FILTERING
"""


def ruleset(hairpin: str = "on", filtering: str = "address_and_port_dependent", alg: str = "off") -> str:
    text = POOL.replace("HAIRPIN", hairpin).replace("FILTERING", filtering).replace("ALG", alg)
    return site(text).text.text


@pytest.mark.parametrize(
    ("hairpin", "filtering", "expected", "unexpected"),
    [
        ("on", "endpoint_independent", "Endpoint Independent Filtering", "Dependent"),
        ("on", "address_and_port_dependent", "Address and Port Dependent Filtering", "Dependent Mapping"),
        ("off", "address_and_port_dependent", "Address and Port Dependent Filtering", "Dependent Mapping"),
    ],
)
def test_nat_discovery(
    lab: Lab, tmp_path: Path, hairpin: str, filtering: str, expected: str, unexpected: str
) -> None:
    """RFC 5780 as coturn asks it: mapping, filtering and hairpin."""
    need("turnserver", "turnutils_natdiscovery", "ss")
    lab.load(ruleset(hairpin, filtering))
    server = (
        f"turnserver -n -S -L {SERVER} -L {SERVER2} -p 3478 --alt-listening-port 3479 --no-cli --no-tls"
        f" --no-dtls -l stdout --pidfile {tmp_path}/turn.pid"
    )
    with hosts(lab), running(lab, OUTSIDE, server, f"{SERVER2}:3479", tmp_path):
        said = lab.run(
            "timeout", "110", "turnutils_natdiscovery", "-m", "-f", "-H", "-L", HOME, SERVER, side=INSIDE
        )
    assert "NAT with Endpoint Independent Mapping" in said.stdout, said.stdout
    assert expected in said.stdout, said.stdout
    assert unexpected not in said.stdout, said.stdout
    assert ("successful hairpinning" in said.stdout) == (hairpin == "on"), said.stdout


FTP_CONF = """
listen=YES
anonymous_enable=YES
anon_root={folder}
isolate=NO
isolate_network=NO
seccomp_sandbox=NO
secure_chroot_dir={empty}
run_as_launching_user=YES
background=NO
"""


@pytest.mark.parametrize("alg", ["on", "off"])
def test_ftp(lab: Lab, tmp_path: Path, alg: str) -> None:
    """Passive transfers always work; active ones (the server connects back) need the helper."""
    need("vsftpd", "curl", "ss")
    files, empty = tmp_path / "files", tmp_path / "empty"
    files.mkdir(mode=0o555)
    empty.mkdir(mode=0o555)
    (files / "hello").write_text("hello\n")
    conf = tmp_path / "vsftpd.conf"
    conf.write_text(FTP_CONF.format(folder=files, empty=empty).lstrip())
    for path in (tmp_path, *tmp_path.parents):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055)
    lab.load(ruleset(alg=alg))
    url = f"ftp://{SERVER}/hello"
    with hosts(lab), running(lab, OUTSIDE, f"vsftpd {conf}", ":21", tmp_path) as log:
        patience = "100" if alg == "on" else "8"  # without the helper nothing comes however long it waits
        passive = lab.run("timeout", "110", "curl", "-sS", "--disable-epsv", url, side=INSIDE)
        active = lab.run(
            "timeout", "110", "curl", "-sS", "--disable-eprt", "-m", patience, "-P", HOME, url, side=INSIDE
        )
        assert passive.stdout == "hello\n", passive.stderr + log.read_text()
        assert (active.stdout == "hello\n") == (alg == "on"), active.stderr


@pytest.mark.parametrize("alg", ["on", "off"])
def test_sip(lab: Lab, tmp_path: Path, alg: str) -> None:
    """With the helper the far phone reads the global address in SIP and SDP; without it, the private one."""
    need("sipp", "ss")
    lab.load(ruleset(alg=alg))
    server = f"sipp -sn uas -i {SERVER} -nostdin -trace_msg -message_file {tmp_path}/messages"
    with hosts(lab), running(lab, OUTSIDE, server, f"{SERVER}:5060", tmp_path):
        lab.run(
            *("timeout", "110", "sipp", "-sn", "uac", "-i", HOME, "-mi", HOME, "-p", "5060", "-m", "1"),
            *("-nostdin", "-timeout", "100", f"{SERVER}:5060"),
            side=INSIDE,
        )
        messages = (tmp_path / "messages").read_text()
    invite = messages[messages.index("INVITE") :]
    assert ("203.0.113.5" in invite) == (alg == "on"), invite[:2000]
    assert ("c=IN IP4 100.64.0.5" in invite) == (alg == "off"), invite[:2000]


ULOGD_CONF = """
[global]
logfile="{folder}/ulogd.log"
loglevel=3
plugin="{plugins}/ulogd_inpflow_NFCT.so"
plugin="{plugins}/ulogd_filter_IP2STR.so"
plugin="{plugins}/ulogd_output_JSON.so"
stack=ct1:NFCT,ip2str1:IP2STR,json1:JSON
[ct1]
event_mask=5
hash_enable=0
[json1]
sync=1
file="{folder}/flows.json"
"""


def test_ulogd_reads_the_log(lab: Lab, tmp_path: Path) -> None:
    """What ulogd2 writes of a new connection names the subscriber and the global address and port."""
    need("ulogd", "ss")
    found = [*Path("/usr/lib").glob("*/ulogd/ulogd_inpflow_NFCT.so")]
    assert found, "ulogd2 without its NFCT plugin"
    conf = tmp_path / "ulogd.conf"
    conf.write_text(ULOGD_CONF.format(folder=tmp_path, plugins=found[0].parent))
    lab.load(ruleset(hairpin="off"))
    flows, pid = tmp_path / "flows.json", tmp_path / "ulogd.pid"
    lab.must("sh", "-c", f"ulogd -c {conf} >/dev/null 2>&1 & echo $! >{pid}")
    text = ""
    try:
        with hosts(lab):

            def read() -> bool:
                nonlocal text
                lab.run("bash", "-c", f"echo x >/dev/udp/{SERVER}/53", side=INSIDE)
                text = flows.read_text() if flows.exists() else ""
                return HOME in text

            until(read, (tmp_path / "ulogd.log").read_text)
    finally:
        lab.run("sh", "-c", f"kill $(cat {pid})")
    assert f'"src_ip": "{HOME}"' in text, (tmp_path / "ulogd.log").read_text()
    assert '"reply.ip.daddr.str": "203.0.113.5"' in text
