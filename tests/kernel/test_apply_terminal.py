"""`apply` on a terminal: it shows what it does, and Ctrl-C leaves the old ruleset or the whole new one."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from support.bare_gateway import OTHER, SITE, Namespace
from support.command import nfcompile
from support.terminal import AT_ONCE, HIDE, SHOW, verb_on_terminal

STOPPED = f'''
import os, signal
from nfcompile.cli import main, progress
from nfcompile.deploy import change
from nfcompile.kernel import batch, nft
{AT_ONCE}
def then_interrupt(work):
    def done(*words):
        result = work(*words)
        interrupt()
        return result
    return done
def interrupt():
    """As a terminal does: to the command, and to what it has started."""
    for pid in set((COMMAND, os.getpid())):
        os.kill(pid, signal.SIGINT)
COMMAND = os.getpid()
begin = change._begin
def begun(*words):
    if "WHEN" == "before":
        batch.text_of = then_interrupt(batch.text_of)
    else:
        nft.load = then_interrupt(nft.load)
    return begin(*words)
change._begin = begun
main()
'''
"""The command, which gets SIGINT right before its transaction, or right after it."""
PREFIXES = "203.0.113.0/30", "198.51.100.0/30"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(OTHER)
    return path


def inside(gateway: Namespace, netns: bool) -> tuple[str, ...]:
    """What stands before a command that is not told the namespace."""
    return () if netns else ("nsenter", f"--net={gateway.path}")


def arguments(gateway: Namespace, site: Path, netns: bool = True) -> list[str]:
    named = ["--netns", gateway.path] if netns else []
    return ["apply", str(site), "--state-dir", str(site.parent / "state"), "--yes", *named]


def live(gateway: Namespace) -> str:
    """The global prefix of the site that is loaded."""
    listed = gateway.nft("list", "map", "ip", "nfcompile", "blocks_home")
    return next(prefix for prefix in PREFIXES if prefix in listed)


def applied(gateway: Namespace, site: Path, text: str, netns: bool = True) -> None:
    """The same by the command without a terminal, which writes no control character."""
    site.write_text(text)
    done = nfcompile(*arguments(gateway, site, netns), before=inside(gateway, netns))
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def last_result(site: Path) -> str:
    (history,) = (site.parent / "state").rglob("history.jsonl")
    return str(json.loads(history.read_text().splitlines()[-1])["result"])


def test_apply_shows_what_it_does(gateway: Namespace, site: Path) -> None:
    got, code = verb_on_terminal(*arguments(gateway, site))

    assert code == 0
    for words in (b"compiling", b"comparing with the kernel", b"loading"):
        assert words in got
    assert got.count(HIDE) == got.count(SHOW) == 3
    assert live(gateway) == "198.51.100.0/30"


def test_ctrl_c_while_apply_waits_leaves_the_old_ruleset(gateway: Namespace, site: Path) -> None:
    """Another program holds the lock of the namespace, so `apply` is at work for certain."""
    applied(gateway, site, SITE)
    site.write_text(OTHER)
    with open(gateway.path) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        got, code = verb_on_terminal(*arguments(gateway, site), interrupt=b"loading")

    assert code == 130
    assert got.rfind(SHOW) > got.rfind(HIDE)
    assert b"Traceback" not in got
    assert live(gateway) == "203.0.113.0/30"
    applied(gateway, site, OTHER)
    assert live(gateway) == "198.51.100.0/30"


@pytest.mark.parametrize("netns", [True, False])
def test_ctrl_c_before_the_transaction_leaves_the_old_ruleset(
    gateway: Namespace, site: Path, netns: bool
) -> None:
    applied(gateway, site, SITE, netns)
    site.write_text(OTHER)

    got, code = stopped(gateway, site, "before", netns)

    assert code == 130
    assert b"Traceback" not in got
    assert got.rfind(SHOW) > got.rfind(HIDE)
    assert (live(gateway), last_result(site)) == ("203.0.113.0/30", "refused")
    applied(gateway, site, OTHER, netns)


@pytest.mark.parametrize("netns", [True, False])
def test_ctrl_c_after_the_transaction_is_too_late(gateway: Namespace, site: Path, netns: bool) -> None:
    """The site is live, in the history, and nothing is left to be flushed; the operator is told."""
    applied(gateway, site, SITE, netns)
    site.write_text(OTHER)

    got, code = stopped(gateway, site, "after", netns)

    assert code == 130
    assert b"the site was loaded already; 'nfcompile rollback' takes it back" in got
    assert b"Traceback" not in got
    assert (live(gateway), last_result(site)) == ("198.51.100.0/30", "applied")
    assert "unflushed" not in gateway.nft("list", "ruleset")


def stopped(gateway: Namespace, site: Path, when: str, netns: bool) -> tuple[bytes, int]:
    """`apply` in the namespace, or from outside with --netns."""
    program = STOPPED.replace("WHEN", when)
    return verb_on_terminal(*arguments(gateway, site, netns), program=program, before=inside(gateway, netns))
