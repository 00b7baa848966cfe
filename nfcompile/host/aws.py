"""AWS's half of a gateway's addresses (Aviatrix's steps 2 and 5): secondary private addresses on the
instance's network interface, an Elastic IP for each, and the source/destination check off, or the cloud
drops what is not the instance's.

Only adds, and undoes what it has added where a later call fails; a node of a pair takes (`aws_pair`).
`client` is boto3's of EC2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from nfcompile.diagnostics import Diagnostic, SiteError
from nfcompile.kernel import KernelError
from nfcompile.model.ranges import address_text
from nfcompile.model.site import Site

TAG = "nfcompile"


class CloudWanted(NamedTuple):
    """What a site needs of the cloud: which interface it is about (its primary address, '' for the only
    one), and which addresses."""

    primary: str
    secondary: tuple[str, ...]
    label: str


class Seen(NamedTuple):
    """The instance's network interface as it is. `most` is how many addresses its type allows an
    interface, `network` the VPC."""

    interface: str
    kind: str
    most: int
    primary: str
    secondary: tuple[str, ...]
    elastic: dict[str, str]
    checks: bool
    network: str = ""


class Assign(NamedTuple):
    """Secondary private addresses."""

    interface: str
    addresses: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"assign {', '.join(self.addresses)} to {self.interface}"


class Take(NamedTuple):
    """Addresses that another interface has now."""

    interface: str
    addresses: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"move {', '.join(self.addresses)} to {self.interface}"


class Associate(NamedTuple):
    """A new Elastic IP for a private address."""

    interface: str
    address: str
    label: str

    @property
    def text(self) -> str:
        return f"allocate an Elastic IP and associate it with {self.address}"


class SwitchOffCheck(NamedTuple):
    """The source/destination check."""

    interface: str

    @property
    def text(self) -> str:
        return f"switch the source/destination check of {self.interface} off"


Step = Assign | Take | Associate | SwitchOffCheck


def wanted(site: Site) -> CloudWanted:
    """What a site needs of the cloud."""
    primary = site.gateway.primary_ip
    addresses = (one for run in site.gateway.secondary_ips for one in range(run.first, run.last + 1))
    return CloudWanted(
        "" if primary is None else address_text(primary), tuple(map(address_text, addresses)), site.name
    )


def client(region: str) -> Any:
    """EC2's API with the credentials that boto3 finds. Raises KernelError where boto3 is missing."""
    try:
        import boto3
    except ImportError:
        raise KernelError("boto3 is not installed: pip install 'nfcompile[aws]'") from None
    return boto3.client("ec2", region_name=region)


def observe(ec2: Any, instance: str, asked: CloudWanted) -> Seen:
    """Read the instance. Raises SiteError where it has no such interface."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return _observe(ec2, instance, asked)
    except (BotoCoreError, ClientError) as error:
        raise KernelError(f"the cloud does not answer: {error}") from None


def _observe(ec2: Any, instance: str, asked: CloudWanted) -> Seen:
    (reservation,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    (found,) = reservation["Instances"]
    interface = _interface(found["NetworkInterfaces"], instance, asked)
    kind = found["InstanceType"]
    types = ec2.describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
    number = interface["NetworkInterfaceId"]
    filters = [{"Name": "network-interface-id", "Values": [number]}]
    return Seen(
        number,
        kind,
        types[0]["NetworkInfo"]["Ipv4AddressesPerInterface"],
        interface["PrivateIpAddress"],
        tuple(one["PrivateIpAddress"] for one in interface["PrivateIpAddresses"] if not one["Primary"]),
        {
            one["PrivateIpAddress"]: one["PublicIp"]
            for one in ec2.describe_addresses(Filters=filters)["Addresses"]
            if one.get("PrivateIpAddress")
        },
        interface["SourceDestCheck"],
        interface.get("VpcId", ""),
    )


def steps(asked: CloudWanted, seen: Seen) -> tuple[Step, ...]:
    """What is missing, in the order in which it is done. Raises SiteError where the instance is too small."""
    refuse_small(asked, seen)
    return tuple(_steps(asked, seen))


def refuse_small(asked: CloudWanted, seen: Seen) -> None:
    """Raise SiteError where the instance's type does not allow so many addresses."""
    needed = {*asked.secondary, *seen.secondary}
    if len(needed) + 1 > seen.most:
        message = f"'{seen.kind}' allows {seen.most - 1} secondary addresses, not {len(needed)}"
        path = ("gateway", "secondary_ips")
        raise SiteError(
            (Diagnostic("cloud-limit", message, path, key=True, hint="take a larger instance type"),)
        )


