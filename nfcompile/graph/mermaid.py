"""The way as a Mermaid flowchart, which GitHub, GitLab and many editors draw (mermaid.js.org, flowchart)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from nfcompile.graph.boxes import Direction, WayBox
from nfcompile.graph.way import Way

STYLES = {
    "side": "fill:#e8eaf0,stroke:#5b6478,color:#1c2130",
    "rules": "fill:#fdf3d8,stroke:#b58900,color:#1c2130",
    "step": "fill:#ffffff,stroke:#5b6478,color:#1c2130",
    "translated": "fill:#e0f0e3,stroke:#3b7d4a,color:#1c2130",
    "untouched": "fill:#e3eef8,stroke:#3a6ea5,color:#1c2130",
    "leaks": "fill:#fde3cf,stroke:#c2610c,color:#1c2130",
    "dropped": "fill:#f8e1e1,stroke:#a53a3a,color:#1c2130",
}
ESCAPED = {ord(sign): f"#{ord(sign)};" for sign in "#&<>\"'`\\"}
"""Signs that mean something in a label, as Mermaid's entity codes."""


def mermaid(way: Way) -> str:
    """Write the text; labels are quoted and escaped."""
    return "\n".join(_lines(way)) + "\n"


def _lines(way: Way) -> Iterator[str]:
    # In YAML's double quotes, without signs of HTML, and without the %%{ }%% of a directive, which Mermaid
    # reads anywhere.
    title = json.dumps(way.title, ensure_ascii=False)
    for sign in "%<>&":
        title = title.replace(sign, f"\\u{ord(sign):04x}")
    yield from ("---", f"title: {title}", "---", "flowchart TB")
    for number, flow in enumerate(way.flows):
        yield f"  subgraph flow{number}[{_quoted(flow.name)}]"
        yield "    direction TB"
        for line in _flow(flow, f"flow{number}_"):
            yield f"    {line}"
        yield "  end"
    for kind, style in STYLES.items():
        yield f"  classDef {kind} {style}"


def _flow(flow: Direction, prefix: str) -> Iterator[str]:
    """Nodes with the arrows that lead to them."""
    goal = f"{prefix}goal"
    yield _node(f"{prefix}start", flow.start, "([{}])")
    before, word = f"{prefix}start", ""
    for number, step in enumerate(flow.steps):
        name = f"{prefix}step{number}"
        yield _node(name, step.box)
        yield _arrow(before, word, name)
        if step.exit:
            yield _node(f"{name}_exit", step.exit, "({})")
            yield _arrow(name, step.yes, f"{name}_exit")
            yield _arrow(f"{name}_exit", "", goal)
        before, word = name, step.no
    yield _node(f"{prefix}last", flow.end, "({})")
    yield _arrow(before, word, f"{prefix}last")
    yield _node(goal, flow.goal, "([{}])")
    if flow.arrives:
        yield _arrow(f"{prefix}last", "", goal)


def _node(name: str, box: WayBox, shape: str = "[{}]") -> str:
    label = "<br/>".join((f"<b>{_escaped(box.title)}</b>", *map(_escaped, box.lines)))
    quoted = f'"{label}"'
    return f"{name}{shape.format(quoted)}:::{box.kind}"


def _arrow(start: str, word: str, end: str) -> str:
    return f"{start} -->|{_quoted(word)}| {end}" if word else f"{start} --> {end}"


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.translate(ESCAPED)
