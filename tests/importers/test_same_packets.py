"""Random nat tables and random packets: the site does what iptables does, wherever the account says so.

The walk through iptables is its own few lines, made from the rules before they are spelled; it knows nothing
of the importer.
"""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import event, given, settings
from hypothesis import strategies as st

from nfcompile.model.ranges import Range, range_text
from support.imported import imported, site_of
from support.imported_site import Outcome, Probe, outcome

INSIDE, OUTSIDE = ("lan0", "lan1"), ("wan0", "wan1")
CHAINS = ("one", "two", "three")


class Rule(NamedTuple):
    """One rule: fields that it matches (value, negated), and its target with its argument."""

    fields: tuple[tuple[str, object, bool], ...]
    target: str
    to: str = ""

    def text(self, chain: str) -> str:
        words = [f"-A {chain}"]
        for name, value, negated in sorted(self.fields, key=lambda field: field[0] != "-p"):
            text = (
                range_text(value)
                if name in ("-s", "-d")
                else f"{value[0]}:{value[1]}"
                if name == "--dport"
                else value
            )
            words.append(f"{'! ' if negated else ''}{name} {text}")
        words.append(self.target + (f" {self.to}" if self.to else ""))
        return " ".join(words)

    def matches(self, probe: Probe) -> bool:
        for name, value, negated in self.fields:
            hit = {
                "-s": lambda value=value: value.first <= probe.source <= value.last,
                "-d": lambda value=value: value.first <= probe.destination <= value.last,
                "-i": lambda value=value: value == probe.incoming,
                "-o": lambda value=value: value == probe.outgoing,
                "-p": lambda value=value: {"tcp": 6, "udp": 17, "icmp": 1}[value] == probe.protocol,
                "--dport": lambda value=value: value[0] <= probe.destination_port <= value[1],
            }[name]()
            if hit == negated:
                return False
        return True


def walk(chains: dict[str, list[Rule]], chain: str, probe: Probe) -> Rule | str:
    """The rule that decides, or how the chain ends; behind a goto the chain of the goto is over, too."""
    for rule in chains.get(chain, ()):
        if not rule.matches(probe):
            continue
        kind, _, name = rule.target.partition(" ")
        if name in CHAINS:
            end = walk(chains, name, probe)
            if end != "return":
                return end
            if kind == "-g":
                return "return"
        elif name == "RETURN":
            return "return"
        else:
            return "accept" if name == "ACCEPT" else rule
    return "return"


def foreign(chains: dict[str, list[Rule]], probe: Probe) -> Outcome:
    found = Outcome()
    rule = walk(chains, "PREROUTING", probe)
    if isinstance(rule, Rule):
        address, _, port = rule.to.split(" ")[1].partition(":")
        value = addresses(address)
        found = found._replace(
            destination=value, destination_ports=Range(int(port), int(port)) if port else None
        )
        probe = probe._replace(
            destination=value.first, destination_port=int(port) if port else probe.destination_port
        )
    rule = walk(chains, "POSTROUTING", probe)
    if isinstance(rule, Rule):
        if "MASQUERADE" in rule.target:
            return found._replace(source="interface")
        address, _, ports = rule.to.split(" ")[1].partition(":")
        first, _, last = ports.partition("-")
        found = found._replace(source=addresses(address))
        found = found._replace(source_ports=Range(int(first), int(last)) if ports else None)
    return found


def addresses(text: str) -> Range:
    numbers = [int(part) for part in text.split(".")]
    value = numbers[0] << 24 | numbers[1] << 16 | numbers[2] << 8 | numbers[3]
    return Range(value, value)


NETS = [
    Range(base, base + size - 1)
    for base, size in (
        (0x0A000000, 1 << 24),
        (0x0A000000, 1),
        (0x0A000000, 256),
        (0x0A000080, 128),
        (0x0A010000, 1 << 16),
    )
]
fields = {
    "-s": st.sampled_from(NETS),
    "-d": st.sampled_from([*NETS, Range(0xC0000200, 0xC00002FF)]),
    "-p": st.sampled_from(["tcp", "udp", "icmp"]),
    "--dport": st.sampled_from([(80, 80), (1, 100), (90, 65535)]),
}


