"""AWS's instance metadata, version 2, from a stand-in: a token first, then the questions."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from nfcompile.host import metadata
from nfcompile.host.daemons import Daemons
from nfcompile.host.judging import judge
from nfcompile.host.lldp import LldpSeen
from nfcompile.host.machine import Machine
from nfcompile.host.metadata import CloudSeen, Instance
from nfcompile.host.plan import Address, DefaultRoute, HostPlan
from nfcompile.model.parse import address

HARDWARE = "02:00:00:00:00:01"
ANSWERS = {
    f"/latest/meta-data/network/interfaces/macs/{HARDWARE}/local-ipv4s": "172.32.0.10\n172.32.0.201\n",
    "/latest/dynamic/instance-identity/document": json.dumps({"instanceId": "i-1", "region": "eu-central-1"}),
}


class Service(BaseHTTPRequestHandler):
    """Answers only who has asked for a token, as version 2 wants it."""

    def do_PUT(self) -> None:
        asked = (
            self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "60"
        )
        self._say(200 if asked else 400, "token")

    def do_GET(self) -> None:
        known = self.headers["X-aws-ec2-metadata-token"] == "token" and self.path in ANSWERS
        self._say(200 if known else 401, ANSWERS.get(self.path, ""))

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def instance(monkeypatch, tmp_path) -> Iterator[None]:
    """A machine whose firmware says Amazon, with an interface wan0."""
    (tmp_path / "vendor").write_text("Amazon EC2\n")
    (tmp_path / "wan0").write_text(f"{HARDWARE}\n")
    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(metadata, "VENDOR", str(tmp_path / "vendor"))
    monkeypatch.setattr(metadata, "HARDWARE_ADDRESS", str(tmp_path / "{}"))
    monkeypatch.setattr(metadata, "SERVICE", f"http://127.0.0.1:{server.server_port}/latest/")
    yield
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_instance_is_asked_what_it_has(instance):
    assert metadata.observe("wan0") == CloudSeen(("172.32.0.10", "172.32.0.201"))
    assert metadata.instance() == Instance("i-1", "eu-central-1")


def test_an_interface_that_the_cloud_does_not_know_is_not_judged(instance, tmp_path):
    (tmp_path / "wan0").write_text("02:00:00:00:00:99\n")

    assert metadata.observe("wan0") is None
    assert metadata.observe("wan9") is None


def test_what_the_cloud_has_not_assigned_is_missing():
    path = ("gateway", "secondary_ips", 0)
    wanted = tuple(Address(address(f"172.32.0.{number}"), "wan0", path) for number in (201, 202))
    route = DefaultRoute(("wan0",), ("interfaces", "outside"))
    plan = HostPlan((), wanted, (), route, *((),) * 5, None, None, None)
    daemons = Daemons(LldpSeen(), True, True, True, True, CloudSeen(("172.32.0.201",)))
    machine = Machine({}, (), (), {}, (), "wan0", {}, (), True, frozenset(), frozenset(), daemons)

    lines = [one.line for one in judge(plan, machine) if one.line.code == "host-cloud"]

    assert [(line.what, line.state, line.mend) for line in lines] == [
        ("172.32.0.201 in the cloud", "ok", ""),
        ("172.32.0.202 in the cloud", "missing", "nfcompile host cloud aws"),
    ]
