"""One pool of type npt: its keys -> an NptPool."""

from __future__ import annotations

from nfcompile.diagnostics import Diagnostic
from nfcompile.model.fields import Fields
from nfcompile.model.npt import NptPool, PrefixPair, prefix6
from nfcompile.model.read_pool import FIELD_TYPES

TYPES = ("cgnat", "nat", "static", "fake")
KEYS = ("type", "enable", "priority", "global_map", "stateless", "hairpin", "pair")


def read_npt(fields: Fields) -> NptPool:
    """Read an npt pool."""
    for key in fields.data:
        if key not in KEYS:
            message, hint = f"pool type 'npt' has no '{key}'", _hint(key)
            path = (*fields.path, key)
            fields.problems.refuse(Diagnostic("wrong-pool-type", message, path, key=True, hint=hint))
    enable = fields.flag("enable") and not fields.is_unread("enable")
    if enable and not fields.plain("global_map") and not fields.is_unread("global_map"):
        message = f"pool '{fields.path[-1]}' of type 'npt' needs 'global_map'"
        missing = Diagnostic("missing-key", message, fields.path, key=True)
        fields.problems.refuse(missing, (*fields.path, "global_map"))
    return NptPool(
        path=fields.path,
        name=str(fields.path[-1]),
        enable=enable,
        priority=fields.plain("priority") or 0,
        pairs=_pairs(fields),
        stateless=fields.flag("stateless"),
        hairpin=fields.flag("hairpin"),
    )


def _hint(key: str) -> str:
    """Which types have the key, and which keys an npt pool has."""
    *types, last = FIELD_TYPES.get(key, TYPES)
    words = f"{', '.join(types)} and {last}" if types else last
    return f"'{key}' belongs to pool type {words}; the keys of npt are {', '.join(KEYS)}"


def _pairs(fields: Fields) -> tuple[PrefixPair, ...]:
    found = []
    for local_text, global_text in (fields.plain("global_map") or {}).items():
        path = (*fields.path, "global_map", local_text)
        local = fields.problems.read(prefix6, local_text, path, key=True)
        globals_ = fields.problems.read(prefix6, global_text, path)
        if local is None or globals_ is None:
            continue
        if local.length != globals_.length:
            message = f"a local prefix of /{local.length} but a global one of /{globals_.length}"
            hint = "both sides of a pair need the same prefix length"
            fields.problems.refuse(Diagnostic("prefix-length", message, path, hint=hint), path)
            continue
        found.append(PrefixPair(path, local, globals_))
    return tuple(found)
