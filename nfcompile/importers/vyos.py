"""VyOS: nat44, static nat and cgnat; and `service nat` of EdgeOS and older Vyatta, by the same tree."""

from __future__ import annotations

from nfcompile.importers import vyos_cgnat, vyos_nat
from nfcompile.importers.account import Accounting
from nfcompile.importers.form import ForeignRule, FoundPool
from nfcompile.importers.lines import SourceText
from nfcompile.importers.reading import ImportOptions, Reading, flat
from nfcompile.importers.vyos_setup import setup_of
from nfcompile.importers.vyos_tree import Leaf, Path, read_tree


def read(texts: tuple[SourceText, ...], options: ImportOptions, ledger: Accounting) -> Reading:
    """Read files of either spelling; they are one configuration."""
    leaves = read_tree(texts, ledger)
    setup = setup_of(leaves, options)
    rules: list[ForeignRule] = []
    pools: tuple[FoundPool, ...] = ()
    for kind, mine in _parts(leaves, ledger).items():
        if kind == "cgnat":
            pools = vyos_cgnat.read_pools(mine, ledger)
        elif mine:
            rules += vyos_nat.read_rules(kind, mine, setup, ledger)
    rules.sort(key=lambda rule: rule.stage)
    if any(kind == "edge" and mine for kind, mine in _parts(leaves, None).items()):
        ledger.guess("dialect", "EdgeOS or Vyatta", "its rules stand below 'service nat'")
    label = next(
        (leaf.path[2] for leaf in leaves if leaf.path[:2] == ("system", "host-name") and len(leaf.path) == 3),
        "",
    )
    return Reading(tuple(rules), pools, setup.interfaces, setup.addresses, label, program=flat(rules))


def _parts(leaves: list[Leaf], ledger: Accounting | None) -> dict[str, list[Leaf]]:
    """Leaves by what reads them, paths shortened to what follows; the rest is noted as ignored."""
    parts: dict[str, list[Leaf]] = {kind: [] for kind in ("static", "destination", "source", "edge", "cgnat")}
    for leaf in leaves:
        kind, tail = _part(leaf.path)
        if kind in parts and (tail or not leaf.structure):
            parts[kind].append(leaf._replace(path=tail))
        elif ledger is not None:
            reason = "opens or closes a block" if kind in parts else "no NAT"
            if leaf.path[:1] in (("nat66",), ("nat64",)):
                reason = "IPv6"
            ledger.note([leaf.origin], "ignored", "", reason)
    return parts


def _part(path: Path) -> tuple[str, Path]:
    if path[:2] == ("service", "nat"):
        return "edge", path[3:] if path[2:3] == ("rule",) else ()
    if path[:1] != ("nat",) or len(path) < 2:
        return "", ()
    if path[1] == "cgnat":
        return "cgnat", path[2:]
    return path[1], path[3:] if path[2:3] == ("rule",) else ()
