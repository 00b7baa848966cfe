"""Aviatrix policies out of Terraform's JSON and out of .tf, with the line of every attribute."""

import json

import pytest

from support.imported import fates, imported, reasons, site_of

TF = """# policies of one gateway
variable "nat_ip" {
  default = "10.0.0.38"
}
resource "aviatrix_gateway_dnat" "in" {
  gw_name = "gw-1"
  dnat_policy {
    src_cidr          = "198.51.100.0/24"
    dst_cidr          = ""
    dst_port          = 18001
    protocol          = "tcp"
    mark              = "66000"
    dnat_ips          = "10.9.0.75"
    dnat_port         = 8001
    interface         = "eth0"
    connection        = "None"
    apply_route_entry = false
  }
}
resource "aviatrix_gateway_snat" "out" {
  gw_name   = "gw-1"
  snat_mode = "customized_snat"
  snat_policy {
    protocol = "tcp"
    mark     = "66000"
    snat_ips = var.nat_ip
  }
  snat_policy {
    src_cidr   = "10.9.0.0/16"
    protocol   = "all"
    connection = "branch@site2cloud"
    snat_ips   = "10.0.0.41 - 10.0.0.44"
  }
  snat_policy {
    src_cidr = aws_vpc.main.cidr_block
    snat_ips = "10.0.0.45"
  }
  dynamic "snat_policy" {
    for_each = var.more
    content {
      src_cidr = snat_policy.value
      snat_ips = "10.0.0.46"
    }
  }
}
"""

DNAT = {
    "interface": "eth0",
    "protocol": "tcp",
    "src_cidr": "198.51.100.0/24",
    "dst_port": 18001,
    "mark": 66000,
    "dnat_ip": "10.9.0.75",
    "dnat_port": 8001,
}


def test_policies_with_literals():
    found = imported("aviatrix", TF)
    site = site_of(found)

    assert site["site"] == "gw-1"
    assert site["interfaces"] == {
        "inside": ["eth0"],
        "outside": ["eth0"],
        "inside_networks": ["0.0.0.0/0"],
    }
    assert site["dnat"] == {"in-1": DNAT}
    assert site["snat"] == {
        "out-1": {"interface": "eth0", "protocol": "tcp", "mark": 66000, "snat_ip": "10.0.0.38"}
    }


def test_what_only_terraform_or_the_controller_knows_is_named():
    found = imported("aviatrix", TF)
    codes = {int(one.split()[0]): one.split()[2] for one in fates(found) if "not-translated" in one}

    assert codes[28] == "needs-connection"
    assert codes[34] == "not-literal"
    assert codes[38] == "not-literal"
    assert "aws_vpc.main.cidr_block" in reasons(found)[35]
    assert "--map-connection 'branch@site2cloud=IF'" in reasons(found)[28]
    assert reasons(found)[17] == "routes of the cloud, not the gateway's"
    assert sum(found.account.totals.values()) == TF.count("\n")


def test_a_connection_is_mapped_to_its_interface():
    found = imported("aviatrix", TF, connections={"branch@site2cloud": "tun5"})

    assert site_of(found)["snat"]["out-2"] == {
        "interface": "tun5",
        "src_cidr": "10.9.0.0/16",
        "snat_ip": "10.0.0.41-10.0.0.44",
    }


def test_variables_of_a_tfvars_file_go_before_defaults():
    from nfcompile.importers.importing import import_files
    from nfcompile.importers.reading import ImportOptions

    files = [("main.tf", TF.encode()), ("a.tfvars", b'nat_ip = "10.0.0.99"\n')]

    found = import_files("aviatrix", files, ImportOptions())

    assert site_of(found)["snat"]["out-1"]["snat_ip"] == "10.0.0.99"


POLICY = {
    "src_cidr": "198.51.100.0/24",
    "dst_cidr": "",
    "dst_port": "18001",
    "protocol": "tcp",
    "mark": "66000",
    "dnat_ips": "10.9.0.75",
    "dnat_port": "8001",
    "interface": "eth0",
    "connection": "None",
    "exclude_rtb": "",
}


def resource(gateway="gw-1"):
    values = {"gw_name": gateway, "dnat_policy": [POLICY]}
    return {"type": "aviatrix_gateway_dnat", "name": "in", "values": values}


@pytest.mark.parametrize(
    "document",
    [
        {"values": {"root_module": {"resources": [resource()]}}},
        {"values": {"root_module": {"child_modules": [{"resources": [resource()]}]}}},
        {"planned_values": {"root_module": {"resources": [resource()]}}, "configuration": {"x": [1, None]}},
        {
            "version": 4,
            "resources": [
                {
                    "type": "aviatrix_gateway_dnat",
                    "name": "in",
                    "instances": [{"attributes": resource()["values"]}],
                }
            ],
        },
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_of_states_and_plans(document, indent):
    found = imported("aviatrix", json.dumps(document, indent=indent))

    assert site_of(found)["dnat"] == {"in-1": DNAT}
    assert found.account.complete


def test_json_lines_have_their_own_fates():
    text = json.dumps({"values": {"root_module": {"resources": [resource()]}}}, indent=1)
    line = next(number for number, one in enumerate(text.split("\n"), 1) if "dst_port" in one)

    found = imported("aviatrix", text)

    assert f"{line} translated dnat.in-1" in fates(found)
    assert found.account.totals["translated"] == len(POLICY) + 1  # without exclude_rtb, with both braces


def test_one_site_is_one_gateway():
    text = json.dumps({"values": {"root_module": {"resources": [resource("a"), resource("b")]}}}, indent=1)

    first, second = imported("aviatrix", text), imported("aviatrix", text, gateway="b")

    assert site_of(first)["site"] == "a"
    assert site_of(second)["site"] == "b"
    assert {entry.code for entry in first.account.entries if entry.fate == "not-translated"} == {
        "other-gateway"
    }
    assert any(guess.option == "--gateway" for guess in first.account.guesses)


def test_the_switch_of_a_gateway_is_masquerading():
    found = imported(
        "aviatrix",
        'resource "aviatrix_spoke_gateway" "a" {\n  gw_name = "a"\n  single_ip_snat = true\n}\n',
    )

    assert list(site_of(found)["snat"].values()) == [{"interface": "eth0", "snat_ip": "interface"}]


@pytest.mark.parametrize("text", ['{"values": ', "{]", '{"a": 1} x', "resource {", '{"a": "\\x"}', "[" * 500])
def test_broken_files_are_unknown(text):
    found = imported("aviatrix", text)

    assert found.account.totals["unknown"] == 1
