"""What scripts rely on: what goes where, and the exit status."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nfcompile import __version__
from nfcompile.cli import command_line
from support.command import NFCOMPILE, nfcompile, typed, write
from support.sites import BAD, GOOD, WARNED

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
