"""iptables: what `iptables-save` writes, or a plain list of `iptables` commands, -> rules.

Only nat decides about translation. Shell programs are not run: what they load is what `iptables-save` shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nfcompile.importers import chains as chain_pass
from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.chains import Jump, Statement
from nfcompile.importers.form import Exclude, ForeignRule, Unsaid
from nfcompile.importers.iptables_options import Surroundings
from nfcompile.importers.iptables_table import BUILT_IN, SavedRule, SavedTable, change
from nfcompile.importers.iptables_words import read_rule, words
from nfcompile.importers.lines import SourceText, Token
from nfcompile.importers.reading import ForeignProgram, ImportOptions, Reading
from nfcompile.importers.values import Unreadable

COUNTERS = re.compile(r"\s*\[\d+:\d+\]\s+(?=-)")
COMMAND = re.compile(r"(?:\S+[#$]\s+)?(?:sudo\s+)?(?:/\S*/)?(ip6?tables)(?:-legacy|-nft)?\s+(.*)")
"""A command, maybe behind a prompt."""
SHEBANG = re.compile(r"#!.*\b(ba|da|z|k)?sh\b")
ASSIGNED = re.compile(r"\s*(?:export\s+)?[A-Za-z_]\w*=")
PROGRAM = re.compile(r"\$|`|^\s*(for|while|until|if|case|function|do|done|then|fi|esac)\b|^\s*\w+\s*\(\)")
INTERFACE = re.compile(r"(?:^|\s)(?:-i|-o|--in-interface|--out-interface)\s+(?:!\s+)?([A-Za-z0-9_.@:+-]+)")
CONTAINER_CHAIN = re.compile(r"DOCKER|KUBE-|CNI-|cali-|LIBVIRT_|NETAVARK|FLANNEL|ISTIO_|WEAVE|CILIUM")
MANAGER = {
    "DOCKER": "docker", "KUBE-": "Kubernetes", "CNI-": "a container network", "cali-": "Calico",
    "LIBVIRT_": "libvirt", "NETAVARK": "podman", "FLANNEL": "flannel", "ISTIO_": "Istio",
    "WEAVE": "Weave", "CILIUM": "Cilium",
}  # fmt: skip


def read(texts: tuple[SourceText, ...], options: ImportOptions, ledger: Accounting) -> Reading:
    """Read files of either form; of several nat tables the last one holds."""
    found: dict[str, None] = {}
    table = SavedTable()
    for number, text in enumerate(texts):
        for line in text.lines:
            found.update(dict.fromkeys(name for name in INTERFACE.findall(line) if not name.endswith("+")))
        prefix = "" if len(texts) == 1 else f"f{number + 1}-"
        if any(line.startswith("*") for line in text.lines) or not _commands(text):
            table = _read_saved(text, number, prefix, ledger, table)
        else:
            _read_commands(text, number, prefix, ledger, table)
    found.pop("lo", None)
    names = tuple(dict.fromkeys([*options.inside, *options.outside, *options.addresses, *found]))
    chains = _chains(table, Surroundings(names, options.addresses), ledger)
    starts = {stage: name for name, stage in BUILT_IN.items() if stage != "own"}
    return Reading(_rules(chains, ledger), (), names, program=ForeignProgram(chains, starts))


def _commands(text: SourceText) -> bool:
    return any(COMMAND.match(line.strip()) for line in text.lines) or bool(
        SHEBANG.match("".join(text.lines[:1]))
    )


# ---- iptables-save


def _read_saved(
    text: SourceText, file: int, prefix: str, ledger: Accounting, table: SavedTable
) -> SavedTable:
    section = ""
    if not any(line.startswith("*") for line in text.lines) and any(_nat_rule(line) for line in text.lines):
        section = "nat"
        ledger.guess("table", "nat", f"{text.name} names no table")
    six = False
    for number, raw in enumerate(text.lines, 1):
        origin, line = Origin(file, number, number), raw.strip()
        if not line:
            ledger.note([origin], "ignored", "", "empty line")
        elif line.startswith("#"):
            six = "ip6tables-save" in line or (six and "iptables-save" not in line)
            ledger.note([origin], "ignored", "", "comment")
        elif line.startswith("*"):
            section = "ipv6" if six else line[1:].strip()
            if section == "nat":
                _forget(table, ledger, f"the nat table of line {number} of {text.name} takes its place")
                table = SavedTable()
                ledger.note([origin], "ignored", "", "the nat table begins")
            else:
                ledger.note([origin], "ignored", "", _of_table(section))
        elif line == "COMMIT":
            ledger.note([origin], "ignored", "", "end of the table")
            section = ""
        elif section == "nat":
            _nat_line(raw, origin, prefix, ledger, table)
        else:
            _other_line(line, section, origin, ledger)
    return table


def _nat_rule(line: str) -> bool:
    return bool(re.match(r"(\[\d+:\d+\]\s+)?-[AI]\s+(PREROUTING|POSTROUTING)\s", line))


def _of_table(section: str) -> str:
    return "an IPv6 table" if section == "ipv6" else f"table {section} translates nothing"


def _other_line(line: str, section: str, origin: Origin, ledger: Accounting) -> None:
    if not section:
        ledger.note([origin], "unknown", "syntax", "this stands in no table")
    elif re.search(r"-j (NOTRACK|CT --notrack)", line):
        reason = "its packets are not tracked, so that nat does not see them; nfcompile tracks all"
        ledger.note([origin], "ignored", "notrack", reason)
    elif re.match(r"(\[\d+:\d+\]\s+)?[-:]", line):
        ledger.note([origin], "ignored", "", _of_table(section))
    else:
        ledger.note([origin], "unknown", "syntax", "this is not a line of iptables-save")


def _nat_line(raw: str, origin: Origin, prefix: str, ledger: Accounting, table: SavedTable) -> None:
    line = raw.strip()
    if line.startswith(":"):
        _declare(line, origin, ledger, table)
        return
    counters = COUNTERS.match(raw)
    try:
        tokens = words(" " * counters.end() + raw[counters.end() :] if counters else raw, origin.line)
        change(tokens, origin, prefix, ledger, table)
    except Unreadable as problem:
        ledger.note([origin], "unknown", problem.code, problem.reason)


def _declare(line: str, origin: Origin, ledger: Accounting, table: SavedTable) -> None:
    """':CHAIN POLICY [packets:bytes]'."""
    parts = line[1:].split()
    if not parts:
        ledger.note([origin], "unknown", "syntax", "a chain without a name")
        return
    table.chains.setdefault(parts[0], [])
    table.lines.append(origin)
    if len(parts) > 1 and parts[1] == "DROP":
        reason = f"'{parts[0]}' drops what no rule matches; a site translates or leaves alone"
        ledger.note([origin], "not-translated", "no-target", reason)
    else:
        ledger.note([origin], "ignored", "", "a chain and its counters")


# ---- commands


def _read_commands(text: SourceText, file: int, prefix: str, ledger: Accounting, table: SavedTable) -> None:
    program = any(
        PROGRAM.search(line)
        for line in text.lines
        if COMMAND.match(line.strip()) or re.match(r"\s*(for|while|if|case)\b", line)
    )
    for number, raw in enumerate(text.lines, 1):
        origin, line = Origin(file, number, number), raw.strip()
        command = COMMAND.match(line)
        if command is None:
            _beside(line, program, origin, ledger)
        elif program:
            reason = "this is a shell program: run it, and import what iptables-save shows then"
            ledger.note([origin], "not-translated", "shell", reason)
        elif command[1] == "ip6tables":
            ledger.note([origin], "ignored", "", "IPv6")
        else:
            _typed(raw, raw.index(command[2], raw.index(command[1])), origin, prefix, ledger, table)


def _beside(line: str, program: bool, origin: Origin, ledger: Accounting) -> None:
    if not line or line.startswith("#"):
        ledger.note([origin], "ignored", "", "comment" if line else "empty line")
    elif program and "iptables" in line.lower():
        reason = "this is a shell program: run it, and import what iptables-save shows then"
        ledger.note([origin], "not-translated", "shell", reason)
    else:
        ledger.note([origin], "ignored", "", "no iptables command")


def _typed(raw: str, at: int, origin: Origin, prefix: str, ledger: Accounting, table: SavedTable) -> None:
    try:
        tokens = words(" " * at + raw[at:].split(" #")[0], origin.line)
        section, tokens = _which_table(tokens)
        if section != "nat":
            ledger.note([origin], "ignored", "", _of_table(section))
        else:
            change(tokens, origin, prefix, ledger, table)
    except Unreadable as problem:
        ledger.note([origin], "unknown", problem.code, problem.reason)


def _which_table(tokens: list[Token]) -> tuple[str, list[Token]]:
    section, rest, index = "filter", [], 0
    while index < len(tokens):
        word = tokens[index].text
        if word in ("-t", "--table") and index + 1 < len(tokens):
            section = tokens[index + 1].text
            index += 2
        elif word in ("-w", "--wait", "-n", "--numeric", "-v", "--verbose"):
            index += 2 if tokens[index + 1 : index + 2] and tokens[index + 1].text.isdigit() else 1
        else:
            rest.append(tokens[index])
            index += 1
    return section, rest


# ---- the table's rules


def _forget(table: SavedTable, ledger: Accounting, reason: str) -> None:
    for lines in table.chains.values():
        for line in lines:
            ledger.note([line.origin], "ignored", "replaced", reason)


def _chains(table: SavedTable, around: Surroundings, ledger: Accounting) -> dict[str, list[Statement]]:
    own = {name for name in table.chains if name not in BUILT_IN}
    return {
        name: [one for line in lines for one in _statements(line, name, own, around, ledger)]
        for name, lines in table.chains.items()
    }


def _rules(chains: chain_pass.Chains, ledger: Accounting) -> tuple[ForeignRule, ...]:
    rules: list[ForeignRule] = []
    met: set[Origin] = set()
    for name, stage in BUILT_IN.items():
        if stage != "own":
            found = chain_pass.unfold(chains, name, stage, ledger)
            rules += found.rules
            met |= found.met
    _own_traffic(chains, met, ledger)
    chain_pass.note_unreached(chains, ledger, met)
    return tuple(rules)


def _statements(
    line: SavedRule, chain: str, own: set[str], around: Surroundings, ledger: Accounting
) -> Iterator[Statement]:
    try:
        statements = read_rule(line.tokens, line.origin, line.name, own, around)
    except Unreadable as problem:
        ledger.note([line.origin], "unknown", problem.code, problem.reason)
        return
    manager = _manager(chain)
    for statement in statements:
        if isinstance(statement.verdict, Jump):
            manager = manager or _manager(statement.verdict.chain)
        yield _of_manager(statement, manager) if manager else statement


def _manager(chain: str) -> str | None:
    found = CONTAINER_CHAIN.match(chain)
    return MANAGER[found[0]] if found else None


def _of_manager(statement: Statement, manager: str) -> Statement:
    reason = f"{manager} writes this rule itself: leave it to {manager}, beside nfcompile's own table"
    return statement._replace(doubt=Unsaid("container", reason))


def _own_traffic(chains: chain_pass.Chains, forwarded: set[Origin], ledger: Accounting) -> None:
    """Rules for what the gateway itself sends (OUTPUT) or takes (INPUT): a site leaves both alone."""
    scratch = Accounting(ledger.texts)
    met: set[Origin] = set()
    for name in (name for name, stage in BUILT_IN.items() if stage == "own"):
        found = chain_pass.unfold(chains, name, "own", scratch)
        met |= found.met
        for rule in found.rules:
            lines = [one for one in rule.origins if one not in forwarded]
            if not isinstance(rule.action, Exclude):
                reason = "the gateway's own connections are not translated"
                ledger.note(lines, "not-translated", "own-traffic", reason)
    for origin in met - forwarded:
        if not ledger.fate(origin):
            reason = "the gateway's own connections are not translated anyway"
            ledger.note([origin], "ignored", "", reason)
