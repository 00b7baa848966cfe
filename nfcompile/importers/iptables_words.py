"""One rule of iptables, as words -> a statement: what it matches and what it does.

Only what is no rule at all raises `Unreadable`.
"""

from __future__ import annotations

import re
from typing import Any

from nfcompile.importers.account import Origin
from nfcompile.importers.chains import Statement
from nfcompile.importers.form import ANYTHING, PacketSet
from nfcompile.importers.iptables_options import KNOWN_MODULES, RuleWords, Surroundings, option_of
from nfcompile.importers.iptables_targets import verdict_of
from nfcompile.importers.lines import Token
from nfcompile.importers.values import Unreadable

WORD = re.compile(r"""(?:[^\s"']|"(?:[^"\\]|\\.)*"|'[^']*')+""")
PLAIN = re.compile(r"\S+")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|' + r"'([^']*)'")


def words(line: str, number: int) -> list[Token]:
    """Split a line as a shell would. Raises Unreadable where a quote is never closed."""
    if '"' not in line and "'" not in line:
        return [Token(word[0], number, word.start() + 1) for word in PLAIN.finditer(line)]
    found = []
    end = 0
    for word in WORD.finditer(line):
        if line[end : word.start()].strip():
            raise Unreadable("syntax", "a quote is never closed")
        end = word.end()
        text = word[0]
        if '"' in text or "'" in text:
            text = QUOTED.sub(lambda q: q[2] if q[1] is None else re.sub(r"\\(.)", r"\1", q[1]), text)
        found.append(Token(text, number, word.start() + 1))
    if line[end:].strip():
        raise Unreadable("syntax", "a quote is never closed")
    return found


def read_rule(
    tokens: list[Token], origin: Origin, name: str, own_chains: set[str], around: Surroundings
) -> list[Statement]:
    """The words behind '-A CHAIN'. `--ports` (source or destination) makes two statements."""
    rule = RuleWords(around)
    _read(rule, tokens)
    match = _match(rule)
    if match is None:
        return [Statement(ANYTHING, None, origin, name, None, ("never matches",))]
    if rule.doubt and rule.doubt.column:
        origin = origin._replace(column=rule.doubt.column)
    verdict, doubt = verdict_of(rule, match, own_chains)
    notes = tuple(rule.notes)
    statement = Statement(match, verdict, origin, name, rule.doubt or doubt, notes)
    if rule.either_port is None:
        return [statement]
    matches = (
        match.both(ANYTHING.having(**{f: rule.either_port})) for f in ("source_port", "destination_port")
    )
    return [statement._replace(match=one) for one in matches if one is not None]


def _read(rule: RuleWords, tokens: list[Token]) -> None:
    index, negated = 0, False
    while index < len(tokens):
        token = tokens[index]
        index += 1
        if token.text == "!":
            negated = True
            continue
        if not token.text.startswith("-"):
            raise Unreadable("syntax", f"column {token.column}: '{token.text}' is out of place")
        name, option = option_of(token.text)
        if option is None:
            index = _unknown(rule, tokens, index - 1)
            negated = False
            continue
        if index < len(tokens) and tokens[index].text == "!" and option.words:
            negated, index = True, index + 1
        given = tokens[index : index + option.words]
        if len(given) < option.words:
            raise Unreadable("syntax", f"column {token.column}: '{token.text}' lacks its value")
        index += option.words
        try:
            option.read(rule, given, negated)
        except Unreadable as problem:
            rule.doubtful(problem.code, problem.reason, (given or [token])[0].column)
        rule.values.setdefault(name, []).extend(one.text for one in given)
        negated = False


def _unknown(rule: RuleWords, tokens: list[Token], at: int) -> int:
    """An option of a match or target that has no word in a site: passed over with its values."""
    token = tokens[at]
    module = rule.modules[-1] if rule.modules else None
    if rule.target is None and (module is None or module in KNOWN_MODULES):
        raise Unreadable("syntax", f"column {token.column}: option '{token.text}' is not known")
    if rule.target is None:
        rule.doubtful("no-match", f"a site cannot express '-m {module}'", token.column)
    index = at + 1
    while index < len(tokens) and not re.match(r"!$|-{1,2}[A-Za-z]", tokens[index].text):
        index += 1
    return index


def _match(rule: RuleWords) -> PacketSet | None:
    """The box; None where no packet can match."""
    found: dict[str, Any] = {**rule.sets, "incoming": rule.incoming, "outgoing": rule.outgoing}
    if rule.never or any(not value for value in rule.sets.values()):
        return None
    if rule.incoming.empty or rule.outgoing.empty:
        return None
    match = ANYTHING._replace(**found)
    return ANYTHING if match == ANYTHING else match
