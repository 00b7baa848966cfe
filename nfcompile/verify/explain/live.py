"""What the kernel holds for a packet, as steps: assignments, mapping entries, and its connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

from nfcompile.diagnostics import Path
from nfcompile.emit import Map, Name, Set
from nfcompile.emit.expressions import Key
from nfcompile.emit.listing import read_key
from nfcompile.emit.spelling import key_text
from nfcompile.model.ranges import Range, address_text, ipv6_text
from nfcompile.pipeline import Compiled
from nfcompile.verify.explain.answer import Explanation, Question, explain
from nfcompile.verify.explain.scene import Reason
from nfcompile.verify.walk import State, Value

LookUp = Callable[[str, str], str | None]
"""The data of one element, by name and key in nft's words: '' in a set, None where it is not there."""


class Connection(NamedTuple):
    """A tracked connection: both ends as the first packet came, and as answers come."""

    original: tuple[int, int, int, int]
    reply: tuple[int, int, int, int]
    timeout: int
    is_ipv6: bool = False


Found = list[tuple[Name, tuple[Value, ...], tuple[Value, ...] | None]]


def explain_live(
    compiled: Compiled, question: Question, look_up: LookUp, connections: list[Connection]
) -> Explanation:
    """Explain with the state of the kernel, which is asked for single elements only."""
    sources = {one.name: one for one in compiled.table.objects if isinstance(one, Set | Map)}
    found: Found = []

    def ask(name: Name, key: tuple[Value, ...]) -> tuple[Value, ...] | None:
        source = sources[name]
        data = look_up(str(name), key_text(cast("Key", key), source.key))
        known: tuple[Value, ...] | None = None if data is None else ()
        if data and isinstance(source, Map):
            known = read_key(data, source.data)
        found.append((name, key, known))
        return known

    answer = explain(compiled, question, State({}, ask))
    answer = answer._replace(steps=(*answer.steps, *_elements(compiled, found)))
    return with_connections(answer, connections)


def with_connections(answer: Explanation, connections: list[Connection]) -> Explanation:
    """An answer with a step for each tracked connection."""
    return answer._replace(steps=(*answer.steps, *map(_connection, connections)))


def _elements(compiled: Compiled, found: Found) -> Iterator[Reason]:
    """Every look-up that a person asks about, once."""
    said: set[str] = set()
    paths = {pool.name: pool.path for pool in compiled.site.active_pools}
    tried = {key for name, key, data in found if name.word.startswith("ontrial") and data is not None}
    for name, key, data in found:
        if name.word.startswith("assigned") and data is None and key in tried:
            continue
        text = _element(name.word, key, data) if name.owner in paths else ""
        if text and text not in said:
            said.add(text)
            yield Reason(paths[name.owner], text)


def _element(word: str, key: tuple[Value, ...], data: tuple[Value, ...] | None) -> str:
    if word.startswith("assigned"):
        return f"live: {_end(key)} has {'no block yet' if data is None else 'its block already'}"
    if word.startswith("ontrial") and data is not None:
        return f"live: {_end(key)} has a block on trial"
    if word == "eim":
        held = "no mapping entry" if data is None else f"the mapping entry {_end(data)}"
        return f"live: {_end(key[1:])} has {held}"
    if word == "eif":
        return f"live: {_end(key[1:])} {'is nobody' if data is None else f'is mapped to {_end(data)}'}"
    if word == "forwarded":
        return f"live: {_end(key[1:])} is {'not open' if data is None else 'open'} to the outside"
    if word == "owners":
        return f"live: {_end(key)} is {'nobody' if data is None else _end(data)}"
    return ""


def _connection(one: Connection) -> Reason:
    path: Path = ()

    def end(address: int, port: int) -> str:
        return f"[{ipv6_text(address)}]:{port}" if one.is_ipv6 else f"{address_text(address)}:{port}"

    came = f"{end(*one.original[:2])} > {end(*one.original[2:])}"
    left = f"{end(*one.reply[2:])} > {end(*one.reply[:2])}"
    return Reason(path, f"live: connection {came} goes out as {left}, {one.timeout} s left")


def _end(key: tuple[Value, ...]) -> str:
    address, *ports = key
    said = address_text(address.first) if isinstance(address, Range) else str(address)
    return said + "".join(f":{port.first}" for port in ports if isinstance(port, Range))
