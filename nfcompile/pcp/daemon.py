"""The loop of the daemon: request -> decision -> the kernel's sets -> answer, until it is told to end.

It follows the live site. Its epoch (RFC 6887, section 8.5) begins with it, and anew whenever mappings are
gone before their time: clients then ask for theirs again.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from nfcompile.kernel import KernelError
from nfcompile.kernel.socket_entries import Socket
from nfcompile.live.follow import FollowedSite, ScrapedSite
from nfcompile.model.parse import address
from nfcompile.model.protocols import TCP
from nfcompile.model.sides import sides
from nfcompile.pcp import decisions, nat_pmp, wire
from nfcompile.pcp.decisions import Attempt, Closing
from nfcompile.pcp.messages import AskAddress, AskAnnounce, Asked, AskMap, ResultCode, Told, refused
from nfcompile.pcp.peer_ports import Ask, PeerPorts, PortsCopy
from nfcompile.pcp.rate import AskingRates
from nfcompile.pcp.serving import Inside, ServedPools
from nfcompile.pcp.sockets import Datagram, InsideSocket
from nfcompile.pcp.store import ForwardingStore

TICK = 1.0
LOOK_EVERY = 15.0
"""Seconds between two looks whether the kernel still holds what is open."""
ANNOUNCEMENTS, FIRST_PAUSE = 10, 0.25
"""Announcements after a loss, and the seconds before the second; each further pause is twice as long (RFC
6886, section 3.2.1)."""


class PcpSettings(NamedTuple):
    """Where the history is, the gateway's namespace, and how the peer of a pair is asked."""

    root: str | None
    namespace: str | None
    ask_peer: Ask


