"""Import as one short function after the other: read it first.

bytes -> Text -> Reading (rules, pools) -> pruned -> families found -> sides -> site text and account
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from nfcompile.importers import aviatrix, econat, families, inbound, iptables, routeros, site, vyos
from nfcompile.importers.account import Account, Accounting
from nfcompile.importers.entries import GuessedGateway
from nfcompile.importers.form import ForeignRule, FoundPool
from nfcompile.importers.kinds import guess_kind
from nfcompile.importers.lines import SourceText, read_text
from nfcompile.importers.prune import prune
from nfcompile.importers.reading import ForeignProgram, ImportOptions, Reading
from nfcompile.importers.sides import all_on_both_sides, guess_sides

Reader = Callable[[tuple[SourceText, ...], ImportOptions, Accounting], Reading]

READERS: dict[str, Reader] = {
    "iptables": iptables.read,
    "vyos": vyos.read,
    "routeros": routeros.read,
    "aviatrix": aviatrix.read,
    "econat": econat.read,
}
KINDS = ("iptables", "vyos", "routeros", "aviatrix", "econat", "auto")


class Imported(NamedTuple):
    """The site, the account of every line, and the form that both were made from.

    `stated` are the pools that the input names as such, which no rule of its program translates for.
    """

    kind: str
    text: str
    account: Account
    pools: tuple[FoundPool, ...]
    rules: tuple[ForeignRule, ...]
    gateway: GuessedGateway
    program: ForeignProgram
    stated: tuple[FoundPool, ...] = ()


def import_files(kind: str, files: Sequence[tuple[str, bytes]], options: ImportOptions) -> Imported:
    """Make a site of foreign files that belong together. Raises UnknownKind, NeedsExtra."""
    texts = tuple(read_text(name, data) for name, data in files)
    ledger = Accounting(texts)
    if kind == "auto":
        kind, reason = guess_kind(texts)
        ledger.guess("kind", kind, reason, f"import {kind}")
    reading = READERS[kind](texts, options, ledger)
    rules = prune(reading.rules, ledger)
    found = families.find_pools(rules)
    pools, left = inbound.find_inbound(found.pools, found.rules)
    pools = site.named((*reading.pools, *pools))
    sides = guess_sides(reading._replace(pools=pools), left, options, ledger)
    if not pools:
        sides = all_on_both_sides(sides, reading.interfaces, left, options, ledger)
    gateway = GuessedGateway(sides, {**reading.addresses, **options.addresses})
    left = (*left, *families.not_elsewhere(pools, sides.outside))
    text = site.write(kind, reading, pools, left, gateway, ledger)
    stated = pools[: len(reading.pools)]
    return Imported(kind, text, ledger.account(kind), pools, left, gateway, reading.program, stated)
