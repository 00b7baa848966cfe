"""What is said of data that the schema refuses: where, in which words, with which hint."""

from __future__ import annotations

import pytest

from nfcompile.diagnostics import Diagnostic
from nfcompile.source.document import Document, parse
from nfcompile.source.schema import validate

HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"


def wrong(text: str) -> tuple[Document, tuple[Diagnostic, ...]]:
    document = parse(text.encode(), "site.yaml")
    return document, validate(document).diagnostics


@pytest.mark.parametrize(
    "text",
    [
        "nat_defaults:",
        "acls:",
        "pools:",
        "dnat:",
        "snat:",
        "gateway:",
        "acls: {a: }",
        "nat_defaults: {alg: }",
        "pools: {p: {type: fake, priority: 0, enable: 'yes'}}",
        "nat_defaults: {sessions_per_translation: 5}",
        "dnat: {w: {mark: 4294967295}}",
        "dnat: {w: {mark: 1/0xFF}}",
        "",
    ],
)
def test_accepted(text: str) -> None:
    """Sections may be empty: whoever comments out every pool is not told off."""
    assert wrong(HEAD + text)[1] == ()


CASES = [
    # line 3, code, columns, message, hint
    ("pool: {}", "unknown-key", (1, 4), "unknown key 'pool'", "did you mean 'pools'?"),
    ("pools: {home: {type: fake, priority: 1, blocksize: 1}}", "unknown-key", (41, 49),
     "unknown key 'blocksize' in pool 'home'",
     "did you mean 'port_block_size'?"),
    ("nat_defaults: {blocksize: 1}", "unknown-key", (16, 24),
     "unknown key 'blocksize' in 'nat_defaults'", "did you mean 'port_block_size'?"),
    ("nat_defaults: {hairpin: on}", "unknown-key", (16, 22),
     "unknown key 'hairpin' in 'nat_defaults'", "'hairpin' belongs in a pool"),
    ("pools: {home: {type: fake, priority: 1, Global-IP: []}}", "unknown-key", (41, 49),
     "unknown key 'Global-IP' in pool 'home'", "did you mean 'global_ip'?"),
    ("nat_defaults: {alg: {http: on}}", "unknown-key", (22, 25),
     "unknown key 'http' in 'nat_defaults.alg'", "the keys here are ftp, pptp, rtsp, sip, alg_on_bnat"),
    ("snat: {a: {dnat_ip: 192.0.2.1}}", "unknown-key", (12, 18),
     "unknown key 'dnat_ip' in snat rule 'a'", "did you mean 'snat_ip'?"),
    ("pools: {home: {priority: 1}}", "missing-key", (9, 12),
     "missing key 'type' in pool 'home'", "add 'type: cgnat', or nat, static, fake, npt"),
    ("pools: {home: {type: nat}}", "missing-key", (9, 12),
     "missing key 'priority' in pool 'home'", "add 'priority: 100'"),
    ("site: 42", "wrong-type", (7, 8), "'site' must be text, not the number 42", "put it in quotes"),
    ("site: true", "wrong-type", (7, 10), "'site' must be text, not the boolean true", "put it in quotes"),
    ("site: [a]", "wrong-type", (7, 9), "'site' must be text, not a list", "write a"),
    ("site:", "wrong-type", (1, 4), "'site' is empty, expected text", ""),
    ("pools: {home: }", "wrong-type", (9, 12), "pool 'home' is empty, expected keys with values", ""),
    ("pools: {home: {type: nat, priority: high}}", "wrong-type", (37, 40),
     "'priority' of pool 'home' must be a whole number, not text 'high'", ""),
    ("pools: {home: {type: nat, priority: 010}}", "wrong-type", (37, 39),
     "'priority' of pool 'home' must be a whole number, not text '010'", "write 10"),
    ("pools: {home: {type: nat, priority: 1, global_ip: 203.0.113.0/26}}", "wrong-type", (51, 64),
     "'global_ip' of pool 'home' must be a list, not text '203.0.113.0/26'", "write [203.0.113.0/26]"),
    ("pools: {home: {type: static, priority: 1, global_map: {10.0.0.1: 5}}}", "wrong-type", (66, 66),
     "'global_map.10.0.0.1' of pool 'home' must be text, not the number 5", "put it in quotes"),
    ("acls: {a: {10: {b: c}}}", "wrong-type", (16, 21),
     "rule 10 of acl 'a' must be text, not keys with values", ""),
    ("dnat: [{mark: 1}]", "wrong-type", (7, 17),
     "'dnat' must be keys with values, not a list", "write 'name: ...' instead of '- ...'"),
    ("dnat: x", "wrong-type", (7, 7), "'dnat' must be keys with values, not text 'x'", "write 'key: value'"),
    ("dnat: {w: {dst_port: []}}", "out-of-range", (22, 23),
     "'dst_port' of dnat rule 'w' has no entries, allowed: at least 1", ""),
    ("dnat: {w: {dst_port: {}}}", "wrong-type", (22, 23),
     "'dst_port' of dnat rule 'w' must be a whole number or text or a list, not keys with values", ""),
    ("dnat: {w: {src_cidr: 10}}", "wrong-type", (22, 23),
     "'src_cidr' of dnat rule 'w' must be text or a list, not the number 10", "put it in quotes"),
    ("pools: {home: {type: cgnt, priority: 1}}", "bad-value", (22, 25),
     "'type' of pool 'home' is 'cgnt', allowed: cgnat, nat, static, fake, npt", "did you mean 'cgnat'?"),
    ("nat_defaults: {lldp: ON}", "bad-value", (22, 23),
     "'nat_defaults.lldp' is 'ON', allowed: on, off, yes, no, true, false, enable, disable",
     "did you mean 'on'?"),
    ("nat_defaults: {lldp: 1}", "bad-value", (22, 22),
     "'nat_defaults.lldp' is 1, allowed: on, off, yes, no, true, false, enable, disable", ""),
    ("nat_defaults: {portlimit_low: 65}", "bad-value", (31, 32),
     "'nat_defaults.portlimit_low' is 65, allowed: nolimit, 64, 128, 256, 512", ""),
    ("nat_defaults: {portlimit_low: '64'}", "bad-value", (31, 34),
     "'nat_defaults.portlimit_low' is '64', allowed: nolimit, 64, 128, 256, 512", "remove the quotes"),
    ("nat_defaults: {vlan_mode: off}", "bad-value", (27, 29),
     "'nat_defaults.vlan_mode' is 'off', allowed: untagged, vlan, qinq", ""),
    ("nat_defaults: {l2mtu: 100}", "out-of-range", (23, 25),
     "'nat_defaults.l2mtu' is 100, allowed: 1522 to 9692", ""),
    ("nat_defaults: {timeouts_inactivity: {udp: 0}}", "out-of-range", (43, 43),
     "'nat_defaults.timeouts_inactivity.udp' is 0, allowed: 1 to 2147483", ""),
    ("nat_defaults: {timeouts_inactivity: {special_tcp_ports: [1, 65536]}}", "out-of-range", (61, 65),
     "'nat_defaults.timeouts_inactivity.special_tcp_ports[1]' is 65536, allowed: 1 to 65535", ""),
    ("nat_defaults: {sessions_per_translation: 0}", "out-of-range", (42, 42),
     "'nat_defaults.sessions_per_translation' is 0, allowed: at least 1", ""),
    ("dnat: {w: {mark: 4294967296}}", "out-of-range", (18, 27),
     "'mark' of dnat rule 'w' is 4294967296, allowed: 1 to 4294967295", ""),
    (f"site: {'x' * 65}", "out-of-range", (7, 71), "'site' has 65 characters, allowed: up to 64", ""),
    ("pools: {home: {type: nat, priority: 1, subscribers: []}}", "out-of-range", (53, 54),
     "'subscribers' of pool 'home' has no entries, allowed: at least 1", ""),
    ("acls: {9lives: {10: permit ip any}}", "bad-name", (8, 13),
     "'9lives' is not a name", "write a letter, then up to 30 letters, digits, '_' or '-'"),
    (f"snat: {{{'x' * 32}: {{mark: 1}}}}", "bad-name", (8, 39),
     f"'{'x' * 32}' is not a name", "write a letter, then up to 30 letters, digits, '_' or '-'"),
    ("acls: {a: {010: permit ip any}}", "bad-name", (12, 14),
     "'010' is not a rule number", "write a number from 1 to 999999999 without leading zeros"),
    ("nat_defaults: {sessions_per_translation: unlimited}", "bad-format", (42, 50),
     "'nat_defaults.sessions_per_translation' cannot be 'unlimited'", "write a number or nolimit"),
    ("dnat: {w: {mark: x}}", "bad-format", (18, 18), "'mark' of dnat rule 'w' cannot be 'x'",
     "write VALUE or VALUE/MASK, each decimal or hexadecimal with 0x"),
    ("nat_defaults: {lldp_hostname: 'a\"b'}", "bad-format", (31, 35),
     "'nat_defaults.lldp_hostname' cannot be 'a\"b'",
     "write up to 255 printable ASCII characters without quotes and backslashes"),
    ("dnat: {w: {mark: 1, interface: eth 0}}", "bad-format", (32, 36),
     "'interface' of dnat rule 'w' cannot be 'eth 0'",
     "write names as the kernel has them: up to 15 letters, digits, '.', '_', '-' or '@', in a list,"
     " with '!' in front, or both"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "columns", "message", "hint"), CASES, ids=lambda one: str(one)[:40])
