"""packages.py [SUITE...]: what a release offers, in dist/: wheel, sdist, .deb for each SUITE, .pyz, schema.

The .deb has the Python packages of constraints.txt in a tree of its own, since Debian 12's are
too old; compiled wheels make it one for each Python and processor. Files carry the time of the commit, so
two builds of one commit are equal.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nfcompile import __version__
from nfcompile.cli.editor_schema import editor_schema
from nfcompile.cli.options import Options
from nfcompile.cli.progress import working
from nfcompile.cli.verbs import COMMON, VERBS

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
EXTRAS = "exporter,import"
LAUNCHER = """#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/usr/lib/nfcompile")
from nfcompile.cli import main

main()
"""
UNITS = {
    "nfcompile": "nfcompile",
    "nfcompile-exporter": "nfcompile-exporter",
    "nfcompile-pcp": "nfcompile-pcp",
    "nfcompile-log": "nfcompile-log-to",
}
SHELLS = {
    "bash": "usr/share/bash-completion/completions/nfcompile",
    "zsh": "usr/share/zsh/vendor-completions/_nfcompile",
    "fish": "usr/share/fish/vendor_completions.d/nfcompile.fish",
}


def main(suites: list[str]) -> None:
    """Build everything; an old dist/ goes."""
    os.environ["SOURCE_DATE_EPOCH"] = _run("git", "log", "-1", "--format=%ct").strip()
    shutil.rmtree(DIST, ignore_errors=True)
    with working("building wheel and sdist", Options()):
        _run(sys.executable, "-m", "hatchling", "build", "-d", str(DIST))
    (wheel,) = DIST.glob("*.whl")
    for suite in suites or PYTHONS:
        with working(f"building the .deb of {suite}", Options()):
            _deb(suite, wheel)
    with working("building the .pyz", Options()):
        _pyz(wheel)
    _put(DIST / "site.schema.json", json.dumps(editor_schema(), indent=2) + "\n")
    for made in sorted(path for path in DIST.iterdir() if path.is_file()):
        print(f"{made.stat().st_size / 1e6:6.1f} MB  dist/{made.name}")


def man_page() -> str:
    """nfcompile(1), from the table of verbs."""
    return _pages().get_template("nfcompile.1.j2").render(version=__version__, verbs=VERBS, common=COMMON)


def service_files() -> dict[str, str]:
    """Units of a gateway of its own, whose log is JSON lines; logrotate keeps them."""
    pages = _pages("nfcompile/templates/host")
    log = "/var/log/nfcompile/log.jsonl"
    values = {"node": "", "only": "", "outputs": [f"json:{log}"], "folders": [], "files": [log]}
    found = {"etc/logrotate.d/nfcompile-log": pages.get_template("log.logrotate.j2").render(values)}
    for name, page in UNITS.items():
        text = pages.get_template(f"{page}.service.j2").render(values)
        found[f"usr/lib/systemd/system/{name}.service"] = text.replace("=nfcompile ", "=/usr/bin/nfcompile ")
    return found


def _deb(suite: str, wheel: Path) -> None:
    tree = DIST / f"deb-{suite}"
    python = PYTHONS[suite]
    _install(wheel, tree / "usr/lib/nfcompile", python)
    _put(tree / "usr/bin/nfcompile", LAUNCHER, 0o755)
    man = tree / "usr/share/man/man1/nfcompile.1.gz"
    man.parent.mkdir(parents=True)
    man.write_bytes(gzip.compress(man_page().encode(), mtime=0))
    for shell, name in SHELLS.items():
        _put(tree / name, _completion(shell))
    for name, text in service_files().items():
        _put(tree / name, text)
    _put(tree / "usr/share/doc/nfcompile/copyright", (ROOT / "packaging/deb/copyright").read_text())
    (tree / "etc/nfcompile").mkdir(parents=True)
    architecture = _run("dpkg", "--print-architecture").strip()
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    major, minor = python.split(".")
    control = (
        _pages()
        .get_template("deb/control.j2")
        .render(
            version=__version__,
            suite=suite,
            architecture=architecture,
            size=size,
            python=python,
            next_python=f"{major}.{int(minor) + 1}",
        )
    )
    _put(tree / "DEBIAN/control", control + "\n")
    name = DIST / f"nfcompile_{__version__}~{suite}_{architecture}.deb"
    _run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(name))
    shutil.rmtree(tree)


def _install(wheel: Path, target: Path, python: str) -> None:
    """The wheel and what it needs, in the constraints' versions, as that Python takes it."""
    _run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--only-binary",
        ":all:",
        "--python-version",
        python,
        "--constraint",
        str(ROOT / "constraints.txt"),
        "--target",
        str(target),
        f"{wheel}[{EXTRAS}]",
    )
    shutil.rmtree(target / "bin", ignore_errors=True)


def _completion(shell: str) -> str:
    """The shell's completion, as typer prints it."""
    source = "from nfcompile.cli.app import app; app(prog_name='nfcompile')"
    return _run(sys.executable, "-c", source, _NFCOMPILE_COMPLETE=f"source_{shell}")


def _pyz(wheel: Path) -> None:
    """One file for the Python that runs this; it unpacks itself at the first start."""
    name = DIST / f"nfcompile-{__version__}-py{sys.version_info.major}{sys.version_info.minor}.pyz"
    _run(
        sys.executable,
        "-m",
        "shiv",
        "--reproducible",
        "--console-script",
        "nfcompile",
        "--output-file",
        str(name),
        "--python",
        "/usr/bin/env python3",
        "--constraint",
        str(ROOT / "constraints.txt"),
        f"{wheel}[{EXTRAS}]",
    )


def _pages(folder: str = "packaging") -> Environment:
    made = Environment(
        loader=FileSystemLoader(ROOT / folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=folder != "packaging",
    )
    made.filters["roff"] = _roff
    made.filters["bold"] = lambda text: f"\\fB{text}\\fR"
    return made


def _roff(text: object) -> str:
    """Plain text as roff: no line of it is a request, hyphens are those of a command line."""
    escaped = str(text).replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped)


def _put(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
