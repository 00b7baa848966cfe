"""docs/json.md has every field that the verbs print, with its type, and no other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from support.sites import ROOT

PAGE = (ROOT / "docs/json.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^###? ([^\n]+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|", re.MULTILINE)
NAMES = {str: "text", int: "number", float: "number", bool: "boolean", type(None): "null", list: "list"}

# What is printed, in this order, in a namespace with two interfaces: section, and command.
COMMANDS = [
    ("check", "nfcompile check bad.yaml"),
    ("check", "nfcompile check twice.yaml"),
    ("build", "nfcompile build site.yaml"),
    ("build", "nfcompile build bad.yaml"),
    ("build", "nfcompile build site.yaml -o site.nft"),
    ("diff", "nfcompile diff new.yaml site.yaml"),
    ("plan", "nfcompile plan site.yaml --growth 2"),
    ("plan", "nfcompile plan twice.yaml"),
    ("show", "nfcompile show site.yaml"),
    ("prove", "nfcompile prove site.yaml"),
    ("explain", "nfcompile explain site.yaml --proto udp --src 100.64.0.7:5000 --dst 198.18.0.1:53"),
    ("explain", "nfcompile explain site.yaml --proto icmp --src 10.9.9.9 --dst 198.18.0.1"),
    ("lookup", "nfcompile lookup site.yaml 203.0.113.1:3100"),
    ("lookup", "nfcompile lookup site.yaml 198.18.0.1"),
    ("lookup", "nfcompile lookup site.yaml 192.168.0.5"),
    ("mappings", "nfcompile mappings site.yaml"),
    (
        "import",
        "nfcompile import iptables rules.v4 --account a.json -o imported.yaml >/dev/null; cat a.json",
    ),
    ("apply", "nfcompile apply site.yaml --yes"),
    ("diff", "nfcompile diff new.yaml"),
    ("apply", "nfcompile apply new.yaml --yes --max-moves 1"),
    ("apply", "nfcompile apply new.yaml --yes --confirm 1000"),
    ("confirm", "nfcompile confirm"),
    ("rollback", "nfcompile rollback --yes"),
    ("history", "nfcompile history"),
    ("lookup", "nfcompile lookup 203.0.113.1:3100 --at $(date -u +%FT%TZ)"),
    ("status", "nfcompile status site.yaml --top 1"),
    ("sessions list", "nfcompile sessions list site.yaml"),
    ("sessions clear", "nfcompile sessions clear --yes site.yaml"),
    ("host check", "nfcompile host check site.yaml"),
    ("host apply", "nfcompile host apply --dry-run site.yaml"),
    ("host apply", "nfcompile host apply site.yaml"),
    ("host revert", "nfcompile host revert"),
    ("boot", "nfcompile boot"),
    ("log", "nfcompile log --stats"),
]
UNSEEN = {("ended assignments", "pool"), ("ended assignments", "why"), ("ended assignments", "kept")}
"""What these commands have no cause to print; tests/cli/test_diff.py has it."""

MACHINE = r"""
set -u
cat >nfcompile <<'END'
#!/bin/sh
exec COMMAND -c 'from nfcompile.cli import main; main()' "$@" --format json
END
chmod +x nfcompile
PATH=$PWD:$PATH
ip link set lo up
ip link add lan0 type veth peer name far
ip link add wan0 type veth peer name farther
for name in lan0 wan0 far farther; do ip link set $name up; done
cat >site.yaml <<'END'
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
acls:
  homes: {10: allow ip 100.64.0.0/24}
  dyn: {10: allow ip 100.64.8.0/24}
  any: {10: allow ip any dst 198.51.100.0/24}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/29], hairpin: off}
  dyn: {type: cgnat, acl: dyn, priority: 2, global_ip: [203.0.113.32/29], allocation: dynamic}
  servers: {type: static, priority: 3, global_map: {192.168.0.5: 200.0.0.3}}
  pass: {type: fake, acl: any, priority: 4}
snat: {lan: {src_cidr: 127.0.0.0/8, snat_ip: 198.51.100.1}}
END
sed 's#203.0.113.0/29#203.0.113.64/29#; s#100.64.0.0/24#100.64.0.128/25#; s#192.168.0.5: #192.168.0.6: #' \
    site.yaml >new.yaml