def test_said(line: str, code: str, columns: tuple[int, int], message: str, hint: str) -> None:
    document, (one,) = wrong(HEAD + line)
    assert (one.code, one.message, one.hint, one.severity) == (code, message, hint, "error")
    assert document.place(one.path, one.key, one.span) == (3, *columns)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "interfaces: {inside: [a, b, a], outside: [wan0]}\nversion: 2",
            [
                ("bad-value", "'a' is given twice in 'interfaces.inside'", (1, 29, 29)),
                ("bad-value", "'version' is 2, allowed: 1", (2, 10, 10)),
            ],
        ),
        (
            "version: '1'\ninterfaces: {inside: [], vlans: {4095: x, 0: 'a:b'}}",
            [
                ("bad-format", "'interfaces.vlans.0' cannot be 'a:b'", (2, 46, 50)),
                ("bad-name", "'4095' is not a VLAN id", (2, 34, 37)),
                ("bad-value", "'version' is '1', allowed: 1", (1, 10, 12)),
                ("missing-key", "missing key 'outside' in 'interfaces'", (2, 1, 10)),
                ("out-of-range", "'interfaces.inside' has no entries, allowed: at least 1", (2, 22, 23)),
            ],
        ),
        (
            "site: x",
            [
                ("missing-key", "missing key 'interfaces'", None),
                ("missing-key", "missing key 'version'", None),
            ],
        ),
        (
            "version: 1\ninterfaces: {inside: [seventeen-letters], outside: ['two problems at once']}",
            [
                ("out-of-range", "'interfaces.inside[0]' has 17 characters, allowed: 1 to 15", (2, 23, 39)),
                ("out-of-range", "'interfaces.outside[0]' has 20 characters, allowed: 1 to 15", (2, 53, 74)),
            ],
        ),
    ],
)
def test_several_at_once(text: str, said: object) -> None:
    document, found = wrong(text)
    placed = [(one.code, one.message, document.place(one.path, one.key, one.span)) for one in found]
    assert sorted(placed) == said


def test_given_twice_notes_the_first() -> None:
    document, (one,) = wrong("version: 1\ninterfaces: {inside: [a, b, a], outside: [wan0]}")
    (note,) = one.notes
    assert note.message == "'a' is given here first"
    assert document.place(note.path, note.key, note.span) == (2, 23, 23)


def test_missing_top_level_keys_have_hints() -> None:
    hints = {one.hint for one in wrong("site: x")[1]}
    assert hints == {"add 'version: 1'", "add 'interfaces: {inside: [lan0], outside: [wan0]}'"}
