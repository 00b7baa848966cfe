"""The table that the kernel holds, read as the values that the compiler makes."""

from __future__ import annotations

from nfcompile.emit import Map, Set
from nfcompile.emit.differences import KINDS
from nfcompile.emit.listing import Listed, UnknownListing, read_listing
from nfcompile.emit.normal import packets_write
from nfcompile.kernel import NOT_LOADED, KernelError, netns, nft


def listed(namespace: str | None = None) -> Listed:
    """Our table, without the elements that packets write: there may be millions. Raises KernelError."""
    found = netns.inside(namespace, lambda: _listed(nft.TABLE))
    if found is None:
        raise KernelError(NOT_LOADED)
    return found


def listed6(namespace: str | None = None) -> Listed | None:
    """Our table of IPv6; None where there is none. Raises KernelError."""
    return netns.inside(namespace, lambda: _listed(nft.TABLE6))


def _listed(table: str) -> Listed | None:
    structure = nft.structure_json(table)
    if structure is None:
        return None
    try:
        objects = read_listing(structure).table.objects
        ours = [one for one in objects if isinstance(one, Set | Map) and not packets_write(one)]
        contents = nft.contents_json((f"{KINDS[type(one)]} {one.name}" for one in ours), table)
        return read_listing([*structure, *contents])
    except UnknownListing as error:
        raise KernelError(str(error)) from None
