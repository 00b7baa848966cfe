"""The keys of `nodes` and `pairs` -> the node that a site is of, and its pair."""

from __future__ import annotations

from collections.abc import Callable

from nfcompile.model import parse
from nfcompile.model.fields import Data, Fields
from nfcompile.model.pair import InterfaceAddress, Node, Pair, SyncLink

Section = Callable[..., Fields]


def read_node(data: Data, name: str, fields: Section) -> tuple[Node | None, Pair | None]:
    """Read a node and its pair with the other nodes of it; nothing where the site is no fleet's.

    `fields` are the keys at a path.
    """
    if not name:
        return None, None
    node = _node(fields, name)
    if node.pair is None or node.pair not in (data.get("pairs") or {}):
        return node, None
    others = (data.get("nodes") or {}).items()
    names = [one for one, value in others if isinstance(value, dict) and value.get("pair") == node.pair]
    nodes = tuple(node if one == name else _node(fields, one) for one in names)
    return node, _pair(fields("pairs", node.pair), nodes)


def _node(fields: Section, name: str) -> Node:
    own = fields("nodes", name)
    return Node(
        path=own.path,
        name=name,
        pair=own.plain("pair"),
        priority=own.plain("priority"),
        sync=_sync(fields("nodes", name, "sync")),
        addresses=_addresses(fields("nodes", name, "addresses")),
    )


def _sync(fields: Fields) -> SyncLink | None:
    interface, address = fields.plain("interface"), fields.read("address", parse.address)
    if interface is None or address is None:
        return None
    return SyncLink(fields.path, interface, address)


def _addresses(fields: Fields) -> tuple[InterfaceAddress, ...]:
    found = []
    for interface in fields.data:
        read = fields.read(interface, parse.interface_address)
        if read is not None:
            found.append(InterfaceAddress((*fields.path, interface), interface, *read))
    return tuple(found)


def _pair(fields: Fields, nodes: tuple[Node, ...]) -> Pair:
    virtual = []
    for interface, texts in (fields.plain("virtual") or {}).items():
        for index, text in enumerate(texts or ()):
            path = (*fields.path, "virtual", interface, index)
            read = None if text is None else fields.problems.read(parse.interface_address, text, path)
            if read is not None:
                virtual.append(InterfaceAddress(path, interface, *read))
    return Pair(
        path=fields.path,
        name=str(fields.path[-1]),
        virtual=tuple(virtual),
        virtual_router_id=fields.plain("virtual_router_id"),
        advert=float(fields.plain("advert")),
        unicast=fields.flag("unicast"),
        nodes=nodes,
    )
