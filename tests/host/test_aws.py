"""`host cloud aws` against moto, a stand-in of AWS: what is missing is done, once, and undone if it fails."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import boto3
import pytest
from moto import mock_aws

from nfcompile.cli import host
from nfcompile.cli.options import Options
from nfcompile.host import aws, metadata
from nfcompile.kernel import KernelError

REGION = "eu-central-1"
SITE = """version: 1
site: egress-1
interfaces: {inside: [eth1], outside: [eth0]}
gateway: {primary_ip: PRIMARY, secondary_ips: [172.32.0.201-172.32.0.203]}
dnat: {web: {protocol: tcp, dst_port: 8001, dnat_port: 8080, mark: 10}}
snat: {web: {mark: 10, snat_ip: 172.32.0.201-172.32.0.203}}
"""


class Remembering:
    """moto's EC2, which forgets for which private address an Elastic IP is, and names the primary one."""

    def __init__(self) -> None:
        self.real: Any = boto3.client("ec2", region_name=REGION)
        self.private: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def associate_address(self, **arguments: str) -> Any:
        self.private[arguments["AllocationId"]] = arguments["PrivateIpAddress"]
        return self.real.associate_address(**arguments)

    def describe_addresses(self, **arguments: Any) -> Any:
        answer = self.real.describe_addresses(**arguments)
        for one in answer["Addresses"]:
            if "PrivateIpAddress" in one:
                one["PrivateIpAddress"] = self.private[one["AllocationId"]]
        return answer


class Cloud:
    """An instance with one interface in 172.32.0.0/24."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str = "m5.large") -> None:
        self.ec2: Any = Remembering()
        monkeypatch.setattr(aws, "client", lambda region: self.ec2)
        vpc = self.ec2.create_vpc(CidrBlock="172.32.0.0/16")["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="172.32.0.0/24")["Subnet"]["SubnetId"]
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        made = self.ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, InstanceType=kind, SubnetId=subnet
        )
        self.instance = made["Instances"][0]["InstanceId"]

    @property
    def interface(self) -> dict[str, Any]:
        found = self.ec2.describe_instances(InstanceIds=[self.instance])
        one: dict[str, Any] = found["Reservations"][0]["Instances"][0]["NetworkInterfaces"][0]
        return one

    @property
    def state(self) -> tuple[set[str], dict[str, str], bool]:
        """Secondary addresses, Elastic IPs by private address, the source/destination check."""
        private = {
            one["PrivateIpAddress"] for one in self.interface["PrivateIpAddresses"] if not one["Primary"]
        }
        elastic = {
            one.get("PrivateIpAddress", "-"): one["PublicIp"]
            for one in self.ec2.describe_addresses()["Addresses"]
        }
        return private, elastic, self.interface["SourceDestCheck"]

    def site(self, text: str = SITE) -> str:
        return text.replace("PRIMARY", self.interface["PrivateIpAddress"])


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Cloud]]:
    """Makes an instance of a type, in an account of nobody's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield partial(Cloud, monkeypatch)


def run(tmp_path, there: Cloud, capsys, text: str = SITE, **options: Any) -> tuple[int, dict[str, Any]]:
    file = tmp_path / "site.yaml"
    file.write_text(there.site(text))
    words = ("cloud", "aws", str(file))
    status = host.run(Options(words, "json", instance=there.instance, region=REGION, **options))
    return status, json.loads(capsys.readouterr().out)


ADDRESSES = ("172.32.0.201", "172.32.0.202", "172.32.0.203")


def test_steps_2_and_5_of_the_seed(account, tmp_path, capsys):
    there = account()

    status, answer = run(tmp_path, there, capsys)

    private, elastic, checks = there.state
    assert (status, private, checks) == (0, set(ADDRESSES), False)
    assert answer["elastic_ips"] == elastic
    assert set(elastic) == set(ADDRESSES)
    assert len(set(elastic.values())) == 3


