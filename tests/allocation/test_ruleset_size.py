"""The number of map elements that a pool is refused for is the number that its ruleset has."""

import pytest

from nfcompile import pipeline
from nfcompile.allocation.ruleset_size import element_count
from nfcompile.emit import Map

HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"


def counted(pool, settings=""):
    """The estimate for the only pool of a site, and the elements of its maps."""
    acl = "{a: {10: allow ip 10.0.0.0/24}}"
    text = f"{HEAD}nat_defaults: {{{settings}}}\nacls: {acl}\npools: {{p: {pool}}}\n"
    compiled = pipeline.compile_site(pipeline.parse(text.encode(), "site.yaml"))
    (allocation,) = compiled.allocations
    maps = [
        thing for thing in compiled.table.objects if isinstance(thing, Map) and thing.origin[:1] == ("pools",)
    ]
    return element_count(allocation), sum(len(thing.elements) for thing in maps)


@pytest.mark.parametrize(
    "pool",
    [
        "{type: cgnat, acl: a, priority: 1, allocation: dynamic, hairpin: off, global_ip: [203.0.113.0/30]}",
        "{type: cgnat, acl: a, priority: 1, allocation: dynamic, hairpin: off, global_ip: [203.0.113.1]}",
        "{type: nat, acl: a, priority: 1, hairpin: off, global_ip: [203.0.113.0/28]}",
    ],
)
@pytest.mark.parametrize("size", [128, 1024])
def test_of_a_dynamic_pool(pool, size):
    estimate, elements = counted(pool, f"port_block_size: {size}")

    assert elements == estimate


@pytest.mark.parametrize(
    "addresses", ["203.0.113.0/30", "203.0.113.1-203.0.113.6", "203.0.113.1, 203.0.113.3"]
)
def test_of_a_deterministic_pool(addresses):
    pool = f"{{type: cgnat, acl: a, priority: 1, hairpin: off, global_ip: [{addresses}]}}"
    settings = "limits_peruser: {portlimit_tcp: 128, portlimit_udp: 128}"
    estimate, elements = counted(pool, settings)

    assert estimate / 3 <= elements <= 2 * estimate, "blocks, and addresses for protocols without ports"
