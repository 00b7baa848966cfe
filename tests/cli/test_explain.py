"""The command `explain`: its fields, its exit status, and what it shows of a site."""

from __future__ import annotations

import json
import subprocess

import pytest

from nfcompile.cli import command_line
from support.command import nfcompile
from support.explain_site import SITE
from support.sites import ROOT


def command(*arguments: str, stdin: str = SITE) -> subprocess.CompletedProcess[str]:
    return nfcompile("explain", *arguments, input=stdin, env={"NO_COLOR": "1"})  # type: ignore[no-any-return]


def test_json_has_the_fields_of_the_contract() -> None:
    done = command(
        "-", "--proto", "udp", "--src", "100.64.0.7:5000", "--dst", "198.18.0.1:53", "--format", "json"
    )

    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert list(answer) == [
        "action", "pool", "subscriber", "global_ip", "port_first", "port_last", "mark", "to", "steps",
    ]  # fmt: skip
    assert all(list(step) == ["path", "text"] for step in answer["steps"])


def test_text_shows_place_and_source_line() -> None:
    done = command("-", "--src", "100.64.9.1:5000", "--dst", "198.51.100.1:80")

    assert done.stdout.startswith("action:         translate\npool:           residential\n")
    line = 1 + SITE.splitlines().index("    10: deny ip 100.64.9.0/24")
    assert f"<stdin>:{line}: acl 'partners' rule 10 denies" in done.stdout
    assert "\n    10: deny ip 100.64.9.0/24\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--src", "100.64.0.1:5"), "missing option: --dst"),
        (("--src", "100.64.0.1:5", "--dst", "x"), "'x' is not an address"),
        (("--src", "100.64.0.1:5", "--dst", "1.2.3.4:0"), "'1.2.3.4:0' is not an address"),
        (("--src", "100.64.0.1", "--dst", "1.2.3.4:5", "--proto", "icmp"), "has no ports"),
        (("--src", "100.64.0.1~102", "--dst", "1.2.3.4:5"), "name its interface with --in"),
        (("--src", "100.64.0.1", "--dst", "1.2.3.4", "--proto", "256"), "'256' is not a protocol"),
        (("--src", "100.64.0.1", "--dst", "1.2.3.4", "--proto", "quic"), "'quic' is not a protocol"),
        (("--src", "100.64.0.1", "--dst", "198.18.0.1"), "depends on a port"),
        (("--src", "100.64.0.1:5", "--dst", "1.2.3.4:5", "--netns", "x"), "--netns goes with --live"),
    ],
)
def test_a_senseless_question_is_status_2(arguments: tuple[str, ...], message: str) -> None:
    done = command("-", *arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_site_with_errors_is_status_1() -> None:
    done = command(
        "-", "--src", "100.64.0.1:5", "--dst", "1.2.3.4:5", stdin=SITE.replace("priority: 10,", "")
    )

    assert done.returncode == 1
    assert "error:" in done.stderr


def test_the_page_about_explain_shows_what_it_says() -> None:
    page = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    shown = page.partition("```\n$ nfcompile explain ")[2].partition("```")[0]
    line, _, output = shown.partition("\n")
    site = (ROOT / "examples" / "isp" / "site.yaml").read_text(encoding="utf-8")
    done = command("-", *line.split()[1:], stdin=site)

    assert done.stdout.replace("<stdin>", "site.yaml") == output


def test_an_inherited_value_is_shown_where_it_stands() -> None:
    site = SITE.replace("    timeouts_inactivity: {udp: 120, udp_session: 90}\n", "").replace(
        "vlan_mode: vlan,", "vlan_mode: vlan, timeouts_inactivity: {udp: 77},"
    )
    done = command("-", "--proto", "udp", "--src", "100.64.9.1:5000", "--dst", "198.18.0.1:80", stdin=site)

    assert "<stdin>:4: the mapping is kept for at least 77 s" in done.stdout


@pytest.mark.parametrize("format", ["text", "json"])
def test_both_doors_mean_the_same(format: str) -> None:
    """The one without typer, and typer, which reads all that has an option without a value."""
    asked = ("-", "--proto", "udp", "--src", "100.64.9.1:5000", "--dst", "198.18.0.1:80", "--format", format)
    assert command_line.read(["explain", *asked]) is not None

    assert command(*asked).stdout == command(*asked, "--no-color").stdout != ""