def test_once_more_is_nothing(account, tmp_path, capsys):
    there = account()
    run(tmp_path, there, capsys)
    before = there.state

    assert run(tmp_path, there, capsys) == (0, {"done": [], "elastic_ips": {}, "diagnostics": []})

    assert there.state == before


def test_only_what_is_missing_is_done(account, tmp_path, capsys):
    there = account()
    number = there.interface["NetworkInterfaceId"]
    there.ec2.assign_private_ip_addresses(NetworkInterfaceId=number, PrivateIpAddresses=[ADDRESSES[1]])

    _, answer = run(tmp_path, there, capsys)

    assert answer["done"][0] == f"assign {ADDRESSES[0]}, {ADDRESSES[2]} to {number}"
    assert there.state[0] == set(ADDRESSES)


def test_a_dry_run_says_what_it_would_do(account, tmp_path, capsys):
    there = account()
    before = there.state

    status, answer = run(tmp_path, there, capsys, dry_run=True)

    assert (status, len(answer["done"]), answer["elastic_ips"]) == (0, 5, {})
    assert there.state == before


def test_a_small_instance_is_refused_at_its_line(account, tmp_path, capsys):
    there = account("t2.micro")

    status, answer = run(tmp_path, there, capsys)

    (one,) = answer["diagnostics"]
    assert (status, one["code"], one["path"], one["line"]) == (1, "cloud-limit", "gateway.secondary_ips", 4)
    assert one["message"] == "'t2.micro' allows 1 secondary addresses, not 3"
    assert there.state == (set(), {}, True)


def test_the_interface_is_told_by_its_primary_address(account, tmp_path, capsys):
    there = account()

    status, answer = run(tmp_path, there, capsys, SITE.replace("PRIMARY", "172.32.0.9"))

    (one,) = answer["diagnostics"]
    assert (status, one["code"], one["path"]) == (1, "cloud-primary", "gateway.primary_ip")
    assert there.interface["PrivateIpAddress"] in one["message"]


def test_without_a_primary_address_it_is_the_only_interface(account, tmp_path, capsys):
    there = account()

    assert run(tmp_path, there, capsys, SITE.replace("primary_ip: PRIMARY, ", ""))[0] == 0

    assert there.state[0] == set(ADDRESSES)


@pytest.mark.parametrize(
    "failing", ["allocate_address", "associate_address", "modify_network_interface_attribute"]
)
@pytest.mark.parametrize("after", [0, 1])
def test_what_fails_half_way_is_undone(account, failing, after):
    there = account()
    before = there.state
    asked = aws.CloudWanted("", ADDRESSES, "egress-1")
    todo = aws.steps(asked, aws.observe(there.ec2, there.instance, asked))

    class Failing:
        """EC2 whose call fails the second time, or at once."""

        left = after if failing != "modify_network_interface_attribute" else 0

        def __getattr__(self, name: str) -> Any:
            if name != failing:
                return getattr(there.ec2, name)
            if self.left:
                self.left -= 1
                return getattr(there.ec2, name)
            return lambda **arguments: there.ec2.describe_instances(InstanceIds=["i-none"])

    with pytest.raises(KernelError, match="the cloud refused, and what had been done is undone"):
        aws.bring(Failing(), todo)

    assert there.state == before


def test_an_unknown_instance_is_one_sentence(account):
    with pytest.raises(KernelError, match="the cloud does not answer"):
        aws.observe(boto3.client("ec2", region_name=REGION), "i-0123", aws.CloudWanted("", (), ""))


def test_a_machine_of_ones_own_asks_no_service(monkeypatch, tmp_path):
    monkeypatch.setattr(metadata, "VENDOR", str(tmp_path / "none"))
    monkeypatch.setattr(metadata, "_get", lambda path: pytest.fail("something was sent"))

    assert metadata.observe("lo") is None
    with pytest.raises(KernelError, match="name one with --instance and --region"):
        metadata.instance()
