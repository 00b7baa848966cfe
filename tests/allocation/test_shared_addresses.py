"""Which pools have global addresses in common."""

from __future__ import annotations

from nfcompile.allocation.shared_addresses import in_common
from nfcompile.pipeline import parse, read

HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\nacls: {all: {10: allow ip any}}\npools:\n"
POOL = "  {name}: {{type: {type}, acl: all, priority: {priority}, global_ip: {addresses}{more}}}\n"


def pools(*rows: tuple[str, str, str]):
    text = HEAD
    for at, (name, kind, addresses) in enumerate(rows):
        more = f", port_range: {2048 * (at + 1)}-{2048 * (at + 2) - 1}" if kind == "cgnat" else ""
        text += POOL.format(name=name, type=kind, priority=at + 1, addresses=addresses, more=more)
    return read(parse(text.encode(), "site.yaml")).active_pools


def test_pools_that_overlap_in_any_address_are_named():
    found = pools(
        ("a", "cgnat", "[198.51.100.0/28, 203.0.113.9]"),
        ("b", "cgnat", "[192.0.2.0/28]"),
        ("c", "cgnat", "[203.0.113.8/30]"),
        ("d", "cgnat", "[198.51.100.15-198.51.100.20]"),
        ("e", "cgnat", "[198.51.100.21]"),
    )
    assert in_common(found) == {"a", "c", "d"}


def test_only_pools_that_share_an_address_by_ports_count():
    assert in_common(pools(("a", "cgnat", "[198.51.100.0/28]"), ("b", "nat", "[198.51.100.0/28]"))) == set()


def test_a_pool_has_nothing_in_common_with_itself():
    assert in_common(pools(("a", "cgnat", "[198.51.100.0/28, 203.0.113.9]"))) == set()
