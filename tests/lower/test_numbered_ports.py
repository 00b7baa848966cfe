"""Where a dynamic pool looks for the ports of new sockets, read from its ruleset."""

import re

import pytest

from nfcompile.allocation.numbering import Numbering
from nfcompile.emit.statements import Mangle
from nfcompile.lower.numbered_ports import numbered_ports
from nfcompile.verify import proof
from support.sites import site

SITE = """
nat_defaults: {port_block_size: SIZE}
acls: {homes: {10: allow ip 100.64.0.0/24}}
pools:
  homes: {type: cgnat, acl: homes, priority: 1, global_ip: [203.0.113.0/30], allocation: dynamic,
          port_range: RANGE, limits_peruser: {portlimit_tcp: SIZE, portlimit_udp: SIZE, portlimit_icmp: SIZE},
          SETTINGS}
"""
FULL = "1024-65535"
COMPUTED = [
    (128, FULL),
    (1024, FULL),
    (1000, FULL),
    (1008, FULL),
    (64512, FULL),
    (128, "1000-9000"),
    (128, "1024-2047"),
    (100, "5000-9000"),
    (64, "4096-65535"),
    (8, "1024-9215"),
    (2, "1024-1151"),
    (63, "2000-2500"),
    (7, "50000-50099"),
]
"""Sizes of blocks, and the ports in which they are: aligned and not, with maps of low bits and without."""
SOURCES = (0, 1, 1023, 5353, 32767, 40000, 65535)


def compiled(size: int, ports: str = FULL, settings: str = "hairpin: on"):
    text = SITE.replace("SIZE", str(size)).replace("RANGE", ports).replace("SETTINGS", settings)
    return site(text)


def objects(text: str, kind: str) -> dict[str, str]:
    return dict(re.findall(rf"\t{kind} (\S+) \{{\n(.*?)\n\t\}}\n", text, re.DOTALL))


class Ways:
    """The rules of `use_homes` that put a source port into a block, by turn."""

    def __init__(self, text: str) -> None:
        chains = objects(text, "chain")
        maps = {
            name: dict(re.findall(r"(\d+) : jump (port_[\d-]+)", body))
            for name, body in objects(text, "map").items()
        }
        turns = chains["use_homes"].split("jump candidates_homes_")
        self.bits = int(turns[1].split("\n")[0])
        self.turns = []
        for turn in turns[:-1]:
            found = re.findall(r"meta mark & (\w+) vmap @(\w*pieces\w*)|jump (port_[\d-]+)", turn)
            self.turns.append(
                [(int(m, 16), maps[name]) if name else (0, {"0": one}) for m, name, one in found]
            )
        self.chains = chains

    def port(self, turn: int, mark: int, source: int) -> int | None:
        """The port in the packet after the rules of a turn; None: the number is in none of its maps."""
        port, met = source, False
        for mask, leads in self.turns[turn]:
            name = leads.get(str(mark & mask))
            if name is not None:
                met, port = True, self._put(name, port)
        return port if met else None

    def _put(self, name: str, port: int) -> int:
        found = re.search(r"th sport set th sport & (\w+)(?: \^ (\w+))?$", self.chains[name], re.MULTILINE)
        assert found is not None, self.chains[name]
        kept, rest = found.groups()
        return port & int(kept, 16) ^ int(rest or "0", 16)


@pytest.mark.parametrize(("size", "ports"), COMPUTED)
def test_every_candidate_of_every_block_is_one_of_its_ports(size: int, ports: str) -> None:
    """Whatever the number of the block, the source port and the turn; each block has a part at least."""
    done = compiled(size, ports)
    stock, numbering = done.allocations[0].stock, Numbering(done.allocations[0].stock)
    ways = Ways(done.text.text)
    assert ways.turns

    for number in range(numbering.each):
        block, mark = stock.block(0, number), number << numbering.shift | 3
        first = [ways.port(0, mark, source) for source in SOURCES]
        assert None not in first
        for turn in range(len(ways.turns)):
            if ways.turns[turn]:
                first = [ways.port(turn, mark, source) for source in SOURCES]
            for found in first:
                if found is not None:
                    lowest = found >> ways.bits << ways.bits
                    assert block.first <= lowest
                    assert lowest + (1 << ways.bits) - 1 <= block.last


