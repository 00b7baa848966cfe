"""`nfcompile lookup` and `mappings`: the address and ports of each subscriber, in every format."""

import csv
import io
import json
import subprocess

import pytest

from nfcompile.cli.init import starting_site
from support.command import NFCOMPILE, nfcompile, write
from support.sites import GOOD


def test_lookup_of_a_subscriber_and_back(here):
    write("site.yaml", GOOD)

    forth = nfcompile("lookup", "site.yaml", "100.64.0.5", "--format", "json")
    found = json.loads(forth.stdout)
    back = nfcompile("lookup", f"{found['global_ip']}:{found['port_first']}", "--format", "json")

    assert forth.returncode == 0
    assert found["pool"] == "home"
    assert found["action"] == "translate"
    assert found["port_last"] - found["port_first"] == 895
    assert json.loads(back.stdout)["subscriber"] == "100.64.0.5"
    text = nfcompile("lookup", "100.64.0.5").stdout
    assert f"ports:          {found['port_first']}-{found['port_last']}\n" in text


VLANS = """\
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {vlan_mode: vlan}
pools:
  s: {type: static, priority: 5, global_map: {192.168.1.2~102: 3.3.3.3, 192.168.1.2~103: 3.3.3.4}}
"""


@pytest.mark.parametrize(
    ("asked", "status", "global_ip"),
    [
        ("192.168.1.2~102", 0, "3.3.3.3"),
        ("192.168.1.2~103", 0, "3.3.3.4"),
        ("192.168.1.2~104", 1, None),
        ("3.3.3.3~102", 1, None),
        ("192.168.1.2~x", 2, None),
    ],
)
def test_lookup_takes_a_subscriber_as_mappings_writes_it(here, asked, status, global_ip):
    ran = nfcompile("lookup", write("site.yaml", VLANS), asked, "--format", "json")

    assert ran.returncode == status
    assert json.loads(ran.stdout).get("global_ip") == global_ip


def test_lookup_of_nobody(here):
    write("site.yaml", GOOD)

    answer = nfcompile("lookup", "192.0.2.1", "--format", "json")
    text = nfcompile("lookup", "192.0.2.1")

    assert (answer.returncode, text.returncode) == (1, 1)
    assert json.loads(answer.stdout)["action"] == "none"
    assert (text.stdout, text.stderr) == ("", "nfcompile: note: site.yaml: no binding has 192.0.2.1\n")


@pytest.mark.parametrize("asked", ["home", "1.2.3", "1.2.3.256", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:x"])
def test_lookup_of_no_address_is_2(here, asked):
    assert nfcompile("lookup", write("site.yaml", GOOD), asked).returncode == 2


def test_mappings_csv_and_json_say_the_same(here):
    write("site.yaml", GOOD)

    rows = list(csv.DictReader(io.StringIO(nfcompile("mappings").stdout)))
    objects = json.loads(nfcompile("mappings", "--format", "json").stdout)

    assert len(rows) == 256
    assert list(rows[0]) == ["pool", "subscriber", "global_ip", "port_first", "port_last", "protocols"]
    assert [{key: str(value) for key, value in one.items()} for one in objects] == rows
    assert len(nfcompile("mappings", "--compact").stdout.splitlines()) < 100


def test_mappings_without_ports_are_empty_in_csv_and_null_in_json(here):
    write("site.yaml", starting_site("static", "lan0", "wan0"))

    assert nfcompile("mappings").stdout.splitlines()[1] == "servers,192.168.0.5,203.0.113.5,,,all"
    assert json.loads(nfcompile("mappings", "--format", "json").stdout)[0]["port_first"] is None


def test_mappings_of_nothing_is_an_empty_array(here):
    write("site.yaml", GOOD[: GOOD.index("acls:")])

    assert json.loads(nfcompile("mappings", "--format", "json").stdout) == []


@pytest.mark.parametrize("template", ["isp", "static"])
def test_mappings_parquet_says_the_same(here, template):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    write("site.yaml", starting_site(template, "lan0", "wan0"))
    with open("mappings.parquet", "wb") as file:
        command = [*NFCOMPILE, "mappings", "--format", "parquet"]
        subprocess.run(command, stdout=file, check=True)

    rows = parquet.read_table("mappings.parquet").to_pylist()

    assert rows == json.loads(nfcompile("mappings", "--format", "json").stdout)


def test_mappings_parquet_without_pyarrow_says_what_to_install(here):
    write("pyarrow.py", "raise ImportError")
    ran = nfcompile("mappings", write("site.yaml", GOOD), "--format", "parquet")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert "nfcompile[parquet]" in ran.stderr
