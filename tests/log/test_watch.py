"""When blocks are released, by a kernel of which the test knows everything."""

import pytest

from nfcompile.log.records import ASSIGNED, HELD, RELEASED, BlockRecord
from nfcompile.log.watch import FIRST_LOOK, BlockWatch

SECOND = 1_000_000
START = 1_777_000_000 * SECOND


class Kernel:
    """Elements with the time at which each goes, and a clock that begins at 0."""

    def __init__(self):
        self.ends, self.now = {}, 0
        self.watch = BlockWatch(self.look)

    def look(self, record):
        end = self.ends.get((record.subscriber, record.number), 0)
        return end - self.now if end > self.now else None

    def assign(self, subscriber, number, life, event=ASSIGNED):
        self.ends[subscriber, number] = self.now + life
        return BlockRecord(event, START + self.now, "homes", 1, subscriber, number, 9, 1024, 1031)

    def assigned(self, subscriber, number, life):
        return said(self.watch.assigned(self.assign(subscriber, number, life), self.now))

    def reconcile(self, *found):
        pairs = [(one, self.ends[one.subscriber, one.number] - self.now) for one in found]
        return said(self.watch.reconcile(pairs, START + self.now, self.now))

    def until(self, now):
        """Let time pass, with a look whenever the watch asks for one, and late by a tenth of a second."""
        found = []
        while self.now + self.watch.wait(self.now) + SECOND // 10 <= now:
            self.now += self.watch.wait(self.now) + SECOND // 10
            found += said(self.watch.due(START + self.now, self.now, 100))
        self.now = now
        return found


def said(records):
    return [(one.event, one.at - START, one.subscriber, one.number) for one in records]


@pytest.fixture
def kernel():
    return Kernel()


def test_a_block_is_released_when_its_element_went(kernel):
    assert kernel.assigned(7, 1, 10 * SECOND) == [(ASSIGNED, 0, 7, 1)]
    assert kernel.until(9 * SECOND) == []
    assert kernel.until(30 * SECOND) == [(RELEASED, 10 * SECOND, 7, 1)]
    assert not kernel.watch.held


def test_an_element_that_was_made_to_live_longer(kernel):
    kernel.assigned(7, 1, 10 * SECOND)
    kernel.until(5 * SECOND)
    kernel.ends[7, 1] = 15 * SECOND
    assert kernel.until(14 * SECOND) == []
    kernel.ends[7, 1] = 24 * SECOND
    assert kernel.until(60 * SECOND) == [(RELEASED, 24 * SECOND, 7, 1)]


def test_an_idle_block_costs_few_looks(kernel):
    looks = []
    kernel.watch = BlockWatch(lambda record: looks.append(kernel.now) or kernel.look(record))
    kernel.assigned(7, 1, 86400 * SECOND)
    kernel.until(86399 * SECOND)
    assert len(looks) == 1
    assert looks[0] == FIRST_LOOK + SECOND // 10


def test_the_next_owner_ends_what_the_last_one_had(kernel):
    kernel.assigned(7, 1, 100 * SECOND)
    kernel.now = 5 * SECOND
    del kernel.ends[7, 1]
    assert kernel.assigned(8, 1, 100 * SECOND) == [
        (RELEASED, 5 * SECOND, 7, 1),
        (ASSIGNED, 5 * SECOND, 8, 1),
    ]
    assert [one.subscriber for one in kernel.watch.held.values()] == [8]


def test_what_is_found_and_what_is_gone(kernel):
    kernel.assigned(7, 1, 100 * SECOND)
    kernel.assigned(8, 2, 100 * SECOND)
    kernel.now = 3 * SECOND
    del kernel.ends[7, 1]
    found = [kernel.assign(subscriber, subscriber - 6, 50 * SECOND, HELD) for subscriber in (8, 9)]
    assert kernel.reconcile(*found) == [(RELEASED, 3 * SECOND, 7, 1), (HELD, 3 * SECOND, 9, 3)]
    assert kernel.until(100 * SECOND) == [
        (RELEASED, 53 * SECOND, 8, 2),
        (RELEASED, 53 * SECOND, 9, 3),
    ]


def test_what_is_assigned_after_the_maps_were_read_is_not_released(kernel):
    kernel.assigned(7, 1, 100 * SECOND)
    assert kernel.reconcile() == []
    assert kernel.watch.held


def test_a_number_that_means_another_block(kernel):
    kernel.assigned(7, 1, 100 * SECOND)
    other = kernel.assign(7, 1, 100 * SECOND, HELD)._replace(address=10)
    assert kernel.reconcile(other) == [(RELEASED, 0, 7, 1), (HELD, 0, 7, 1)]


def test_a_message_about_a_block_that_was_found_already(kernel):
    late = kernel.assign(7, 1, 100 * SECOND)
    kernel.now = SECOND
    kernel.reconcile(late._replace(event=HELD, at=START + SECOND))
    assert said(kernel.watch.assigned(late, kernel.now)) == [(ASSIGNED, 0, 7, 1)]


def test_a_message_without_the_kernels_time_about_a_block_that_was_found_already(kernel):
    """It has the time at which it was read, which is later."""
    found = kernel.assign(7, 1, 100 * SECOND, HELD)
    kernel.reconcile(found)
    kernel.now = SECOND // 2
    read = kernel.assign(7, 1, 100 * SECOND)
    assert said(kernel.watch.assigned(read, kernel.now)) == [(ASSIGNED, SECOND // 2, 7, 1)]


def test_the_same_block_again_long_after_it_was_found(kernel):
    kernel.reconcile(kernel.assign(7, 1, SECOND, HELD))
    kernel.now = 3 * SECOND
    again = kernel.assign(7, 1, 100 * SECOND)
    assert said(kernel.watch.assigned(again, kernel.now)) == [
        (RELEASED, 3 * SECOND, 7, 1),
        (ASSIGNED, 3 * SECOND, 7, 1),
    ]