@pytest.mark.parametrize(("size", "ports"), [(128, FULL), (1024, FULL), (64, "4096-65535"), (2, "1024-1151")])
def test_an_aligned_block_keeps_the_low_bits_of_the_source_port(size: int, ports: str) -> None:
    """So it keeps a port that lies in the block, and the parity (RFC 4787 REQ-4)."""
    done = compiled(size, ports)
    numbering = Numbering(done.allocations[0].stock)
    ways = Ways(done.text.text)

    for number in range(numbering.each):
        block = numbering.stock.block(0, number)
        for source in (*SOURCES, block.first, block.last):
            assert ways.port(0, number << numbering.shift, source) == block.first | source & size - 1


@pytest.mark.parametrize(
    ("size", "ports", "chains"),
    [(128, FULL, 63 + 8), (1024, FULL, 63), (8, "1024-2047", 16 + 8), (2, "1024-1151", 64), (64512, FULL, 2)],
)
def test_a_chain_for_each_port_that_the_bits_can_give(size: int, ports: str, chains: int) -> None:
    text = compiled(size, ports).text.text
    assert len([name for name in objects(text, "chain") if name.startswith("port_")]) == chains


@pytest.mark.parametrize(
    ("size", "ports", "settings"),
    [
        (128, FULL, "hairpin: off"),
        (128, FULL, "hairpin: on, randomize_ports: off"),
        (100, FULL, "hairpin: on"),
        (128, "1000-65535", "hairpin: on"),
    ],
)
def test_pools_that_leave_the_port_to_the_kernel(size: int, ports: str, settings: str) -> None:
    """Without mapping entries, with ports in order, and where the blocks would need too many chains."""
    done = compiled(size, ports, settings)
    assert numbered_ports(done.allocations[0]) is None
    assert "candidates_" not in done.text.text


@pytest.mark.parametrize(
    ("settings", "shuffled"), [("hairpin: on", False), ("hairpin: on, randomize_ports: on", True)]
)
def test_random_ports_are_shuffled_before_the_first_candidate(settings: str, shuffled: bool) -> None:
    tried = objects(compiled(128, FULL, settings).text.text, "chain")["use_homes"]
    assert ("jump shuffle_7" in tried[: tried.index("jump candidates_homes_7")]) is shuffled


def test_an_appended_address_leaves_the_text_of_the_ports_alone() -> None:
    old = compiled(128).text.text
    new = site(
        SITE.replace("SIZE", "128")
        .replace("RANGE", FULL)
        .replace("SETTINGS", "hairpin: on")
        .replace("203.0.113.0/30", "203.0.113.0/30, 203.0.113.8/29")
    ).text.text
    for kind in ("chain", "map"):
        before, now = objects(old, kind), objects(new, kind)
        changed = {name for name in before if before[name] != now.get(name)}
        assert not {name for name in changed if "port_" in name or "pieces" in name or "candidates" in name}


@pytest.mark.parametrize("size", [128, 1000])
def test_prove_sees_a_port_beside_the_pools_ports(size: int) -> None:
    """The last port of each block is one that a candidate may give; one bit further is not the pool's."""
    done = compiled(size, "1024-9215")
    (chain,) = (one for one in done.table.objects if str(one.name).startswith("candidates_homes_"))
    turned = next(one for one in chain.rules[0].statements if isinstance(one, Mangle))
    beside = turned._replace(value=turned.value._replace(xor=turned.value.xor ^ 0x8000))
    rule = chain.rules[0]._replace(
        statements=tuple(beside if one is turned else one for one in chain.rules[0].statements)
    )
    broken = chain._replace(rules=(rule, *chain.rules[1:]))
    objects_ = tuple(broken if one is chain else one for one in done.table.objects)

    assert not proof.prove(done).different
    assert proof.prove(done._replace(table=done.table._replace(objects=objects_))).different
