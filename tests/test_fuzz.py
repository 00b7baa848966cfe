"""Whatever stands in a site or on the command line: an answer, no traceback, time and memory that fit it.

`make soak` lets hypothesis look at other examples for as long as it is given; here they are always the same.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st

from nfcompile import report
from nfcompile.diagnostics import PROBLEMS_LIMIT, SiteError
from nfcompile.model.acl import read_rule
from nfcompile.model.parse import Fault
from nfcompile.pipeline import compile_site, parse
from nfcompile.source.document import SourceError
from nfcompile.source.schema import schema_text
from nfcompile.source.schema_keywords import is_valid
from support.command import NFCOMPILE

EXAMPLES = int(os.environ.get("NFCOMPILE_FUZZ_EXAMPLES", "0"))
fuzz = settings(
    max_examples=EXAMPLES or 150,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
SCHEMA = json.loads(schema_text())


def compiled_or_told(data: bytes) -> None:
    """Compile; what is refused must be told in all forms, at places that the text has."""
    document = None
    try:
        document = parse(data, "site.yaml")
        compile_site(document)
        return
    except SourceError as error:
        document, problems = error.document, error.diagnostics
    except SiteError as error:
        problems = error.diagnostics
    assert problems
    for form in ("text", "github", "sarif"):
        assert report.render(problems, document, "site.yaml", form)
    for one in json.loads(report.render(problems, document, "site.yaml", "json"))["diagnostics"]:
        assert 1 <= one["line"] <= max(1, len(document.lines))
        assert 1 <= one["column"] <= one["end_column"]


# ---- text


def one_of_words(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(text.split())


words = one_of_words(
    """version interfaces inside outside acls pools type cgnat static nat fake global_ip global_map priority
    acl 1 0 -1 010 0x10 1e9 .inf null ~ on yes 10.0.0.0/8 0.0.0.0/0 203.0.113.7 10.0.0.9-10.0.0.1
    ~102 65535 65536
    --- ... %YAML &a *a !!int !t | > |2 << ? - : , [ ] { } # ' " \\ \\u0000 \\ud800 @ ` allow deny any"""
)
odd = st.sampled_from(tuple("\0\a\x1b\x7f\x85\u2028\u202e\ufeff\ufffe\U0010ffff\u00e9\t\r"))
spaces = st.sampled_from((" ", "\n", "\n  ", "\n    ", ": ", "", ", ", "\r\n"))
yamlish = st.lists(st.one_of(words, words, words, odd, spaces, spaces, spaces), max_size=60).map("".join)


@fuzz
@given(st.one_of(st.binary(max_size=200), yamlish.map(lambda text: text.encode())))
@example(b"\xef\xbb\xbf" + HEAD.encode().replace(b"\n", b"\r\n"))
@example(b"\xff\xfea\0")
@example(b"a: '\xed\xa0\x80'")
@example(b"? [a]\n: b")
@example(b"a: !<tag:x,y> b")
def test_any_text(data: bytes) -> None:
    compiled_or_told(data)


@fuzz
@given(yamlish, st.integers(0, 200))
def test_a_site_with_a_wound(wound: str, at: int) -> None:
    whole = HEAD + "acls: {a: {10: allow ip 10.0.0.0/24}}\npools:\n  p: {type: cgnat, acl: a, priority: 1,\n"
    whole += "    global_ip: [203.0.113.0/30], port_range: 1024-65535}\n"
    compiled_or_told((whole[:at] + wound + whole[at:]).encode())


grammar = one_of_words(
    """allow permit deny ip tcp udp icmp gre 17 255 256 src dst sport dport host net range any 10.0.0.1
    10.0.0.0/24 10.0.0.1/24 1.2.3.4-1.2.3.9 1.2.3.9-1.2.3.4 10.0.0.1~102 10.0.0.1~5000 any~1 ~ 80 1-65535 0
    443,8000-8080 , - / \u0661\u0660 \u00b2 99999999999999999999"""
)


