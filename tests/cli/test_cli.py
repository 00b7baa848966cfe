"""What scripts rely on: what goes where, and the exit status."""

import csv
import io
import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nfcompile import __version__, pipeline
from nfcompile.cli import command_line
from nfcompile.cli.init import starting_site
from support.command import NFCOMPILE, nfcompile, typed, write
from support.sites import BAD, GOOD, ROOT, WARNED

# The front door


def test_version_is_the_same_through_both_doors():
    through_typer = nfcompile("--version", "--help")

    assert nfcompile("--version").stdout == f"nfcompile {__version__}\n"
    assert through_typer.stdout == f"nfcompile {__version__}\n"


@pytest.mark.parametrize("site", [GOOD, BAD, WARNED, "a: [", ""], ids=range(5))
@pytest.mark.parametrize("arguments", [["build"], ["check"], ["build", "s.yaml"], ["check", "s.yaml"]])
def test_both_doors_give_the_same(here, site, arguments):
    write("site.yaml", site)
    write("s.yaml", site)

    at_once, through_typer = nfcompile(*arguments), typed(*arguments)

    assert command_line.read(arguments) is not None
    assert (at_once.stdout, at_once.stderr, at_once.returncode) == (
        through_typer.stdout,
        through_typer.stderr,
        through_typer.returncode,
    )


@pytest.mark.parametrize("arguments", [["-o", "out"], ["site.yaml", "-o", "out"], ["-o", "out", "site.yaml"]])
def test_both_doors_write_the_same_file(here, arguments):
    write("site.yaml", GOOD)

    assert nfcompile("build", *arguments).returncode == 0
    at_once = Path("out").read_bytes()
    assert typed("build", *arguments).returncode == 0

    assert at_once == Path("out").read_bytes() == nfcompile("build").stdout.encode()


@pytest.mark.parametrize("verb", ["build", "check"])
def test_both_doors_read_standard_input(verb):
    at_once = nfcompile(verb, "-", input=GOOD)

    assert at_once.returncode == 0
    assert at_once.stdout == typed(verb, "-", input=GOOD).stdout


def test_the_front_door_does_not_import_typer(here):
    write("site.yaml", GOOD)
    program = "import sys; from nfcompile.cli import main\ntry: main()\nfinally: print(*sys.modules)"

    for arguments in (["--version"], ["build", "-o", "out"], ["check"]):
        ran = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        assert not {"typer", "rich", "jinja2", "jsonschema"} & set(ran.stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [["build", "--foo"], ["build", "a", "b"], ["build", "-o"], ["check", "-o", "x"], ["nosuch"]],
)
def test_usage_errors_are_2(here, arguments):
    ran = nfcompile(*arguments)

    assert command_line.read(arguments) is None
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


# Files


@pytest.mark.parametrize(
    "arguments", [["check"], ["build"], ["apply"], ["lookup", "10.0.0.1"], ["mappings"], ["build", "."]]
)
def test_a_site_that_cannot_be_read_is_2(here, arguments):
    ran = nfcompile(*arguments)

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("nfcompile: error: cannot read '")
    assert ran.stderr.count("\n") == 1


def test_build_keeps_the_old_file_when_the_site_is_refused(here):
    write("out", "old")

    assert nfcompile("build", write("site.yaml", BAD), "-o", "out").returncode == 1
    assert Path("out").read_text() == "old"
    assert sorted(os.listdir()) == ["out", "site.yaml"]


def test_build_keeps_the_mode_of_the_file_and_follows_links(here):
    write("target", "old")
    os.chmod("target", 0o600)
    os.symlink("target", "link")

    assert nfcompile("build", "-", "-o", "link", input=GOOD).returncode == 0

    assert os.path.islink("link")
    assert stat.S_IMODE(os.stat("target").st_mode) == 0o600
    assert Path("target").read_text().startswith("table ip nfcompile\n")


def test_build_gives_a_new_file_the_usual_mode(here):
    ran = nfcompile("build", "-", "-o", "out", input=GOOD, umask=0o027)

    assert ran.returncode == 0
    assert stat.S_IMODE(os.stat("out").st_mode) == 0o640


def test_build_writes_to_a_device_and_to_stdout(here):
    assert nfcompile("build", "-", "-o", "/dev/null", input=GOOD).returncode == 0
    assert nfcompile("build", "-", "-o", "-", input=GOOD).stdout.startswith("table ip nfcompile\n")


def test_build_cannot_write_is_2(here):
    ran = nfcompile("build", "-", "-o", "no/such/directory", input=GOOD)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "nfcompile: error: cannot write 'no/such/directory': No such file or directory\n"


def test_a_reader_that_leaves_is_no_error(here):
    write("site.yaml", GOOD.replace("/24", "/16").replace("203.0.113.0/30", "203.0.112.0/22"))
    command = f"'{NFCOMPILE[0]}' -c '{NFCOMPILE[2]}' mappings | head -n 1; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert ran.stderr == ""
    assert ran.stdout.splitlines() == ["pool,subscriber,global_ip,port_first,port_last,protocols", "141"]


