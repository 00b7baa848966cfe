"""The names of our nft objects, as values: a word, the pool that it serves, what distinguishes it there.

Always prefixed: a chain called `log` or `fwd` is a syntax error. Site names match [A-Za-z][A-Za-z0-9_-]*,
which nft takes as they are, so they are never mangled. `emit.validate` refuses two objects with one name.
"""

from collections.abc import Iterable

from nfcompile.emit.expressions import SYMBOLS, Name
from nfcompile.model.ranges import Range, address_text
from nfcompile.model.site import Pool

TABLE = "nfcompile"
LOG_GROUP = 5
"""NFLOG group of block assignments and of connections that helpers expect."""

PREROUTING = Name("nat_prerouting")
POSTROUTING = Name("nat_postrouting")
OUTBOUND = Name("outbound")
POOLS = Name("pools")
DNAT_RULES = Name("dnat_rules")
SNAT_RULES = Name("snat_rules")
SNAT_INWARD = Name("snat_rules_inward")
FORWARD = Name("forward_policy")
GUARD = Name("after_translation")
OUTGOING = Name("outgoing")
LOCAL = Name("to_gateway")
LEAK = Name("untranslated")
FLOWTABLE = Name("shortcut")
OFFLOAD = Name("into_shortcut")
INBOUND_POLICY = Name("inboundpolicy")
REACHABLE = Name("reachable")
REACHED = "reached"
PARTLY_CLOSED = Name("partlyclosed")
PARTLY_LEAK = Name("partlytranslated")
EXPECTED = Name("expected_flows")
LEARN = Name("learn")
KNOWN_SOCKETS = Name("known_sockets")
REFRESH_CHECK = Name("refresh_check")
REFRESH = Name("refresh")
REFRESH_CONNECTION = Name("refresh_connection")
REFRESH_ENTRIES = Name("refresh_entries")
NEW_TOKEN = Name("new_token")
VLAN_ZONES = Name("vlan_zones")
VLAN_ANSWERS = Name("vlan_answers")

GLOBALS = Name("global_addresses")
INSIDE_NETWORKS = Name("inside_networks")
BY_SOURCE = Name("pools_by_source")
AMONG = "among"
OWNED = Name("translated_sources")
CLOSED = Name("closed_subscribers")
PARTLY = Name("partly_translated_sources")
OWN = Name("own_addresses")
NAMED = Name("named_sources")
OFFLOADED = Name("shortcut_addresses")
MARKED = Name("marked")
RECENT_TOKENS = Name("recent_tokens")
NOW = Name("now")
GATE = Name("gate")
REFUSED = Name("refused")
REFUSE = Name("refuse")
REFUSE_PORTED = Name("refuse_ported")
REFUSED_PORTS = Name("refused_ports")
SESSIONS = Name("sessions")
LIMITED = Name("limited_sources")
VLAN_OF_GLOBAL = Name("vlan_of_global")

INVALID_COUNTER = Name("dropped_invalid")
MIDSTREAM_COUNTER = Name("dropped_midstream")
UNSOLICITED_COUNTER = Name("dropped_unsolicited")
LEAK_COUNTER = Name("dropped_untranslated")
GATE_COUNTER = Name("dropped_gate")
SILENT_COUNTER = Name("dropped_silent")
FORGED_COUNTER = Name("dropped_forged")
PRIVATE_COUNTER = Name("dropped_private")
STRANGERS_COUNTER = Name("dropped_unnamed")
FULL_SESSIONS = Name("full_sessions")
SESSIONS_COUNTER = Name("refused_sessions")


# ---- every pool


def direction(word: str) -> Name:
    """The interfaces and addresses of a direction, where only some interfaces are on both sides."""
    return Name(word)


def pool_chain(pool: str) -> Name:
    """The chain that tests the ACL of a pool."""
    return Name("pool", pool)


def translate_chain(pool: str) -> Name:
    """The chain that an accepted packet of a pool goes to."""
    return Name("translate", pool)


def pass_chain(pool: str) -> Name:
    """The chain that an accepted packet of a fake pool goes to."""
    return Name("pass", pool)


def accepted(pool: Pool) -> Name:
    """The chain that a packet goes to which the pool has accepted."""
    return pass_chain(pool.name) if not pool.translates else translate_chain(pool.name)


