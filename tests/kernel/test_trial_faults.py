"""Faults around a trial: whatever is killed, it has an end; and disks that fail, directories of others."""

import json
import os
import signal
import stat
import subprocess
import sys

import pytest

from nfcompile.records import history, store
from support.bare_gateway import OTHER, SITE
from support.command import NFCOMPILE
from support.lab import cannot
from support.operator import THIRD, timers


def killed_in(operator, where, kind, *arguments, site=OTHER):
    """An apply whose process is killed when it gets to a function of the program."""
    module, _, name = where.rpartition(".")
    program = f"import os, signal; from nfcompile.cli import main; import {module} as module\n"
    program += f"module.{name} = lambda *a, **k: os.kill(os.getpid(), signal.{kind}) or input()\nmain()"
    command = [sys.executable, "-c", program, *operator.command("apply", "-", "-q", *arguments)[3:]]
    return subprocess.run(command, input=site, capture_output=True, text=True, check=False)


SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")
AT_ITS_START = "nfcompile.deploy.change._start_timer"
WHILE_THE_TIMER_STARTS = "nfcompile.deploy.timer._first_line"


@pytest.mark.parametrize("kind", SIGNALS)
def test_an_apply_killed_while_its_timer_starts_leaves_no_trial_and_no_process(operator, kind):
    operator.applies(SITE)

    assert killed_in(operator, WHILE_THE_TIMER_STARTS, kind, "--confirm", "600").returncode != 0

    # A timer that is just being started is not seen among the processes.
    operator.waits(lambda: store.read(operator.path).events[-1].result != history.LOADING)
    operator.waits(lambda: not timers(operator))
    assert (operator.live(), operator.left_over()) == (SITE, [])
    assert operator.does("confirm").stderr == "nfcompile: error: no site is on trial\n"
    operator.applies(THIRD)
    assert operator.live() == THIRD


def interrupted(operator):
    """An apply that was killed before it had a timer: nothing but the begin of a trial is in the history."""
    operator.applies(SITE)
    assert killed_in(operator, AT_ITS_START, "SIGKILL", "--confirm", "2").returncode == -signal.SIGKILL
    assert timers(operator) == []
    assert store.read(operator.path).events[-1].result == history.LOADING


@pytest.mark.parametrize(
    ("verb", "site"),
    [(("apply", "-"), THIRD), (("apply", "-", "--confirm", "600"), THIRD), (("boot",), SITE)],
)
def test_what_an_apply_has_left_that_was_killed_is_in_no_ones_way(operator, verb, site):
    interrupted(operator)

    ran = operator.must(*verb, site=THIRD)

    assert "on trial" not in ran.stderr
    assert operator.live() == site


def test_the_advice_for_an_interrupted_trial_helps(operator):
    """It was circular once: apply said 'confirm', and confirm said 'apply'."""
    interrupted(operator)

    ran = operator.does("confirm")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert "'nfcompile apply' loads it again, 'nfcompile rollback' goes back" in ran.stderr
    operator.applies(OTHER)
    assert (operator.live(), operator.results()[-1]) == (OTHER, "applied")
    operator.must("rollback")
    assert operator.live() == SITE


def timer_killed(operator):
    """A trial of a second whose timer is killed."""
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "2")
    (timer,) = timers(operator)
    os.kill(timer, signal.SIGKILL)
    operator.waits(lambda: store.uptime() > store.read(operator.path).events[-1].uptime + 2)
    assert operator.live() == OTHER


@pytest.mark.parametrize(
    "verb",
    [
        ("history",),
        ("diff", "-"),
        ("apply", "-"),
        ("apply", "-", "--dry-run"),
        ("boot",),
        ("confirm",),
        ("rollback",),
    ],
    ids=" ".join,
)
def test_every_verb_ends_a_trial_whose_timer_was_killed(operator, verb):
    timer_killed(operator)

    ran = operator.does(*verb, site=SITE)

    assert operator.live() == SITE
    ended = "rollback" if verb == ("rollback",) else "reverted"
    assert operator.results()[:3] == ["applied", "trial", ended]
    if verb == ("confirm",):
        assert ran.returncode == 1
        assert ran.stderr == "nfcompile: error: the trial of '<stdin>' is over: '<stdin>' is live again\n"
    else:
        assert ran.returncode == 0
        assert ("the trial of '<stdin>' is over" in ran.stderr) == (verb != ("rollback",))


