"""The number of map elements that a pool is refused for is the number that its ruleset has."""

import pytest

from nfcompile import pipeline
from nfcompile.allocation.ruleset_size import SLOT_ELEMENTS, element_count
from nfcompile.emit import Map

HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"


def built(pool, settings=""):
    """A site with only this pool, compiled."""
    acl = "{a: {10: allow ip 10.0.0.0/24}}"
    text = f"{HEAD}nat_defaults: {{{settings}}}\nacls: {acl}\npools: {{p: {pool}}}\n"
    return pipeline.compile_site(pipeline.parse(text.encode(), "site.yaml"))


def counted(pool, settings=""):
    """The estimate for the only pool of a site, and the elements of its maps."""
    compiled = built(pool, settings)
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
    one_block = f"{{portlimit_tcp: {size}, portlimit_udp: {size}}}"
    estimate, elements = counted(pool, f"port_block_size: {size}, limits_peruser: {one_block}")

    assert elements == estimate


def test_of_more_blocks_for_each_subscriber():
    """Chains of a further block count as the elements of the same length."""
    pool = "{type: cgnat, acl: a, priority: 1, allocation: dynamic, global_ip: [203.0.113.1]}"
    settings = "port_block_size: 64, limits_peruser: {portlimit_tcp: 64, portlimit_udp: %d}"
    few, many = (settings % (64 * blocks) for blocks in (2, 34))
    text = len(built(pool, many).text.text) - len(built(pool, few).text.text)

    assert counted(pool, many)[0] - counted(pool, few)[0] == 32 * SLOT_ELEMENTS
    assert 0.8 < text / (32 * SLOT_ELEMENTS * 35) < 1.25


@pytest.mark.parametrize(
    "addresses", ["203.0.113.0/30", "203.0.113.1-203.0.113.6", "203.0.113.1, 203.0.113.3"]
)
def test_of_a_deterministic_pool(addresses):
    pool = f"{{type: cgnat, acl: a, priority: 1, hairpin: off, global_ip: [{addresses}]}}"
    settings = "limits_peruser: {portlimit_tcp: 128, portlimit_udp: 128}"
    estimate, elements = counted(pool, settings)

    assert estimate / 3 <= elements <= 2 * estimate, "blocks, and addresses for protocols without ports"
