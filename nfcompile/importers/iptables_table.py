"""The nat table as commands change it: rules appended, inserted, deleted, chains flushed."""

from __future__ import annotations

from typing import NamedTuple

from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.lines import Token
from nfcompile.importers.values import Unreadable

BUILT_IN = {"PREROUTING": "dnat", "POSTROUTING": "snat", "INPUT": "own", "OUTPUT": "own"}


class SavedRule(NamedTuple):
    """A rule as it was written, in its chain."""

    tokens: list[Token]
    origin: Origin
    name: str


class SavedTable:
    """The nat table while lines are read."""

    def __init__(self) -> None:
        self.chains: dict[str, list[SavedRule]] = {name: [] for name in BUILT_IN}
        self.lines: list[Origin] = []


def change(tokens: list[Token], origin: Origin, prefix: str, ledger: Accounting, table: SavedTable) -> None:
    """-A, -I, -N, -F ...: what a command does to the table."""
    verb = tokens[0].text if tokens else ""
    chain = tokens[1].text if len(tokens) > 1 else ""
    line = SavedRule(tokens[2:], origin, f"{prefix}l{origin.line}")
    if verb in ("-A", "--append") and chain:
        table.chains.setdefault(chain, []).append(line)
        table.lines.append(origin)
    elif verb in ("-I", "--insert") and chain:
        at = 1
        if line.tokens and line.tokens[0].text.isdigit():
            at, line = int(line.tokens[0].text), line._replace(tokens=line.tokens[1:])
        rules = table.chains.setdefault(chain, [])
        rules.insert(min(max(at, 1) - 1, len(rules)), line)
        table.lines.append(origin)
    elif verb in ("-N", "--new-chain") and chain:
        table.chains.setdefault(chain, [])
        ledger.note([origin], "ignored", "", "a new chain")
    elif verb in ("-F", "--flush", "-X", "--delete-chain", "-Z", "--zero"):
        _flush(verb, chain, origin, ledger, table)
    elif verb in ("-D", "--delete") and chain:
        _delete(chain, line, ledger, table)
    elif verb in ("-P", "--policy", "-L", "-S", "--list", "--list-rules"):
        ledger.note([origin], "ignored", "", "changes no rule")
    else:
        raise Unreadable("syntax", f"'{verb}' is not a command that adds a rule")


def _flush(verb: str, chain: str, origin: Origin, ledger: Accounting, table: SavedTable) -> None:
    ledger.note([origin], "ignored", "", "removes rules")
    if verb not in ("-F", "--flush"):
        return
    for name in [chain] if chain else list(table.chains):
        for line in table.chains.get(name, ()):
            ledger.note([line.origin], "ignored", "", f"removed again in line {origin.line}")
        table.chains[name] = []


def _delete(chain: str, line: SavedRule, ledger: Accounting, table: SavedTable) -> None:
    wanted = [token.text for token in line.tokens]
    rules = table.chains.get(chain, [])
    index = int(wanted[0]) - 1 if len(wanted) == 1 and wanted[0].isdigit() else -1
    for at, rule in enumerate(rules):
        if at == index or [token.text for token in rule.tokens] == wanted:
            ledger.note([rule.origin], "ignored", "", f"removed again in line {line.origin.line}")
            ledger.note([line.origin], "ignored", "", "removes a rule")
            del rules[at]
            return
    ledger.note([line.origin], "ignored", "", "removes a rule that is not there")
