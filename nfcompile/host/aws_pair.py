"""AWS's half of a pair's addresses: there they belong to a network interface of one instance, and no ARP
announcement moves them. The node that becomes master takes them from the other one's interfaces.

An interface of the instance is found by the node's own address on it, which is its primary one. An Elastic
IP comes along with the private address that it is associated with (AWS's AssignPrivateIpAddresses says so).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nfcompile.host import aws
from nfcompile.host.aws import Assign, Associate, CloudWanted, Seen, Step, SwitchOffCheck, Take
from nfcompile.host.pair import pair_plan
from nfcompile.kernel import KernelError
from nfcompile.model.ranges import address_text
from nfcompile.model.site import Site


class SharedAddresses(NamedTuple):
    """What a node in a pair wants of the cloud on one interface. `elastic` are those with an Elastic IP."""

    wanted: CloudWanted
    elastic: tuple[str, ...]


class Elsewhere(NamedTuple):
    """Private addresses that another instance's interface has, and those with an Elastic IP anywhere."""

    held: frozenset[str]
    elastic: frozenset[str]


def wanted(site: Site) -> tuple[SharedAddresses, ...]:
    """By interfaces of the node; () where the site is not that of a node in a pair."""
    plan = pair_plan(site)
    if plan is None:
        return ()
    runs = site.gateway.secondary_ips
    public = {address_text(one) for run in runs for one in range(run.first, run.last + 1)}
    found = []
    for one in plan.instances:
        addresses = tuple(text.partition("/")[0] for text in (*one.virtual, *one.more))
        asked = CloudWanted(one.own, addresses, site.name)
        found.append(SharedAddresses(asked, tuple(text for text in addresses if text in public)))
    return tuple(found)


def observe(
    ec2: Any, instance: str, asked: tuple[SharedAddresses, ...]
) -> tuple[tuple[Seen, ...], Elsewhere]:
    """The instance's interfaces, and where the rest is. Raises SiteError and KernelError."""
    from botocore.exceptions import BotoCoreError, ClientError

    seen = tuple(aws.observe(ec2, instance, one.wanted) for one in asked)
    addresses = [text for one in asked for text in one.wanted.secondary]
    try:
        named = {"addresses.private-ip-address": addresses, "vpc-id": sorted({one.network for one in seen})}
        filters = [{"Name": name, "Values": values} for name, values in named.items()]
        interfaces = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        elastic = ec2.describe_addresses()["Addresses"]
    except (BotoCoreError, ClientError) as error:
        raise KernelError(f"the cloud does not answer: {error}") from None
    here = {one.interface for one in seen}
    others = [one for one in interfaces if one["NetworkInterfaceId"] not in here]
    known = here.union(one["NetworkInterfaceId"] for one in others)
    return seen, Elsewhere(
        frozenset(each["PrivateIpAddress"] for one in others for each in one["PrivateIpAddresses"]),
        frozenset(one["PrivateIpAddress"] for one in elastic if one.get("NetworkInterfaceId") in known),
    )


def steps(
    asked: tuple[SharedAddresses, ...], seen: tuple[Seen, ...], elsewhere: Elsewhere, take: bool
) -> tuple[Step, ...]:
    """What is missing. Without `take` the addresses that another interface has stay there.

    Raises SiteError where the instance is too small.
    """
    for one, there in zip(asked, seen, strict=True):
        aws.refuse_small(one.wanted, there)
    found = [
        step for one, there in zip(asked, seen, strict=True) for step in _moving(one, there, elsewhere, take)
    ]
    found += (
        step for one, there in zip(asked, seen, strict=True) for step in _staying(one, there, elsewhere, take)
    )
    return tuple(found)


def _moving(asked: SharedAddresses, seen: Seen, elsewhere: Elsewhere, take: bool) -> Iterator[Step]:
    """Where the addresses go; first of all, since subscribers wait for it."""
    missing = [one for one in asked.wanted.secondary if one not in seen.secondary]
    if take and (held := tuple(one for one in missing if one in elsewhere.held)):
        yield Take(seen.interface, held)
    if free := tuple(one for one in missing if one not in elsewhere.held):
        yield Assign(seen.interface, free)


def _staying(asked: SharedAddresses, seen: Seen, elsewhere: Elsewhere, take: bool) -> Iterator[Step]:
    if seen.checks:
        yield SwitchOffCheck(seen.interface)
    for address in asked.elastic:
        if address not in elsewhere.elastic and (take or address not in elsewhere.held):
            yield Associate(seen.interface, address, asked.wanted.label)
