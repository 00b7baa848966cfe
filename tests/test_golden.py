"""Golden cases: a site, and exactly what the compiler makes of it.

A case is a directory `tests/golden/<topic>-<case>/` (or `examples/<name>/`):

    site.yaml         the site; its first line is a comment that says what the case is for
    ruleset.nft       what `build` writes, of a fleet for its first node; absent when the site is refused
    diagnostics.txt   what `check` says, with the file named site.yaml; absent when it says nothing
    answers.txt       optional: lines `$ nfcompile VERB site.yaml ...`, each followed by its output

A case whose name begins with `lint-rfc-` is checked with that lint. Files that are missing fail the
test, and so do files that should not be there. `make golden` writes them anew.
"""

import difflib
import shlex

import pytest
from typer.testing import CliRunner

from nfcompile import pipeline, report
from nfcompile.cli.app import app
from support.sites import ROOT

GOLDEN = ROOT / "tests" / "golden"
CASES = sorted(path.parent for path in [*GOLDEN.glob("*/site.yaml"), *ROOT.glob("examples/*/site.yaml")])
EXPECTED = ("ruleset.nft", "diagnostics.txt", "answers.txt")
LINE_LIMIT = 25
PROMPT = "$ nfcompile "


def case_name(case):
    return f"{case.parent.name}/{case.name}"


def outcome(case):
    """What the compiler makes of a case, by file name."""
    data = (case / "site.yaml").read_bytes()
    lints = ("rfc",) if case.name.startswith("lint-rfc-") else ()
    made = {}
    document, _, diagnostics = pipeline.parse_text(data, "site.yaml")
    if document.complete:
        diagnostics = pipeline.check(document, lints).diagnostics
    if all(one.severity != "error" for one in diagnostics):
        made["ruleset.nft"] = pipeline.compile_site(pipeline.answering(document)[0]).text.text
    if diagnostics:
        made["diagnostics.txt"] = report.render(list(diagnostics), document, "site.yaml", "text")
    if (case / "answers.txt").exists():
        made["answers.txt"] = answers(case)
    return made


def answers(case):
    """Run the commands of answers.txt anew, in the case's directory."""
    runner = CliRunner()
    text = ""
    for line in (case / "answers.txt").read_text().splitlines():
        if line.startswith(PROMPT):
            result = runner.invoke(app, shlex.split(line.removeprefix(PROMPT)))
            text += f"{line}\n{result.output}"
    return text


def difference(name, expected, made):
    return "".join(
        difflib.unified_diff(
            expected.splitlines(keepends=True),
            made.splitlines(keepends=True),
            f"{name} (expected)",
            f"{name} (made)",
        )
    )


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_golden(case, update_golden, monkeypatch):
    monkeypatch.chdir(case)
    made = outcome(case)
    faults = []
    for name in EXPECTED:
        file = case / name
        if update_golden:
            if name in made:
                file.write_text(made[name])
            else:
                file.unlink(missing_ok=True)
            continue
        if name not in made:
            if file.exists():
                faults.append(f"{file.relative_to(ROOT)} should not be there\n")
        elif not file.exists():
            faults.append(f"{file.relative_to(ROOT)} is missing; it would be:\n{made[name]}")
        elif file.read_text() != made[name]:
            faults.append(difference(name, file.read_text(), made[name]))
    assert not faults, "\n" + "\n".join(faults) + "\n`make golden` accepts what was made"


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_golden_case_is_well_kept(case):
    surplus = {path.name for path in case.iterdir()} - {"site.yaml", *EXPECTED}
    assert not surplus, f"a case has no {sorted(surplus)}"
    if case.parent == GOLDEN:
        lines = (case / "site.yaml").read_bytes().splitlines()
        assert len(lines) <= LINE_LIMIT, "a case shows one thing; whole scenarios are examples"
        assert case.name == "yaml-empty" or b"# " in lines[0], "the first line says what the case is for"
        assert {path.name for path in case.iterdir()} != {"site.yaml"}, "run `make golden`"


def test_golden_has_no_stray_directories():
    """A directory without a site would be left out in silence."""
    assert {path.name for path in GOLDEN.iterdir()} == {c.name for c in CASES if c.parent == GOLDEN}
