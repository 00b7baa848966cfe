"""What the cloud says to an instance about itself: AWS's instance metadata, version 2. Asked only where the
machine's firmware says that it is one; nothing is sent anywhere else."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from nfcompile.kernel import KernelError

VENDOR, AMAZON = "/sys/class/dmi/id/sys_vendor", "Amazon EC2"
HARDWARE_ADDRESS = "/sys/class/net/{}/address"
SERVICE = "http://169.254.169.254/latest/"
SECONDS = 2
TOKEN_SECONDS = "60"


class CloudSeen(NamedTuple):
    """The private addresses that the cloud has assigned to an interface."""

    addresses: tuple[str, ...]


class Instance(NamedTuple):
    """Which instance this is, and where."""

    instance: str
    region: str


def is_instance() -> bool:
    """Whether this machine is one of AWS's."""
    return _text(VENDOR) == AMAZON


def observe(interface: str) -> CloudSeen | None:
    """What the cloud has assigned to an interface; None elsewhere, and where it does not answer."""
    hardware = _text(HARDWARE_ADDRESS.format(interface))
    if not hardware or not is_instance():
        return None
    try:
        found = _get(f"meta-data/network/interfaces/macs/{hardware}/local-ipv4s")
    except KernelError:
        return None
    return CloudSeen(tuple(found.split()))


def instance() -> Instance:
    """This instance. Raises KernelError where this is none."""
    if not is_instance():
        raise KernelError("this machine is not an AWS instance; name one with --instance and --region")
    document: Any = json.loads(_get("dynamic/instance-identity/document"))
    return Instance(document["instanceId"], document["region"])


def _get(path: str) -> str:
    from urllib.request import Request, urlopen

    token = {"X-aws-ec2-metadata-token-ttl-seconds": TOKEN_SECONDS}
    try:
        with urlopen(Request(f"{SERVICE}api/token", headers=token, method="PUT"), timeout=SECONDS) as answer:
            known = {"X-aws-ec2-metadata-token": answer.read().decode()}
        with urlopen(Request(SERVICE + path, headers=known), timeout=SECONDS) as answer:
            text: str = answer.read().decode()
            return text
    except OSError as error:
        raise KernelError(f"the cloud's metadata service does not answer: {error}") from None


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
