"""What the documents show is true: their sites compile or fail as they say, their links lead somewhere."""

import re

import pytest

from nfcompile import pipeline
from nfcompile.cli.verbs import COMMON, VERBS
from nfcompile.diagnostics import SiteError
from support.documents import FENCE as FENCED
from support.documents import MADE, mentioned, shown
from support.sites import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

ERRORS = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
SECTIONS = {
    code: FENCE.findall(text)
    for code, text in re.findall(r"^### ([a-z0-9-]+)\n(.*?)(?=^##|\Z)", ERRORS, re.MULTILINE | re.DOTALL)
}
SHOWN = {code: blocks for code, blocks in SECTIONS.items() if blocks}


def sites():
    """The sites of the other documents, each with its file and number."""
    for file in [ROOT / "README.md", ROOT / "docs" / "site.md", *sorted(ROOT.glob("docs/why/*.md"))]:
        for number, text in enumerate(FENCE.findall(file.read_text(encoding="utf-8")), 1):
            yield pytest.param(text, id=f"{file.name}-{number}")


def found(text, whole):
    """What `check --lint rfc` finds: code and severity of each diagnostic."""
    # A site that is about the text itself is taken as it stands.
    data = (text if whole else HEAD + text).encode()
    try:
        problems = pipeline.check(pipeline.parse(data, "site.yaml"), ("rfc",)).diagnostics
    except SiteError as error:
        problems = error.diagnostics
    return {(one.code, one.severity) for one in problems}


@pytest.mark.parametrize("code", SHOWN)
def test_errors_page_shows_a_fault_and_a_site_without_it(code):
    assert len(SHOWN[code]) == 2, "one bad site and one good site"
    bad, good = SHOWN[code]
    whole = code.startswith("yaml-") or "version:" in bad

    assert code in {one for one, _ in found(bad, whole)}
    after = found(good, whole)
    assert code not in {one for one, _ in after}
    assert not [one for one in after if one[1] == "error"]


@pytest.mark.parametrize("text", list(sites()))
def test_sites_in_the_documents_compile(text):
    errors = {code for code, severity in found(text, "version:" in text) if severity == "error"}
    assert not errors


def anchors(file):
    """The anchors of a page, as GitHub makes them."""
    for heading in HEADING.findall(file.read_text(encoding="utf-8")):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file):
    for target in LINK.findall(file.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        page = (file.parent / path).resolve() if path else file
        assert page.exists(), target
        if anchor:
            assert anchor in anchors(page), target


def test_why_pages_are_half_a_page():
    for file in ROOT.glob("docs/why/*.md"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 45, file.name


OPTIONS = {
    verb.name: {name for option in (*verb.options, *COMMON) for name in option.names} | {"--help"}
    for verb in VERBS
}
COMMANDS = sorted({*shown(), *mentioned()})


def verbs_of(command):
    """The words behind each `nfcompile` of a command line."""
    for part in re.split(r"[;|&>]+", re.sub(r"'[^']*'|\"[^\"]*\"", "x", command)):
        words = part.replace("[", " ").replace("]", " ").split()
        if words[:1] == ["nfcompile"] and len(words) > 1:
            yield words[1:]


@pytest.mark.parametrize("page", sorted({one.page for one in COMMANDS} - MADE))
def test_commands_have_verbs_and_options_that_exist(page):
    """tests/kernel/test_docs_commands.py runs those of blocks; in sentences there are others."""
    for one in COMMANDS:
        for verb, *words in verbs_of(one.command) if one.page == page else ():
            if verb.isupper() or verb in ("...", "--version", "--help"):
                continue
            assert verb in OPTIONS, one.command
            given = {re.split("[=,]", word)[0] for word in words if re.match("--?[a-z]", word)}
            assert given <= OPTIONS[verb] | {"-o", "-q", "-y"}, one.command


def test_make_targets_of_the_documents_exist():
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for file in DOCUMENTS:
        text = file.read_text(encoding="utf-8")
        blocks = "\n".join(block for _, block in FENCED.findall(text))
        for target in re.findall(r"`make ([a-z-]+)", text) + re.findall(r"(?m)^make ([a-z-]+)", blocks):
            assert target in made, (file.name, target)


def test_every_page_is_in_the_navigation():
    named = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {str(file.relative_to(ROOT)) for file in DOCUMENTS}
    assert named == pages - {"docs/performance/README.md"}


NAMED_FILE = re.compile(r"`([\w.*/-]+/[\w.*-]+\.py)(?:::(\w+))?`")


def test_files_and_tests_that_documents_name_are_there():
    """By their path from the root, from nfcompile/ or from tests/; a test by its function, too."""
    missing = []
    for file in DOCUMENTS:
        for path, test in NAMED_FILE.findall(file.read_text(encoding="utf-8")):
            there = [one for folder in ("", "nfcompile/", "tests/") for one in ROOT.glob(folder + path)]
            if not any(f"def {test}(" in one.read_text(encoding="utf-8") if test else True for one in there):
                missing.append(f"{file.relative_to(ROOT)}: {path} {test}".rstrip())

    assert missing == []
