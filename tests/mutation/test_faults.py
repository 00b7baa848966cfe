"""The list of hand-made faults is in step with the compiler: each names a text that stands there once."""

import pytest

from mutation.faults import FAULTS
from support.sites import ROOT


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.file}: {fault.old[:30]}")
def test_a_fault_can_be_made(fault):
    text = (ROOT / "nfcompile" / fault.file).read_text()

    assert text.count(fault.old) == 1
    assert all((ROOT / "tests" / name).exists() for name in fault.tests)
    assert fault.new != fault.old
