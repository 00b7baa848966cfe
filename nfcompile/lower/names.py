"""The names of our nft objects. Always prefixed: a chain called `log` or `fwd` is a syntax error.

Site names match [A-Za-z][A-Za-z0-9_-]*, which nft takes as they are, so they are never mangled. A prefix is
one word, or words that always stand there, so that no two names can meet whatever the pools are called.
"""

from __future__ import annotations

TABLE = "nfcompile"
LOG_GROUP = 5
"""NFLOG group of block assignments and of connections that helpers expect."""

PREROUTING = "nat_prerouting"
POSTROUTING = "nat_postrouting"
OUTBOUND = "outbound"
POOLS = "pools"
DNAT_RULES = "dnat_rules"
SNAT_RULES = "snat_rules"
FORWARD = "forward_policy"
GUARD = "after_translation"
OUTGOING = "outgoing"
LOCAL = "to_gateway"
LEAK = "untranslated"
FLOWTABLE = "shortcut"
OFFLOAD = "take_shortcut"

GLOBALS = "global_addresses"
OWNED = "translated_sources"
OFFLOADED = "shortcut_addresses"

INVALID_COUNTER = "dropped_invalid"
MIDSTREAM_COUNTER = "dropped_midstream"
UNSOLICITED_COUNTER = "dropped_unsolicited"
LEAK_COUNTER = "dropped_untranslated"


def pool_chain(pool: str) -> str:
    """The chain that tests the ACL of a pool."""
    return f"pool_{pool}"


def translate_chain(pool: str) -> str:
    """The chain that an accepted packet of a pool goes to."""
    return f"translate_{pool}"


def pass_chain(pool: str) -> str:
    """The chain that an accepted packet of a fake pool goes to."""
    return f"pass_{pool}"


def dropped(pool: str) -> str:
    """The counter of packets that a pool accepted but could not translate."""
    return f"dropped_pool_{pool}"


def tagged_subscribers(pool: str) -> str:
    """The set of those sources of `global_map` that are on a VLAN."""
    return f"subscribersvlan_{pool}"


def subscribers(pool: str) -> str:
    """The set of sources that `subscribers` or `global_map` names."""
    return f"subscribers_{pool}"


def pool_counter(pool: str, word: str) -> str:
    """A counter of a pool's allocator ('exhausted' ...)."""
    return f"{word}_count_{pool}"