@pytest.mark.parametrize("verb", ["status", "sessions"])
def test_verbs_that_only_look_end_it_too(operator, verb, tmp_path):
    timer_killed(operator)
    (tmp_path / "site.yaml").write_text(SITE)

    ran = subprocess.run(
        [*NFCOMPILE, verb, str(tmp_path / "site.yaml"), "--netns", operator.gateway.path],
        env=os.environ | {"NFCOMPILE_STATE_DIR": operator.state},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0
    assert "the trial of '<stdin>' is over" in ran.stderr
    assert operator.live() == SITE


def test_a_trial_that_cannot_be_taken_back_can_be_kept(operator):
    """This version does not compile what was live before, and the timer was killed."""
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "2")
    for timer in timers(operator):
        os.kill(timer, signal.SIGKILL)
    *before, trial = store.read(operator.path).events
    digest = store.keep(operator.path, SITE.replace("version: 1", "version: 0").encode())
    rejected = [event._replace(site=digest) for event in before if event.change == 1]
    with open(os.path.join(operator.path, "history.jsonl"), "wb") as file:
        file.writelines(map(history.line, [*rejected, trial._replace(back=digest)]))
    operator.waits(lambda: store.uptime() > trial.uptime + 2)

    ran = operator.must("history")
    assert "is over, but it cannot be taken back: this version of nfcompile rejects" in ran.stderr

    assert operator.must("confirm").stdout == "confirmed <stdin>\n"
    assert operator.live() == OTHER


def test_the_event_that_ends_a_trial_names_the_file_that_is_live_again(operator, tmp_path):
    for name, site, more in (("a.yaml", SITE, ()), ("b.yaml", OTHER, ("--confirm", "1"))):
        (tmp_path / name).write_text(site)
        operator.must("apply", str(tmp_path / name), "-q", *more)
    operator.waits(lambda: operator.results()[-1] == "reverted")

    last = store.read(operator.path).events[-1]

    assert (os.path.basename(last.file), last.site) == ("a.yaml", store.digest(SITE.encode()))


# ---- rollback --trial


def test_rollback_trial_ends_a_trial_and_nothing_else(operator):
    operator.applies(SITE)
    operator.applies(OTHER)

    idle = operator.must("rollback", "--trial")
    assert (idle.stdout, operator.live()) == ("no site is on trial; nothing to do\n", OTHER)
    assert json.loads(operator.must("rollback", "--trial", "--format", "json").stdout)["event"] is None

    operator.applies(THIRD, "--confirm", "600")
    ended = operator.must("rollback", "--trial")

    assert (ended.stdout, operator.live()) == ("rolled back to <stdin>\n", OTHER)
    operator.waits(lambda: not timers(operator))
    assert operator.results() == ["applied", "applied", "trial", "reverted"]
    assert operator.does("rollback", "2", "--trial").returncode == 2


def test_rollback_trial_ends_a_first_trial_with_no_table(operator):
    operator.applies(SITE, "--confirm", "600")

    assert operator.must("rollback", "--trial").stdout == "rolled back to no table\n"
    assert operator.live() is None


# ---- a disk that fails

DISK = """
mount -t tmpfs -o size=96k tmpfs "$0" || exit 77
printf '%s' "$SITE" | "$@" || exit 78
printf '%s' "$OTHER" | "$@" || exit 79
if [ "$FAULT" = full ]; then cat /dev/zero >"$0/zeros" 2>/dev/null
else mount -o remount,ro "$0" || exit 77; fi
[ "$VERB" = rollback ] || nsenter --net="$NETNS" nft delete table ip nfcompile || exit 80
shift 3
"$@" $VERB --netns "$NETNS" --state-dir "$0" $MORE
"""


