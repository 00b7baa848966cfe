"""`host cloud aws` for a pair, against moto: what is the pair's is on one instance; the master takes it."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from nfcompile.cli import host
from nfcompile.cli.options import Options
from nfcompile.deploy import takeover
from nfcompile.host import aws, metadata

REGION = "eu-central-1"
SITE = """version: 1
site: egress-1
interfaces: {inside: [lan0], outside: [wan0]}
gateway: {secondary_ips: [10.0.2.201-10.0.2.202]}
pairs: {east: {virtual: {lan0: [10.0.1.100/24], wan0: [10.0.2.100/24]}, unicast: on}}
nodes:
  gw1: {pair: east, priority: 150, sync: {interface: lan0, address: 10.0.1.11},
        addresses: {lan0: 10.0.1.11/24, wan0: 10.0.2.11/24}}
  gw2: {pair: east, sync: {interface: lan0, address: 10.0.1.12},
        addresses: {lan0: 10.0.1.12/24, wan0: 10.0.2.12/24}}
dnat: {web: {protocol: tcp, dst_port: 8001, dnat_port: 8080, mark: 10}}
snat: {web: {mark: 10, snat_ip: 10.0.2.201-10.0.2.202}}
"""
LAN, WAN, PUBLIC = "10.0.1.100", "10.0.2.100", ("10.0.2.201", "10.0.2.202")


class Strict:
    """moto's EC2 with what AWS's own does and moto does not: an address is on one interface, moves only where
    that is asked for, and takes its Elastic IP along; a filter finds secondary addresses too."""

    def __init__(self) -> None:
        self.real: Any = boto3.client("ec2", region_name=REGION)
        self.elastic: dict[str, dict[str, str]] = {}
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self.real, name)

    def holder(self, address: str) -> str:
        every = self.real.describe_network_interfaces()["NetworkInterfaces"]
        has = [
            one for one in every for each in one["PrivateIpAddresses"] if each["PrivateIpAddress"] == address
        ]
        return str(has[0]["NetworkInterfaceId"]) if has else ""

    def assign_private_ip_addresses(self, **asked: Any) -> Any:
        self.calls.append("assign_private_ip_addresses")
        interface, allowed = asked["NetworkInterfaceId"], asked.pop("AllowReassignment", False)
        for address in asked["PrivateIpAddresses"]:
            before = self.holder(address)
            if before and not allowed:
                raise ClientError({"Error": {"Code": "InvalidParameterValue"}}, "AssignPrivateIpAddresses")
            if before:
                self.real.unassign_private_ip_addresses(
                    NetworkInterfaceId=before, PrivateIpAddresses=[address]
                )
            if address in self.elastic:
                self.elastic[address]["NetworkInterfaceId"] = interface
        return self.real.assign_private_ip_addresses(**asked)

    def describe_network_interfaces(self, Filters: list[dict[str, Any]]) -> Any:
        asked = {one["Name"]: one["Values"] for one in Filters}
        wanted = {*asked.pop("addresses.private-ip-address")}
        left = [{"Name": name, "Values": values} for name, values in asked.items()]
        every = self.real.describe_network_interfaces(Filters=left)["NetworkInterfaces"]
        has = [{each["PrivateIpAddress"] for each in one["PrivateIpAddresses"]} for one in every]
        return {"NetworkInterfaces": [one for one, mine in zip(every, has, strict=True) if mine & wanted]}

    def associate_address(self, **asked: str) -> Any:
        self.calls.append("associate_address")
        assert self.holder(asked["PrivateIpAddress"]) == asked["NetworkInterfaceId"]
        self.elastic[asked["PrivateIpAddress"]] = {"NetworkInterfaceId": asked["NetworkInterfaceId"]}
        return self.real.associate_address(**asked)

    def describe_addresses(self, **_: Any) -> Any:
        self.calls.append("describe_addresses")
        return {"Addresses": [{"PrivateIpAddress": k, "PublicIp": "-", **v} for k, v in self.elastic.items()]}


class TwoInstances:
    """The two nodes: each with an interface in 10.0.1.0/24, and one in 10.0.2.0/24."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ec2: Any = Strict()
        monkeypatch.setattr(aws, "client", lambda region: self.ec2)
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        nets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")["Subnet"]["SubnetId"]
            for n in (1, 2)
        ]
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        self.nodes = {}
        for node, host_part in (("gw1", 11), ("gw2", 12)):
            ends = [
                {"DeviceIndex": at, "SubnetId": net, "PrivateIpAddress": f"10.0.{at + 1}.{host_part}"}
                for at, net in enumerate(nets)
            ]
            made = self.ec2.run_instances(
                ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large", NetworkInterfaces=ends
            )
            self.nodes[node] = made["Instances"][0]["InstanceId"]

    def interfaces(self, node: str) -> list[dict[str, Any]]:
        found = self.ec2.real.describe_instances(InstanceIds=[self.nodes[node]])
        there: list[dict[str, Any]] = found["Reservations"][0]["Instances"][0]["NetworkInterfaces"]
        return there

    def addresses(self, node: str) -> set[str]:
        """Those that it has besides its own."""
        every = [each for one in self.interfaces(node) for each in one["PrivateIpAddresses"]]
        return {one["PrivateIpAddress"] for one in every if not one["Primary"]}

    def elastic(self, node: str) -> set[str]:
        own = {one["NetworkInterfaceId"] for one in self.interfaces(node)}
        return {address for address, at in self.ec2.elastic.items() if at["NetworkInterfaceId"] in own}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoInstances]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield TwoInstances(monkeypatch)


