"""Options and fixtures of all tests, and the environment of the processes that they start."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# How long an example takes says more about the other work of this machine than about the compiler.
settings.register_profile("patient", deadline=None)
settings.register_profile("mutants", deadline=None, phases=(Phase.explicit, Phase.generate))
settings.load_profile("patient")

# No test writes the history of this machine.
STATE = tempfile.TemporaryDirectory(prefix="nfcompile-state-")
os.environ["NFCOMPILE_STATE_DIR"] = STATE.name

# A shell's background job ignores SIGINT, and so does whatever it starts; tests send that signal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Whatever a test starts is the compiler of this tree, also where another tree is installed.
ROOT = str(Path(__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="regenerate the expected files of the golden cases; `git diff` is then the review",
    )


def pytest_configure(config):
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError("--update-golden is for a developer's machine; CI is set here")


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