@pytest.mark.parametrize("more", ["", "--format json"], ids=["text", "json"])
@pytest.mark.parametrize("verb", ["boot", "rollback"])
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_boot_and_rollback_need_no_disk_that_can_be_written(operator, tmp_path, fault, verb, more):
    small = tmp_path / "small"
    small.mkdir()
    netns = operator.gateway.path
    apply = [*NFCOMPILE, "apply", "-", "-q", "--netns", netns, "--state-dir", str(small)]
    # The words that `shift` leaves are the program itself.
    script = DISK.replace('shift 3\n"$@"', f"'{NFCOMPILE[0]}' -c '{NFCOMPILE[2]}'")
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, str(small), *apply],
        env=os.environ
        | {"SITE": SITE, "OTHER": OTHER, "FAULT": fault, "VERB": verb, "NETNS": netns, "MORE": more},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode == 77:
        cannot("no tmpfs can be mounted here")

    assert ran.returncode == 0, ran.stderr
    assert operator.live() == (OTHER if verb == "boot" else SITE)
    # On a full disk a short line may still fit into the last page of the history.
    note = f"nfcompile: note: the {verb} is not in the history: cannot write the state directory"
    assert fault == "full" or note in ran.stderr
    assert not more or json.loads(ran.stdout)["event"]["result"] == verb


# ---- a directory of others


def test_the_state_directory_is_for_one_user_whatever_the_umask(operator):
    assert operator.does("apply", "-", "-q", site=SITE, umask=0).returncode == 0

    for folder, _, files in os.walk(operator.state):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
        for name in files:
            assert not stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) & 0o077, name


@pytest.mark.parametrize(
    "verb", [("boot",), ("apply", "-", "-q"), ("rollback",), ("history",), ("confirm",)], ids=" ".join
)
@pytest.mark.parametrize("fault", ["mode", "owner", "file"])
def test_a_directory_that_others_can_write_is_not_used(operator, verb, fault):
    operator.applies(SITE)
    operator.applies(OTHER)
    if fault == "mode":
        os.chmod(operator.path, 0o770)
    elif fault == "owner":
        os.chown(operator.path, 65534, -1)
    else:
        os.chmod(os.path.join(operator.path, "history.jsonl"), 0o666)

    ran = operator.does(*verb, site=THIRD)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("nfcompile: error: the state directory is not used: ")
    assert ran.stderr.count("\n") == 1
    assert operator.live() == OTHER


# ---- what the host lacks


def test_warnings_about_the_host_come_every_time(operator):
    """Also where nothing changes, in a dry run, and in JSON. The gateway has no interfaces."""
    codes = []
    for arguments in (("-y",), (), ("--dry-run",)):
        ran = operator.must("apply", "-", *arguments, site=SITE)
        assert "[host-interface]" in ran.stderr
        assert "net.ipv4.ip_forward: 0, should be: 1 [host-sysctl]" in ran.stderr
        told = json.loads(operator.must("apply", "-", *arguments, "--format", "json", site=SITE).stdout)
        codes.append([one["code"] for one in told["diagnostics"]])
    booted = operator.must("boot", "--format", "json")
    early = [one["code"] for one in json.loads(booted.stdout)["diagnostics"]]

    assert codes == [codes[0]] * 3
    assert {"host-interface", "host-sysctl"} <= set(codes[0])
    assert (early, booted.stderr) == (["host-sysctl"], "")  # interfaces come later than the ruleset
    assert "[host-sysctl]" in operator.must("boot").stderr


@pytest.mark.parametrize(
    "verb",
    [
        ("apply", "-"),
        ("diff", "-"),
        ("status", "-"),
        ("sessions", "list", "-"),
        ("sessions", "clear", "-", "-y"),
    ],
    ids=" ".join,
)
def test_without_privilege_json_is_a_document_too(operator, verb):
    """The root of a user namespace, in the network namespace of somebody else."""
    command = [*NFCOMPILE, *verb, "--format", "json", "--state-dir", operator.state]
    ran = subprocess.run(
        ["unshare", "-Ur", *command], input=SITE, capture_output=True, text=True, check=False
    )
    if "unshare failed" in ran.stderr:
        cannot(f"no user namespace can be made here: {ran.stderr}")

    assert ran.returncode == 1
    assert json.loads(ran.stdout)["error"].startswith("permission denied reading the ")
    assert ran.stderr.startswith("nfcompile: error: permission denied reading the ")