def some_pools(pools: str) -> Name:
    """The chain that asks some of the pools."""
    return Name(AMONG, pools)


def by_global(word: str) -> Name:
    """A verdict map by global address: 'inbound_outside', 'inboundpolicy' ..."""
    return Name(f"{word}_by_address")


def shared_ports(pool: str) -> Name:
    """The set of a pool's addresses and ports, where other pools have its addresses too."""
    return Name("sharedports", pool)


def by_port(word: str, pools: str) -> Name:
    """The chain that finds the pool by the port, at an address that several pools have."""
    return Name(f"{word}_by_port", pools)


def inbound_policy(pool: str) -> Name:
    """The chain of connections from outside that reach a pool."""
    return Name("inboundpolicy", pool)


def reached(pool: str) -> Name:
    """The chain that asks a pool's ACL of connections to its subscribers."""
    return Name(REACHED, pool)


def hosts(pool: str) -> Name:
    """The set of the hosts that a pool's global addresses lead to, where its ACL leaves some of it out."""
    return Name("hosts", pool)


def dropped(pool: str) -> Name:
    """The counter of packets that a pool accepted but could not translate."""
    return Name("dropped_pool", pool)


def pool_counter(pool: str, word: str) -> Name:
    """A counter of a pool's allocator or entries ('exhausted', 'conflict' ...)."""
    return Name(f"{word}_count", pool)


def acl_sources(pool: str, number: int) -> Name:
    """The set of sources of an ACL rule in a pool."""
    return Name("acl", pool, str(number))


def acl_destinations(pool: str, number: int) -> Name:
    """The verdict map of neighbouring ACL rules, by destination."""
    return Name("acldst", pool, str(number))


def subscribers(pool: str) -> Name:
    """The set of sources that `subscribers` or `global_map` names."""
    return Name("subscribers", pool)


def tagged_subscribers(pool: str) -> Name:
    """The set of those sources of `global_map` that are on a VLAN."""
    return Name("subscribersvlan", pool)


def timeout_policy(protocol: str, seconds: Iterable[int]) -> Name:
    """A conntrack timeout policy, called by what it says, so that pools share it whichever comes first."""
    return Name(f"timeout_{protocol}", "", "_".join(str(one) for one in seconds))


def helper(kind: str, protocol: str) -> Name:
    """A conntrack helper."""
    return Name(f"alg_{kind}_{protocol}")


# ---- deterministic pools


def blocks(pool: str, protocols: tuple[str, ...] = (), rest: bool = False) -> Name:
    """The map to global prefix and block; of these protocols only, where limits differ; of the `rest` that a
    hash does not take. In a dynamic pool the map to the chain of the block."""
    word = "moreblocks" if rest else "blocks"
    return Name(f"{word}of-{'-'.join(protocols)}" if protocols else word, pool)


def addresses(pool: str) -> Name:
    """The map to global addresses without ports: from sources, or from numbers in a dynamic pool."""
    return Name("addresses", pool)


def pieces(pool: str, part: int = 0, protocols: tuple[str, ...] = (), rest: bool = False) -> Name:
    """The verdict map from sources to the chain of their block, or of a part of it; of these protocols only,
    where limits differ; of the `rest` that a hash does not take."""
    word = f"{'more' if rest else ''}pieces{part + 1 if part else ''}"
    return Name(f"{word}of-{'-'.join(protocols)}" if protocols else word, pool)


def low_pieces(pool: str) -> Name:
    """The verdict map from low bits of the number of a block to the chain that puts them into the port."""
    return Name("lowpieces", pool)


def prefixes(pool: str) -> Name:
    """The verdict map from sources to the chain of their global prefix."""
    return Name("prefixes", pool)


def port_chain(ports: Range) -> Name:
    """The chain that puts a source port among these; pools share it."""
    return Name("port", "", f"{ports.first}-{ports.last}")


def address_chain(base: int, bits: int) -> Name:
    """The chain that puts a source on a global prefix; pools share it."""
    return Name("address", "", f"{address_text(base)}-{32 - bits}")


def shuffle(bits: int) -> Name:
    """The chain that turns over low bits of a source port; pools share it."""
    return Name("shuffle", "", str(bits))


def new_socket(pool: str, protocols: tuple[str, ...]) -> Name:
    """The chain of a socket without entries of these protocols, where limits differ."""
    return Name(f"new_{'-'.join(protocols)}", pool)


