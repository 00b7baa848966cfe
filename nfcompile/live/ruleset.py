"""The table that the kernel holds, read as the values that the compiler makes."""

from __future__ import annotations

from nfcompile.emit import Map, Set
from nfcompile.emit.differences import label
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
        read = read_listing(structure)
        ours = [one for one in read.table.objects if isinstance(one, Set | Map) and not packets_write(one)]
        contents = nft.contents_json((label(one) for one in ours), table)
        return _with_contents(read, read_listing(contents))
    except UnknownListing as error:
        raise KernelError(str(error)) from None


def _with_contents(read: Listed, contents: Listed) -> Listed:
    """A table with sets and maps as they were listed one by one; reading all rules again costs as much as
    the first time."""
    filled = {label(one): one for one in contents.table.objects}
    objects = (filled.get(label(one), one) for one in read.table.objects)
    known = tuple(one for one in objects if label(one) not in contents.unread)
    return Listed(read.table._replace(objects=known), {**read.unread, **contents.unread})
