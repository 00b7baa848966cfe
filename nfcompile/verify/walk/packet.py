"""A packet of a connection on its way through the gateway, field by field as nft names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nfcompile.emit.expressions import number, symbol
from nfcompile.emit.statements import ICMP, PORTED
from nfcompile.model.ranges import Range
from nfcompile.verify.boxes import LOCAL, Names, Packet, among, is_kept
from nfcompile.verify.moments import ANSWERED, BACK, FIRST, SEEN_REPLY, STATES, Later
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
    together. `later` is None for the first packet of a connection; `original` of others is what the first
    one was, `first` and `home` where their own routes lead.
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
    later: Later | None = None

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
            self.later and _narrowed_later(self.later, field, kept),
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
        """Where the packet goes on. Raises Split where only some of its box keep their destination."""
        same = self.later is not None or is_kept(self.original.destination, self.now.destination)
        return self.first if same else route(self.now.destination)

    @property
    def tracked(self) -> bool:
        """Whether connection tracking sees the packet; nat chains do not without it."""
        return not self.status & UNTRACKED

    @property
    def moment(self) -> str:
        """Which packet of a connection it is."""
        return FIRST if self.later is None else self.later.moment

    @property
    def meets_nat(self) -> bool:
        """Whether it meets the chains of type nat: only what begins a connection does."""
        return self.tracked and self.later is None

    @property
    def answer(self) -> Packet:
        """The packet that answers the first one, as connection tracking expects it."""
        if self.later is not None:
            return self.later.answer
        now = self.now
        ends = now.destination, now.destination_port, now.source, now.source_port
        return Packet(now.interface, now.protocol, *ends)

    def passed_by(self, hook: str) -> Flight:
        """What has gone past the place of nat chains: connection tracking has put in what it knows.

        The kernel does so at all four hooks as soon as a table has one such chain (nf_nat_proto.c)."""
        if self.later is None or hook == "forward":
            return self
        now, sent = self.now, self.later.sent
        if hook == "prerouting":
            now = now._replace(destination=sent.destination, destination_port=sent.destination_port)
        else:
            now = now._replace(source=sent.source, source_port=sent.source_port)
        return self._replace(now=now)

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
    "ct state": lambda flight: number(symbol("ct_state", _state(flight))),
    "ct status": lambda flight: number(_status(flight)),
    "ct direction": lambda flight: number(int(flight.moment in BACK)),
    "ct original zone": lambda flight: flight.zone,
    "ct original ip saddr": lambda flight: flight.original.source,
    "ct original ip daddr": lambda flight: flight.original.destination,
    "ct original proto-src": lambda flight: flight.original.source_port,
    "ct original proto-dst": lambda flight: flight.original.destination_port,
    "ct reply ip saddr": lambda flight: flight.answer.source,
    "ct reply ip daddr": lambda flight: flight.answer.destination,
    "ct reply proto-src": lambda flight: flight.answer.source_port,
    "ct reply proto-dst": lambda flight: flight.answer.destination_port,
    "fib daddr type": lambda flight: number(LOCAL_TYPE if is_local(flight.towards) else UNICAST),
    "fib daddr oifname": lambda flight: flight.towards,
    "fib saddr oifname": lambda flight: flight.home,
}
"""Every field that rules ask for."""


def _state(flight: Flight) -> str:
    return STATES[flight.moment] if flight.tracked else "untracked"


def _status(flight: Flight) -> int:
    return flight.status & ~UNTRACKED | (SEEN_REPLY if flight.moment in ANSWERED else 0)


def _narrowed_later(later: Later, field: str, kept: Cut) -> Later:
    came, sent, answer = (narrowed_packet(one, field, kept) for one in later[1:])
    return Later(later.moment, came, sent, answer)


def is_local(out: str | Names) -> bool:
    """Whether a route ends at the gateway. Raises Split where some of the box do."""
    answer = among(out, (LOCAL,))
    if answer is None and isinstance(out, Names):
        raise out.together((LOCAL,))
    return bool(answer)


def one(value: int) -> Range:
    """A field of a single packet."""
    return number(value)
