"""The names of our nft objects. Always prefixed: a chain called `log` or `fwd` is a syntax error.

Site names match [A-Za-z][A-Za-z0-9_-]*, which nft takes as they are, so they are never mangled.
"""

from __future__ import annotations

TABLE = "nfcompile"

PREROUTING = "nat_prerouting"
POSTROUTING = "nat_postrouting"
POOLS = "pools"
DNAT_RULES = "dnat_rules"
SNAT_RULES = "snat_rules"
FORWARD = "forward_policy"
GUARD = "after_translation"
OUTGOING = "outgoing"
LEAK = "untranslated"

GLOBALS = "global_addresses"
OWNED = "translated_sources"

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


def dropped(pool: str) -> str:
    """The counter of packets that a pool accepted but could not translate."""
    return f"dropped_{pool}"


def subscribers(pool: str) -> str:
    """The set of sources that `subscribers` or `global_map` names."""
    return f"subscribers_{pool}"


def pool_counter(pool: str, word: str) -> str:
    """A counter of a pool's allocator ('exhausted' ...)."""
    return f"{word}_count_{pool}"
