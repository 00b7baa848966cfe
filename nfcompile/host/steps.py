"""One change of the host as a value: what is done, what was there before, and the command that says the same.

A step is written down before it is made (`ledger`), so each has all that its undoing needs.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, NamedTuple

from nfcompile.host import lldp
from nfcompile.model.ranges import Range, address_text, range_text


class AddAddress(NamedTuple):
    """A secondary address, alone in its prefix."""

    address: int
    interface: str

    @property
    def command(self) -> str:
        return f"ip address add {address_text(self.address)}/32 dev {self.interface}"


class AddLocalRoute(NamedTuple):
    """A block of global addresses as the host's own."""

    first: int
    last: int

    @property
    def command(self) -> str:
        return f"ip route add local {range_text(Range(self.first, self.last))} dev lo"


class AddMarkRoute(NamedTuple):
    """The way to a VLAN's subscribers in the table of its mark."""

    first: int
    last: int
    interface: str
    table: int

    @property
    def command(self) -> str:
        block = range_text(Range(self.first, self.last))
        return f"ip route add {block} dev {self.interface} table {self.table}"


class AddRule(NamedTuple):
    """Packets with a mark are routed by the table of its number."""

    mark: int

    @property
    def command(self) -> str:
        return f"ip rule add fwmark {self.mark} lookup {self.mark}"


class SetMtu(NamedTuple):
    """Another MTU of an interface."""

    interface: str
    before: int
    after: int

    @property
    def command(self) -> str:
        return f"ip link set {self.interface} mtu {self.after}"


class SetSysctl(NamedTuple):
    """Another value of a setting; `beside` are settings that the kernel changes with it, as they were."""

    name: str
    before: int
    after: int
    beside: tuple[tuple[str, int], ...] = ()

    @property
    def command(self) -> str:
        return f"sysctl -w {self.name}={self.after}"


class LoadModule(NamedTuple):
    """A module of the kernel."""

    name: str

    @property
    def command(self) -> str:
        return f"modprobe {self.name}"


class WriteLldp(NamedTuple):
    """Our file of the LLDP daemon's configuration; `before` is None where there was none."""

    before: str | None
    after: str

    @property
    def command(self) -> str:
        return f"echo {shlex.quote(self.after.rstrip())} >{lldp.FILE} && lldpcli -c {lldp.FILE}"


Step = AddAddress | AddLocalRoute | AddMarkRoute | AddRule | SetMtu | SetSysctl | LoadModule | WriteLldp
KINDS: tuple[type[Step], ...] = (
    *(AddAddress, AddLocalRoute, AddMarkRoute, AddRule, SetMtu, SetSysctl, LoadModule, WriteLldp),
)


def target(step: Step) -> tuple[Any, ...]:
    """What a step is about: two steps with the same one are changes of the same thing.

    >>> target(SetSysctl("net.ipv4.ip_forward", 0, 1)) == target(SetSysctl("net.ipv4.ip_forward", 1, 0))
    True
    """
    if isinstance(step, SetMtu):
        return "SetMtu", step.interface
    if isinstance(step, SetSysctl):
        return "SetSysctl", step.name
    return ("WriteLldp",) if isinstance(step, WriteLldp) else (type(step).__name__, *step)


def anew(now: Step | None, before: Step) -> Step | None:
    """The step that makes `before` stand where `now` does (None: nothing); None where it stands.

    >>> anew(SetMtu("lan0", 1500, 2000), SetMtu("lan0", 1500, 9000))
    SetMtu(interface='lan0', before=2000, after=9000)
    """
    if now is None or now == before:
        return before if now is None else None
    return from_data({**as_data(before), "before": now._asdict()["after"]})


def as_data(step: Step) -> dict[str, Any]:
    """A step as it is written down."""
    return {"step": type(step).__name__, **step._asdict()}


def from_data(data: dict[str, Any]) -> Step:
    """The step that was written down. Raises KeyError, TypeError or ValueError where it is none of ours."""
    kinds: dict[str, Callable[..., Step]] = {kind.__name__: kind for kind in KINDS}
    fields = {name: value for name, value in data.items() if name != "step"}
    if "beside" in fields:
        fields["beside"] = tuple((str(name), int(value)) for name, value in fields["beside"])
    return kinds[data["step"]](**fields)