@fuzz
@given(st.lists(st.one_of(grammar, grammar, st.text(max_size=5)), max_size=12).map(" ".join))
def test_any_acl_rule(text: str) -> None:
    try:
        rule = read_rule(text, 10, ())
    except Fault as fault:
        spot = fault.start, fault.end
    else:
        spot = 0, 1
        assert rule.source.first <= rule.source.last
    assert 0 <= spot[0] < spot[1] <= max(len(text), 1)


# ---- data that is like the schema


def like(rule: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that fit a rule of the schema in form, though hardly in meaning; rarely something else."""
    if "$ref" in rule:
        rule = {**SCHEMA["$defs"][rule["$ref"].removeprefix("#/$defs/")], **rule}
    types = rule.get("type", "string")
    kind = types if isinstance(types, str) else types[0]
    texts = st.sampled_from(
        ["10.0.0.1", "10.0.0.0/24", "203.0.113.0/28", "none", "a", "1-9", "80", "0x10/0xf0"]
    )
    if "const" in rule:
        made: st.SearchStrategy[Any] = st.just(rule["const"])
    elif "enum" in rule:
        made = st.sampled_from(rule["enum"])
    elif kind == "object":
        made = objects(rule, depth)
    elif kind == "array":
        made = st.lists(like(rule.get("items", {}), depth + 1), min_size=rule.get("minItems", 0), max_size=3)
    elif kind == "integer":
        made = st.integers(rule.get("minimum", 0), rule.get("maximum", 1 << 40))
    elif kind == "boolean":
        made = st.booleans()
    else:
        made = st.one_of(texts, st.sampled_from(rule.get("examples") or ["a"]))
    wrong = st.one_of(st.none(), st.integers(), st.text(max_size=9), st.lists(st.integers(), max_size=2))
    return st.integers(0, 300).flatmap(lambda dice: wrong if dice == 0 else made)


def objects(rule: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    known = rule.get("properties", {})
    needed = {key: like(known[key], depth + 1) for key in rule.get("required", ())}
    more = {key: like(one, depth + 1) for key, one in known.items() if key not in needed}
    entry = rule.get("additionalProperties")
    fixed = st.fixed_dictionaries(needed, optional=more)
    if not isinstance(entry, dict):
        return fixed
    keys = st.sampled_from(["a", "b", "10", "20", "102", "10.0.0.1", "10.1.0.0/28", "10.0.0.2~102"])
    return st.dictionaries(keys, like(entry, depth + 1), max_size=3)


@fuzz
@given(like({key: value for key, value in SCHEMA.items() if key != "$defs"}))
def test_any_data_like_the_schema(data: Any) -> None:
    compiled_or_told(json.dumps(data, indent=1).encode())


def test_the_data_reach_the_compiler() -> None:
    """Of what `like` makes enough fits the schema to be read as a site: one in ninety, and more."""
    fitting = 0

    @seed(0)
    @settings(
        max_examples=900,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(like({key: value for key, value in SCHEMA.items() if key != "$defs"}))
    def count(data: Any) -> None:
        nonlocal fitting
        fitting += is_valid(SCHEMA, data, SCHEMA["$defs"])

    count()
    assert fitting >= 10, fitting


# ---- size


def address(number: int, first: int = 10) -> str:
    return f"{first}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def acl(rules: list[str]) -> str:
    lines = "".join(f"    {number}: {rule}\n" for number, rule in enumerate(rules, 1))
    return f"{HEAD}acls:\n  a:\n{lines}pools: {{p: {{type: fake, acl: a, priority: 1}}}}\n"


def pools(count: int, line: str) -> str:
    """`line` with the pool's number for N, an address of its own for A."""
    lines = (
        f"  p{n}: {{{line.replace('N', str(n + 1)).replace('A', address(n, 200))}}}\n" for n in range(count)
    )
    return f"{HEAD}acls: {{a: {{1: allow ip 10.0.0.0/8}}}}\npools:\n{''.join(lines)}"


LARGE = {
    "one word": lambda n: "a" * 100 * n,
    "lines": lambda n: "\n" * 20 * n,
    "tabs": lambda n: "a:\tb\n" * n,
    "duplicates": lambda n: HEAD + "acls:\n  a:\n" + "    1: allow ip any\n" * n,
    "tags": lambda n: "a: " + "!a " * n,
    "anchors": lambda n: "a: &b b\n" * n,
    "open brackets": lambda n: "[" * n,
    "open braces": lambda n: "{a: " * n,
    "dashes": lambda n: "- " * n,
    "levels": lambda n: "\n".join(" " * level + "a:" for level in range(n // 10)),
    "one quote": lambda n: 'a: "' + "x\n" * n,
    "one number": lambda n: "version: " + "9" * 100 * n,
    "unknown keys": lambda n: HEAD + "".join(f"key{i}: 1\n" for i in range(n)),
    "a list of both kinds": lambda n: (
        f"{HEAD}nat_defaults: {{timeouts_inactivity: {{special_tcp_ports: [{'1, a, ' * n}]}}}}\n"
    ),
    "rules in turn": lambda n: acl([f"{('allow', 'deny')[i % 2]} ip {address(2 * i)}" for i in range(n)]),
    "rules apart": lambda n: acl(
        [f"allow tcp {address(i)} dst {address(i, 20)} dport {i + 1}" for i in range(n)]
    ),
    "wrong rules": lambda n: acl([f"allow ip {address(i)} foo" for i in range(n)]),
    "shadowed rules": lambda n: acl(["allow ip any", *(f"allow ip {address(i)}" for i in range(n))]),
    "overlapping subscribers": lambda n: (
        f"{HEAD}acls: {{a: {{1: allow ip 10.0.0.0/8}}}}\npools: {{p: {{type: cgnat, acl: a, priority: 1,"
        f" global_ip: [203.0.113.0/24], subscribers:"
        f" [{', '.join(f'{address(i)}-{address(i + 1)}' for i in range(n))}]}}}}\n"
    ),
    "pools": lambda n: pools(n // 2, "type: nat, acl: a, priority: N, global_ip: [A]"),
    "pools of one priority": lambda n: pools(n // 2, "type: nat, acl: a, priority: 1, global_ip: [A]"),
    "pools of one address": lambda n: pools(n // 2, "type: nat, acl: a, priority: N, global_ip: [1.1.1.1]"),
    "pools without an acl": lambda n: pools(n // 2, "type: fake, acl: xN, priority: N"),
    "vlans": lambda n: (
        HEAD
        + "nat_defaults: {vlan_mode: vlan}\nacls:\n  a:\n"
        + "".join(f"    {i + 1}: allow ip 10.0.0.0/8~{i % 4094 + 1}\n" for i in range(n))
        + "pools: {p: {type: nat, acl: a, priority: 1, global_ip: [203.0.113.1]}}\n"
    ),
    "marks": lambda n: (
        HEAD
        + "dnat:\n"
        + "".join(f"  d{i}: {{dst_cidr: {address(i, 20)}, mark: {i + 1}}}\n" for i in range(n))
        + "snat:\n"
        + "".join(f"  s{i}: {{mark: {i + 5}, snat_ip: {address(i, 200)}}}\n" for i in range(n))
    ),
}
SECONDS, MEMORY = 20, 1 << 30
"""Of processor time and of address space: five times what the slowest of them takes."""


@pytest.mark.parametrize("name", LARGE)
def test_large(name: str, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(LARGE[name](5_000))
    bounded(site)


HUGE = {
    "everywhere": "type: nat, acl: a, priority: 1, global_ip: [0.0.0.0/0], subscribers: [0.0.0.0/0]",
    "by port": "type: cgnat, acl: a, priority: 1, global_ip: [0.0.0.0/0], subscribers: [0.0.0.0/0]",
    "half to half": "type: nat, allocation: deterministic, acl: a, priority: 1, global_ip: [128.0.0.0/1]",
    "half by port": "type: cgnat, acl: a, priority: 1, global_ip: [128.0.0.1-255.255.255.254]",
    "in order": "type: cgnat, acl: a, priority: 1, global_ip: [128.0.0.0/1], randomize_ports: off",
    "dynamic": "type: cgnat, allocation: dynamic, acl: a, priority: 1, global_ip: [128.0.0.0/1]",
    "one to one": "type: static, priority: 1, global_map: {0.0.0.0/1: 128.0.0.0/1}",
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_pools(name: str, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        f"{HEAD}acls: {{a: {{1: allow ip 0.0.0.1-126.255.255.254}}}}\npools: {{p: {{{HUGE[name]}}}}}\n"
    )
    bounded(site)


def bounded(site: Path, *, statuses: tuple[int, ...] = (0, 1)) -> subprocess.CompletedProcess[bytes]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    done = subprocess.run(
        [*NFCOMPILE, "build", "-o", "/dev/null", str(site)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        preexec_fn=limit,
        timeout=600,
        check=False,
    )
    assert done.returncode in statuses, done.stderr[-2000:]
    assert b"Traceback" not in done.stderr
    assert done.returncode != 1 or b"site.yaml:" in done.stderr
    # A thousand problems of a kind, of a few short lines each.
    assert len(done.stderr) < 3 * PROBLEMS_LIMIT * 1000
    return done


# ---- files and command lines


@pytest.mark.parametrize(
    "site", ["/dev/zero", "/", "", "/proc/self/mem", "x\nname", "\udcff.yaml", "a" * 5000]
)
def test_what_is_no_file(site: str) -> None:
    done = bounded(Path(site), statuses=(2,)) if site else None
    assert done is None or done.stderr.count(b"\n") <= 2


def test_a_pipe_that_never_ends(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    os.mkfifo(site)
    endless = subprocess.Popen(["sh", "-c", f"exec yes 'a: b' > '{site}'"], stderr=subprocess.DEVNULL)
    try:
        assert b"more than 32 MiB" in bounded(site, statuses=(2,)).stderr
    finally:
        endless.kill()
        endless.wait()


ENDS = {
    "version": (["--version"], 2),
    "help": (["--help"], 2),
    "no such site": (["check", "/nowhere"], 2),
    "check": (["check", "SITE"], 2),
    "quiet": (["check", "-q", "SITE"], 0),
    "build": (["build", "SITE"], 2),
    "json": (["build", "--format", "json", "SITE"], 2),
    "mappings": (["mappings", "SITE"], 2),
    "schema": (["schema"], 2),
    "init": (["init", "-"], 2),
}


@pytest.mark.parametrize("end", [">/dev/full", ">&-", ">/dev/full 2>/dev/full", ">&- 2>&-", "<&- >/dev/full"])
@pytest.mark.parametrize("words", ENDS)
def test_nobody_can_be_told(words: str, end: str, tmp_path: Path) -> None:
    """A full disk behind stdout, or no stdout at all: exit status 2 and at most one line, no traceback."""
    site = tmp_path / "site.yaml"
    pool = "acls: {a: {1: allow ip 10.0.0.0/30}}\npools: {p: {type: fake, acl: a, priority: 1}}\n"
    site.write_text(HEAD + pool)
    asked, status = ENDS[words]
    command = [*NFCOMPILE, *(str(site) if word == "SITE" else word for word in asked)]
    done = subprocess.run(["sh", "-c", f'"$@" {end}', "sh", *command], capture_output=True, check=False)
    assert done.returncode == status, done.stderr
    assert done.stderr.count(b"\n") <= 1, done.stderr


arguments = st.lists(
    st.one_of(
        one_of_words(
            """check build lookup mappings init schema apply --format json text csv sarif -q --strict
            --no-color --lint rfc --compact --proto tcp -o - /dev/null --template isp --inside --outside
            -- --help --version 10.0.0.1 203.0.113.1:2000 1.2.3.4:0 999.1.1.1 /nowhere/site.yaml"""
        ),
        st.text(st.characters(blacklist_characters="\0/"), max_size=6),
    ),
    min_size=1,
    max_size=6,
)


@settings(fuzz, max_examples=EXAMPLES or 60)
@given(arguments)
@example(["init", "\udcff/x"])
@example(["build", "-o", "\udcff/x"])
@example(["lookup", "\u0661.1.1.1"])
def test_any_arguments(words: list[str]) -> None:
    """In this process, since starting one takes longer than all the rest; no verb that meets the kernel."""
    from typer.testing import CliRunner

    from nfcompile.cli.app import app

    if words[0] == "apply" or "apply" in words:
        return
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.chdir(folder)
            done = CliRunner().invoke(app, words, input="")
        finally:
            os.chdir(here)
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in (0, 1, 2, 3), words
