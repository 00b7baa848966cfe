"""The grammar of ACL rules: text -> rule, or a fault at the word that is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfcompile.model.acl import read_rule
from nfcompile.model.parse import Fault
from nfcompile.model.ranges import (
    EVERYWHERE,
    port_text,
    range_text,
)


def spelt(rule):
    """A rule as one line, so that a table can be read."""
    words = ["allow" if rule.allow else "deny", str(rule.protocol)]
    for side, vid, ports in (
        (rule.source, rule.vid, rule.source_ports),
        (rule.destination, None, rule.destination_ports),
    ):
        word = "any" if side == EVERYWHERE else range_text(side)
        word += "" if vid is None else f"~{vid}"
        words.append(word + (":" + ",".join(map(port_text, ports)) if ports else ""))
    return " ".join(words)


ACL_RULES = [
    # the manual's own examples
    ("allow ip 194.85.16.0/24 any", "allow -1 194.85.16.0/24 any"),
    ("permit ip src net 194.85.16.0/24 dst any", "allow -1 194.85.16.0/24 any"),
    ("allow ip 10.0.0.1", "allow -1 10.0.0.1 any"),
    ("permit ip src host 10.0.0.1 dst any", "allow -1 10.0.0.1 any"),
    ("allow dst 40.0.0.1", "allow -1 any 40.0.0.1"),
    ("permit ip src any dst host 40.0.0.1", "allow -1 any 40.0.0.1"),
    ("allow any any", "allow -1 any any"),
    ("permit any any", "allow -1 any any"),
    # actions and protocols
    ("deny ip any", "deny -1 any any"),
    ("deny any", "deny -1 any any"),
    ("allow tcp any", "allow 6 any any"),
    ("allow udp any", "allow 17 any any"),
    ("allow icmp any", "allow 1 any any"),
    ("allow gre any", "allow 47 any any"),
    ("allow 47 any", "allow 47 any any"),
    ("allow 0 any", "allow 0 any any"),
    ("allow 255 any any", "allow 255 any any"),
    # sides
    ("allow ip src 10.0.0.0/8", "allow -1 10.0.0.0/8 any"),
    ("allow ip 10.0.0.1 10.0.0.2", "allow -1 10.0.0.1 10.0.0.2"),
    ("allow ip src range 10.1.0.5-10.1.0.9 dst net 1.0.0.0/8", "allow -1 10.1.0.5-10.1.0.9 1.0.0.0/8"),
    ("allow ip 10.1.0.5-10.1.0.9", "allow -1 10.1.0.5-10.1.0.9 any"),
    ("allow ip net 10.0.0.1/32", "allow -1 10.0.0.1 any"),
    ("allow ip 0.0.0.0/0 any", "allow -1 any any"),
    ("allow ip dst any", "allow -1 any any"),
    # VLANs
    ("allow ip src host 10.0.0.1~102 dst any", "allow -1 10.0.0.1~102 any"),
    ("allow ip any~0 any", "allow -1 any~0 any"),
    ("deny tcp 10.0.0.0/8~4094 any", "deny 6 10.0.0.0/8~4094 any"),
    # ports
    ("allow tcp any any dport 443", "allow 6 any any:443"),
    ("allow tcp any any dport 443,8000:8080", "allow 6 any any:443,8000-8080"),
    ("allow tcp any dst net 1.0.0.0/8 dport 443,8000-8080", "allow 6 any 1.0.0.0/8:443,8000-8080"),
    ("allow udp 10.0.0.1 sport 53 any dport 1-65535", "allow 17 10.0.0.1:53 any:1-65535"),
    ("allow tcp dport 80", "allow 6 any any:80"),
    ("allow tcp sport 80", "allow 6 any:80 any"),
    ("allow tcp 10.0.0.1 dport 80", "allow 6 10.0.0.1 any:80"),
    # spaces
    ("  allow   ip  any  any  ", "allow -1 any any"),
]


@pytest.mark.parametrize(("text", "expected"), ACL_RULES, ids=[text.strip() for text, _ in ACL_RULES])
def test_acl_rule(text, expected):
    assert spelt(read_rule(text, 10, ("acls", "a", "10"))) == expected


ACL_FAULTS = [
    # text, code, the characters that are wrong
    ("", "acl-syntax", ""),
    ("allow", "acl-syntax", "w"),
    ("allow ip", "acl-syntax", "p"),
    ("allow tcp src", "acl-syntax", "c"),
    ("allow ip any dst", "acl-syntax", "t"),
    ("accept ip any", "acl-syntax", "accept"),
    ("10 allow ip any", "acl-syntax", "10"),
    ("allow quic any", "acl-syntax", "quic"),
    ("allow 256 any", "acl-syntax", "256"),
    ("allow TCP any", "acl-syntax", "TCP"),
    ("allow ip any any any", "acl-syntax", "any"),
    ("allow ip any; drop", "bad-address", "any;"),
    ("allow ip src net 10.0.0.1", "acl-syntax", "10.0.0.1"),
    ("allow ip src host 10.0.0.0/8", "acl-syntax", "10.0.0.0/8"),
    ("allow ip src range 10.0.0.0", "acl-syntax", "10.0.0.0"),
    ("allow ip any dst any~7", "acl-syntax", "~7"),
    ("allow ip 10.0.0", "bad-address", "10.0.0"),
    ("allow ip 10.0.0.256", "bad-address", "10.0.0.256"),
    ("allow ip 10.0.0.1 10.0.0.01", "bad-address", "10.0.0.01"),
    ("allow ip 2001:db8::1", "bad-address", "2001:db8::1"),
    ("allow ip 10.0.0.0/33", "bad-address", "33"),
    ("allow ip 10.0.0.0/", "bad-address", ""),
    ("allow ip 10.0.0.1/8", "host-bits", "10.0.0.1/8"),
    ("allow ip 10.0.0.9-10.0.0.1", "reversed-range", "10.0.0.9-10.0.0.1"),
    ("allow ip 10.0.0.1~4095", "bad-vlan", "4095"),
    ("allow ip 10.0.0.1~", "bad-vlan", ""),
    ("allow tcp any any dport", "acl-syntax", "t"),
    ("allow tcp any any dport 0", "bad-port", "0"),
    ("allow tcp any any dport 80,65536", "bad-port", "65536"),
    ("allow tcp any any dport 80,,81", "bad-port", ","),
    ("allow tcp any any dport 90-80", "reversed-range", "90-80"),
    ("allow ip any any dport 80", "port-without-protocol", "dport 80"),
    ("allow icmp any sport 80 any", "port-without-protocol", "sport 80"),
    ("allow any any dport 80", "port-without-protocol", "dport 80"),
]


@pytest.mark.parametrize(
    ("text", "code", "wrong"), ACL_FAULTS, ids=[text or "(empty)" for text, *_ in ACL_FAULTS]
)
def test_acl_fault(text, code, wrong):
    with pytest.raises(Fault) as caught:
        read_rule(text, 10, ())
    fault = caught.value

    assert fault.code == code
    assert text[fault.start : fault.end] == wrong
    assert fault.start < fault.end, "carets must show something"


@given(st.text(alphabet="alowdenyipsrctudghbf 0123456789./-~,;\"'{}#", max_size=60))
def test_acl_never_raises_anything_else(text):
    try:
        read_rule(text, 10, ())
    except Fault as raised:
        fault = raised
    else:
        return
    assert 0 <= fault.start < fault.end <= max(len(text), 1) + 1
