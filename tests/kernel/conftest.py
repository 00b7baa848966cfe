"""One lab for all kernel tests of a process. Where it cannot be built the tests skip and say why; with CI or
NFCOMPILE_REQUIRE_KERNEL set that is a failure, since a ruleset that no kernel has seen proves nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from support.bare_gateway import Namespace
from support.holder import Unavailable
from support.lab import CANNOT, Lab, cannot, is_required
from support.operator import Operator
from support.privilege import refused
from support.two_processors import Processors

HERE = Path(__file__).parent
TOOLS = ("ip", "nft", "conntrack")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kernel)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the kernel refuses an ordinary user is left out and said; a failure with CI set, as everywhere."""
    report = yield
    why = refused(report.longreprtext) if report.failed else None
    if why and not is_required():
        report.outcome = "skipped"
        path, line, _ = item.location
        report.longrepr = (path, (line or 0) + 1, f"Skipped: {CANNOT}: of an ordinary user, {why}")
    return report


@pytest.fixture(scope="session")
def _lab() -> Iterator[Lab | str]:
    """The lab, or why there is none."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        yield f"not installed: {', '.join(missing)}"
        return
    try:
        with Lab() as lab:
            yield lab
    except Unavailable as error:
        yield str(error)


@pytest.fixture(scope="session")
def lab(_lab: Lab | str) -> Lab:
    """A gateway with subscribers and the Internet around it; each test loads its own ruleset."""
    if isinstance(_lab, Lab):
        return _lab
    cannot(_lab)


@pytest.fixture
def routed_by_mark(lab: Lab) -> Iterator[None]:
    """The lab's gateway routes what goes back to a VLAN by its mark, as long as a test lasts."""
    with lab.routed_by_mark():
        yield


@pytest.fixture
def gateway() -> Iterator[Namespace]:
    """A gateway that is a network namespace and nothing else."""
    namespace = Namespace()
    try:
        if not namespace.ready:
            cannot(f"no network namespace can be made here: {namespace.process.stderr.read().strip()}")
        yield namespace
    finally:
        namespace.end()


@pytest.fixture
def operator(gateway: Namespace, tmp_path: Path) -> Operator:
    """An operator of the gateway, with an empty history."""
    return Operator(gateway, tmp_path)


@pytest.fixture(scope="module")
def processors(lab: Lab) -> Iterator[Processors]:
    numbers = sorted(os.sched_getaffinity(0))[:2]
    if len(numbers) < 2:
        cannot("only one processor")
    made = Processors(lab, numbers)
    try:
        yield made
    finally:
        made.close()