def test_a_full_disk_is_one_sentence(here):
    with open("/dev/full", "w") as full:
        command = [*NFCOMPILE, "build", "-"]
        ran = subprocess.run(command, input=GOOD.encode(), stdout=full, stderr=subprocess.PIPE, check=False)

    assert (ran.returncode, ran.stderr) == (2, b"nfcompile: error: cannot write: No space left on device\n")


def test_a_name_that_is_no_text_can_be_said(here):
    Path(os.fsdecode(b"\xff.yaml")).write_text(GOOD)

    ran = nfcompile("check", os.fsdecode(b"\xff.yaml"))

    assert (ran.returncode, ran.stdout) == (0, "\\udcff.yaml: no problems\n")


# check


def test_check_clean(here):
    ran = nfcompile("check", "-", input=GOOD)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "<stdin>: no problems\n", "")
    assert nfcompile("check", "-", "-q", input=GOOD).stdout == ""


def test_check_says_problems_on_stderr(here):
    ran = nfcompile("check", write("s.yaml", BAD))

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("s.yaml:9:15-17: error: ")
    assert ran.stderr.endswith("\n1 error\n")


def test_check_warnings_and_strict(here):
    plain = nfcompile("check", "-", input=WARNED)
    strict = nfcompile("check", "--strict", "-", input=WARNED)
    quiet = nfcompile("check", "-q", "-", input=WARNED)

    assert (plain.returncode, strict.returncode, quiet.returncode) == (0, 1, 0)
    assert "warning: " in plain.stderr
    assert "error: " in strict.stderr
    assert quiet.stderr == ""


def test_check_json(here):
    clean = nfcompile("check", "-", "--format", "json", input=GOOD)
    refused = nfcompile("check", "-", "--format", "json", input=BAD)

    assert (clean.returncode, refused.returncode) == (0, 1)
    assert json.loads(clean.stdout) == {"diagnostics": []}
    (found,) = json.loads(refused.stdout)["diagnostics"]
    assert (found["path"], found["line"], found["column"]) == ("pools.home.priority", 9, 15)
    assert refused.stderr == ""


def test_check_github_and_sarif(here):
    github = nfcompile("check", write("site.yaml", BAD), "--format", "github")
    sarif = nfcompile("check", "--format", "sarif")

    assert (github.returncode, sarif.returncode) == (1, 1)
    assert github.stdout.startswith("::error file=site.yaml,line=9,")
    assert json.loads(sarif.stdout)["version"] == "2.1.0"


def test_check_lint_is_asked_for(here):
    assert nfcompile("check", "--strict", "-", input=GOOD).returncode == 0
    assert "[rfc-timeout]" in nfcompile("check", "--lint", "rfc", "-", input=GOOD).stderr


def colours(environment, *options):
    """Whether `check` colours what it says to a terminal."""
    leader, follower = pty.openpty()
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **environment}
    command = [*NFCOMPILE, "check", "-", *options]
    subprocess.run(command, input=BAD.encode(), stderr=follower, env=environment, check=False)
    os.close(follower)
    return b"\x1b[" in os.read(leader, 10_000)


def test_colours_are_for_terminals_that_want_them():
    assert colours({})
    assert not colours({"NO_COLOR": "1"})
    assert not colours({}, "--no-color")
    assert "\x1b[" not in nfcompile("check", "-", input=BAD).stderr


# build


def test_build_json(here):
    built = json.loads(nfcompile("build", "-", "--format", "json", input=WARNED).stdout)
    refused = nfcompile("build", "-", "--format", "json", input=BAD)

    assert built["ruleset"] == nfcompile("build", "-", input=WARNED).stdout
    assert built["file"] is None
    assert [one["severity"] for one in built["diagnostics"]] == ["warning"]
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["ruleset"] is None


def test_build_is_the_same_every_time(here):
    runs = {
        nfcompile("build", "-", input=GOOD, env={"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2", "3")
    }

    assert len(runs) == 1


# lookup and mappings


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


# init and schema


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


# apply, as far as it goes without a kernel


def test_apply_refuses_the_site_before_it_asks_the_kernel(here):
    ran = nfcompile("apply", "-", "--netns", "no-such-namespace", input=BAD)

    assert ran.returncode == 1
    assert "<stdin>:9:15-17: error: " in ran.stderr
    assert "namespace" not in ran.stderr


def test_apply_in_no_namespace_is_one_sentence(here):
    ran = nfcompile("apply", "-", "--netns", "no-such-namespace", input=GOOD)

    missing = "cannot open network namespace '/run/netns/no-such-namespace': No such file or directory"
    # A user who may make no namespace, as in many a container, hears of that first.
    may = [
        subprocess.run(["unshare", option, "true"], capture_output=True).returncode
        for option in ("-n", "-rn")
    ]
    expected = missing if 0 in may else "cannot make a scratch network namespace: Operation not permitted"
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", f"nfcompile: error: {expected}\n")


def test_apply_exit_code_goes_with_dry_run(here):
    assert nfcompile("apply", "--exit-code", write("site.yaml", GOOD)).returncode == 2