@st.composite
def rule(draw, side: str, targets: list[tuple[str, str]]) -> Rule:
    names = draw(st.lists(st.sampled_from(["-s", "-d", "-p", "--dport", side]), unique=True, max_size=3))
    if side == "-o" and not {"-s", "-o"} & set(names):
        names.append(
            draw(st.sampled_from(["-s", "-o"]))
        )  # others are told to translate what comes from outside
    found = []
    for name in names:
        if name == "--dport" and "-p" not in names:
            continue
        value = draw(st.sampled_from([*INSIDE, *OUTSIDE]) if name == side else fields[name])
        negated = draw(st.integers(0, 4)) == 0
        if name == "-p" and "--dport" in names:
            value, negated = "tcp", False
        found.append((name, value, negated))
    return Rule(tuple(found), *draw(st.sampled_from(targets)))


def ends(some: list[tuple[str, str]], chains: tuple[str, ...]) -> list[tuple[str, str]]:
    return [
        *some,
        ("-j ACCEPT", ""),
        ("-j RETURN", ""),
        *((f"-{kind} {name}", "") for name in chains for kind in "jg"),
    ]


SNAT = [("-j SNAT", "--to-source 203.0.113.1"), ("-j SNAT", "--to-source 203.0.113.2"), ("-j MASQUERADE", "")]
DNAT = [("-j DNAT", "--to-destination 10.0.0.9"), ("-j DNAT", "--to-destination 10.1.0.9")]


@st.composite
def tables(draw) -> dict[str, list[Rule]]:
    """Chains lead to later ones only, and each is of one stage."""
    return {
        "PREROUTING": draw(st.lists(rule("-i", ends(DNAT, ("three",))), max_size=4)),
        "POSTROUTING": draw(st.lists(rule("-o", ends(SNAT, ("one", "two"))), max_size=5)),
        "one": draw(st.lists(rule("-o", ends(SNAT, ("two",))), max_size=4)),
        "two": draw(st.lists(rule("-o", ends(SNAT, ())), max_size=4)),
        "three": draw(st.lists(rule("-i", ends(DNAT, ())), max_size=3)),
    }


near = [
    0x0A000000,
    0x0A000001,
    0x0A00007F,
    0x0A000080,
    0x0A0000FF,
    0x0A000100,
    0x0A010000,
    0x0AFFFFFF,
    0x0B000000,
    0xC0000201,
]
probes = st.builds(
    Probe,
    st.sampled_from([*INSIDE, *OUTSIDE]),
    st.sampled_from([*INSIDE, *OUTSIDE]),
    st.sampled_from([1, 6, 17, 47]),
    st.sampled_from(near),
    st.sampled_from([5, 1024]),
    st.sampled_from(near),
    st.sampled_from([79, 80, 81, 89, 90, 100, 101]),
).map(lambda probe: probe if probe.protocol in (6, 17) else probe._replace(source_port=0, destination_port=0))


@settings(max_examples=150)
@given(tables(), st.lists(probes, min_size=5, max_size=40))
def test_the_site_does_what_iptables_does(chains, packets):
    head = [
        "*nat",
        ":PREROUTING ACCEPT [0:0]",
        ":POSTROUTING ACCEPT [0:0]",
        *(f":{one} - [0:0]" for one in CHAINS),
    ]
    lines = [one.text(chain) for chain, rules in chains.items() for one in rules]
    found = imported("iptables", "\n".join([*head, *lines, "COMMIT", ""]), inside=INSIDE, outside=OUTSIDE)
    site = site_of(found)

    event(f"complete: {found.account.complete}")
    if not found.account.complete:
        return  # what is left out is told, and changes what the rules behind it see
    for probe in packets:
        expected, said = foreign(chains, probe), outcome(site, probe)
        if probe.incoming in OUTSIDE:
            expected, said = (one._replace(source=None, source_ports=None) for one in (expected, said))
        assert said == expected, (probe, found.text)
