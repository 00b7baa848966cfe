"""What can be wrong with a well-formed site: one check, one file. `CHECKS` is their order.

A check is a generator `check(checked) -> Diagnostic...`. The docstring of its module has a section for each
of its codes; `make errors` copies them into docs/errors.md. Checks find faults only: they know nothing of
nft and change nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from nfcompile.allocation.pools import allocations
from nfcompile.analysis import (
    acls,
    algs,
    capacity,
    dynamic,
    flowtable,
    global_addresses,
    local_addresses,
    low_ports,
    marks,
    no_effect,
    npt_prefixes,
    one_armed,
    one_armed_sides,
    one_to_one,
    pair,
    priorities,
    reachability,
    rfc,
    rule_interfaces,
    ruleset_size,
    secondary_ips,
    shadowing,
    static_acl,
    vlans,
)
from nfcompile.analysis.check_input import CheckInput, check_input
from nfcompile.diagnostics import PROBLEMS_LIMIT, Diagnostic, Path
from nfcompile.model.site import Site

Check = Callable[[CheckInput], Iterator[Diagnostic]]

CHECKS: tuple[Check, ...] = (
    priorities.check,
    global_addresses.check,
    local_addresses.check,
    npt_prefixes.check,
    one_armed.check,
    one_armed_sides.check,
    vlans.check,
    capacity.check,
    ruleset_size.check,
    low_ports.check,
    dynamic.check,
    reachability.check,
    shadowing.check,
    static_acl.check,
    acls.check,
    rule_interfaces.check,
    one_to_one.check,
    marks.check,
    algs.check,
    flowtable.check,
    no_effect.check,
    secondary_ips.check,
    pair.check,
)

LINTS: dict[str, Check] = {"rfc": rfc.check}


class Analysis(NamedTuple):
    """The diagnostics of all checks, and their input."""

    checked: CheckInput
    diagnostics: list[Diagnostic]


def analyse(site: Site, lints: tuple[str, ...] = (), unread: frozenset[Path] = frozenset()) -> Analysis:
    """Run every check, and the lints named, on what has been read of a site."""
    checked = check_input(site, allocations(site), unread)
    found: list[Diagnostic] = []
    for check in (*CHECKS, *(LINTS[name] for name in lints)):
        found += _enough(check(checked))
    return Analysis(checked, found)


def _enough(found: Iterator[Diagnostic]) -> Iterator[Diagnostic]:
    """The first thousand of each code; a thousand errors of one code end a check."""
    counts: Counter[str] = Counter()
    for one in found:
        counts[one.code] += 1
        if counts[one.code] <= PROBLEMS_LIMIT:
            yield one
        elif one.severity == "error":
            return
