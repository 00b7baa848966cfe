"""`nfcompile import` as a user runs it: where the site and the account go, and the exit status."""

import json
import os
from pathlib import Path

import pytest

from support.command import nfcompile, write

ROOT = Path(__file__).parents[2]

GOOD = "*nat\n-A POSTROUTING -s 10.0.0.0/24 -o wan0 -j SNAT --to-source 203.0.113.1\nCOMMIT\n"
PARTLY = GOOD.replace("COMMIT", "-A POSTROUTING -o wan0 -m owner --uid-owner 1 -j MASQUERADE\nCOMMIT")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_site_goes_to_stdout_and_the_account_to_stderr(here):
    ran = nfcompile("import", "iptables", write("rules.v4", GOOD))

    assert ran.returncode == 0
    assert "l2: {interface: wan0, src_cidr: 10.0.0.0/24, snat_ip: 203.0.113.1}" in ran.stdout
    assert ran.stderr.endswith("iptables: 3 lines: 1 translated, 2 ignored\n")
    assert nfcompile("check", "-", input=ran.stdout).returncode == 0
    assert os.listdir() == ["rules.v4"]


def test_both_go_to_files_where_they_are_named(here):
    write("rules.v4", PARTLY)

    ran = nfcompile("import", "auto", "rules.v4", "-o", "site.yaml", "--account", "account.txt")

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert "snat:" in Path("site.yaml").read_text()
    account = Path("account.txt").read_text().splitlines()
    assert account[1].startswith("rules.v4:2: translated: -A POSTROUTING -s 10.0.0.0/24")
    assert account[2].endswith(": a site cannot express '-m owner' [no-match]")
    assert account[-1] == "iptables: 4 lines: 1 translated, 2 ignored, 1 not-translated"


@pytest.mark.parametrize("account", [(), ("--account", "account.json")])
def test_stdout_is_one_json_document_where_the_site_has_a_file(here, account):
    """CONTRACT section 3; without `-o` stdout is the site, by section 6."""
    rules = write("rules.v4", PARTLY)

    ran = nfcompile("import", "iptables", rules, "--format", "json", "-o", "site.yaml", *account)
    written = Path("account.json").read_text() if account else ran.stderr

    assert json.loads(ran.stdout) == {"site": "site.yaml"} | json.loads(written)


def test_a_foreign_configuration_is_not_overwritten(here):
    rules = write("rules.v4", GOOD)

    ran = nfcompile("import", "iptables", rules, "-o", "./rules.v4")

    assert ran.returncode == 2
    assert "is imported" in ran.stderr
    assert Path("rules.v4").read_text() == GOOD


def test_the_account_as_json(here):
    ran = nfcompile("import", "iptables", write("rules.v4", PARTLY), "--format", "json", "-o", "site.yaml")
    account = json.loads(ran.stderr)

    assert account["kind"] == "iptables"
    assert account["files"] == ["rules.v4"]
    assert account["totals"] == {
        "translated": 1,
        "folded": 0,
        "ignored": 2,
        "not-translated": 1,
        "unknown": 0,
    }
    assert {"file", "line", "end_line", "text", "fate", "to", "code", "reason"} <= set(account["lines"][1])
    assert account["lines"][1]["to"] == "snat.l2"
    assert account["lines"][2]["code"] == "no-match"
    assert account["guesses"][0]["what"] == "interfaces.outside"
    assert account["diagnostics"] == []


@pytest.mark.parametrize(("text", "status"), [(GOOD, 0), (PARTLY, 1), (GOOD + "what\n", 1)])
def test_strict_refuses_what_was_left_out(here, text, status):
    assert nfcompile("import", "iptables", write("r", text), "--strict").returncode == status
    assert nfcompile("import", "iptables", "r").returncode == 0


def test_a_site_that_check_refuses_is_1_and_said(here):
    text = "pools {\npoola {\ntype cgnat\nglobal_ip ( 203.0.113.1 )\nacl aclb\npriority 5\n}\n}\n"
    text += "acls {\naclb {\n10 allow ip 203.0.113.0/24 any\n}\n}\n"

    ran = nfcompile("import", "econat", write("box", text))

    assert ran.returncode == 1
    assert "[global-inside]" in ran.stderr
    assert "poola" in ran.stdout


def test_options_of_the_gateway(here):
    write("r", "*nat\n-A PREROUTING -i lan0 -p tcp --dport 80 -j REDIRECT --to-ports 3128\nCOMMIT\n")

    ran = nfcompile(
        "import", "iptables", "r", "--address", "lan0=10.0.0.1", "--inside", "lan0,lan1", "--outside", "w"
    )

    assert "dnat_ip: 10.0.0.1" in ran.stdout
    assert "inside: [lan0, lan1]" in ran.stdout
    assert "guessed" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["iptables", "missing"], "cannot read 'missing'"),
        (["auto", "hello"], "name the kind"),
        (["iptables", "hello", "--address", "lan0"], "write IF=A"),
        (["iptables", "hello", "--map-connection", "x"], "write NAME=IF"),
        (["pfsense", "hello"], "pfsense"),
        (["iptables"], "FILE"),
    ],
)
def test_usage_is_2(here, arguments, words):
    write("hello", "hello\n")

    ran = nfcompile("import", *arguments)

    assert ran.returncode == 2
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_terraform_without_its_library_is_said(here):
    write("main.tf", 'resource "aviatrix_gateway_snat" "a" {\n}\n')
    Path("hcl2.py").write_text("raise ImportError\n")

    ran = nfcompile("import", "aviatrix", "main.tf", env={"PYTHONPATH": f"{here}:{ROOT}"})

    assert ran.returncode == 2
    assert "nfcompile[import]" in ran.stderr


def test_standard_input_and_several_files(here):
    write("a", GOOD)

    ran = nfcompile("import", "iptables", "-", input=GOOD)
    both = nfcompile("import", "vyos", write("b", "set nat source rule 1 exclude\n"), "b")

    assert ran.returncode == 0
    assert "<stdin>" in ran.stdout
    assert both.stderr.endswith("vyos: 2 lines: 2 ignored\n")


def test_quiet_says_nothing_but_errors(here):
    assert nfcompile("import", "iptables", write("r", PARTLY), "-q").stderr == ""
