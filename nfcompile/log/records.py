"""What is logged, as values, and the JSON line of each.

A line of a block has what `nfcompile lookup --log` reads again. Names in it are those that the schema has
checked, so nothing has to be quoted.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from nfcompile.model.parse import Fault, address
from nfcompile.model.ranges import address_text
from nfcompile.records.clock import microseconds

ASSIGNED, HELD, RELEASED = "block_assigned", "block_held", "block_released"
BEGAN, ENDED = "connection_began", "connection_ended"
STARTED, STOPPED, LOST = "log_started", "log_stopped", "log_lost"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BlockRecord(NamedTuple):
    """A block of a dynamic pool changed hands; `at` is microseconds since 1970.

    event     ASSIGNED by the ruleset; HELD: found in the kernel at that time, its begin is not known;
              RELEASED: the subscriber's entry has run out or was taken out
    priority  the pool's, which is its natPoolId
    number    of the block, as the kernel has it
    first, last   ports; 0 for a whole address
    """

    event: str
    at: int
    pool: str
    priority: int
    subscriber: int
    number: int
    address: int
    first: int
    last: int


class ConnectionRecord(NamedTuple):
    """A connection that a pool or an snat rule translated has begun or ended.

    pool      '' where a rule translated; then priority is 0 and `rule` its name
    began     microseconds since 1970, 0 where the kernel does not tell
    inward    whether it was opened from outside
    """

    event: str
    at: int
    began: int
    pool: str
    rule: str
    priority: int
    protocol: int
    subscriber: int
    port: int
    address: int
    global_port: int
    remote: int
    remote_port: int
    inward: bool


class LogEvent(NamedTuple):
    """About the log itself: it was started, it was stopped, or messages were lost before this moment.

    source   'blocks' or 'connections' for a loss on the way from the kernel, 'memory' for what a killed
             daemon had not delivered yet; and how many
    """

    event: str
    at: int
    source: str = ""
    messages: int = 0


Record = BlockRecord | ConnectionRecord | LogEvent


def line(record: Record) -> str:
    """The JSON line of a record, without its end."""
    if isinstance(record, ConnectionRecord):
        return _connection(record)
    if isinstance(record, BlockRecord):
        ports = f',"port_first":{record.first},"port_last":{record.last}' if record.first else ""
        return (
            f'{{"time":"{time_text(record.at)}","event":"{record.event}","pool":"{record.pool}",'
            f'"priority":{record.priority},"subscriber":"{_text(record.subscriber)}",'
            f'"global_ip":"{_text(record.address)}"{ports},"number":{record.number}}}'
        )
    lost = f',"source":"{record.source}","count":{record.messages}' if record.event == LOST else ""
    return f'{{"time":"{time_text(record.at)}","event":"{record.event}"{lost}}}'


def _connection(one: ConnectionRecord) -> str:
    owner = f'"pool":"{one.pool}","priority":{one.priority}' if one.pool else f'"rule":"{one.rule}"'
    began = f',"began":"{time_text(one.began)}"' if one.began else ""
    return (
        f'{{"time":"{time_text(one.at)}","event":"{one.event}",{owner},"protocol":{one.protocol},'
        f'"subscriber":"{_text(one.subscriber)}","subscriber_port":{one.port},'
        f'"global_ip":"{_text(one.address)}","global_port":{one.global_port},'
        f'"remote":"{_text(one.remote)}","remote_port":{one.remote_port},'
        f'"opened":"{"outside" if one.inward else "inside"}"{began}}}'
    )


def read_line(text: str) -> Record:
    """The record of a line. Raises ValueError for a broken one."""
    try:
        data = json.loads(text)
        event = data["event"]
        if event in (STARTED, STOPPED, LOST):
            return LogEvent(event, microseconds(data["time"]), data.get("source", ""), data.get("count", 0))
        if event in (ASSIGNED, HELD, RELEASED):
            return _read_block(data)
        if event in (BEGAN, ENDED):
            return _read_connection(data)
    except (KeyError, TypeError, AttributeError, Fault) as error:
        raise ValueError(f"not a record: {error}") from None
    raise ValueError(f"event '{event}' is not known")


def _read_block(data: dict[str, Any]) -> BlockRecord:
    return BlockRecord(
        data["event"],
        microseconds(data["time"]),
        data["pool"],
        data["priority"],
        address(data["subscriber"]),
        data["number"],
        address(data["global_ip"]),
        data.get("port_first", 0),
        data.get("port_last", 0),
    )


def _read_connection(data: dict[str, Any]) -> ConnectionRecord:
    return ConnectionRecord(
        data["event"],
        microseconds(data["time"]),
        microseconds(data["began"]) if "began" in data else 0,
        data.get("pool", ""),
        data.get("rule", ""),
        data.get("priority", 0),
        data["protocol"],
        address(data["subscriber"]),
        data["subscriber_port"],
        address(data["global_ip"]),
        data["global_port"],
        address(data["remote"]),
        data["remote_port"],
        data["opened"] == "outside",
    )


def time_text(at: int) -> str:
    """Spell microseconds since 1970 as the history does.

    >>> time_text(1000005)
    '1970-01-01T00:00:01.000005Z'
    """
    return f"{_second(at // 1_000_000)}.{at % 1_000_000:06}Z"


@lru_cache(1024)
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


_text = lru_cache(65536)(address_text)
