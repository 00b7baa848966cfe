"""What is installed: the metadata of the wheel, what lies in it, and the versions that `make` installs."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = ("constraints.txt", "constraints-lowest.txt")


def built(kind, folder):
    """The file that hatchling makes of this checkout."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [file] = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    with zipfile.ZipFile(built("wheel", tmp_path_factory.mktemp("wheel"))) as opened:
        yield opened


def test_the_metadata_say_whose_it_is_and_under_which_licence(wheel):
    [name] = [one for one in wheel.namelist() if one.endswith(".dist-info/METADATA")]
    said = message_from_bytes(wheel.read(name))

    assert said["License-Expression"] == "GPL-2.0-or-later"
    assert said["License-File"] == "LICENSE"
    assert said["Author"] == "nfcompile contributors"
    assert "Typing :: Typed" in said.get_all("Classifier")


def test_the_wheel_has_the_licence_the_types_and_what_the_verbs_read(wheel):
    names = set(wheel.namelist())
    [licence] = [one for one in names if one.endswith(".dist-info/licenses/LICENSE")]
    read = {f"nfcompile/{one}" for one in ("py.typed", "site.schema.json", "examples/isp/site.yaml")}
    code = {one.relative_to(ROOT).as_posix() for one in (ROOT / "nfcompile").rglob("*.py")}
    pages = {one.relative_to(ROOT).as_posix() for one in (ROOT / "nfcompile" / "templates").rglob("*.j2")}

    assert wheel.read(licence).startswith(b"                    GNU GENERAL PUBLIC LICENSE\n")
    assert read | code | pages <= names
    assert {one.split("/")[0].partition("-")[0] for one in names} == {"nfcompile"}


def test_the_source_package_has_the_tests_and_no_measurements(tmp_path):
    with tarfile.open(built("sdist", tmp_path)) as opened:
        names = {one.partition("/")[2] for one in opened.getnames()}

    assert {"LICENSE", "constraints.txt", "schemas/site.schema.json", "tests/test_package.py"} <= names
    assert "ansible/galaxy.yml" in names
    assert not [one for one in names if one.startswith((".ci", ".venv", "bench", "docs/performance/"))]


def requirements():
    """Every direct dependency, with those of the extras."""
    extras = PROJECT["optional-dependencies"]
    said = [Requirement(one) for one in chain(PROJECT["dependencies"], *extras.values())]
    return [one for one in said if one.name != PROJECT["name"]]


def pins(name):
    """What a file of exact versions says: by name, each version."""
    found = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            package, _, version = line.partition(";")[0].strip().partition("==")
            found.setdefault(package, []).append(Version(version))
    return found


def spelled(name):
    """A package's name as an index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_the_exact_versions_are_what_pyproject_allows(name):
    """After a change of pyproject.toml: `make lock`."""
    found = pins(name)
    lowest = name == "constraints-lowest.txt"
    only_bench = {Requirement(one).name for one in PROJECT["optional-dependencies"]["bench"]}
    for one in requirements():
        if lowest and one.name in only_bench:
            continue
        assert all(one.specifier.contains(version) for version in found[spelled(one.name)]), one


def test_the_lowest_versions_are_the_floors():
    found = pins("constraints-lowest.txt")
    for one in requirements():
        if spelled(one.name) in found:
            [floor] = [Version(each.version) for each in one.specifier if each.operator == ">="]
            [version] = found[spelled(one.name)]
            assert version.release[: len(floor.release)] == floor.release, one


def test_no_dependency_is_without_a_floor():
    assert [one.name for one in requirements() if ">=" not in str(one.specifier)] == []


@pytest.mark.parametrize("name", LOCKS)
def test_the_exact_versions_name_no_place(name):
    """Which registry a machine asks is that machine's matter."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|/|@|^--", text, re.MULTILINE)


def test_no_script_names_an_archive_or_a_registry():
    files = [ROOT / "Makefile", *ROOT.glob(".ci/*"), *ROOT.glob("scripts/**/*")]
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            assert "://" not in file.read_text(encoding="utf-8"), file
