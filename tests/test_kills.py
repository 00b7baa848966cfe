"""`scripts/kills.py`: what a signal to its whole group leaves of it."""

import runpy

from support.sites import ROOT

RECORD = runpy.run_path(str(ROOT / "scripts" / "kills.py"))["Record"]


def test_a_round_that_a_signal_breaks_off_is_no_fault() -> None:
    """The signal may reach what a round waits for before it reaches the script."""
    record = RECORD(300, 60.0)

    record.break_off(OSError("nft ended with -15"))
    record.signalled()

    assert record.fault is None
    assert not record.goes_on()


def test_a_round_that_breaks_off_alone_is_a_fault() -> None:
    record = RECORD(300, 60.0)

    record.break_off(OSError("no namespace"))

    assert isinstance(record.fault, OSError)
    assert not record.goes_on()
