"""docs/errors.md: the sections of the checks are the docstrings of their modules. `make errors` copies them.

The page has the order, the other sections and the texts between; a check's section is written in its module.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "errors.md"
SECTION = re.compile(r"^### ([a-z0-9-]+)\n.*?(?=^##|\Z)", re.MULTILINE | re.DOTALL)


def check_sections() -> dict[str, str]:
    """The sections in the docstrings of the checks, by code."""
    found = {}
    for file in sorted((ROOT / "nfcompile" / "analysis").glob("*.py")):
        docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        for section in SECTION.finditer(docstring + "\n"):
            found[section[1]] = section[0].rstrip("\n") + "\n"
    return found


def page(text: str) -> str:
    """The page with the checks' sections as their modules have them now."""
    sections = check_sections()

    def written(section: re.Match[str]) -> str:
        tail = section[0][len(section[0].rstrip("\n")) :]
        return sections.pop(section[1], section[0]).rstrip("\n") + tail

    made = SECTION.sub(written, text)
    if sections:
        raise SystemExit(f"docs/errors.md needs a heading for each of: {', '.join(sorted(sections))}")
    return made


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = page(before)
    if "--check" in sys.argv[1:] and before != after:
        sys.exit("docs/errors.md is not what the checks say; run `make errors`")
    PAGE.write_text(after, encoding="utf-8")
