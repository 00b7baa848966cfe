"""Whether a pair would survive a failover now: what both nodes say of themselves, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nfcompile.deploy import takeover
from nfcompile.deploy.site_file import SiteFile
from nfcompile.host import conntrackd, peer
from nfcompile.kernel import NOT_LOADED, KernelError, netns, nft
from nfcompile.live.owners import KernelOwners
from nfcompile.model.pair import Node
from nfcompile.pipeline import Compiled
from nfcompile.records import peer_copy, store
from nfcompile.records.lookup_at import KnownSite
from nfcompile.records.peer_copy import Row

MASTER, BACKUP = "master", "backup"
OPEN, CLOSED, NO_TABLE = "open", "closed", "no table"
LAG_SHARE, LAG_MOST = 0.1, 100
"""A standby may lack a tenth of the master's connections and some more: they come and go while it is
asked."""


class NodeReport(NamedTuple):
    """What a node says of itself.

    role      master: it has the virtual addresses of its pair; backup: it has not
    gate      open, closed, or no table
    sessions  connections that conntrackd holds for the pair: a master's own, a backup's copies; None: it is
              dead
    site      digest of the site that is live
    """

    node: str
    role: str
    gate: str
    sessions: int | None
    site: str


class PairReport(NamedTuple):
    """Both nodes (the peer None where it does not answer), and why the pair is not ready for a failover."""

    own: NodeReport
    peer: NodeReport | None
    problems: tuple[str, ...]


class Membership(NamedTuple):
    """A node of a pair as verbs meet it: its live site, and where it is."""

    site: SiteFile
    compiled: Compiled
    netns: str | None
    conntrackd: str | None = None

    @property
    def node(self) -> Node:
        node = self.compiled.site.node
        assert node is not None
        return node

    @property
    def addresses(self) -> tuple[int, int]:
        """Our own address on the sync link, and the peer's."""
        other = takeover.pair_of(self.compiled).peer(self.node)
        if self.node.sync is None or other is None or other.sync is None:
            raise KernelError("the pair has no sync link")
        return self.node.sync.address, other.sync.address


def report(member: Membership) -> PairReport:
    """Ask this node and its peer."""
    own = own_report(member)
    found = peer.ask(*member.addresses, "status", member.netns)
    other = _read(found)
    return PairReport(own, other, tuple(problems(own, other)))


def own_report(member: Membership) -> NodeReport:
    """What this node says of itself."""
    pair = takeover.pair_of(member.compiled)
    role = BACKUP if takeover.missing_address(pair, member.netns) else MASTER
    caches = netns.inside(member.netns, lambda: conntrackd.caches(member.conntrackd))
    sessions = None if caches is None else caches.own if role == MASTER else caches.peer
    return NodeReport(member.node.name, role, _gate(member), sessions, store.digest(member.site.data))


def problems(own: NodeReport, other: NodeReport | None) -> Iterator[str]:
    """Why a failover now would lose something, a sentence each."""
    if other is None:
        yield "the peer does not answer on the sync link"
    both = [own] if other is None else [own, other]
    for one in both:
        if one.sessions is None:
            yield f"conntrackd does not answer on {one.node}"
        if one.gate == NO_TABLE:
            yield f"no ruleset is loaded on {one.node}"
        elif (one.gate == OPEN) != (one.role == MASTER):
            yield f"{one.node} is {one.role}, and its gate is {one.gate}"
    if other is None:
        return
    if own.role == other.role:
        yield f"both nodes are {own.role}"
    if own.site != other.site:
        yield "the nodes have different sites"
    yield from _lag(own, other)


def _lag(own: NodeReport, other: NodeReport) -> Iterator[str]:
    master, backup = (own, other) if own.role == MASTER else (other, own)
    if master.sessions is None or backup.sessions is None:
        return
    if backup.sessions < master.sessions * (1 - LAG_SHARE) - LAG_MOST:
        yield f"{backup.node} knows {backup.sessions} of the {master.sessions} connections of {master.node}"


def answer(member: Membership, question: str) -> dict[str, Any]:
    """What the peer is told: 'status', or 'blocks' with the assignments of dynamic pools too."""
    found: dict[str, Any] = own_report(member)._asdict()
    if question == "blocks" and found["role"] == MASTER:
        found["blocks"] = _blocks(member)
    return found


def copy_blocks(member: Membership, state: str) -> int | None:
    """Keep the assignments of a peer that is master; how many, None where there is nothing to copy."""
    found = peer.ask(*member.addresses, "blocks", member.netns)
    if found is None or "blocks" not in found:
        return None
    rows = peer_copy.sound(found["blocks"])
    peer_copy.keep(state, rows)
    return len(rows)


def _blocks(member: Membership) -> list[Row]:
    known = KnownSite(member.compiled)
    if not known.dynamic:
        return []
    owners = KernelOwners(member.netns)
    held, on_trial = owners.holdings(known), owners.on_trial(known)
    return [
        (pool, one.subscriber, one.block.address, one.block.first)
        for pool, holdings in held.items()
        for one in sorted(holdings, key=lambda holding: holding.slot)
        if one.subscriber not in on_trial[pool]  # without an answer soon gone; with one a connection tells
    ]


def _gate(member: Membership) -> str:
    try:
        if not netns.inside(member.netns, nft.has_table):
            return NO_TABLE
        return OPEN if takeover.is_open(member.compiled, member.netns) else CLOSED
    except KernelError as error:
        if str(error) == NOT_LOADED:
            return NO_TABLE
        raise


def _read(found: dict[str, Any] | None) -> NodeReport | None:
    match found:
        case {
            "node": str(node),
            "role": str(role),
            "gate": str(gate),
            "sessions": sessions,
            "site": str(site),
        }:
            return NodeReport(node, role, gate, sessions if isinstance(sessions, int) else None, site)
    return None
