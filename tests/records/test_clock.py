"""A clock that was wrong: when events happened all the same, and what `lookup --at` says of it."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfcompile.records import history, store
from nfcompile.records.clock import (
    PROGRAM_BEGAN,
    SAME_CLOCK,
    Bounds,
    ClockReading,
    bounds,
    microseconds,
    spelled,
)
from support.command import nfcompile
from support.sites import GOOD

DAY = 86_400_000_000
FIRST = microseconds("2026-03-01T00:00:00.000000Z")
"""The first of the days that the tests count."""
OTHER = GOOD.replace("203.0.113.0/30", "198.51.100.0/30")


def days(value):
    return FIRST + round(value * DAY)


def read(boot, uptime, clock):
    """A reading `uptime` days after the boot, on the day that the clock shows."""
    return ClockReading(boot, round(uptime * DAY), days(clock))


def on(*found):
    """Days as certain times."""
    return [Bounds(days(day), days(day)) for day in found]


NOW = read("now", 0.5, 40)


def test_a_clock_that_was_never_set_is_right():
    assert bounds([read("a", 5, 5), read("a", 6, 6), read("b", 0.1, 8)], NOW) == on(5, 6, 8)
    assert bounds([], NOW) == []


def test_a_clock_in_the_future_is_mended_by_the_uptime():
    """One event of 2099, between others of the same boot."""
    readings = [read("a", 5, 5), read("a", 6, 27_000), read("a", 7, 7)]

    assert bounds(readings, NOW) == on(5, 6, 7)


def test_a_clock_before_the_program_existed_is_mended_by_the_uptime():
    """No battery: the machine boots in 1970, and its clock is set later."""
    readings = [read("a", 5, 5), read("b", 0.001, -20_000), read("b", 1, 9)]

    assert bounds(readings, NOW) == on(5, 8.001, 9)


def test_the_present_clock_mends_the_present_boot():
    assert bounds([read("a", 5, 5), read("now", 0.25, -20_000)], NOW) == on(5, 39.75)


def test_a_boot_whose_clock_was_never_right_lies_between_its_neighbours():
    """The next boot began a day before its first event."""
    readings = [read("a", 5, 5), read("b", 0.25, -20_000), read("c", 1, 9)]
    before, between, after = bounds(readings, NOW)

    assert [before, after] == on(5, 9)
    assert between == Bounds(days(5) + DAY // 4, days(8))


def test_boots_that_contradict_each_other_are_both_not_certain():
    """The clock of the second boot is ahead of that of the third: nobody can say which is right."""
    first, second, third, last = bounds(
        [read("a", 5, 5), read("b", 0.5, 20), read("c", 0.5, 9), read("d", 0.5, 30)], NOW
    )

    assert [first, last] == on(5, 30)
    assert second.earliest < days(6) < days(20) < second.latest
    assert third.earliest < days(9) < days(20) < third.latest


def test_a_clock_that_was_set_leaves_both_times():
    """A step of a quarter of a day, in a boot that contradicts nothing."""
    found = bounds([read("a", 5, 5), read("a", 6, 6.25)], NOW)

    assert found == [Bounds(days(5), days(5.25)), Bounds(days(6), days(6.25))]


def test_a_leap_second_is_no_other_clock():
    step = ClockReading("a", 6 * DAY, days(6) + SAME_CLOCK // 2)

    assert bounds([read("a", 5, 5), step], NOW) == [*on(5), Bounds(step.clock, step.clock)]


clocks = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**7), st.integers(0, 3 * 10**15)), max_size=8)


@given(clocks, st.integers(PROGRAM_BEGAN, 3 * 10**15))
def test_bounds_are_in_order_whatever_the_clocks_say(found, clock):
    readings = [ClockReading(str(boot), uptime, at) for boot, uptime, at in sorted(found)]
    result = bounds(readings, ClockReading("now", 1, clock))

    assert len(result) == len(readings)
    assert all(one.earliest <= one.latest for one in result)
    assert [one.earliest for one in result] == sorted(one.earliest for one in result)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 1000), st.integers(0, 4)), min_size=1, max_size=8)
)
def test_the_true_time_is_within_the_bounds(steps):
    """A gateway whose clock is wrong at some events: the truth is never ruled out."""
    true, boot, uptime, readings, truth = days(0), 0, 0, [], []
    for reboot, passed, wrong in steps:
        true += passed * 10**9
        boot, uptime = (boot + 1, 10**7) if reboot == 0 else (boot, uptime + passed * 10**9)
        shown = {3: true + 900 * DAY, 4: 12345}.get(wrong, true)
        readings.append(ClockReading(str(boot), uptime, shown))
        truth.append(true)
    now = ClockReading(str(boot), uptime + 10**9, true + 10**9)

    for one, time in zip(bounds(readings, now), truth, strict=True):
        assert one.earliest <= time <= one.latest, spelled(time)


# ---- lookup --at


def gateway(tmp_path, *events):
    """A state directory: events as (boot, uptime in days, clock in days, site, result)."""
    path = str(tmp_path / "state")
    with store.locked(path):
        digests = {text: store.keep(path, text.encode()) for text in (GOOD, OTHER)}
    for number, (boot, uptime, clock, text, result) in enumerate(events, 1):
        name = "good.yaml" if text == GOOD else "other.yaml"
        at = spelled(days(clock))
        store.append(
            path,
            history.Event(
                number, at, result, digests[text], name, "ann", 0, "gw", "0.1", f"{boot}/1", uptime * 86_400.0
            ),
        )
    return path


def asked(path, *arguments):
    return nfcompile("lookup", *arguments, "--state-dir", path)


def at(day):
    return ("--at", datetime.fromtimestamp(days(day) / 1e6, UTC).isoformat())


def test_one_event_of_2099_leaves_the_others_their_times(tmp_path):
    applied = [
        ("a", 5, 5, GOOD),
        ("a", 5.5, 27_000, GOOD),
        ("a", 6, 6, OTHER),
        ("a", 7, 7, GOOD),
        ("a", 8, 8, OTHER),
    ]
    path = gateway(tmp_path, *((*one, "applied") for one in applied))

    right = asked(path, "198.51.100.1:3000", *at(9), "--format", "json")
    wrong = asked(path, "203.0.113.1:3000", *at(9), "--format", "json")

    assert (json.loads(right.stdout)["subscriber"], json.loads(right.stdout)["certain"]) == (
        "100.64.0.9",
        True,
    )
    assert (json.loads(wrong.stdout)["action"], wrong.returncode) == ("none", 1)
    assert right.stderr == ""


def test_a_boot_in_1970_is_never_answered_for_as_if_it_were_certain(tmp_path):
    path = gateway(tmp_path, ("a", 5, 5, GOOD, "applied"), ("b", 0.001, -20_000, OTHER, "boot"))

    for question, file in (("203.0.113.1:3000", "good.yaml"), ("198.51.100.1:3000", "other.yaml")):
        ran = asked(path, question, *at(7))
        assert ran.returncode == 0
        assert "subscriber:     100.64.0.9\n" in ran.stdout
        assert "is not certain: the clock of the gateway was wrong or was set" in ran.stderr
        other = {"good.yaml": "other.yaml", "other.yaml": "good.yaml"}[file]
        assert f"'{other}' (" in ran.stderr
        assert "may have been live too" in ran.stderr
        report = json.loads(asked(path, question, *at(7), "--report", "--format", "json").stdout)
        assert (report["certain"], report["answers"][0]["configuration"]["file"]) == (False, file)
        assert {one["file"] for one in report["may_have_been_live"]} == {"good.yaml", "other.yaml"}
        (row,) = csv.DictReader(io.StringIO(asked(path, question, *at(7), "--format", "csv").stdout))
        assert row["certain"] == "no"


def test_both_candidates_are_in_the_answer(tmp_path):
    """The subscriber has another address by each site; the clock of the gateway speaks for the first one."""
    path = gateway(
        tmp_path, ("a", 5, 5, GOOD, "applied"), ("b", 0.5, 20, OTHER, "boot"), ("c", 0.5, 9, GOOD, "boot")
    )

    found = json.loads(asked(path, "100.64.0.9", *at(15), "--format", "json").stdout)

    assert (found["global_ip"], found["certain"]) == ("203.0.113.1", False)
    assert [one["global_ip"] for one in found["also"]] == ["198.51.100.1"]
    assert asked(path, "100.64.0.9", *at(5.2)).stderr != asked(path, "100.64.0.9", *at(4)).stderr


def test_a_damaged_line_may_have_been_a_change(tmp_path):
    path = gateway(tmp_path, ("a", 5, 5, GOOD, "applied"))
    with open(tmp_path / "state" / "history.jsonl", "a") as file:
        file.write('{"change": "x"}\n')

    ran = asked(path, "203.0.113.1:3000", *at(7))

    assert ran.returncode == 0
    assert "history.jsonl': line 2 damaged and left out\n" in ran.stderr
    assert "is not certain: a damaged line of the history may have been another change" in ran.stderr


def test_a_trial_that_was_taken_back_is_answered_by_the_other_file(tmp_path):
    """Earlier versions wrote the name of the trial's file beside the digest of what came back."""
    path = gateway(
        tmp_path, ("a", 5, 5, GOOD, "applied"), ("a", 6, 6, OTHER, "trial"), ("a", 6.5, 6.5, GOOD, "reverted")
    )
    lines = (tmp_path / "state" / "history.jsonl").read_text().splitlines(keepends=True)
    lines[2] = lines[2].replace("good.yaml", "other.yaml")
    (tmp_path / "state" / "history.jsonl").write_text("".join(lines))

    report = json.loads(asked(path, "100.64.0.9", *at(7), "--report", "--format", "json").stdout)

    assert report["answers"][0]["configuration"]["file"] == "good.yaml"


