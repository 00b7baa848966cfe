"""Records on their way: order, an output that is away, a full disk, the end, and the next start."""

import os
import threading

import pytest

from nfcompile.log import delivery, spool
from nfcompile.log.delivery import Delivery, OutputAway, OutputEnded
from nfcompile.log.memory_mark import MemoryMark
from nfcompile.log.records import line
from nfcompile.log.spool import Spool, SpoolFull
from support.full_disk import writing
from support.log_records import AT, CONNECTION
from support.waiting import until

MEBIBYTE = 1 << 20


def records(first, last):
    return [CONNECTION._replace(at=AT + n) for n in range(first, last)]


def numbers(found):
    return [one.at - AT for one in found]


class Shelf:
    """An output that is there or not, and may be stuck."""

    name = "shelf"

    def __init__(self, there=True):
        self.there, self.taken = there, []
        self.goes_on = threading.Event()
        self.goes_on.set()

    def deliver(self, batch):
        self.goes_on.wait()
        if not self.there:
            raise OutputAway("not there")
        self.taken += batch

    def close(self):
        self.goes_on.set()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(delivery, "AT_ONCE", 10)
    monkeypatch.setattr(delivery, "IN_MEMORY", 50)
    monkeypatch.setattr(delivery, "RETRY_FIRST", 0.01)
    monkeypatch.setattr(delivery, "RETRY_LAST", 0.02)
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 4096)


def started(folder, output, most=MEBIBYTE):
    made = Delivery(output, Spool(str(folder), most))
    made.start()
    return made


def test_all_in_order_and_nothing_left(tmp_path):
    shelf = Shelf()
    made = started(tmp_path, shelf)
    for n in range(0, 1000, 20):
        made.put(records(n, n + 20))
    made.stop(10)

    assert numbers(shelf.taken) == list(range(1000))
    assert made.state()[1:] == (1000, 0, 0, 0, "")
    assert os.listdir(tmp_path) == []


def test_an_output_that_is_away_gets_all_when_it_comes(tmp_path):
    shelf = Shelf(there=False)
    made = started(tmp_path, shelf)
    for n in range(0, 500, 5):
        made.put(records(n, n + 5))
    until(lambda: made.state().away)
    state = made.state()
    assert (state.delivered, state.lost, state.away) == (0, 0, "not there")
    assert state.waiting == 50
    assert state.spooled > 3 * 4096
    shelf.there = True
    until(lambda: made.state().delivered == 500)
    made.put(records(500, 510))
    made.stop(10)

    assert numbers(shelf.taken) == list(range(510))
    assert os.listdir(tmp_path) == []


def test_what_was_not_delivered_at_the_end_is_delivered_at_the_next_start(tmp_path):
    away = Shelf(there=False)
    made = started(tmp_path, away)
    made.put(records(0, 40))
    made.put(records(40, 140))
    made.stop(10)
    assert made.state().spooled

    shelf = Shelf()
    again = started(tmp_path, shelf)
    again.put(records(140, 150))
    again.stop(10)

    assert numbers(shelf.taken) == list(range(150))


def test_an_end_in_the_midst_of_the_spool(tmp_path):
    shelf = Shelf(there=False)
    made = started(tmp_path, shelf)
    made.put(records(0, 200))
    shelf.there = True
    until(lambda: len(shelf.taken) >= 30)
    shelf.there = False
    made.stop(10)
    before = len(shelf.taken)

    again = started(tmp_path, shelf2 := Shelf())
    again.stop(10)

    assert numbers(shelf.taken + shelf2.taken) == list(range(200))
    assert before >= 30


def test_an_output_that_is_stuck_does_not_hold_up_the_end(tmp_path):
    shelf = Shelf()
    shelf.goes_on.clear()
    made = started(tmp_path, shelf)
    made.put(records(0, 30))
    made.stop(0.1)

    again = started(tmp_path, shelf2 := Shelf())
    again.stop(10)
    assert numbers(shelf2.taken) == list(range(30))


def test_what_no_disk_has_room_for_is_counted(tmp_path):
    made = started(tmp_path, Shelf(there=False), most=4000)
    for n in range(0, 200, 10):
        made.put(records(n, n + 10))
    state = made.state()
    made.stop(10)

    each = len(line(CONNECTION)) + 1
    assert state.waiting == 50
    assert state.spooled == 4000 // (10 * each) * 10 * each
    assert state.lost == 150 - state.spooled // each


def test_a_disk_that_is_full_costs_whole_records_and_takes_more_later(tmp_path, monkeypatch):
    """A batch that it took in part is taken out again: no line is torn."""
    shelf = Shelf(there=False)
    made = started(tmp_path, shelf)
    made.put(records(0, 50))
    room = [1000]
    monkeypatch.setattr(spool.os, "write", writing(room))
    made.put(records(50, 60))
    assert made.state().lost == 10
    room[0] = 1 << 20
    made.put(records(60, 70))
    shelf.there = True
    until(lambda: made.state().delivered == 60)
    made.stop(10)

    assert numbers(shelf.taken) == [*range(50), *range(60, 70)]
    assert made.state().lost == 10


def test_what_was_in_memory_at_a_kill_is_known_afterwards(tmp_path):
    """What is on the disk is not lost, and is not counted."""
    shelf = Shelf(there=False)
    first = Delivery(shelf, Spool(str(tmp_path), MEBIBYTE), MemoryMark(str(tmp_path)))
    first.start()
    first.put(records(0, 40))
    first.put(records(40, 70))
    until(lambda: first.state().away)

    mark = MemoryMark(str(tmp_path))  # as after a kill: nothing was closed
    assert (mark.was_killed, mark.left) == (True, 40)
    again = Delivery(Shelf(), Spool(str(tmp_path), MEBIBYTE), mark)
    assert again.state().lost == 40
    again.start()
    again.stop(10)
    assert numbers(again.output.taken) == list(range(40, 70))

    after = MemoryMark(str(tmp_path))
    assert (after.was_killed, after.left) == (False, 0)
    after.close()
    first.stop(0.1)


def test_an_output_that_has_ended_is_noticed(tmp_path):
    class Closed(Shelf):
        def deliver(self, batch):
            raise OutputEnded("closed")

    made = started(tmp_path, Closed())
    made.put(records(0, 1))
    until(lambda: not made.runs)
    assert made.state().away == "closed"
    made.stop(1)
    assert numbers(Spool(str(tmp_path), MEBIBYTE).read(10)) == [0]


def test_a_line_that_a_crash_has_torn_is_counted_and_left_out(tmp_path):
    lines = [line(one) for one in records(0, 3)]
    (tmp_path / "000000000001.jsonl").write_text(f"{lines[0]}\n{lines[1][:40]}\n{lines[2]}\n")
    left = Spool(str(tmp_path), MEBIBYTE)

    assert numbers(left.read(10)) == [0, 2]
    assert left.unreadable == 1
    left.done(10)
    assert not left
    assert Delivery(Shelf(), left).state().lost == 1


def test_a_spool_of_no_size_takes_nothing(tmp_path):
    with pytest.raises(SpoolFull):
        Spool(str(tmp_path), 0).write(records(0, 1))
    assert os.listdir(tmp_path) == []
