"""Trial, confirmation and rollback against a kernel: what is live afterwards, whoever dies on the way."""

import json
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nfcompile.records import history, store
from support.bare_gateway import OTHER, REFUSED, SITE
from support.command import NFCOMPILE
from support.lab import cannot
from support.operator import THIRD, Operator, timers


def test_a_first_trial_goes_back_to_no_table(operator):
    operator.applies(SITE, "--confirm", "2")
    assert operator.live() == SITE

    operator.waits(lambda: operator.results() == ["trial", "reverted"])
    assert operator.live() is None


def test_a_trial_goes_back_though_everybody_who_made_it_is_killed(operator):
    """The whole process group and its terminal, right after apply has returned."""
    operator.applies(SITE)
    command = operator.command("apply", "-", "-q", "--confirm", "3")
    shell = subprocess.Popen(
        ["sh", "-c", 'exec 3<&0; "$@" <&3; echo done; exec sleep 60', "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    shell.stdin.write(OTHER)
    shell.stdin.close()
    assert shell.stdout.readline() == "done\n"
    os.killpg(shell.pid, signal.SIGHUP)
    os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
    assert operator.live() == OTHER

    operator.waits(lambda: operator.results() == ["applied", "trial", "reverted"])
    assert operator.live() == SITE


def test_a_trial_goes_back_when_apply_is_killed_while_it_loads(operator):
    """Its end is not in the history; the timer does not need it."""
    operator.applies(SITE)
    program = "import os, signal; from nfcompile.cli import main; from nfcompile.deploy import change\n"
    program += "load = change.load_site\n"
    program += "change.load_site = lambda *a: (load(*a), os.kill(0, signal.SIGKILL)); main()"
    command = [NFCOMPILE[0], "-c", program, *operator.command("apply", "-", "--confirm", "2")[3:]]
    ran = subprocess.run(
        command,
        input=OTHER,
        text=True,
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL
    assert operator.live() == OTHER

    operator.waits(lambda: operator.results() == ["applied", "reverted"])
    assert operator.live() == SITE


def test_what_was_not_loaded_to_the_end_cannot_be_confirmed(operator):
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "600")
    *events, _ = store.read(operator.path).events
    with open(os.path.join(operator.path, "history.jsonl"), "wb") as file:
        file.writelines(map(history.line, events))

    ran = operator.does("confirm")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert "was interrupted while it was loaded" in ran.stderr
    operator.must("rollback")
    assert (operator.live(), operator.results()) == (SITE, ["applied", "rollback"])


def test_a_trial_goes_back_though_the_state_directory_vanishes(operator):
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "2")
    shutil.rmtree(operator.state)

    operator.waits(lambda: operator.live() == SITE)
    operator.waits(lambda: operator.results() == ["reverted"])


def test_the_timer_ends_with_its_namespace(gateway, tmp_path):
    """It holds nothing of it: a namespace that is taken away while a site is on trial is gone at once."""
    name = f"nfcompile-trial-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], check=False).returncode:
        cannot("no namespace can be given a name here (/run/netns)")
    operator = Operator(gateway, tmp_path)
    operator.gateway = type("Named", (), {"path": name})
    operator.path = store.directory(operator.state, name)
    try:
        operator.applies(SITE, "--confirm", "2")
        assert len(timers(operator)) == 1
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
    operator.waits(lambda: not timers(operator))
    assert operator.results() == ["trial"]


def test_a_confirmed_site_stays(operator):
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "3")
    assert len(timers(operator)) == 1

    ran = operator.must("confirm")

    assert ran.stdout == "confirmed <stdin>\n"
    operator.waits(lambda: not timers(operator))
    time.sleep(2.5)
    assert operator.live() == OTHER
    assert operator.results() == ["applied", "trial", "confirmed"]


def test_confirm_without_a_trial_is_one_sentence(operator):
    before = operator.does("confirm")
    operator.applies(SITE)
    after = operator.does("confirm")

    for ran in (before, after):
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == "nfcompile: error: no site is on trial\n"


def test_a_trial_is_in_the_way_of_another_change_but_not_of_another_trial(operator):
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "60")
    (first,) = timers(operator)

    refused = operator.does("apply", "-", "-q", site=THIRD)
    assert refused.returncode == 1
    assert "is on trial for" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert operator.live() == OTHER

    operator.applies(THIRD, "--confirm", "2")
    assert operator.live() == THIRD
    operator.waits(lambda: operator.results()[-1] == "reverted")
    assert operator.live() == SITE  # not what was on trial before
    operator.waits(lambda: first not in timers(operator))


