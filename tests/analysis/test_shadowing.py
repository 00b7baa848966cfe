"""Rules that never decide: by the interfaces that each is for."""

import pytest

from nfcompile import pipeline

ONE = "interfaces: {inside: [eth0], outside: [eth0], inside_networks: [10.0.0.0/8]}"
TWO = "interfaces: {inside: [lan0, lan1], outside: [wan0, wan1]}"


@pytest.mark.parametrize(
    ("interfaces", "first", "second", "shadowed"),
    [
        (TWO, "", "", True),
        (TWO, "", "interface: wan1, ", True),
        (TWO, "interface: wan1, ", "", False),
        (TWO, "", "interface: tun0, ", False),
        (TWO, "", "interface: [wan0, lan1], ", False),
        (TWO, 'interface: "!wan0", ', "interface: wan1, ", True),
        (ONE, "", "", True),
        (ONE, "", "interface: eth0, ", False),
        (ONE, "interface: eth0, ", "", True),
        (ONE, "interface: eth0, ", "interface: eth0, ", True),
    ],
)
def test_a_rule_decides_for_its_interfaces_only(interfaces, first, second, shadowed):
    """A rule without any is for the outside ones; one that names a shared interface is for what goes back
    inside, too."""
    rules = "".join(
        f"  {name}: {{{words}src_cidr: 10.0.0.0/8, snat_ip: interface}}\n"
        for name, words in (("a", first), ("b", second))
    )
    text = f"version: 1\n{interfaces}\nsnat:\n{rules}"

    found = pipeline.check(pipeline.parse(text.encode(), "site.yaml")).diagnostics

    assert ("rule-shadowed" in [one.code for one in found]) is shadowed
