"""A fleet in one site -> the site of one of its nodes, as plain data, so that whatever reads a site knows one
gateway only.

What a node's site takes from elsewhere keeps its written place: `moves` leads from the path that a reader
sees ('pools.homes.global_ip[0]') to the one in the text ('pools.homes.global_ip.east[0]').
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from nfcompile.diagnostics import Diagnostic, Path
from nfcompile.model.fields import Data

Moves = tuple[tuple[Path, Path], ...]
"""Paths of a node's site, each with the path that it has in the text."""

POOL_KEYS = ("global_ip", "subscribers")
SECTIONS = ("pools", "dnat", "snat")


class NodeChoice(NamedTuple):
    """A node by its name. One that is not `asked` for (this machine's host name) is taken where the site
    has it."""

    name: str = ""
    asked: bool = False


class NodeSite(NamedTuple):
    """One node's site: its data, the paths that are left out of it, and where it is written."""

    data: Data
    unread: frozenset[Path]
    moves: Moves


def node_names(data: Data) -> tuple[str, ...]:
    """The nodes of a fleet, in the order of the site; none where it is one gateway's."""
    return tuple(_mapping(data.get("nodes")))


def chosen(data: Data, choice: NodeChoice) -> str:
    """The node that a choice means, '' for none; a fleet of one node leaves none to choose."""
    names = node_names(data)
    if choice.name in names:
        return choice.name
    return names[0] if len(names) == 1 and not choice.asked else ""


def group(data: Data, node: str) -> str:
    """The pair of a node, or the node itself where it stands alone."""
    return str(_mapping(_mapping(data.get("nodes")).get(node)).get("pair") or node)


def groups(data: Data) -> dict[str, str]:
    """Every pair and every node without one, with the node that answers for it."""
    found: dict[str, str] = {}
    for node in node_names(data):
        found.setdefault(group(data, node), node)
    return found


def no_choice(data: Data) -> Diagnostic:
    """What is wrong where one node's site is asked for, and none is chosen."""
    names = ", ".join(node_names(data))
    return Diagnostic(
        "fleet-name",
        "the site describes a fleet, and no node is chosen",
        ("nodes",),
        True,
        hint=f"choose {names}",
    )


def moves(data: Data, node: str) -> Moves:
    """Where the values of a node's site are written. The data may have any faults."""
    mine = group(data, node)
    by_pair: list[Path] = [("pools", name, key) for name in _mapping(data.get("pools")) for key in POOL_KEYS]
    by_pair.append(("gateway", "secondary_ips"))
    found = [(path, (*path, mine)) for path in by_pair if mine in _mapping(_at(data, path))]
    own = _mapping(_mapping(data.get("nodes")).get(node))
    found += [
        (("interfaces", side), ("nodes", node, "interfaces", side))
        for side in _mapping(own.get("interfaces"))
    ]
    if own.get("primary_ip") is not None:
        found.append((("gateway", "primary_ip"), ("nodes", node, "primary_ip")))
    return tuple(found)


def site_of_node(data: Data, unread: frozenset[Path], node: str) -> NodeSite:
    """The site of one node: values by pair are its pair's, and what is another pair's is left out."""
    mine, moved = group(data, node), moves(data, node)
    site = dict(data)
    for section in SECTIONS:
        entries = _mapping(data.get(section))
        site[section] = {name: one for name, one in entries.items() if _has(one, mine)}
    left_out = [("pools", name) for name in _mapping(data.get("pools")) if name not in site["pools"]]
    site["acls"] = _acls(data, site["pools"])
    for path, written in moved:
        site = _with(site, path, _at(data, written))
    lost = frozenset(_unread(unread, moved))
    return NodeSite(site, frozenset(one for one in lost if one[:2] not in left_out), moved)


def one_gateway(data: Data) -> tuple[Data, list[Diagnostic]]:
    """A site without nodes, without what it has by pair, and the problems at the paths of that."""
    problems = []
    for path in _paths_by_pair(data):
        message = f"'{path[-1]}' is given by pair, but the site has no 'nodes'"
        hint = "write a list, or add 'nodes' and 'pairs'"
        problems.append(Diagnostic("fleet-name", message, path, key=True, hint=hint))
        data = _with(data, path, None)
    return data, problems


def unknown_pairs(data: Data) -> Iterator[Diagnostic]:
    """Names of pairs, in pools and rules, that no node belongs to; and nodes of a pair that is none."""
    known = groups(data)
    for node, value in _mapping(data.get("nodes")).items():
        pair = _mapping(value).get("pair")
        if pair is not None and pair not in _mapping(data.get("pairs")):
            yield _unknown(str(pair), ("nodes", node, "pair"), list(_mapping(data.get("pairs"))))
    for section in SECTIONS:
        for name, value in _mapping(data.get(section)).items():
            pair = _mapping(value).get("pair")
            if pair is not None and pair not in known:
                yield _unknown(str(pair), (section, name, "pair"), list(known))
    for path in _paths_by_pair(data):
        for pair in _mapping(_at(data, path)):
            if pair not in known:
                yield _unknown(pair, (*path, pair), list(known), key=True)


def _unknown(name: str, path: Path, known: list[str], key: bool = False) -> Diagnostic:
    hint = f"there are {', '.join(known)}" if known else "define it in 'pairs'"
    return Diagnostic("fleet-name", f"no pair is called '{name}'", path, key=key, hint=hint)


def _paths_by_pair(data: Data) -> Iterator[Path]:
    paths: list[Path] = [("pools", name, key) for name in _mapping(data.get("pools")) for key in POOL_KEYS]
    for path in (*paths, ("gateway", "secondary_ips")):
        if isinstance(_at(data, path), dict):
            yield path


def _has(entry: Any, mine: str) -> bool:
    """Whether a pool or a rule is there on a pair: it names it, or none, and has no value for others only."""
    if not isinstance(entry, dict):
        return True
    pair = entry.get("pair")
    if pair is not None and pair != mine:
        return False
    return all(mine in entry[key] for key in POOL_KEYS if isinstance(entry.get(key), dict))


def _acls(data: Data, pools: Data) -> Data:
    """The ACLs without those that only pools of other pairs have."""
    asked = {_mapping(one).get("acl") for one in _mapping(data.get("pools")).values()}
    mine = {_mapping(one).get("acl") for one in pools.values()}
    acls = _mapping(data.get("acls"))
    return {name: one for name, one in acls.items() if name in mine or name not in asked}


def _unread(unread: frozenset[Path], moved: Moves) -> Iterator[Path]:
    """The unread paths as the node's site has them."""
    for path in unread:
        yield path
        for here, written in moved:
            if path[: len(written)] == written:
                yield (*here, *path[len(written) :])


def _mapping(value: Any) -> Data:
    return value if isinstance(value, dict) else {}


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def _with(data: dict[Any, Any], path: Path, value: Any) -> Data:
    """The data with another value at a path, which is made where it is missing; None takes it out."""
    step, *rest = path
    copy = dict(data)
    if rest:
        copy[step] = _with(_mapping(data.get(step)), tuple(rest), value)
    elif value is None:
        copy.pop(step, None)
    else:
        copy[step] = value
    return copy