class PcpDaemon:
    """From the first request to the last."""

    def __init__(self, settings: PcpSettings, site: ScrapedSite, say: Callable[[str], None]) -> None:
        """Open everything. Raises KernelError."""
        self._settings, self._say = settings, say
        self._followed = FollowedSite(site, settings.root, settings.namespace)
        self._store = ForwardingStore(settings.namespace)
        self._rates = AskingRates()
        self._sockets: dict[str, InsideSocket] = {}
        self._told: set[str] = set()
        self._begin = self._looked = _clock()
        self._announced, self._next = 0, self._begin
        self._pools = ServedPools(site.compiled.site, site.compiled.allocations)
        self._peer = PeerPorts(settings.ask_peer, _clock)
        self._forwards = True
        self._follow()
        self._notice_role(self._begin)
        self._take()

    def run(self, descriptor: int, ends: Callable[[], bool], looks: Callable[[], bool]) -> None:
        """Answer until `ends`. A signal makes `descriptor` readable; `looks` says whether it asks for a look
        at interfaces and sets."""
        try:
            while not ends():
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                for one in self._sockets.values():
                    poll.register(one, select.POLLIN)
                poll.poll(self._wait() * 1000)
                if looks():
                    self._take()
                    self._say(self._figures())
                self._turn()
        finally:
            for one in self._sockets.values():
                one.close()

    def _wait(self) -> float:
        return min(TICK, max(0.0, self._next - _clock())) if self._announced < ANNOUNCEMENTS else TICK

    def _turn(self) -> None:
        for one in list(self._sockets.values()):
            for datagram in one.received():
                data = self._answer(one.interface, datagram)
                if data is not None:
                    one.answer(datagram, data)
        now = _clock()
        self._notice_role(now)
        if self._follow() or now >= self._looked + LOOK_EVERY:
            self._take()
        if self._forwards and self._announced < ANNOUNCEMENTS and now >= self._next:
            self._announce(now)

    # ---- one request

    def _answer(self, interface: str, datagram: Datagram) -> bytes | None:
        data, source = datagram.data, address(datagram.source[0])
        if not self._sides.is_inside(interface, source):
            return None
        spoken = data[:1] == bytes([nat_pmp.VERSION])
        asked = nat_pmp.decode(data) if spoken else wire.decode(data, source)
        if asked is None:
            return None
        told = refused(asked) if isinstance(asked, ResultCode) else self._told_to(interface, source, asked)
        known = None if isinstance(asked, ResultCode) else asked
        write = nat_pmp.answer if spoken else wire.answer
        return write(data, known, told, self._epoch())

    def _told_to(self, interface: str, source: int, asked: Asked) -> Told:
        if isinstance(asked, AskAnnounce):
            return Told(ResultCode.SUCCESS)
        now = _clock()
        if not self._forwards:
            return refused(ResultCode.NETWORK_FAILURE)
        if not self._rates.allows(source, now):
            return refused(ResultCode.NO_RESOURCES)
        try:
            if isinstance(asked, AskAddress):
                return self._global_address(interface, source)
            return self._mapped(interface, source, asked, now)
        except KernelError as error:
            self._say_once(str(error))
            return refused(ResultCode.NETWORK_FAILURE)

    def _global_address(self, interface: str, source: int) -> Told:
        inside = Inside(interface, TCP, source, 0)
        served = self._pools.of(inside)
        if served is None:
            return refused(ResultCode.NOT_AUTHORIZED)
        blocks = served.blocks(inside, [one.block for one in self._store.assigned(served, source)])
        if not blocks:
            return refused(ResultCode.NETWORK_FAILURE)
        return Told(ResultCode.SUCCESS, address=blocks[0].address)

    def _mapped(self, interface: str, source: int, asked: AskMap, now: float) -> Told:
        mine = self._store.of(source, now)
        inside = Inside(interface, asked.protocol, source, asked.port)
        socket = Socket(asked.protocol, source, asked.port)
        if asked.lifetime == 0:
            closing = decisions.closing(asked, mine)
            return self._store.close(closing) if isinstance(closing, Closing) else closing
        served = self._pools.of(inside)
        held = self._store.assigned(served, source) if served else []
        mapped = self._store.mapped(served, socket) if served else None
        blocks = [one.block for one in held]
        opening = decisions.opening(asked, inside, served, blocks, mine, mapped)
        if isinstance(opening, Attempt):
            return self._store.open(opening, socket, asked.nonce, held, now)
        return opening

    def _epoch(self) -> int:
        return int(_clock() - self._begin)

    # ---- the site, the kernel's sets, the interfaces

    def _follow(self) -> bool:
        """Take another site when the history has changed; whether it may have."""
        if not self._followed.history_changed():
            return False
        self._followed.follow()
        compiled = self._followed.site.compiled
        self._pools = ServedPools(compiled.site, compiled.allocations)
        return True

    def _take(self) -> None:
        """Read what is open, and listen on the inside interfaces of the site."""
        self._looked = _clock()
        site = self._followed.site.compiled.site
        self._sides = sides(site)
        try:
            if self._store.read(self._pools, self._looked):
                self._say("mappings went before their lifetime ended: clients get an announcement")
                self._begin_anew(self._looked)
        except KernelError as error:
            self._say_once(str(error))
        wanted = self._sides.inside if any(pool.opens_ports for pool in site.active_pools) else ()
        for name in [name for name in self._sockets if name not in wanted]:
            self._sockets.pop(name).close()
        for name in wanted:
            if name not in self._sockets:
                try:
                    self._sockets[name] = InsideSocket(name, self._settings.namespace)
                except KernelError as error:
                    self._say_once(str(error))

    def _begin_anew(self, now: float) -> None:
        """A new epoch: clients that hear of it ask for their ports again."""
        self._begin, self._announced, self._next = now, 0, now

    # ---- the pair

    def _notice_role(self, now: float) -> None:
        """On a node of a pair: copy the peer's open ports while the gate is closed, and open them then."""
        try:
            forwards = self._followed.site.compiled.site.pair is None or self._store.forwards()
        except KernelError as error:
            self._say_once(str(error))
            return
        self._peer.wanted(not forwards)
        if forwards and not self._forwards:
            self._take_over(self._peer.copy, now)
        self._forwards = forwards

    def _take_over(self, copy: PortsCopy | None, now: float) -> None:
        ports = [] if copy is None else copy.left(now)
        opened = 0
        for one in ports:
            served = self._pools.pools.get(one.pool)
            try:
                opened += served is not None and self._store.open_again(served, one, now)
            except KernelError as error:
                self._say_once(str(error))
        self._say(f"the gate is open: {opened} of the peer's {len(ports)} open ports are open here")
        self._begin_anew(now)

    def _figures(self) -> str:
        """What SIGHUP asks for."""
        copy = self._peer.copy
        copied = "" if copy is None else f", {len(copy.left(_clock()))} of the peer are copied"
        return f"{self._store.count} ports are open{copied}"

    @property
    def count(self) -> int:
        """How many ports are open."""
        return self._store.count

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The interfaces that the daemon listens on."""
        return tuple(self._sockets)

    def _announce(self, now: float) -> None:
        pair = self._followed.site.compiled.site.pair
        virtual = {one.interface: one.address for one in pair.virtual} if pair is not None else {}
        for one in self._announced_on():
            one.announce(wire.announcement(self._epoch()), virtual.get(one.interface, 0))
        self._next = now + FIRST_PAUSE * 2**self._announced
        self._announced += 1

    def _announced_on(self) -> Iterator[InsideSocket]:
        """All but interfaces that are outside as well."""
        return (one for one in self._sockets.values() if one.interface not in self._sides.shared)

    def _say_once(self, text: str) -> None:
        """A problem that stays is reported once."""
        if text not in self._told:
            self._told.add(text)
            self._say(text)


def _clock() -> float:
    """Seconds of a clock that nobody sets, and that counts while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
