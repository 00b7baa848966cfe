"""The one table of reasons for which packets are dropped, by the word of the counter that counts them.

`status`, the exporter and `explain` say the same of one counter.
"""

from typing import NamedTuple

from nfcompile.emit import Name


class DropReason(NamedTuple):
    """Why packets are dropped: a word for programs, and what an operator reads of one packet or of many."""

    word: str
    text: str


DROP_REASONS = {
    "dropped_pool": DropReason("no_port", "the pool has no free address or port"),
    "icmp_limit": DropReason("icmp_limit", "over the subscriber's limit of ICMP sessions"),
    "sessions": DropReason("sessions", "over the subscriber's limit of sessions"),
    "full": DropReason("full", "a set that counts or keeps what subscribers use is full"),
    "full_sessions": DropReason("sockets_full", "the set that counts the sessions of sockets is full"),
    "exhausted": DropReason("exhausted", "no free block in the pool, or none found in time"),
    "rate": DropReason("new_assignments", "over the rate of new assignments of the inside interface"),
    "trial_over": DropReason(
        "trial_over", "no answer to the subscriber arrived in time, so its block is free again"
    ),
    "waiting": DropReason("waiting", "the subscriber's block is just being assigned"),
    "conflict": DropReason("conflict", "the global port belongs to another socket's mapping entry"),
    "race": DropReason("race", "second of two first packets of one socket at the same instant"),
    "dropped_invalid": DropReason("invalid", "belongs to no connection and cannot open one"),
    "dropped_midstream": DropReason("midstream", "TCP without a known connection and without SYN"),
    "dropped_unsolicited": DropReason("unsolicited", "no mapping for the global address"),
    "dropped_untranslated": DropReason("untranslated", "a subscriber's own address must not leave"),
    "npt_dropped_untranslated": DropReason("npt_untranslated", "a local prefix of IPv6 must not leave"),
    "npt_dropped_unsolicited": DropReason("npt_unsolicited", "no route leads to the prefix of IPv6 inside"),
    "dropped_gate": DropReason("gate", "the gate is closed: this node is not the master of its pair"),
    "acl": DropReason("acl", "the pool's ACL leaves the remote side out"),
    "dropped_silent": DropReason("silent", "udp from outside to a socket that has sent nothing for too long"),
    "dropped_forged": DropReason(
        "forged", "the source address does not belong to the interface where the packet arrived"
    ),
    "dropped_private": DropReason("private", "a subscriber's own address is not reached from outside"),
    "dropped_unnamed": DropReason("unnamed", "the site does not name the source (strict_sources)"),
    "refused_sessions": DropReason("session_limit", "over the limit of sessions per socket"),
    "refused": DropReason(
        "refused", "retransmitted after the pool was exhausted; rejected with ICMP admin-prohibited"
    ),
    "insert_failed": DropReason("ports_taken", "all translated ports are in use"),
    "drop": DropReason("connections_full", "the connection table is full"),
    "early_drop": DropReason("early_drop", "ended early to make room in the connection table"),
}
"""By the word in the name of our counters, or of conntrack's own statistics (the last three)."""
NOT_DROPS = {"assigned"}
"""Counters of something else."""


def drop_reason(counter: Name) -> DropReason | None:
    """What a counter of the ruleset counts; None where it counts no drops."""
    return DROP_REASONS.get(counter.word.removesuffix("_count"))
