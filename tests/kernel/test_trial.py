"""Trial and confirmation against a kernel: what is live afterwards, whichever process dies on the way."""

import os
import shutil
import signal
import subprocess
import time

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
