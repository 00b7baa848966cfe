"""The rules of `dnat` and `snat` as frozen values: qualifiers, marks, and the translation."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from nfcompile.diagnostics import Path
from nfcompile.model.protocols import WITH_PORTS
from nfcompile.model.ranges import Range

Value = TypeVar("Value")


class Mark(NamedTuple):
    """A conntrack mark; only the bits of `mask` belong to it."""

    value: int
    mask: int = 0xFFFFFFFF

    def is_in(self, number: int) -> bool:
        """Whether a connection with that mark passes a test for this one."""
        return number & self.mask == self.value


class Qualifier(NamedTuple, Generic[Value]):
    """What a field of a packet must be: one of the values, or with `negated` none of them.

    Addresses and ports are sorted, disjoint ranges; protocols are sorted numbers.
    """

    values: tuple[Value, ...]
    negated: bool = False

    @property
    def single(self) -> Value | None:
        """The only value that matches, None where several do."""
        return self.values[0] if len(self.values) == 1 and not self.negated else None


class Qualifiers(NamedTuple):
    """The qualifiers that dnat and snat rules share; None means any."""

    protocol: Qualifier[int] | None
    src_cidr: Qualifier[Range] | None
    src_port: Qualifier[Range] | None
    dst_cidr: Qualifier[Range] | None
    dst_port: Qualifier[Range] | None
    interface: Qualifier[str] | None

    @property
    def has_ports(self) -> bool:
        """Whether every packet that matches has ports."""
        asked = self.protocol
        return asked is not None and not asked.negated and WITH_PORTS.issuperset(asked.values)

    @property
    def names_interfaces(self) -> bool:
        """Whether the rule lists its interfaces, instead of the default or a part of it."""
        return self.interface is not None and not self.interface.negated

    def interfaces(self, default: Sequence[str]) -> tuple[str, ...]:
        """The interfaces of the rule; a negated list leaves the others of the default."""
        if self.interface is None:
            return tuple(default)
        if self.interface.negated:
            return tuple(name for name in default if name not in self.interface.values)
        return self.interface.values


ANYTHING = Qualifiers(None, None, None, None, None, None)


class DnatRule(NamedTuple):
    """Aviatrix step 3: packets that match get a mark, another destination address or port.

    `prefix`: `dnat_ip` is a prefix, and the host bits of the destination are kept. `exclude`: packets that
    match are left alone, and no later rule is tried.
    """

    path: Path
    name: str
    match: Qualifiers
    mark: Mark | None
    dnat_ip: Range | None
    dnat_port: Range | None
    prefix: bool
    exclude: bool


class SnatRule(NamedTuple):
    """Aviatrix step 4: packets that match, also by their mark, leave from an address or a segment.

    `prefix`: `snat_ip` is a prefix, and the host bits of the source are kept. Without `snat_ip` the packets
    leave from the address of the outgoing interface or, with `exclude`, untranslated, and no pool is tried
    either.
    """

    path: Path
    name: str
    match: Qualifiers
    mark: Qualifier[Mark] | None
    snat_ip: Range | None
    snat_port: Range | None
    prefix: bool
    exclude: bool

    @property
    def addresses(self) -> Range:
        """The addresses of a rule that names some."""
        assert self.snat_ip is not None
        return self.snat_ip