sed 's#203.0.113.32/29#203.0.113.1#' site.yaml >twice.yaml
echo 'version: 2' >bad.yaml
cat >rules.v4 <<'END'
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.0.0.0/8 -o wan0 -j SNAT --to-source 203.0.113.5
COMMIT
END
"""
# Two connections as conntrack would have them, of the static pool and of the snat rule.
CONNECTION = r"""
conntrack -I -p udp -s 192.168.0.5 -d 198.18.0.1 --sport 5000 --dport 53 -n 200.0.0.3 -t 300
conntrack -I -p udp -s 127.0.0.9 -d 198.18.0.1 --sport 5000 --dport 53 -n 198.51.100.1 -t 300
"""
LOG = r"""
./nfcompile log site.yaml --to json:log.jsonl >/dev/null 2>&1 &
log=$!
for second in $(seq 100); do nfcompile log --stats >/dev/null 2>&1 && break; sleep 0.2; done
"""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and type of each value; an empty list is a leaf."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from leaves(inner, path + "[]")
    else:
        yield path, NAMES[type(value)]


def documented(name: str, above: str = "") -> dict[str, set[str]]:
    """The types of each path of a section, with what it refers to."""
    found: dict[str, set[str]] = {}
    text = SECTIONS[name]
    if name == "apply":
        found |= {path: types for path, types in documented("diff").items() if path != "against"}
    if name == "confirm":
        found |= documented("event")
    for path, kind in ROW.findall(text):
        path, types = above + path, set(re.split(" or ", kind.strip()))
        if kind.startswith("list of ["):
            found[path] = {"list"}
            found |= documented(re.findall(r"\[(.+?)\]", kind)[0], f"{path}[].")
        elif kind.startswith("list of"):
            found |= {path: {"list"}, f"{path}[]": {kind.split()[2]}}
        elif kind.startswith("["):
            found |= documented(re.findall(r"\[(.+?)\]", kind)[0], f"{path}.")
            if "null" in types:
                found[path] = {"null"}
        else:
            found[path] = types
    return found


SECTIONS = {name: text for name, text in SECTION.findall(PAGE) if ROW.search(text) or name == "confirm"}
VALUES = (
    *("diagnostic", "object", "run", "binding", "ended assignments", "block size", "answer"),
    *("value", "event", "host line"),
)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """Of each section the paths with their types, as all its commands print them."""
    place = tmp_path_factory.mktemp("json")
    script = MACHINE.replace("COMMAND", sys.executable)
    for number, (section, command) in enumerate(COMMANDS):
        script += CONNECTION if section == "status" else LOG if section == "log" else ""
        script += f"{{ {command}; }} >out{number} 2>err{number}\n"
    script += "kill $log; wait $log || true\n"
    done = subprocess.run(
        ["unshare", "-n", "bash", "-c", script],
        env=os.environ | {"NFCOMPILE_STATE_DIR": str(place / "state")},
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, set[str]]] = {}
    for number, (section, command) in enumerate(COMMANDS):
        text = (place / f"out{number}").read_text()
        assert text, f"{command}: {(place / f'err{number}').read_text()}"
        for path, kind in leaves(json.loads(text)):
            found.setdefault(section, {}).setdefault(path, set()).add(kind)
    return found


@pytest.mark.parametrize("section", dict.fromkeys(section for section, _ in COMMANDS))
def test_a_section_has_what_is_printed(section: str, printed: dict[str, dict[str, set[str]]]) -> None:
    said, seen = documented(section), printed[section]

    for path, types in seen.items():
        if types == {"list"} and any(one.startswith(path + "[]") for one in said):
            continue
        expected = said.get(path) or said.get(re.sub(r"(\.value)(\[\]|\.).*", r"\1", path), set())
        assert types <= expected or "any" in expected, (path, types, expected)
    own = {path for path, kind in ROW.findall(SECTIONS[section]) if kind.strip() != "any"}
    assert own <= prefixes(seen)


def prefixes(paths: Iterable[str]) -> set[str]:
    """The paths and all above them: `a[].b` is `a`, `a[]`, and itself."""
    paths = list(paths)
    parts = {path[: at.start()] for path in paths for at in re.finditer(r"\[\]|\.", path)}
    return {*paths, *parts, *(part + "[]" for part in parts)}


@pytest.mark.parametrize("name", VALUES)
def test_every_field_of_a_shared_value_is_printed(name: str, printed: dict[str, dict[str, set[str]]]) -> None:
    seen = prefixes(path for paths in printed.values() for path in paths)
    for path, _ in ROW.findall(SECTIONS[name]):
        assert any(f".{one}".endswith(f".{path}") for one in seen) or (name, path) in UNSEEN, path


def test_every_verb_with_json_has_a_section() -> None:
    from nfcompile.cli.verbs import VERBS

    verbs = {one.name for one in VERBS for option in one.options if "json" in option.choices}
    sections = {name.split()[0] for name in SECTIONS if name not in VALUES}
    assert sections == verbs - {"ha", "takeover", "standby"}
    assert {section for section, _ in COMMANDS} == set(SECTIONS) - set(VALUES)