def block_sockets(pool: str, number: int, protocols: tuple[str, ...]) -> Name:
    """The same of that block of every address (`fill: address`)."""
    return Name(f"new_{'-'.join(protocols)}", pool, str(number))


def chances(pool: str, bits: int) -> Name:
    """The chain that tries the candidates, then with low bits turned over at random (`fill: address`)."""
    return Name("chances", pool, str(bits))


def candidates(pool: str, bits: int) -> Name:
    """The chain that claims one of the ports that differ in low bits."""
    return Name("candidates", pool, str(bits))


def block_chains(pool: str) -> Name:
    """The verdict map from sources to the chain that translates to their block."""
    return Name("blockchains", pool)


def block_chain(pool: str, base: int, bits: int, block: int) -> Name:
    """The chain of one block on one global prefix."""
    return Name("block", pool, f"{address_text(base)}-{32 - bits}_{block}")


def cells(pool: str) -> Name:
    """The verdict map from sources to the remainder of their cell (`fill: address`)."""
    return Name("cells", pool)


def residue(pool: str, number: int) -> Name:
    """The chain of the cells with that remainder."""
    return Name(f"remainder{number}", pool)


def low_bits(pool: str, number: int) -> Name:
    """The verdict map from the low bits of a source to its block, in cells with that remainder."""
    return Name(f"lowbits{number}", pool)


def number_chain(pool: str, ports: Range) -> Name:
    """The chain of the block of every address that has these ports (dynamic pools)."""
    return Name("block", pool, f"{ports.first}-{ports.last}")


def block_number(pool: str, number: int) -> Name:
    """The chain of that block of every address (`fill: address`)."""
    return Name("block", pool, str(number))


def low_number(pool: str, number: int) -> Name:
    """The chain of the low ports beside that block (`fill: address`, `portlimit_low`)."""
    return Name(f"low{number}", pool)


def ports(pool: str) -> Name:
    """The map from packet marks to ports."""
    return Name("ports", pool)


def low(word: str, pool: str) -> Name:
    """Objects of `portlimit_low`: the chain 'low', the map 'lowblocks', the set 'lowudp'."""
    return Name(word, pool)


def outward(pool: str, tagged: bool = False) -> Name:
    """The map of a static pool from local to global addresses."""
    return Name("outwardvlan" if tagged else "outward", pool)


def inbound(pool: str) -> Name:
    """The map or chain that leads from a pool's global addresses to its subscribers."""
    return Name("inbound", pool)


def inbound_blocks(pool: str, protocols: Iterable[str]) -> Name:
    """The map from global addresses and ports to the subscribers with that block."""
    return Name("-".join(["inboundblocks", *protocols]), pool)


# ---- npt pools, in a table of their own

NPT_RAW = Name("npt_raw")
NPT_PREROUTING = Name("npt_prerouting")
NPT_POSTROUTING = Name("npt_postrouting")
NPT_GUARD = Name("npt_after_translation")
NPT_HAIRPIN = Name("npt_hairpin")
NPT_LOCALS = Name("npt_local_prefixes")
NPT_GLOBALS = Name("npt_global_prefixes")
NPT_LEAKS = Name("npt_dropped_untranslated")
NPT_LOOPS = Name("npt_dropped_unsolicited")


# ---- limits


def counted(word: str, pool: str) -> Name:
    """The set that counts the ICMP sessions ('icmp') or all sessions ('sessions') of subscribers."""
    return Name(word, pool)


def over(word: str, pool: str) -> Name:
    """The chain of those above that limit."""
    return Name(f"over_{word}", pool)


# ---- mapping entries


def eim(pool: str) -> Name:
    """The map from inside sockets to global ones (endpoint-independent mapping)."""
    return Name("eim", pool)


def eif(pool: str) -> Name:
    """The map from global sockets to inside ones (endpoint-independent filtering)."""
    return Name("eif", pool)


def forwarded(pool: str) -> Name:
    """The set of global sockets that subscribers have opened to the outside (PCP, NAT-PMP)."""
    return Name("forwarded", pool)


def asking(pool: str) -> Name:
    """The set whose tokens decide which CPU makes an entry."""
    return Name("asking", pool)


def sockets(pool: str) -> Name:
    """The chain that looks a new connection's socket up."""
    return Name("sockets", pool)


