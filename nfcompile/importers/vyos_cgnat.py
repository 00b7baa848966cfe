"""`nat cgnat` of VyOS -> deterministic pools. It fills one address after the other, by `seq`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nfcompile.importers import values
from nfcompile.importers.account import Accounting, Origin
from nfcompile.importers.families import OUTWARDS
from nfcompile.importers.form import ANYWHERE, PROTOCOLS, FoundPool
from nfcompile.importers.values import Unreadable
from nfcompile.importers.vyos_tree import Leaf, Path
from nfcompile.model.ranges import Range

SEQ_UNSET = 999999
PORT_RANGE = "1024-65535"
PORT_LIMIT = "2000"


class _External(NamedTuple):
    ranges: dict[str, int]
    ports: str
    limit: str


def read_pools(leaves: list[Leaf], ledger: Accounting) -> tuple[FoundPool, ...]:
    """A pool for each rule, in ascending number."""
    part = _Part(leaves)
    numbers = sorted(
        {path[1] for path in part.said if path[:1] == ("rule",) and len(path) > 1},
        key=lambda text: (len(text), text),
    )
    pools, used = [], set()
    for position, number in enumerate(numbers):
        inside, outside = (
            part.value("rule", number, "source", "pool"),
            part.value("rule", number, "translation", "pool"),
        )
        origins = part.origins(("rule", number))
        if inside is None or outside is None:
            ledger.note(origins, "ignored", "incomplete", "the rule lacks a pool, and VyOS refuses it")
            continue
        used |= {("internal", inside), ("external", outside)}
        origins += part.origins(("pool", "internal", inside)) + part.origins(("pool", "external", outside))
        try:
            pools.append(part.pool(number, inside, outside, tuple(origins), position))
        except Unreadable as problem:
            ledger.note(origins, "not-translated", problem.code, problem.reason)
    part.note_rest(used, numbers, ledger)
    return tuple(pools)


class _Part:
    """The leaves below `nat cgnat`."""

    def __init__(self, leaves: list[Leaf]) -> None:
        self.leaves = leaves
        self.said: dict[Path, Leaf] = {leaf.path: leaf for leaf in leaves if not leaf.structure}

    def value(self, *path: str) -> str | None:
        found = None
        for said in self.said:
            if said[:-1] == path:
                found = said[-1]
        return found

    def origins(self, path: Path) -> list[Origin]:
        return [leaf.origin for leaf in self.leaves if leaf.path[: len(path)] == path]

    def ranges(self, *path: str) -> Iterator[tuple[str, Path]]:
        """Members of a list of ranges with what is said of each."""
        seen = set()
        for leaf in self.leaves:
            if leaf.path[: len(path)] == path and len(leaf.path) > len(path):
                text = leaf.path[len(path)]
                if text not in seen:
                    seen.add(text)
                    yield text, (*path, text)

    def pool(
        self, number: str, inside: str, outside: str, origins: tuple[Origin, ...], position: int
    ) -> FoundPool:
        subscribers = tuple(
            values.addresses(text) for text, _ in self.ranges("pool", "internal", inside, "range")
        )
        addresses = tuple(self.addresses(outside))
        if not subscribers or not addresses:
            missing = inside if not subscribers else outside
            raise Unreadable("no-pool", f"pool '{missing}' has no range in the input")
        ports = values.ports(self.value("pool", "external", outside, "external-port-range") or PORT_RANGE)
        block = values.port(self.value("pool", "external", outside, "per-user-limit", "port") or PORT_LIMIT)
        if not 0 < block <= ports.size:
            raise Unreadable(
                "bad-port", f"a block of {block} ports does not fit into {ports.first}-{ports.last}"
            )
        blocks = ports.size // block * sum(one.size for one in addresses)
        if blocks < sum(one.size for one in subscribers):
            raise Unreadable(
                "few-blocks",
                f"pool '{outside}' has {blocks} blocks of {block} ports, and '{inside}' more hosts",
            )
        single = all(one.size == 1 for one in addresses)
        return FoundPool(
            name=f"rule-{number}",
            subscribers=subscribers,
            addresses=addresses,
            ports=ports,
            block=block,
            fill="spread" if single else "address",
            protocols=PROTOCOLS,
            outgoing=ANYWHERE,
            origins=tuple(dict.fromkeys(origins)),
            position=position,
            notes=(OUTWARDS,),
        )

    def addresses(self, pool: str) -> Iterable[Range]:
        """External ranges in the order of `seq`; those without one come last, as they stand."""
        found: list[tuple[int, int, Range]] = []
        for place, (text, path) in enumerate(self.ranges("pool", "external", pool, "range")):
            seq = self.value(*path, "seq")
            found.append((int(seq) if seq and seq.isdigit() else SEQ_UNSET, place, values.addresses(text)))
        return [one for _, _, one in sorted(found)]

    def note_rest(self, used: set[tuple[str, str]], numbers: list[str], ledger: Accounting) -> None:
        for leaf in self.leaves:
            path = leaf.path
            if path[:1] == ("pool",) and (len(path) < 3 or (path[1], path[2]) in used):
                continue
            if path[:1] == ("rule",) and len(path) > 1 and path[1] in numbers:
                continue
            reason = (
                "no rule uses this pool"
                if path[:1] == ("pool",)
                else "the log of a site is connection_logging"
            )
            ledger.note([leaf.origin], "ignored", "", reason)
        for leaf in self.leaves:
            if ledger.fate(leaf.origin) is None and leaf.structure and len(leaf.path) < 3:
                ledger.note([leaf.origin], "ignored", "", "opens or closes a block")
