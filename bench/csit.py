"""The sizes of FD.io CSIT's NAT44 tests, so that figures can be laid beside those of other gateways.

Its test plan has 1,024 x 4^i inside hosts, and outside addresses whose 64,512 ports are shared by 16 to 1,024
of them (4,032 to 63 ports each). Its deterministic suites are run with 63 ports.
"""

from __future__ import annotations

from pathlib import Path

import lab
import sites

SUBSCRIBERS = tuple(1024 * 4**i for i in range(6))
PORTS = (63, 252, 1008, 4032)
CSIT_PORTS = 63


def site(subscribers: int, ports: int = CSIT_PORTS, settings: str = sites.BARE) -> str:
    """A site of that size. `settings` are the pool's, in YAML's flow style; empty: all defaults."""
    return sites.aligned(subscribers, settings, f"port_block_size: {ports}", ports)


def written(folder: Path, subscribers: int, ports: int = CSIT_PORTS, settings: str = sites.BARE) -> Path:
    """A site of that size as a file."""
    path = folder / f"{subscribers}-{ports}{'' if settings else '-defaults'}.yaml"
    path.write_text(site(subscribers, ports, settings))
    return path


def verify(subscribers: int) -> lab.Verify:
    """What must come of a packet of such a site."""
    return lab.of_site(site(subscribers))


def addresses(subscribers: int, ports: int) -> int:
    """Global addresses that such a site needs."""
    return subscribers * ports // sites.PORTS


def elements(ruleset: Path) -> int:
    """Elements of the block map of a ruleset of ours, by its lines."""
    _, _, rest = ruleset.read_text().partition("map blocks_homes {")
    return rest.partition("\t\t}")[0].count(" : ") - 1
