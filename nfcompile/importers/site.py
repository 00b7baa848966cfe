"""Entries and pools -> the text of a site, each entry below a comment that says which lines it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nfcompile.importers.account import Accounting, Guess
from nfcompile.importers.entries import Fields, GuessedGateway, Unsayable, Value, entries, nearest
from nfcompile.importers.form import PORTED, PROTOCOLS, ForeignRule, FoundPool, Ranges
from nfcompile.importers.lines import shown
from nfcompile.importers.reading import Reading
from nfcompile.model.ranges import Range, port_text, range_text
from nfcompile.source import layout
from nfcompile.source.layout import Item, LaidOutNode, mapping, scalar, sequence

NAME_MOST = 31
PRIORITY_STEP = 10
ENTRIES_MOST = 20_000
"""So many rules are written where one of the input is several."""
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", re.ASCII)
"""What a site's label may be; a foreign name that is longer or stranger is left out."""

CONNTRACK_TIMEOUTS: dict[str, int] = {
    "udp": 120, "icmp": 30, "tcp_handshake": 60, "tcp_active": 432000, "tcp_final": 120, "tcp_reset": 10,
    "other": 600,
}  # fmt: skip
"""The kernel's own timeouts, in seconds, which a system that sets none has."""


def write(
    kind: str,
    reading: Reading,
    pools: Sequence[FoundPool],
    rules: Sequence[ForeignRule],
    gateway: GuessedGateway,
    ledger: Accounting,
) -> str:
    """The site; notes the fate of every line of the rules and pools."""
    names = _EntryNames()
    sections: list[tuple[str, LaidOutNode]] = list(reading.sections.items())
    written = [(pool, pool.name) for pool in pools]
    for pool, name in written:
        ledger.note(pool.origins, "folded", to=f"pools.{name}", reason="; ".join(pool.notes))
    if written:
        sections.append(("nat_defaults", _timeouts(ledger)))
        sections.append(("acls", mapping(*(Item(name, _acl(pool)) for pool, name in written))))
        items = (
            Item(name, _pool(pool, name, place), ledger.quoted(pool.origins))
            for place, (pool, name) in enumerate(written, 1)
        )
        sections.append(("pools", mapping(*items)))
    for stage in ("dnat", "snat"):
        mine = [rule for rule in rules if rule.stage == stage]
        node = _stage(stage, mine, gateway, names, ledger)
        if node is not None:
            sections.append((stage, node))
    return layout.render(_file(kind, reading, gateway, sections, ledger))


def _file(
    kind: str,
    reading: Reading,
    gateway: GuessedGateway,
    sections: list[tuple[str, LaidOutNode]],
    ledger: Accounting,
) -> LaidOutNode:
    files = ", ".join(shown(text.name) for text in ledger.texts[:3]) + (
        " ..." if len(ledger.texts) > 3 else ""
    )
    head = (f" From {files} ({kind}), by `nfcompile import`; what became of each line is in its account.",)
    items = [Item("version", scalar(1), head)]
    if LABEL.fullmatch(reading.site):
        items.append(Item("site", scalar(reading.site)))
    guessed = {guess.what: guess for guess in ledger.guesses}
    both = [
        Item(
            side,
            sequence(list(getattr(gateway.sides, side))),
            beside=_guessed(guessed.get(f"interfaces.{side}")),
        )
        for side in ("inside", "outside")
    ]
    if gateway.sides.networks:
        both.append(Item("inside_networks", sequence(list(gateway.sides.networks))))
    items.append(Item("interfaces", mapping(*both), (None,)))
    below: tuple[str | None, ...] = ()
    for name, node in sections:
        if node.items:
            items.append(Item(name, node, (None,)))
        else:
            # YAML has no section of comments alone; these stand at the end.
            below += (None, f" {name}:", *(f"  {line}" for line in node.below if line is not None))
    return LaidOutNode(items=tuple(items), below=below)


def _guessed(guess: Guess | None) -> str | None:
    return None if guess is None else f" guessed: {guess.reason}"


# ---- rules


def named(pools: Sequence[FoundPool]) -> tuple[FoundPool, ...]:
    """Pools with the names that they have in the site."""
    names = _EntryNames()
    return tuple(pool._replace(name=names.free("pools", pool.name)) for pool in pools)


