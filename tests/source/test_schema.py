"""The schema's own words: what is refused, where, with which hint; and the walker against jsonschema."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from nfcompile.diagnostics import Diagnostic
from nfcompile.model.read import read_site
from nfcompile.model.site import Alg, Defaults, Limits, Pool, Timeouts
from nfcompile.source.document import Document, parse
from nfcompile.source.schema import defaults, schema_text, validate
from nfcompile.source.schema_keywords import ANNOTATIONS, KEYWORDS, is_valid
from nfcompile.source.schema_messages import MESSAGES

SCHEMA: dict[str, Any] = json.loads(schema_text())
VALIDATOR = Draft202012Validator(SCHEMA)
HEAD = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"

EVERY_KEY = """\
version: 1
site: metro-1
interfaces: {inside: [lan0], outside: [wan0], vlans: {102: lan0.102}, inside_networks: [10.0.0.0/8]}
gateway: {primary_ip: 172.32.0.10, secondary_ips: [172.32.0.201-172.32.0.210]}
nat_defaults:
  vlan_mode: untagged
  alg: {ftp: off, pptp: off, rtsp: off, sip: off, alg_on_bnat: off}
  sessions_per_translation: nolimit
  udp_inbound_refresh: on
  l2mtu: 1522
  port_block_size: 128
  portlimit_low: nolimit
  low_to_all_udp: off
  lldp: on
  lldp_hostname: ""
  permit_invalid_flow: off
  flowtable: on
  strict_sources: off
  assignment_trial: 30
  timeouts_by: ruleset
  timeouts_inactivity:
    {translation: 86400, udp: 300, icmp: 60, tcp_handshake: 4, tcp_active: 300, tcp_final: 240, tcp_reset: 4,
     tcp_session_active: 120, udp_session: 120, icmp_session: 120, other: 300, special: 600,
     special_tcp_ports: [22]}
  limits_peruser: {portlimit_icmp: 1024, portlimit_tcp: 1024, portlimit_udp: 1024, sessions: nolimit}
acls:
  residential:
    10: deny  ip 100.64.9.0/24
    20: allow ip 100.64.0.0/20 any
pools:
  residential:
    type: cgnat
    enable: on
    acl: residential
    priority: 100
    global_ip: [203.0.113.0/26, 198.51.100.7, 198.51.100.16-198.51.100.20]
    port_range: 1024:65535
    allocation: deterministic
    fill: spread
    inbound: drop
    subscribers: [100.64.0.0/20]
    filtering: address_and_port_dependent
    hairpin: yes
    connection_logging: enable
    randomize_ports: true
    port_forwarding: on
    timeouts_inactivity: {udp: 120}
    limits_peruser: {portlimit_tcp: 2048}
  servers:
    type: static
    priority: 50
    allow_external_connect: disable
    global_map: {192.168.0.5: 200.0.0.3, 192.168.1.2~102: 3.3.3.3}
  passthrough: {type: fake, acl: none, priority: 200, enable: no, pair: east}
  v6: {type: npt, priority: 40, stateless: off, global_map: {"fd00:1::/48": "2001:db8:1::/48"}}
dnat:
  web: {protocol: tcp, src_cidr: 10.0.0.0/8, src_port: 1-2, dst_cidr: 0.0.0.0/0, dst_port: 8001,
        interface: lan0, dnat_ip: 192.0.2.9, dnat_port: 8080, mark: 10}
  lines: {dst_cidr: 198.51.100.0/24, dnat_prefix: 10.1.0.0/24, exclude: off}
snat:
  by-mark: {protocol: udp, src_cidr: 10.0.0.0/8, src_port: 1, dst_cidr: 0.0.0.0/0, dst_port: 1-2,
            interface: wan0, snat_ip: 172.32.0.201, snat_port: 1-9, mark: 0x10/0xff}
  lines: {src_cidr: 10.1.0.0/24, snat_prefix: 198.51.100.0/24, exclude: off}
pairs:
  east: {virtual: {lan0: [100.64.0.1/10]}, virtual_router_id: 51, advert: 0.1, unicast: off}
nodes:
  gw1:
    pair: east
    priority: 150
    sync: {interface: sync0, address: 10.255.0.1}
    addresses: {lan0: 100.64.0.2/10}
    interfaces: {inside: [eth0], outside: [eth1]}
    primary_ip: 172.32.0.11
