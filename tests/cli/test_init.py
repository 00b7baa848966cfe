"""`nfcompile init` and `schema`: sites to begin with, and what an editor asks."""

import json
import os
from pathlib import Path

import pytest

from nfcompile import pipeline
from nfcompile.cli.init import starting_site
from support.command import nfcompile, write


@pytest.mark.parametrize("template", ["isp", "egress", "static", "home", "cloud", "ha"])
def test_init_writes_a_site_that_compiles_without_a_word(here, template):
    ran = nfcompile("init", "--template", template, "--inside", "eth1.100", "--outside", "ppp0")

    assert ran.returncode == 0
    checked = nfcompile("check", "--strict", "--lint", "rfc")
    assert (checked.returncode, checked.stderr) == (0, "")
    # A cloud's gateway has one interface: both sides are the outside one.
    node = ["--node", "gw2"] if template == "ha" else []
    assert ('"ppp0"' if template == "cloud" else '"eth1.100"') in nfcompile("build", *node).stdout
    assert nfcompile("fmt", "--check").returncode == 0


def test_init_asks_for_the_timeouts_of_the_rfcs():
    document = pipeline.parse(starting_site("isp", "lan0", "wan0").encode(), "site.yaml")

    timeouts = pipeline.read(document).pools[-1].timeouts

    assert (timeouts.tcp_active, timeouts.tcp_session_active) == (7440, 7440)
    assert (timeouts.tcp_handshake, timeouts.tcp_final) == (240, 240)
    assert (timeouts.udp, timeouts.udp_session) == (300, 300)
    assert (timeouts.icmp, timeouts.icmp_session) == (60, 60)


def test_init_leaves_a_file_that_exists(here):
    ran = nfcompile("init", write("mine.yaml", "mine"))

    assert ran.returncode == 1
    assert ran.stderr == "nfcompile: error: 'mine.yaml' exists and is left as it is\n"
    assert Path("mine.yaml").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "a b", "wan0]", "lan0, x", "on#", "x" * 16])
def test_init_takes_interface_names_only(here, name):
    assert nfcompile("init", "--inside", name).returncode == 2
    assert os.listdir() == []


def test_schema_is_the_schema_that_is_shipped():
    assert json.loads(nfcompile("schema").stdout)["title"] == "nfcompile site"