class _EntryNames:
    """Names of entries: a letter and up to 30 more characters, each once in its section."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], int] = {}

    def free(self, section: str, wanted: str) -> str:
        name = _name(wanted)
        count = self.taken.get((section, name), 0)
        self.taken[(section, name)] = count + 1
        if not count:
            return name
        return self.free(section, f"{name[: NAME_MOST - 6]}-{count + 1}")


def _name(text: str) -> str:
    clean = "".join(one if one.isascii() and (one.isalnum() or one in "_-") else "-" for one in text)
    clean = clean if clean[:1].isalpha() else f"r{clean}"
    return clean[:NAME_MOST]


def _stage(
    stage: str, rules: list[ForeignRule], gateway: GuessedGateway, names: _EntryNames, ledger: Accounting
) -> LaidOutNode | None:
    items: list[Item] = []
    waiting: list[str | None] = []
    for rule in rules:
        try:
            said = list(entries(rule, gateway))
            if len(said) > 1 and len(items) + len(said) > ENTRIES_MOST:
                raise Unsayable(
                    "too-many", f"one rule for each host would make more than {ENTRIES_MOST} rules"
                )
        except Unsayable as problem:
            waiting += _left_out(rule, problem, gateway, ledger)
            continue
        for number, fields in enumerate(said):
            name = names.free(stage, rule.name)
            reason = "; ".join(rule.notes)
            ledger.note(rule.origins, "translated", to=f"{stage}.{name}", reason=reason)
            above = (*waiting, *(ledger.quoted(rule.lines) if not number else ()))
            waiting = []
            items.append(Item(name, _fields(fields), above))
    if not items and not waiting:
        return None
    return LaidOutNode(items=tuple(items), below=tuple(waiting))


def _left_out(
    rule: ForeignRule, problem: Unsayable, gateway: GuessedGateway, ledger: Accounting
) -> Iterator[str]:
    """Comments in the place of a rule; a rule that several jumps lead to is told of once."""
    if problem.never:
        ledger.note(rule.lines, "ignored", "never-matches", str(problem))
        ledger.later(rule.jumps, "ignored", "", "what it leads to changes nothing")
        return
    reason = str(problem) + (f" ({problem.hint})" if problem.hint else "")
    told = ledger.fate(rule.lines[0]) == "not-translated"
    ledger.note(rule.lines, "not-translated", problem.code, reason)
    ledger.later(rule.jumps, "not-translated", problem.code, reason)
    if told:
        return
    yield from ledger.quoted(rule.lines)
    yield f"   not translated: {shown(reason)} [{problem.code}]"
    fields = nearest(rule, gateway)
    if fields:
        yield f"   nearest: {_name(rule.name)}: {layout.one_line(_fields(fields))}"


def _fields(fields: Fields) -> LaidOutNode:
    return mapping(*(Item(key, _value(value)) for key, value in fields.items()), flow=True)


def _value(value: Value) -> LaidOutNode:
    return sequence(value) if isinstance(value, list) else scalar(value)


# ---- pools


def _acl(pool: FoundPool) -> LaidOutNode:
    """Everything that the pool translates; `subscribers` says of whom, where they are no single run."""
    texts = []
    for protocols, sources in pool.partial:
        for source in sources:
            texts += [f"allow {word} src {_acl_address(source)} dst any" for word in _acl_words(protocols)]
            texts.append(f"deny ip src {_acl_address(source)} dst any")
    whole = _acl_address(pool.subscribers[0]) if len(pool.subscribers) == 1 else "any"
    texts += [f"allow {word} src {whole} dst any" for word in _acl_words(pool.protocols)]
    return mapping(*(Item(str(number * 10), scalar(text)) for number, text in enumerate(texts, 1)))


def _acl_words(protocols: Ranges) -> list[str]:
    if protocols == PROTOCOLS:
        return ["ip"]
    return ["tcp", "udp"] if protocols == PORTED else ["tcp", "udp", "icmp"]


def _acl_address(addresses: Range) -> str:
    text = range_text(addresses)
    return f"{'net' if '/' in text else 'range' if '-' in text else 'host'} {text}"


def _pool(pool: FoundPool, acl: str, place: int) -> LaidOutNode:
    limits = {f"portlimit_{protocol}": pool.block for protocol in ("tcp", "udp", "icmp")}
    items = [
        Item("type", scalar("cgnat")),
        Item("acl", scalar(acl)),
        Item("priority", scalar(place * PRIORITY_STEP)),
        Item("global_ip", _ranges(pool.addresses)),
        Item(
            "port_range",
            scalar(port_text(pool.ports) if pool.ports.size > 1 else f"{pool.ports.first}-{pool.ports.last}"),
        ),
        Item("port_block_size", scalar(pool.block)),
    ]
    if pool.fill != "spread":
        items.append(Item("fill", scalar(pool.fill)))
    if pool.inbound:
        items.append(Item("inbound", scalar("subscriber")))
    items += [
        Item("subscribers", _ranges(pool.subscribers)),
        Item("hairpin", scalar("off")),
        Item("connection_logging", scalar("off")),
        Item(
            "limits_peruser", mapping(*(Item(key, scalar(value)) for key, value in limits.items()), flow=True)
        ),
    ]
    return mapping(*items)


def _ranges(ranges: Ranges) -> LaidOutNode:
    return sequence([range_text(one) for one in ranges])


def _timeouts(ledger: Accounting) -> LaidOutNode:
    reason = "what conntrack does where nothing else is set; the input does not say"
    ledger.guess("nat_defaults.timeouts_inactivity", "the kernel's own", reason)
    items = (Item(key, scalar(value)) for key, value in CONNTRACK_TIMEOUTS.items())
    return mapping(Item("timeouts_inactivity", mapping(*items, flow=True), (f" guessed: {reason}",)))
