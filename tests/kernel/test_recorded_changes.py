"""What the history is for: rollback, boot, changes in a row, and a disk that is full or not ours."""

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nfcompile.records import history, store
from support.bare_gateway import OTHER, SITE
from support.command import NFCOMPILE
from support.lab import cannot
from support.operator import THIRD, timers


def test_rollback_counts_different_sites(operator):
    for site in (SITE, OTHER, SITE, THIRD):
        operator.applies(site)

    ran = operator.must("rollback", "2")
    assert ran.stdout.splitlines()[-1] == "rolled back to <stdin>"
    assert operator.live() == OTHER
    operator.must("rollback")
    assert operator.live() == THIRD
    none = operator.does("rollback", "3")
    assert (none.returncode, none.stdout) == (1, "")
    assert none.stderr == "nfcompile: error: the history has 2 earlier sites to go back to, not 3\n"


def test_rollback_ends_a_trial(operator):
    first = operator.does("rollback")
    operator.applies(SITE, "--confirm", "600")
    operator.must("rollback")
    assert operator.live() is None
    operator.waits(lambda: not timers(operator))

    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "600")
    operator.must("rollback")
    assert operator.live() == SITE
    operator.waits(lambda: not timers(operator))

    assert (first.returncode, first.stderr) == (1, "nfcompile: error: the history has no earlier site\n")
    assert operator.results() == ["trial", "reverted", "applied", "trial", "rollback"]


def test_rollback_needs_no_file_and_says_when_this_version_does_not_take_the_site(operator):
    operator.applies(SITE)
    operator.applies(OTHER)
    (event, *_) = store.read(operator.path).events
    of_the_past = SITE.replace("version: 1", "version: 0").encode()
    digest = store.keep(operator.path, of_the_past)
    with open(os.path.join(operator.path, "history.jsonl"), "ab") as file:
        file.write(history.line(event._replace(change=7, result="applied", site=digest, version="0.0.1")))
        file.write(history.line(event._replace(change=8, result="applied", site=event.site)))

    ran = operator.does("rollback", "-q")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert "rejects '<stdin> of 20" in ran.stderr
    assert "which version 0.0.1 loaded" in ran.stderr
    assert operator.live() == OTHER


def test_two_at_once_are_one_after_the_other(operator):
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda site: operator.does("apply", "-", site=site), [SITE, OTHER, THIRD]))

    assert [ran.returncode for ran in done] == [0, 0, 0], done
    events = store.read(operator.path).events
    assert [one.result for one in events] == ["loading", "applied"] * 3
    assert store.site(operator.path, events[-1].site).decode() == operator.live()


FULL = """
mount -t tmpfs -o size=96k tmpfs "$0" || exit 77
printf '%s' "$SITE" | "$@" || exit 78
cat /dev/zero >"$0/zeros" 2>/dev/null
truncate -s "-$FREE" "$0/zeros"
printf '%s' "$OTHER" | "$@" $CONFIRM
status=$?
cat "$0"/netns/*/history.jsonl
exit $status
"""
"""A disk with so many bytes free; prints the history in the end."""


@pytest.mark.parametrize("confirm", ["", "--confirm 1"], ids=["apply", "trial"])
@pytest.mark.parametrize("pages", range(5))
def test_a_full_disk_is_said_before_the_kernel_is_touched(operator, tmp_path, pages, confirm):
    """With any number of free pages: all is written, or the old ruleset stands."""
    small = tmp_path / "small"
    small.mkdir()
    command = [*NFCOMPILE, "apply", "-", "-q", "--netns", operator.gateway.path, "--state-dir", str(small)]
    wanted = {"SITE": SITE, "OTHER": OTHER, "FREE": str(4096 * pages), "CONFIRM": confirm}
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-c", FULL, str(small), *command],
        env=os.environ | wanted,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode == 77:
        cannot("no tmpfs can be mounted here")
    results = [one.result for one in history.read(ran.stdout.encode()).events]
    if ran.returncode == 0:
        assert results == ["loading", "applied", "loading", "trial" if confirm else "applied"]
        if confirm:  # the timer sees a disk that is still full
            operator.waits(lambda: operator.live() == SITE)
        else:
            assert operator.live() == OTHER
        return
    assert ran.returncode == 1
    assert pages < 4
    assert ran.stderr.endswith("No space left on device\n")
    assert ran.stderr.count("\n") == 1
    assert operator.live() == SITE
    assert "trial" not in results


def test_boot_loads_what_was_kept_and_not_what_was_on_trial(operator):
    nothing = operator.must("boot")
    assert nothing.stdout.startswith("no site to load in ")
    assert operator.live() is None
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "600")
    in_the_way = operator.does("boot")
    assert (in_the_way.returncode, operator.live()) == (1, OTHER)

    # The machine is started again: no table, no timer, another boot id.
    for pid in timers(operator):
        os.kill(pid, signal.SIGKILL)
    operator.gateway.nft("delete", "table", "ip", "nfcompile")
    lines = [one._replace(kernel="the boot before/1") for one in store.read(operator.path).events]
    with open(os.path.join(operator.path, "history.jsonl"), "wb") as file:
        file.writelines(map(history.line, lines))

    assert operator.must("boot").stdout.startswith("loaded <stdin> of ")
    assert operator.live() == SITE
    assert operator.results() == ["applied", "trial", "boot"]


def test_the_unit_is_one_that_systemd_takes(operator, tmp_path):
    unit = operator.must("boot", "--unit").stdout
    assert f"RequiresMountsFor={operator.state}\n" in unit
    file = tmp_path / "nfcompile.service"
    file.write_text(unit.replace("ExecStart=", "ExecStart=/bin/true "))
    try:
        ran = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        cannot("systemd-analyze is not installed")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_history_in_json(operator):
    operator.applies(SITE)
    operator.applies(OTHER)
    listed = json.loads(operator.must("history", "--format", "json").stdout)

    assert [one["result"] for one in listed["events"]] == ["loading", "applied"] * 2
    last = listed["events"][-1]
    assert Path(last["stored"]).read_text() == OTHER
    assert (last["uid"], last["file"], last["change"]) == (os.getuid(), "<stdin>", 2)
    assert listed["damaged"] == []


def test_who_may_not_write_to_the_default_directory_has_no_history(gateway, tmp_path):
    """An ordinary user in a user namespace; here root without the right to write where others own."""
    forbidden = tmp_path / "lib"
    forbidden.mkdir()
    os.chown(forbidden, 65534, 65534)
    program = "from nfcompile.cli import main; from nfcompile.records import store; "
    program += f"store.DEFAULT = {str(forbidden / 'nfcompile')!r}; main()"
    environment = {k: v for k, v in os.environ.items() if k != "NFCOMPILE_STATE_DIR"}

    def apply_(*arguments):
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", NFCOMPILE[0], "-c", program]
        command += ["apply", "-", "--netns", gateway.path, *arguments]
        return subprocess.run(
            command, input=SITE, env=environment, capture_output=True, text=True, check=False
        )

    trial = apply_("--confirm", "60")
    assert trial.returncode == 1
    assert "cannot write the state directory" in trial.stderr
    assert gateway.tables() == []
    ran = apply_()
    assert ran.returncode == 0
    assert ran.stdout.endswith("\napplied\n")
    assert "nfcompile: note: no history is kept: cannot write the state directory" in ran.stderr