"""


def wrong(text: str) -> tuple[Document, tuple[Diagnostic, ...]]:
    document = parse(text.encode(), "site.yaml")
    return document, validate(document).diagnostics


def test_every_key_is_accepted() -> None:
    assert wrong(EVERY_KEY)[1] == ()


def test_every_key_of_the_schema_is_in_that_site() -> None:
    def keys(rule: Any) -> set[str]:
        if isinstance(rule, dict):
            own = set(rule["properties"]) if isinstance(rule.get("properties"), dict) else set()
            return own.union(*(keys(inner) for inner in rule.values()))
        return set()

    def used(data: Any) -> set[str]:
        if isinstance(data, dict):
            return set(data).union(*(used(inner) for inner in data.values()))
        return set()

    assert keys(SCHEMA) <= used(parse(EVERY_KEY.encode(), "x").data)


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


def rules(rule: Any) -> list[dict[str, Any]]:
    """Every rule of the schema (not the dictionaries that hold rules by name)."""
    found = [rule]
    for keyword, argument in rule.items():
        if keyword in ("properties", "$defs"):
            found += [one for inner in argument.values() for one in rules(inner)]
        elif keyword in ("items", "additionalProperties", "propertyNames") and isinstance(argument, dict):
            found += rules(argument)
    return found


def test_the_walker_knows_every_keyword() -> None:
    used = {keyword for rule in rules(SCHEMA) for keyword in rule}
    assert used <= {*KEYWORDS, *ANNOTATIONS}
    assert not used & {"oneOf", "anyOf", "allOf"}
    structural = {"$ref", "items", "properties", "propertyNames", "additionalProperties", "required"}
    assert used - structural - set(ANNOTATIONS) <= set(MESSAGES)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for rule in rules(SCHEMA):
        if rule.get("type") == "object" or rule.get("type") == ["object", "null"]:
            assert "additionalProperties" in rule
        if "$ref" in rule:
            assert rule["$ref"].removeprefix("#/$defs/") in SCHEMA["$defs"]
        for example in rule.get("examples", []):
            assert is_valid(rule, example, SCHEMA["$defs"])
        if "default" in rule:
            assert is_valid(rule, rule["default"], SCHEMA["$defs"])


def test_every_key_is_described() -> None:
    for rule in rules(SCHEMA):
        for key, inner in rule.get("properties", {}).items():
            target = SCHEMA["$defs"].get(inner.get("$ref", "").removeprefix("#/$defs/"), {})
            assert "description" in inner or "description" in target, key


def test_only_the_schema_has_defaults() -> None:
    """A key that is not written has one default, and it is the one that an editor shows."""
    for model in (Timeouts, Limits, Alg, Defaults, Pool):
        assert model._field_defaults == {}, model


def test_defaults_written_out_change_nothing() -> None:
    bare = {"version": 1, "interfaces": {"inside": ["lan0"], "outside": ["wan0"]}}
    full = bare | {"nat_defaults": {**defaults()["nat_defaults"]}}
    needed = {"type": "cgnat", "priority": 1, "global_ip": ["203.0.113.0/24"]}

    written, silent = (read_site(data, defaults())[0].defaults for data in (full, bare))
    assert written._replace(given=silent.given) == silent
    (pool,) = read_site(full | {"pools": {"p": {**defaults()["pools"], **needed}}}, defaults())[0].pools
    (same,) = read_site(bare | {"pools": {"p": needed}}, defaults())[0].pools
    assert pool._replace(given=same.given) == same
    assert pool.differing == {"type", "priority", "global_ip"}


def test_a_valid_site_does_not_import_jsonschema() -> None:
    code = (
        "import sys; from nfcompile.source import document, schema\n"
        f"assert not schema.validate(document.parse({EVERY_KEY.encode()!r}, 'x')).diagnostics\n"
        "sys.exit('jsonschema' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


WHOLE = parse(EVERY_KEY.encode(), "x").data
SCALARS = [
    0,
    1,
    -1,
    64,
    65535,
    65536,
    10**10,
    True,
    False,
    None,
    "",
    "on",
    "x",
    "nolimit",
    "1",
    "0x1/2",
    "a b",
]
KEYS = [
    "type",
    "udp",
    "global_ip",
    "10",
    "010",
    "4095",
    "9x",
    "x",
    "mark",
    "hairpin",
    "a" * 40,
    "",
    "priority",
]
values = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=5,
)


def spots(data: Any) -> list[tuple[Any, Any]]:
    """Every (container, step) of a tree."""
    steps = list(data) if isinstance(data, dict) else list(range(len(data))) if isinstance(data, list) else []
    return [spot for step in steps for spot in [(data, step), *spots(data[step])]]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_walker_and_jsonschema_agree(data: st.DataObject) -> None:
    site = copy.deepcopy(WHOLE)
    for _ in range(data.draw(st.integers(1, 2))):
        container, step = data.draw(st.sampled_from(spots(site)))
        change = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "remove":
            del container[step]
        elif change == "replace":
            container[step] = data.draw(values)
        elif isinstance(container, dict):
            container[data.draw(st.sampled_from(KEYS))] = data.draw(values)
        else:
            container.append(data.draw(values))
    valid = VALIDATOR.is_valid(site)
    assert is_valid(SCHEMA, site, SCHEMA["$defs"]) == valid
    found = validate(Document("x", [], site, None)).diagnostics
    assert bool(found) != valid
    for one in found:
        assert one.message
        assert one.message[0].islower() or one.message[0] == "'"
        assert not one.message.endswith(".")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), values, max_size=4))
def test_walker_and_jsonschema_agree_on_anything(site: dict[str, Any]) -> None:
    valid = VALIDATOR.is_valid(site)
    assert is_valid(SCHEMA, site, SCHEMA["$defs"]) == valid
    assert bool(validate(Document("x", [], site, None)).diagnostics) != valid