def test_a_trial_can_be_given_more_time(operator):
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "2")
    operator.applies(OTHER, "--confirm", "600")
    time.sleep(3)
    assert operator.live() == OTHER

    operator.must("confirm")
    operator.waits(lambda: not timers(operator))


def test_a_refused_trial_leaves_the_one_before_it(operator):
    """Nothing of it: it ends by `rollback --trial` as it would by its time."""
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "600")
    (timer,) = timers(operator)

    assert operator.does("apply", "-", "-q", "--confirm", "600", site=REFUSED).returncode == 1
    assert operator.live() == OTHER
    assert timers(operator) == [timer]

    operator.must("rollback", "--trial")
    assert operator.results()[-1] == "reverted"
    assert operator.live() == SITE
    operator.waits(lambda: not timers(operator))


@pytest.mark.parametrize("seconds", [600, None], ids=["trial", "rollback"])
def test_a_change_that_is_never_loaded_leaves_the_trial_its_timer(operator, seconds):
    """It is in the history for longer than the timer takes to look, and then killed."""
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "4")
    last = store.read(operator.path).events[-1]
    with store.locked(operator.path):
        begun = last._replace(change=last.change + 1, result=history.LOADING, seconds=seconds)
        store.append(operator.path, begun)
        time.sleep(2)

    operator.waits(lambda: operator.results()[-1] == "reverted")
    assert operator.live() == SITE
    operator.waits(lambda: not timers(operator))


def test_the_live_site_applied_again_ends_what_is_not_known(operator):
    """A change was killed before it was loaded; then somebody applies what is live, and that is written."""
    operator.applies(SITE)
    operator.applies(OTHER)
    (_, first, _, last) = store.read(operator.path).events
    store.append(operator.path, last._replace(change=3, result=history.LOADING, site=first.site))

    operator.applies(OTHER)
    operator.applies(OTHER)

    events = store.read(operator.path).events
    assert [one.result for one in events[4:]] == ["loading", "applied"]
    assert history.settled(events)[-1].site == last.site


def test_what_was_live_when_it_was_asked_is_not_written_after_another_change(operator):
    """An apply that finds nothing to change, and waits for one that loads another site."""
    operator.applies(SITE)
    last = store.read(operator.path).events[-1]
    with store.locked(operator.path):
        waiting = subprocess.Popen(
            operator.command("apply", "-"),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting.stdin.write(SITE)
        waiting.stdin.close()
        time.sleep(2)
        other = last._replace(change=2, site=store.keep(operator.path, OTHER.encode()))
        store.append(operator.path, other)
    assert waiting.wait() == 1
    assert "another change was made in the meantime" in waiting.stderr.read()
    assert store.read(operator.path).events[-1] == other


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


def test_two_trials_at_once_leave_one(operator):
    """Both confirm and the end of the trial, at the same instant: one of them wins, and says so."""
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "1")
    ran = operator.does("confirm")
    operator.waits(lambda: not timers(operator))

    assert operator.live() == (OTHER if ran.returncode == 0 else SITE)
    assert operator.results() == ["applied", "trial", "confirmed" if ran.returncode == 0 else "reverted"]


def test_a_trial_of_a_namespace_that_is_gone_is_over(operator):
    """The history goes by the name; another namespace under it has nothing on trial."""
    operator.applies(SITE)
    operator.applies(OTHER, "--confirm", "600")
    events = store.read(operator.path).events
    with open(os.path.join(operator.path, "history.jsonl"), "wb") as file:
        for one in events:
            file.write(history.line(one._replace(kernel="another boot/1")))

    assert operator.does("confirm").returncode == 1
    operator.applies(THIRD)
    assert operator.live() == THIRD


def test_a_table_that_the_history_does_not_know_gets_no_trial(operator, tmp_path):
    operator.applies(SITE)
    os.rename(operator.state, tmp_path / "elsewhere")

    ran = operator.does("apply", "-", "-q", "--confirm", "600", site=OTHER)

    assert ran.returncode == 1
    assert "the history does not know the table that is live" in ran.stderr
    assert operator.live() == SITE
    assert operator.results() == []


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
