"""A connection's first packet on its way through the gateway, field by field as nft names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nfcompile.emit.expressions import number, symbol
from nfcompile.emit.statements import ICMP, PORTED
from nfcompile.model.ranges import Range
from nfcompile.verify.boxes import LOCAL, Names, Packet, among
from nfcompile.verify.narrowing import Cut, narrowed, narrowed_packet, narrowed_range
from nfcompile.verify.walk.values import UnknownStatement, Value

STATUS = {kind: symbol("ct_status", kind) for kind in ("snat", "dnat")}
UNTRACKED = 1 << 31
"""Beside the bits of `ct status`: connection tracking has not seen the packet."""
NEW, SYN, ACK = symbol("ct_state", "new"), symbol("tcp_flag", "syn"), symbol("tcp_flag", "ack")
IPV4 = symbol("ether_type", "ip")
LOCAL_TYPE, UNICAST = symbol("fib_addrtype", "local"), symbol("fib_addrtype", "unicast")


class Flight(NamedTuple):
    """A packet between two rules: `now` is as conntrack would send it, `original` as it came.

    `written` are fields that rules have put into the packet itself. A translation of the source puts its own
    in their place; without one they leave as they are.

    `first` is where the routes lead to the destination as it came, `towards` to the destination as it is,
    `home` to the source. `start` is the number of the box that it is of, where several are walked
    together.
    """

    original: Packet
    now: Packet
    out: str | Names
    towards: str | Names
    first: str | Names
    home: str | Names
    mark: Range = Range(0, 0)
    ct_mark: Range = Range(0, 0)
    zone: Range = Range(0, 0)
    status: int = 0
    start: int = 0
    written: tuple[tuple[str, Range], ...] = ()

    def field(self, name: str) -> Value:
        """The value of a field; `th` of a packet without ports is an error of the ruleset."""
        if name in PORTS and self.now.protocol not in PORTED:
            raise UnknownStatement(f"'{name}' of protocol {self.now.protocol}")
        if name not in VALUES:
            raise UnknownStatement(f"cannot walk '{name}'")
        for at, value in self.written:
            if at == name:
                return value
        return VALUES[name](self)

    def narrowed(self, field: str, kept: Cut) -> Flight:
        """The flight of those packets of its box that have the kept values."""
        original = narrowed_packet(self.original, field, kept)
        now = original if self.now is self.original else narrowed_packet(self.now, field, kept)
        return Flight(
            original,
            now,
            narrowed(self.out, field, kept),  # type: ignore[arg-type]
            narrowed(self.towards, field, kept),  # type: ignore[arg-type]
            narrowed(self.first, field, kept),  # type: ignore[arg-type]
            narrowed(self.home, field, kept),  # type: ignore[arg-type]
            narrowed_range(self.mark, field, kept),
            narrowed_range(self.ct_mark, field, kept),
            narrowed_range(self.zone, field, kept),
            self.status,
            self.start,
            tuple((name, narrowed_range(value, field, kept)) for name, value in self.written),
        )

    def with_field(self, name: str, value: Range) -> Flight:
        """The packet with a field overwritten; one that has its own value back is as it was."""
        if name not in WRITABLE:
            raise UnknownStatement(f"cannot write '{name}'")
        others = tuple(one for one in self.written if one[0] != name)
        undone = value == VALUES[name](self)
        return self._replace(written=others if undone else tuple(sorted((*others, (name, value)))))

    @property
    def left(self) -> Packet:
        """The packet as it is on the wire."""
        if not self.written:
            return self.now
        source = dict(self.written)
        return self.now._replace(
            source=source.get("ip saddr", self.now.source),
            source_port=source.get("th sport", self.now.source_port),
        )

    def route(self, route: Callable[[Range], str | Names]) -> str | Names:
        """Where the packet goes on."""
        same = self.now.destination == self.original.destination
        return self.first if same else route(self.now.destination)

    @property
    def tracked(self) -> bool:
        """Whether connection tracking sees the packet; nat chains do not without it."""
        return not self.status & UNTRACKED

    def rewritten(self, name: str, address: Range) -> Flight:
        """The packet with an address written into it, without connection tracking."""
        now = self.now._replace(source=address)
        if name == "ip6 daddr":
            now = self.now._replace(destination=address)
        return self._replace(now=now)

    def translated(self, kind: str, address: Range | None, port: Range | None) -> Flight:
        """The packet with another source or destination; what is None stays, and so do ports that a
        protocol does not have."""
        now = self.now
        if now.protocol not in (*PORTED, ICMP):
            port = None
        if kind == "snat":
            changed = now._replace(source=address or now.source, source_port=port or now.source_port)
        else:
            changed = now._replace(
                destination=address or now.destination, destination_port=port or now.destination_port
            )
        # The kernel's status bits tell of a tuple that is another one, not of the rule.
        status = self.status | (STATUS[kind] if changed != now else 0)
        written = () if kind == "snat" and changed != now else self.written
        return self._replace(now=changed, status=status, written=written)


WRITABLE = ("ip saddr", "th sport")
"""Fields of the packet that rules write."""
REWRITTEN = ("ip6 saddr", "ip6 daddr")
"""Addresses that rules write where connection tracking does not translate them."""
PORTS = {"th sport", "th dport"}
VALUES: dict[str, Callable[[Flight], Value]] = {
    "iifname": lambda flight: flight.now.interface,
    "oifname": lambda flight: flight.out,
    "ip saddr": lambda flight: flight.now.source,
    "ip daddr": lambda flight: flight.now.destination,
    "ip6 saddr": lambda flight: flight.now.source,
    "ip6 daddr": lambda flight: flight.now.destination,
    "th sport": lambda flight: flight.now.source_port,
    "th dport": lambda flight: flight.now.destination_port,
    "tcp flags": lambda flight: number(SYN if flight.now.opens else ACK),
    "meta protocol": lambda flight: number(IPV4),
    "meta l4proto": lambda flight: number(flight.now.protocol),
    "meta mark": lambda flight: flight.mark,
    "ct mark": lambda flight: flight.ct_mark,
    "ct state": lambda flight: number(symbol("ct_state", "new" if flight.tracked else "untracked")),
    "ct status": lambda flight: number(flight.status & ~UNTRACKED),
    "ct direction": lambda flight: number(0),
    "ct original zone": lambda flight: flight.zone,
    "ct original ip saddr": lambda flight: flight.original.source,
    "ct original ip daddr": lambda flight: flight.original.destination,
    "ct original proto-src": lambda flight: flight.original.source_port,
    "ct original proto-dst": lambda flight: flight.original.destination_port,
    "ct reply ip saddr": lambda flight: flight.now.destination,
    "ct reply ip daddr": lambda flight: flight.now.source,
    "ct reply proto-src": lambda flight: flight.now.destination_port,
    "ct reply proto-dst": lambda flight: flight.now.source_port,
    "fib daddr type": lambda flight: number(LOCAL_TYPE if is_local(flight.towards) else UNICAST),
    "fib daddr oifname": lambda flight: flight.towards,
    "fib saddr oifname": lambda flight: flight.home,
}
"""Every field that rules ask for, of a connection's first packet."""


def is_local(out: str | Names) -> bool:
    """Whether a route ends at the gateway. Raises Split where some of the box do."""
    answer = among(out, (LOCAL,))
    if answer is None and isinstance(out, Names):
        raise out.together((LOCAL,))
    return bool(answer)


def one(value: int) -> Range:
    """A field of a single packet."""
    return number(value)