def bring(ec2: Any, todo: tuple[Step, ...]) -> dict[str, str]:
    """Do it; the new Elastic IPs by private address. What fails half way is undone, and raises
    KernelError."""
    from botocore.exceptions import BotoCoreError, ClientError

    elastic: dict[str, str] = {}
    with ExitStack() as undo:
        try:
            for step in todo:
                _do(ec2, step, elastic, undo)
        except (BotoCoreError, ClientError) as error:
            raise KernelError(f"the cloud refused, and what had been done is undone: {error}") from None
        undo.pop_all()
    return elastic


def _do(ec2: Any, step: Step, elastic: dict[str, str], undo: ExitStack) -> None:
    """One step; how it is undone goes on the stack."""
    match step:
        case Assign(interface, addresses):
            both = {"NetworkInterfaceId": interface, "PrivateIpAddresses": [*addresses]}
            ec2.assign_private_ip_addresses(**both)
            undo.callback(_quietly, ec2.unassign_private_ip_addresses, **both)
        case Take(interface, addresses):
            # Not undone: what is here already is served, and on the other node it is not.
            ec2.assign_private_ip_addresses(
                NetworkInterfaceId=interface, PrivateIpAddresses=[*addresses], AllowReassignment=True
            )
        case Associate(interface, address, label):
            tags = [{"Key": TAG, "Value": label}]
            tagged = [{"ResourceType": "elastic-ip", "Tags": tags}]
            made = ec2.allocate_address(Domain="vpc", TagSpecifications=tagged)
            undo.callback(_quietly, ec2.release_address, AllocationId=made["AllocationId"])
            tied = ec2.associate_address(
                AllocationId=made["AllocationId"], NetworkInterfaceId=interface, PrivateIpAddress=address
            )
            undo.callback(_quietly, ec2.disassociate_address, AssociationId=tied["AssociationId"])
            elastic[address] = made["PublicIp"]
        case SwitchOffCheck(interface):
            change = ec2.modify_network_interface_attribute
            change(NetworkInterfaceId=interface, SourceDestCheck={"Value": False})
            undo.callback(_quietly, change, NetworkInterfaceId=interface, SourceDestCheck={"Value": True})


def _quietly(call: Callable[..., Any], **arguments: Any) -> None:
    """Undo as far as the cloud lets it be undone: the reason that is told is the first one."""
    from botocore.exceptions import BotoCoreError, ClientError

    with suppress(BotoCoreError, ClientError):
        call(**arguments)


def _interface(found: list[dict[str, Any]], instance: str, asked: CloudWanted) -> dict[str, Any]:
    """The interface that has the primary address, or the only one."""
    for one in found:
        if one["PrivateIpAddress"] == asked.primary or (not asked.primary and len(found) == 1):
            return one
    have = ", ".join(one["PrivateIpAddress"] for one in found)
    message = f"no network interface of {instance} has the primary address '{asked.primary}'; it has {have}"
    path = ("gateway", "primary_ip")
    raise SiteError(
        (Diagnostic("cloud-primary", message, path, hint="write the outside interface's address"),)
    )


def _steps(asked: CloudWanted, seen: Seen) -> Iterator[Step]:
    missing = tuple(one for one in asked.secondary if one not in seen.secondary)
    if missing:
        yield Assign(seen.interface, missing)
    for address in asked.secondary:
        if address not in seen.elastic:
            yield Associate(seen.interface, address, asked.label)
    if seen.checks:
        yield SwitchOffCheck(seen.interface)