VALUES = ["x", None, 5, -1, 1.5, True, [], {}, "", "9" * 40, 10**40, "a/b"]


def edited(line):
    """The line of a history with each value in each field."""
    event = json.loads(line)
    return [json.dumps(event | {field: value}) for field in history.Event._fields for value in VALUES]


def test_a_line_that_was_edited_by_hand_is_an_event_or_damaged(tmp_path):
    path = gateway(tmp_path, ("a", 5, 5, GOOD, "applied"))
    lines = edited((tmp_path / "state" / "history.jsonl").read_text())

    log = history.read("\n".join(lines).encode())

    assert len(log.events) + len(log.damaged) == len(lines)
    assert len(log.damaged) > len(lines) / 2
    for event in log.events:
        assert history.read(history.line(event)).events == (event,)
    assert store.read(path).damaged == ()


@pytest.mark.parametrize(
    "arguments",
    [["history"], ["history", "--format", "json"], ["lookup", "100.64.0.9", *at(7), "--report"]],
    ids=["history", "json", "lookup"],
)
def test_every_verb_goes_on_with_what_is_not_damaged(tmp_path, arguments):
    path = gateway(tmp_path, ("a", 5, 5, GOOD, "applied"), ("a", 6, 6, OTHER, "applied"))
    file = tmp_path / "state" / "history.jsonl"
    first, second = file.read_text().splitlines()
    file.write_text("\n".join([first, *edited(second)]) + "\n")

    ran = nfcompile(*arguments, "--state-dir", path)

    assert "Traceback" not in ran.stderr, ran.stderr