def new_mapping(pool: str) -> Name:
    """The chain, after the translation, of a socket without entries."""
    return Name("new_mapping", pool)


def claimed_socket(pool: str) -> Name:
    """The chain that translates a socket by the entry that it has just claimed."""
    return Name("claimed_socket", pool)


def entry_claim(pool: str) -> Name:
    """The chain that makes a socket's entries."""
    return Name("claim", pool)


def alive(seconds: int) -> Name:
    """The set of tokens that were taken so long ago at most."""
    return Name("alive", "", str(seconds))


def entered(pool: str) -> Name:
    """The chain of a socket whose entries have just been made."""
    return Name("entered", pool)


def refresh_end(side: str) -> Name:
    """The chain that finds the pool of a connection which was opened 'inside' or 'outside'."""
    return Name(f"refresh_{side}")


def opened(side: str, pool: str) -> Name:
    """The chain that renews what a connection uses that was opened 'inside' or 'outside'."""
    return Name(f"opened_{side}", pool)


# ---- dynamic pools


def assigned(slot: int, pool: str) -> Name:
    """The map from subscribers to the number of their block in a slot."""
    return Name(f"assigned{slot}", pool)


def block_asking(slot: int, pool: str) -> Name:
    """The set whose tokens decide which CPU finds a subscriber's block."""
    return Name(f"asking{slot}", pool)


def full(slot: int, pool: str) -> Name:
    """The set that counts the connections of a block."""
    return Name(f"full{slot}", pool)


def taken(pool: str) -> Name:
    """The set of numbers that are in use."""
    return Name("taken", pool)


def claimed(pool: str) -> Name:
    """The set whose tokens decide which CPU gets a number."""
    return Name("claimed", pool)


def owners(pool: str) -> Name:
    """The map from global addresses to the subscriber behind them."""
    return Name("owners", pool)


def ontrial(slot: int, pool: str) -> Name:
    """The map from subscribers to numbers, of assignments that nothing has answered yet."""
    return Name(f"ontrial{slot}", pool)


def assignments(slot: int, pool: str) -> tuple[Name, Name]:
    """Both maps from subscribers to their numbers in a slot, in the order in which a program reads them: a
    number that moves is added to the second before it leaves the first, which is there only with trials."""
    return ontrial(slot, pool), assigned(slot, pool)


def newcomers(pool: str) -> Name:
    """The set that counts the new assignments of each inside interface."""
    return Name("newcomers", pool)


def unanswered(pool: str) -> Name:
    """The chain for connections of subscribers on trial."""
    return Name("unanswered", pool)


def on_trial(side: str, pool: str) -> Name:
    """The chain that renews for the time of a trial, of connections opened 'inside' or 'outside'."""
    return Name(f"ontrial_{side}", pool)


def answered(side: str, pool: str) -> Name:
    """The chain that renews for the full time, of connections opened 'inside' or 'outside'."""
    return Name(f"answered_{side}", pool)


def learn_owner(pool: str) -> Name:
    """The chain that notes whose a global address is, as long as its subscriber has it."""
    return Name("learn_owner", pool)


def allocator(word: str, pool: str) -> Name:
    """A chain of the allocator ('use', 'slots', 'slot1', 'look64', 'wait1x8' ...)."""
    return Name(word, pool)


# ---- customized NAT


def rule_map(word: str, keys: str, protocol: int | None, run: int) -> Name:
    """The map of `dnat` rules from their keys ('ports', 'sockets', 'addresses') to marks ('mark') or
    destinations ('dnat'); `protocol` is that of all of them.

    `run` counts such maps of a protocol, so a rule in front of them changes no name.
    """
    of_protocol = "" if protocol is None else SYMBOLS["inet_proto"].get(protocol, str(protocol))
    return Name(f"{word}_{keys}", of_protocol, str(run) if run > 1 else "")


def prefix_map(stage: str, run: int) -> Name:
    """The map of neighbouring rules of a stage from prefix to prefix."""
    return Name(f"{stage}_prefixes", "", str(run) if run > 1 else "")


def source_map(run: int) -> Name:
    """The map of neighbouring `snat` rules from sources to addresses."""
    return Name("snat_sources", "", str(run) if run > 1 else "")


def mark_map(run: int) -> Name:
    """The map of neighbouring `snat` rules from marks to addresses."""
    return Name("snat_marks", "", str(run) if run > 1 else "")