@pytest.fixture
def run(cloud, tmp_path, capsys):
    file = tmp_path / "site.yaml"
    file.write_text(SITE)

    def do(node: str, **options: Any) -> dict[str, Any]:
        words = ("cloud", "aws", str(file))
        asked = Options(words, "json", node=node, instance=cloud.nodes[node], region=REGION, **options)
        assert host.run(asked) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return do


def test_the_first_node_gets_what_is_the_pair_s_and_the_other_one_leaves_it_there(cloud, run):
    run("gw1")
    run("gw2")

    assert cloud.addresses("gw1") == {LAN, WAN, *PUBLIC}
    assert cloud.elastic("gw1") == set(PUBLIC)
    assert cloud.addresses("gw2") == set()
    checks = [one["SourceDestCheck"] for node in cloud.nodes for one in cloud.interfaces(node)]
    assert checks == [False] * 4


def test_no_elastic_ip_is_made_for_an_address_that_stays_with_the_other_node(cloud, run):
    number = cloud.interfaces("gw1")[1]["NetworkInterfaceId"]
    cloud.ec2.assign_private_ip_addresses(NetworkInterfaceId=number, PrivateIpAddresses=[PUBLIC[0]])

    run("gw2")

    assert cloud.addresses("gw2") == {LAN, WAN, PUBLIC[1]}
    assert cloud.ec2.elastic.keys() == {PUBLIC[1]}


def test_the_master_takes_the_addresses_and_their_elastic_ips_come_along(cloud, run):
    run("gw1"), run("gw2")
    cloud.ec2.calls.clear()

    done = run("gw2", take=True)["done"]

    assert len(done) == 2
    assert all(one.startswith("move ") for one in done)
    assert (cloud.addresses("gw1"), cloud.elastic("gw1")) == (set(), set())
    assert cloud.addresses("gw2") == {LAN, WAN, *PUBLIC}
    assert cloud.elastic("gw2") == set(PUBLIC)
    assert not {"allocate_address", "associate_address", "release_address"} & set(cloud.ec2.calls)
    assert run("gw2", take=True)["done"] == []
    assert run("gw1")["done"] == [], "the other one takes nothing without being told to"


def test_addresses_of_another_network_are_not_the_pair_s(cloud, run):
    """The same private addresses are in many a VPC of an account."""
    other = cloud.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = cloud.ec2.create_subnet(VpcId=other, CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
    cloud.ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress=WAN)
    real = cloud.ec2.holder
    cloud.ec2.holder = lambda address: "" if address == WAN else real(address)

    run("gw1")

    assert WAN in cloud.addresses("gw1")


def test_a_backup_takes_nothing(cloud, tmp_path, monkeypatch, capsys):
    file = tmp_path / "site.yaml"
    file.write_text(SITE)
    here = metadata.Instance(cloud.nodes["gw2"], REGION)
    monkeypatch.setattr(metadata, "instance", lambda: here)
    monkeypatch.setattr(takeover, "missing_address", lambda pair, netns: "10.0.1.100/24 is not on lan0")

    with pytest.raises(takeover.NotMaster, match="not the master of its pair"):
        host.run(Options(("cloud", "aws", str(file)), "json", node="gw2", take=True))
    monkeypatch.setattr(takeover, "missing_address", lambda pair, netns: "")
    assert host.run(Options(("cloud", "aws", str(file)), "json", node="gw2", take=True)) == 0
    assert cloud.addresses("gw2") == {LAN, WAN, *PUBLIC}
