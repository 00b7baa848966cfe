"""Records of an afternoon, of blocks and connections, and what a log says of them."""

from nfcompile.log.records import (
    ASSIGNED,
    BEGAN,
    ENDED,
    HELD,
    RELEASED,
    STARTED,
    STOPPED,
    BlockRecord,
    ConnectionRecord,
    LogEvent,
)
from nfcompile.model.parse import address
from nfcompile.records.clock import microseconds
from support.sites import HEAD

BEGIN = microseconds("2026-03-01T00:00:00.000000Z")
HOUR = 3_600_000_000
FIRST, SECOND, THIRD = "100.64.0.7", "100.64.0.8", "100.64.0.9"
SITE = (
    HEAD
    + """
nat_defaults: {port_block_size: 8}
acls: {homes: {10: allow ip 100.64.0.0/16}, lines: {10: allow ip 100.65.0.0/24}}
pools:
  homes:
    type: cgnat
    acl: homes
    priority: 100
    allocation: dynamic
    global_ip: [203.0.113.0/24]
    port_range: 1024-1151
    limits_peruser: {portlimit_tcp: 8, portlimit_udp: 8, portlimit_icmp: 8}
  lines: {type: cgnat, acl: lines, priority: 200, global_ip: [198.51.100.0/24]}
snat: {office: {src_cidr: 10.9.0.0/24, snat_ip: 192.0.2.77}}
"""
)
BITS = 20
"""Of a number of 'homes' below those that count its 16 blocks."""


def block(hour, event, subscriber, index=5, which=0):
    number = 0x2000000 + (which << BITS) + index
    ports = 1024 + which * 8, 1031 + which * 8
    return BlockRecord(
        *(event, BEGIN + int(hour * HOUR), "homes", 100, address(subscriber), number),
        *(address("203.0.113.0") + index, *ports),
    )


def connection(began, ended, subscriber, event=ENDED, **changes):
    begin = BEGIN + int(began * HOUR) if began is not None else 0
    at = begin if event == BEGAN else BEGIN + int(ended * HOUR)
    return ConnectionRecord(
        *(event, at, 0 if event == BEGAN else begin, "", "office", 0, 17, address(subscriber), 5000),
        *(address("192.0.2.77"), 40000, address("198.18.0.1"), 443, False),
    )._replace(**changes)


RECORDS = [
    LogEvent(STARTED, BEGIN),
    block(1, ASSIGNED, FIRST),
    block(2, ASSIGNED, SECOND, which=1),
    block(5, RELEASED, FIRST),
    block(6, ASSIGNED, THIRD),
    block(6, ASSIGNED, FIRST, index=6),
    connection(7, 8, "10.9.0.1"),
    connection(8, 9, "10.9.0.2"),
    connection(8, 9, "10.9.0.3", protocol=6),
    connection(20, None, "10.9.0.4", BEGAN),
    connection(None, 31, "10.9.0.5", global_port=50000),
    LogEvent(STOPPED, BEGIN + 10 * HOUR),
    LogEvent(STARTED, BEGIN + 12 * HOUR),
    block(12, HELD, SECOND, which=1),
    block(13, ASSIGNED, SECOND),  # of the third no release was seen
]
