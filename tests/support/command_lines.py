"""Random command lines for every verb, most of them right: what is wrong everywhere is only ever refused."""

from __future__ import annotations

from random import Random

from nfcompile.cli.verbs import VERBS, Verb, VerbOption

LEFT_OUT = {"exporter": "never ends"}
NEVER = {"watch", "host", "bundle", "git", "unit", "confirm", "stdin", "conntrackd", "state_dir"}
"""Options that wait for ever, change this machine's files, or ask something outside."""
SITES = ("right.yaml",) * 6 + ("wrong.yaml",) * 3 + ("torn.yaml", "nowhere.yaml")
ADDRESSES = ("10.0.0.9", "203.0.0.7:2000", "203.0.1.1", "10.0.0.9~102", "198.18.0.5", "203.0.0.1:1024")
NUMBERS = ("0", "1", "7", "300")
ODD = (
    *(
        "",
        "x",
        "-1",
        "99999999999999999999",
        "\x1b[31m",
        "203.0.0.7:99999",
        "0.0.0.0",
        "255.255.255.255:65535",
    ),
    *("right.yaml", "nonsense", "\udcff", "a" * 300, "10.0.0.0/33", "1e9", "nan"),
)
WORDS: dict[str, tuple[str, ...]] = {
    "site": SITES,
    "other": SITES,
    "asked": ("right.yaml", *ADDRESSES),
    "kind": ("iptables", "vyos", "routeros", "aviatrix", "econat", "auto"),
    "files": ("foreign.txt", "foreign.txt", "right.yaml", "torn.yaml"),
    "words": ("check", "apply", "revert"),
    "action": ("list", "clear", "status"),
    "number": NUMBERS,
    "pool": ("p0", "p1", "none"),
    "file": ("made.yaml",),
    "subscriber": ADDRESSES,
    "global_": ADDRESSES,
    "src": (*ADDRESSES, "10.0.0.9:5000"),
    "dst": (*ADDRESSES, "198.51.100.1:443"),
    "interface": ("lan0", "lan1", "wan0", "lan0.102"),
    "out": ("wan0", "wan1", "lan0"),
    "proto": ("tcp", "udp", "icmp", "gre", "47"),
    "at": ("2026-11-24", "2026-11-24T10:00:00Z", "1970-01-01"),
    "log": ("foreign.txt", "right.yaml"),
    "bulk": ("foreign.txt", "bulk.csv", "bulk.csv"),
    "to": ("json:-", "json:log.txt", "ipfix:udp:127.0.0.1:4739"),
    "output": ("out.txt",),
    "account": ("out.txt",),
    "html": ("out.html",),
    "most_boxes": ("60", "60", "300", "1500"),
    "inside_interfaces": ("lan0", "eth0"),
    "outside_interfaces": ("wan0", "eth1"),
    "addresses": ("wan0=192.0.2.1", "eth0=10.0.0.1"),
    "node": ("gw1", "gw2"),
}
"""By the word's or the option's name: what a reader would write there."""
FOREIGN = (
    """*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.0.0.0/8 -o wan0 -j SNAT --to-source 203.0.0.1-203.0.0.9
-A PREROUTING -i wan0 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.5:8080
-A POSTROUTING -j MASQUERADE
COMMIT
""",
    """set nat source rule 10 outbound-interface name eth0
set nat source rule 10 source address 10.0.0.0/8
set nat source rule 10 translation address masquerade
set nat cgnat pool internal in range 100.64.0.0/16
""",
    """/ip firewall nat
add action=src-nat chain=srcnat src-address=10.0.0.0/8 to-addresses=203.0.0.1-203.0.0.9
add action=masquerade chain=srcnat out-interface=wan0
add action=dst-nat chain=dstnat dst-port=80 protocol=tcp to-addresses=10.0.0.5
""",
    """resource "aviatrix_gateway" "a" {
  single_ip_snat = true
}
resource "aviatrix_gateway_snat" "b" {
  gw_name = "a"
  snat_policy {
    src_cidr = "10.0.0.0/8"
    mark = 10
    snat_ips = "203.0.0.1"
  }
}
""",
    """nat_defaults {
  port_block_size 128
}
pools {
  homes {
    type cgnat
    enable
    acl homes
    priority 100
    global_ip ( 203.0.0.0/28 )
  }
}
acls {
  homes {
    10 permit ip src net 10.0.0.0/8 dst any
  }
}
""",
)
"""A few lines of each system that `import` knows."""
BULK = "when,address,port\n2026-11-24T10:00:00Z,203.0.0.7,2000\n2026-11-24,203.0.1.1,\n"


def command_line(dice: Random) -> list[str]:
    """A verb, its words and some of its options."""
    verb = dice.choice([verb for verb in VERBS if verb.name not in LEFT_OUT])
    words = []
    for word in verb.words:
        if dice.random() < (0.95 if word.default is None else 0.97):
            words += [_value(dice, word.name) for _ in range(dice.choice((1, 1, 2)) if word.many else 1)]
    return [verb.name, *words, *(part for one in verb.options for part in _option(dice, verb, one))]


def torn(dice: Random, text: str) -> str:
    """A text with a few characters of a place gone, or others in it."""
    at = dice.randrange(len(text))
    return (
        text[:at]
        + dice.choice(("", "\0", "\t", "}", "&a *a", "\n- ", "\x85"))
        + text[at + dice.randrange(9) :]
    )


def _value(dice: Random, name: str) -> str:
    return dice.choice(ODD if dice.random() < 0.06 else WORDS.get(name, NUMBERS))


def _option(dice: Random, verb: Verb, option: VerbOption) -> list[str]:
    name = option.names[0]
    if option.field == "dry_run" and verb.name == "host":
        return [name]
    if option.field == "netns":
        return [name, "/nowhere"] if dice.random() < 0.05 else []
    if option.field == "most_boxes":
        return [name, _value(dice, option.field)]
    if option.field == "stats":
        return [name]  # without it `log` listens until it is ended
    if option.field == "node":
        return [name, _value(dice, option.field)] if dice.random() < 0.05 else []
    needed = verb.name == "explain" and option.field in ("src", "dst")
    if option.field in NEVER or dice.random() < (0.05 if needed else 0.75):
        return []
    if option.is_flag:
        return [name]
    if option.choices and dice.random() < 0.97:
        return [name, dice.choice(option.choices)]
    return [name, _value(dice, option.field)]
