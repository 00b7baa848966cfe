"""What all tests of the rollout share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from controller import ANSIBLE, Controller


@pytest.fixture(scope="session")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Controller:
    assert (ANSIBLE / "ansible-playbook").exists(), "run `make ansible`"
    made = Controller(tmp_path_factory.mktemp("controller"))
    made.install()
    return made
