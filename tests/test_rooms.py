"""The rooms of the compiler: who may import whom, and that nothing is left undocumented or unshown.

A new room, or a new arrow between two, is one line in ROOMS; that line is what a review should see.
"""

import ast
import json
import re

import yaml

from support.sites import ROOT

CODE = ROOT / "nfcompile"
FILES = sorted(CODE.rglob("*.py"))

VALUES = {"diagnostics", "model.protocols", "model.ranges"}
"""Plain values that any room may speak in: problems, ranges of integers, protocol numbers."""

ROOMS = {
    "__init__": set(),
    "diagnostics": set(),
    "durable": set(),
    "source": set(),
    "report": {"__init__", "source"},
    "model": set(),
    "ipalloc": set(),
    "allocation": {"ipalloc", "model"},
    "analysis": {"allocation", "ipalloc", "model"},
    "emit": set(),
    "lower": {"allocation", "emit", "ipalloc", "model"},
    "pipeline": {"allocation", "analysis", "emit", "lower", "model", "source"},
    "graph": {"allocation", "model"},
    "verify": {"allocation", "emit", "importers", "ipalloc", "lower", "model", "pipeline"},
    "kernel": {"model"},
    "host": {"allocation", "durable", "emit", "kernel", "model", "pipeline"},
    "records": {"allocation", "durable", "ipalloc", "kernel", "model", "pipeline"},
    "live": {"allocation", "emit", "ipalloc", "kernel", "lower", "model", "pipeline", "records"},
    "log": {"allocation", "durable", "ipalloc", "kernel", "live", "lower", "model", "pipeline", "records"},
    "pcp": {"allocation", "ipalloc", "kernel", "live", "lower", "model", "records"},
    "importers": {"ipalloc", "model", "source"},
    "deploy": {"__init__", "allocation", "emit", "host", "kernel", "live", "model", "pipeline", "records"},
}
"""Room -> the rooms that it may import, besides itself and VALUES. `cli` may import every room."""

MACHINE = {"ctypes", "socket", "subprocess", "fcntl", "pyroute2", "nftables"}
"""Modules that touch the machine; only these rooms have them, and three files: git, the lock of the history,
the process of a trial's timer."""
MACHINE_FILES = {"source/revision.py", "records/store.py", "deploy/timer.py"}
MACHINE_ROOMS = {"kernel", "host", "log", "pcp"}

LAZY = {
    "nftables",
    "jinja2",
    "jsonschema",
    "typer",
    "rich",
    "pyroute2",
    "importlib",
    "inspect",
    "pyarrow",
    "psycopg",
    "prometheus_client",
    "hcl2",
    "lark",
}
"""Modules that cost more to import than a small site to compile: inside functions only."""
LAZY_BUT = {("cli/app.py", "typer"), ("cli/app.py", "inspect")}

VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "handler", "misc", "tools"}


def room_of(file):
    return file.relative_to(CODE).with_suffix("").parts[0]


def trees():
    for file in FILES:
        yield file, ast.parse(file.read_text(encoding="utf-8"))


def imported(node):
    """The full names of the modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.module == "nfcompile":
            return [f"nfcompile.{alias.name}" for alias in node.names]
        return [node.module or ""]
    return []


def imports(tree):
    """Every imported module, and whether it is imported when the file is."""
    lazy = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or type_checking(node):
            lazy.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        for name in imported(node):
            yield name, id(node) not in lazy


def type_checking(node):
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def test_every_room_is_in_the_table():
    unknown = {room_of(file) for file in FILES} - {*ROOMS, "cli"}

    assert not unknown, f"say in ROOMS what {sorted(unknown)} may import"


def test_the_page_of_the_architecture_has_a_line_for_every_room():
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`(\w+)(?:/|\.py)`", row)}

    assert described == {*ROOMS, "cli"} - {"__init__", "pipeline"}, "`pipeline` is above the table"


def test_rooms_import_what_the_table_allows():
    wrong = []
    for file, tree in trees():
        room = room_of(file)
        allowed = ROOMS.get(room, set()) | {room}
        for name, _ in imports(tree):
            if room == "cli" or not name.startswith("nfcompile"):
                continue
            inside = name.removeprefix("nfcompile").lstrip(".") or "__init__"
            inside = "__init__" if inside.startswith("__") else inside
            if inside not in VALUES and inside.split(".")[0] not in allowed:
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_no_room_is_above_itself():
    """Imports run one way: rooms can be put in an order in which each imports earlier ones only."""
    left = {room: set(needed) for room, needed in ROOMS.items()}
    while free := [room for room, needed in left.items() if not needed & set(left)]:
        for room in free:
            del left[room]

    assert not left, f"circles among {sorted(left)}"


def module_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_files(tree, modules):
    """The modules of ours that a file imports anywhere; `from a import b` is a.b where that is a file."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            inner = [f"{node.module}.{name}" for name in names]
            names = [name if name in modules else node.module for name in inner]
        yield from modules & set(names)


def test_no_file_is_above_itself():
    """As with rooms, imports inside functions and those for types alone included."""
    modules = {module_of(file) for file in FILES}
    left = {module_of(file): set(imported_files(tree, modules)) - {module_of(file)} for file, tree in trees()}
    while free := [module for module, needed in left.items() if not needed & set(left)]:
        for module in free:
            del left[module]

    # What is left imports a circle, or is in one: only the latter is imported by what is left.
    while idle := set(left) - set().union(*left.values()):
        for module in idle:
            del left[module]
    assert not left, f"circles among {sorted(left)}"


def test_only_kernel_and_host_touch_the_machine():
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file, tree in trees()
        for name, _ in imports(tree)
        if name.split(".")[0] in MACHINE
        and room_of(file) not in MACHINE_ROOMS
        and str(file.relative_to(CODE)) not in MACHINE_FILES
    ]
    assert not wrong


