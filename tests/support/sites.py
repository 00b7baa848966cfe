"""Sites that several tests start from, the files of the golden cases, and a site's text compiled."""

from __future__ import annotations

from pathlib import Path

from nfcompile import pipeline
from nfcompile.pipeline import Compiled

ROOT = Path(__file__).parents[2]
RULESETS = sorted([*ROOT.glob("tests/golden/*/ruleset.nft"), *ROOT.glob("examples/*/ruleset.nft")])
"""The expected rulesets of all golden cases and examples; the site of each stands beside it."""
EXAMPLE_SITES = sorted(ROOT.glob("examples/*/site.yaml"))
ALL_SITES = sorted([*EXAMPLE_SITES, *ROOT.glob("tests/golden/*/site.yaml")])
"""The sites of the golden cases too that are refused."""

HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
GOOD = f"""{HEAD}acls:
  home: {{10: allow ip 100.64.0.0/24}}
pools:
  home:
    type: cgnat
    acl: home
    priority: 1
    global_ip: [203.0.113.0/30]
    connection_logging: off
    limits_peruser: {{portlimit_tcp: 896, portlimit_udp: 896, portlimit_icmp: 896}}
"""
BAD = GOOD.replace("priority: 1", "priority: one")
WARNED = GOOD + "snat: {spare: {mark: 7, snat_ip: 198.51.100.1}}\n"


def site(text: str | bytes) -> Compiled:
    """Compile a site, bytes as they are; interfaces that text does not name are lan0 inside, wan0 outside. Of
    a fleet it is the first node's."""
    if isinstance(text, str):
        head = "" if "version:" in text else "version: 1\n"
        if "interfaces:" not in text:
            head += "interfaces: {inside: [lan0], outside: [wan0]}\n"
        text = (head + text).encode()
    return pipeline.compile_site(pipeline.answering(pipeline.parse(text, "site.yaml"))[0])
