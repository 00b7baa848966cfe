"""The bundle's files where `nfcompile log` logs: its unit, and who keeps its files."""

import json

import pytest

from support.command import nfcompile
from support.sites import GOOD, HEAD

DYNAMIC = (
    HEAD
    + """
acls: {home: {10: allow ip 100.64.0.0/24}}
pools:
  home: {type: cgnat, acl: home, priority: 1, global_ip: [203.0.113.0/30], allocation: dynamic, hairpin: off}
"""
)
UNIT, ROTATE = "etc/systemd/system/nfcompile-log.service", "etc/logrotate.d/nfcompile"


def bundle(tmp_path, text, *outputs):
    (tmp_path / "site.yaml").write_text(text)
    words = [word for one in outputs for word in ("--to", one)]
    return nfcompile("build", str(tmp_path / "site.yaml"), "--bundle", str(tmp_path / "b"), *words)


def test_the_unit_runs_our_log(tmp_path):
    outputs = ("json:/var/log/nfcompile/log.jsonl", "parquet:/srv/log", "postgresql://u:p@h/d?x=%20$")
    assert bundle(tmp_path, DYNAMIC, *outputs).returncode == 0
    unit = (tmp_path / "b" / UNIT).read_text()
    assert (
        "\nExecStart=nfcompile log /etc/nfcompile/site.yaml --only blocks "
        "--to json:/var/log/nfcompile/log.jsonl --to parquet:/srv/log "
        '--to "postgresql://u:p@h/d?x=%%20$$"\n'
    ) in unit
    assert unit.count("ReadWritePaths=") == 1
    assert "ReadWritePaths=-/srv/log\n" in unit
    assert (tmp_path / "b" / UNIT).stat().st_mode & 0o777 == 0o600  # a password may be in it
    assert '"/var/log/nfcompile/log.jsonl" {' in (tmp_path / "b" / ROTATE).read_text()
    assert not (tmp_path / "b/etc/nfcompile/ulogd.conf").exists()


def test_without_json_lines_there_is_nothing_to_rotate(tmp_path):
    assert bundle(tmp_path, DYNAMIC, "ipfix+tcp://[2001:db8::1]:4739").returncode == 0
    listed = {one["path"]: one["mode"] for one in json.loads((tmp_path / "b/MANIFEST.json").read_text())}
    assert ROTATE not in listed
    assert listed[UNIT] == "0644"


def test_back_to_ulogd_takes_the_old_files_away(tmp_path):
    bundle(tmp_path, DYNAMIC, "json:/var/log/x")
    assert bundle(tmp_path, DYNAMIC).returncode == 0
    assert "ulogd" in (tmp_path / "b" / UNIT).read_text()
    assert (tmp_path / "b/etc/nfcompile/ulogd.conf").exists()


@pytest.mark.parametrize(
    ("text", "output", "said"),
    [
        (GOOD, "json:/x", "this site logs nothing"),
        (DYNAMIC, "file:/x", "'file:/x' is not a destination"),
        (DYNAMIC, "json:log.jsonl", "a unit needs a path from / on"),
        (DYNAMIC, "json:-", "a unit needs a path from / on"),
        (DYNAMIC, "json:/x\nExecStartPre=/bin/evil", "not printable"),
    ],
)
def test_what_no_unit_can_have(tmp_path, text, output, said):
    ran = bundle(tmp_path, text, output)
    assert (ran.returncode, (tmp_path / "b").exists()) == (2, False)
    assert said in ran.stderr


def test_an_output_goes_with_a_bundle(tmp_path):
    (tmp_path / "site.yaml").write_text(GOOD)
    ran = nfcompile("build", str(tmp_path / "site.yaml"), "--to", "json:/x")
    assert (ran.returncode, ran.stdout) == (2, "")