def test_costly_modules_are_imported_where_they_are_used():
    wrong = [
        f"{file.relative_to(ROOT)} imports {name} at its top"
        for file, tree in trees()
        for name, at_once in imports(tree)
        if at_once
        and name.split(".")[0] in LAZY
        and (str(file.relative_to(CODE)), name.split(".")[0]) not in LAZY_BUT
    ]
    assert not wrong


def test_only_cli_prints_and_exits():
    wrong = []
    for file, tree in trees():
        if room_of(file) == "cli":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in ("print", "input"):
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.id}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "sys.exit",
                "sys.argv",
                "sys.stdout",
                "sys.stderr",
            ):
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}")
    assert not wrong


def test_module_names_say_what_is_in_them():
    assert not [str(file) for file in CODE.rglob("*") if file.stem in VAGUE]


def test_class_names_have_one_meaning():
    """A class that is one file's own has no other one's name either."""
    homes = {}
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name.lstrip("_"), []).append(f"{file.relative_to(ROOT)} {node.name}")

    assert [found for found in homes.values() if len(found) > 1] == []


def test_every_module_says_what_it_is_for():
    assert not [str(file.relative_to(ROOT)) for file, tree in trees() if not ast.get_docstring(tree)]


# The tests themselves.

TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))
SHARED = {"support", "mutation"}
"""The packages below tests/ that others import; fixtures come from conftest.py without an import."""


def test_folders_of_tests_mirror_the_rooms():
    others = SHARED | {"golden", "kernel_room", "editor", "browser"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "_."}

    assert folders - others - {room_of(file) for file in FILES} == set()


def test_no_test_module_imports_another():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - SHARED
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in TEST_FILES
        for name, _ in imports(ast.parse(file.read_text(encoding="utf-8")))
        if name.split(".")[0] in folders or re.search(r"(^|\.)(test_\w+|conftest)$", name)
    ]
    assert len(TEST_FILES) > 80
    assert not wrong


def test_no_test_changes_where_modules_are_found():
    """pytest knows it by `pythonpath` in pyproject.toml."""
    assert not [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in TEST_FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path"
    ]


# Codes and keys: nothing without documentation, nothing that no case shows.

CODE_FORM = re.compile(r"[a-z]+(-[a-z0-9]+)+")
NOT_CODES = {
    "utf-8",
    "systemd-run",
    "cat-file",
    "local-chassis",
    "elastic-ip",
    "network-interface-id",
    "vpc-id",
}
ROOMS_WITH_CODES = {"source", "model", "analysis", "kernel", "host"}
SITE_ROOMS = {"source", "model", "analysis"}
"""Rooms whose problems a site alone can have; the others need a machine, and tests of their own."""


def codes(rooms):
    found = {}
    for file, tree in trees():
        if room_of(file) not in rooms:
            continue
        for node in ast.walk(tree):
            text = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and CODE_FORM.fullmatch(text) and text not in NOT_CODES:
                found[text] = str(file.relative_to(ROOT))
    return found


def golden_codes():
    text = "".join(file.read_text() for file in ROOT.glob("tests/golden/*/diagnostics.txt"))
    return set(re.findall(r"^site\.yaml:.*\[([a-z0-9-]+)\]$", text, re.MULTILINE))


def documented_codes():
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    return re.findall(r"^### ([a-z0-9-]+)$", text, re.MULTILINE)


def test_every_code_has_a_golden_case():
    missing = {code: file for code, file in codes(SITE_ROOMS).items() if code not in golden_codes()}

    assert not missing


def test_every_code_is_documented():
    missing = {c: file for c, file in codes(ROOMS_WITH_CODES).items() if c not in documented_codes()}

    assert not missing


def test_documentation_has_no_code_of_the_past():
    assert sorted(set(documented_codes()) - set(codes(ROOMS_WITH_CODES))) == []


SCHEMA = json.loads((ROOT / "schemas" / "site.schema.json").read_text(encoding="utf-8"))


def resolved(rule):
    """A rule without its reference, and the name under which its keys are known."""
    if "$ref" not in rule:
        return rule, None
    name = rule["$ref"].removeprefix("#/$defs/")
    return SCHEMA["$defs"][name], name


def keys_of_schema(rule=SCHEMA, home="site"):
    """Every key as (home, key); keys of a shared definition are counted once."""
    rule, name = resolved(rule)
    home = name or home
    for key, inner in rule.get("properties", {}).items():
        yield home, key
        yield from keys_of_schema(inner, f"{home}.{key}")
    if isinstance(rule.get("additionalProperties"), dict):
        yield from keys_of_schema(rule["additionalProperties"], f"{home}.*")


def keys_of_data(value, rule=SCHEMA, home="site"):
    rule, name = resolved(rule)
    home = name or home
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key in rule.get("properties", {}):
            yield home, key
            yield from keys_of_data(inner, rule["properties"][key], f"{home}.{key}")
        elif isinstance(rule.get("additionalProperties"), dict):
            yield from keys_of_data(inner, rule["additionalProperties"], f"{home}.*")


def test_every_schema_key_has_a_golden_case_with_a_ruleset():
    shown = set()
    for ruleset in ROOT.glob("tests/golden/*/ruleset.nft"):
        site = (ruleset.parent / "site.yaml").read_text(encoding="utf-8")
        shown.update(keys_of_data(yaml.load(site, yaml.BaseLoader)))

    assert sorted(set(keys_of_schema()) - shown) == []


def test_every_schema_key_is_documented():
    text = (ROOT / "docs" / "site.md").read_text(encoding="utf-8")

    assert [(home, key) for home, key in keys_of_schema() if f"`{key}`" not in text] == []
