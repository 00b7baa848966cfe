"""Targets of dnat and snat rules beyond addresses, npt pools, settings without a ruleset: text -> values."""

from nfcompile import pipeline
from nfcompile.model.npt import Prefix6
from nfcompile.model.ranges import Range

HEAD = "version: 1\ninterfaces: {inside: [lan0, lan1], outside: [wan0]}\n"


def checked(text):
    return pipeline.check(pipeline.parse((HEAD + text).encode(), "site.yaml"))


def test_targets():
    text = (
        "dnat:\n  a: {dst_cidr: 198.51.100.0/24, dnat_prefix: 10.1.0.0/24, mark: 5}\n"
        "  b: {dst_cidr: 198.51.100.0/24, exclude: on}\n"
        "snat:\n  a: {src_cidr: 10.1.0.0/24, snat_prefix: 198.51.100.0/24}\n"
        "  b: {protocol: tcp, snat_ip: interface, snat_port: 1024-65535}\n  c: {mark: 5, exclude: yes}\n"
    )
    site = checked(text).checked.site

    prefix, exclude = site.dnat
    assert (prefix.dnat_ip, prefix.prefix, prefix.exclude) == (Range(0x0A010000, 0x0A0100FF), True, False)
    assert (exclude.dnat_ip, exclude.prefix, exclude.exclude) == (None, False, True)
    one_to_one, masquerade, untouched = site.snat
    assert (one_to_one.snat_ip, one_to_one.prefix) == (Range(0xC6336400, 0xC63364FF), True)
    assert (masquerade.snat_ip, masquerade.exclude, masquerade.snat_port) == (None, False, Range(1024, 65535))
    assert (untouched.snat_ip, untouched.exclude) == (None, True)


def test_an_npt_pool():
    pairs = "{'fd00:1::/48': '2001:db8:1::/48'}"
    text = f"pools: {{v6: {{type: npt, priority: 40, stateless: on, global_map: {pairs}}}}}\n"
    site = checked(text).checked.site

    assert site.pools == ()
    (pool,) = site.npt
    (pair,) = pool.pairs
    assert (pool.priority, pool.stateless, pool.hairpin) == (40, True, True)
    assert pair.local == Prefix6(0xFD00_0001 << 96, 48)
    assert pair.globals == Prefix6(0x2001_0DB8_0001 << 80, 48)
