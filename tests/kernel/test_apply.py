"""`apply` and `check --kernel` against a kernel: what changes, what stays, and what is said."""

import json
import os
import pty
import subprocess
import sys

import pytest

from support.bare_gateway import OTHER, REFUSED, SITE, apply, run
from support.lab import cannot

OFFLOADED = """
version: 1
interfaces: {inside: [lan0], outside: [wan0]}
nat_defaults: {flowtable: on}
pools:
  servers: {type: static, priority: 1, global_map: {192.168.0.5: 200.0.0.3}}
"""
FOREIGN = """
table ip kept { chain c { type filter hook forward priority 0; policy accept; counter packets 7 bytes 77 ; }
}
table inet nfcompile { set s { type mark; elements = { 5 } ; }
}
"""


def test_apply_shows_the_change_and_makes_it(gateway):
    ran = apply(gateway)

    assert ran.returncode == 0
    assert "[host-sysctl]" in ran.stderr  # apply sets no sysctl, it says which ones differ
    assert "error" not in ran.stderr
    assert ran.stdout.startswith("--- live table ip nfcompile\n+++ desired table ip nfcompile\n@@")
    assert ran.stdout.endswith("\napplied\n")
    assert gateway.tables() == ["table ip nfcompile"]
    assert "203.0.113.0/30" in gateway.nft("list", "table", "ip", "nfcompile")


def test_apply_is_quiet_when_asked(gateway):
    ran = apply(gateway, "-q")

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert gateway.tables() == ["table ip nfcompile"]


def test_what_is_live_is_not_loaded_again(gateway):
    apply(gateway)
    before = gateway.nft("-a", "list", "ruleset")

    ran = apply(gateway)

    assert (ran.returncode, ran.stdout) == (0, "nothing to change\n")
    assert gateway.nft("-a", "list", "ruleset") == before


def test_dry_run_changes_nothing(gateway):
    assert apply(gateway, "--dry-run").returncode == 0
    assert apply(gateway, "--dry-run", "--exit-code").returncode == 3
    assert gateway.tables() == []

    apply(gateway)

    assert apply(gateway, "--dry-run", "--exit-code").returncode == 0
    other = apply(gateway, "--dry-run", "--exit-code", site=OTHER)
    assert other.returncode == 3
    assert "-\t\t\t100.64.0.0 : 203.0.113.0/30 . 1024-1919," in other.stdout.splitlines()
    assert "+\t\t\t100.64.0.0 : 198.51.100.0/30 . 1024-1919," in other.stdout.splitlines()
    assert other.stdout.endswith("\nnot applied (dry run)\n")
    assert "198.51.100" not in gateway.nft("list", "ruleset")


def test_json_says_the_same(gateway):
    dry = json.loads(apply(gateway, "--dry-run", "--format", "json").stdout)
    done = json.loads(apply(gateway, "--format", "json").stdout)
    again = json.loads(apply(gateway, "--format", "json").stdout)

    assert (dry["changed"], dry["applied"]) == (True, False)
    assert (done["changed"], done["applied"], done["diff"]) == (True, True, dry["diff"])
    nothing = {"added": [], "changed": [], "removed": []}
    assert (done["objects"], done["flushed"]) == (dry["objects"], 0)
    assert {"kind": "map", "name": "blocks_home", "path": "pools.home"} in done["objects"]["added"]
    assert (again["changed"], again["applied"], again["flushed"]) == (False, False, 0)
    assert (again["diff"], again["objects"], again["moved"]) == ([], nothing, [])
    assert {one["code"].partition("-")[0] for one in again["diagnostics"]} == {"host"}


def test_other_tables_are_left_alone(gateway):
    gateway.nft("-f", "-", text=FOREIGN)
    before = gateway.nft("list", "ruleset")

    assert apply(gateway).returncode == 0
    assert apply(gateway, site=OTHER).returncode == 0

    gateway.nft("delete", "table", "ip", "nfcompile")
    assert gateway.nft("list", "ruleset") == before


def test_the_namespace_of_the_caller_is_left_alone(gateway):
    program = "import os, sys; from nfcompile.kernel import netns, nft\n"
    program += f"before = os.readlink('/proc/self/ns/net'); netns.inside({gateway.path!r}, nft.listing)\n"
    program += "netns.in_scratch(lambda: nft.load('table ip scratch'))\n"
    program += "sys.exit(before != os.readlink('/proc/self/ns/net'))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert gateway.tables() == []


def test_a_table_changed_by_hand_is_a_difference_that_apply_takes_back(gateway):
    apply(gateway)
    before = gateway.nft("list", "ruleset")
    gateway.nft("add", "chain", "ip", "nfcompile", "by_hand")

    ran = apply(gateway)

    assert "-\tchain by_hand {" in ran.stdout.splitlines()
    assert gateway.nft("list", "ruleset") == before


def test_what_packets_write_is_no_difference(gateway):
    """The table stands for a compiled one with state in it: a dynamic set, a counter."""
    program = """if 1:
        import sys
        from nfcompile.kernel import apply, netns, nft
        text = '''table ip nfcompile {
            counter c {
            }
            set s {
                type ipv4_addr
                flags dynamic,timeout
                timeout 3600s
            }
        }
        '''
        path = sys.argv[1]
        apply.load_difference(text, lambda line: (), path)
        state = "add element ip nfcompile s { 100.64.0.1, 100.64.0.2 timeout 5s }\\n"
        assert netns.inside(path, lambda: nft.load(state)) == ()
        assert apply.preview(text, lambda line: (), path).diff == []
        assert apply.preview(text.replace("3600", "60"), lambda line: (), path).diff != []
    """
    ran = subprocess.run(
        [sys.executable, "-c", program, gateway.path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "100.64.0.1" in gateway.nft("list", "ruleset")


def test_a_helper_that_the_kernel_lacks_is_said_at_its_line_and_the_old_ruleset_stays(gateway):
    apply(gateway)
    before = gateway.nft("-a", "list", "ruleset")

    ran = apply(gateway, site=REFUSED)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert "the running kernel has no 'rtsp' helper for tcp [helper-missing]" in ran.stderr
    assert "rtsp: on" in ran.stderr
    assert gateway.nft("-a", "list", "ruleset") == before


def test_a_flowtable_that_cannot_be_is_said_at_its_line_and_the_old_ruleset_stays(gateway):
    """Neither kernel: this one may have no flowtables, and the gateway has no interfaces."""
    apply(gateway)
    before = gateway.nft("-a", "list", "ruleset")

    ran = apply(gateway, site=OFFLOADED)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("[flowtable-missing]") == 1
    assert "flowtable: on" in ran.stderr
    assert gateway.nft("-a", "list", "ruleset") == before


def test_check_asks_the_kernel_when_told_to(gateway):
    """`gateway` is not used: it says whether namespaces can be made."""
    assert run("check", "-", "--kernel").returncode == 0
    assert run("check", "-", site=REFUSED).returncode == 0
    refused = run("check", "-", "--kernel", "--format", "json", site=REFUSED)
    assert refused.returncode == 1
    codes = [one["code"] for one in json.loads(refused.stdout)["diagnostics"]]
    assert "helper-missing" in codes


def test_check_asks_the_kernel_without_any_privilege(gateway):
    """In a user namespace that does not own its network namespace, as an ordinary user's session."""
    assert run("check", "-", "--kernel", before=("unshare", "-Ur")).returncode == 0


def test_apply_without_privilege_is_one_sentence(gateway):
    ran = run("apply", "-", before=("unshare", "-Ur"))

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "nfcompile: error: permission denied reading the nftables ruleset; run as root or with "
        "CAP_NET_ADMIN in the network namespace\n"
    )


def test_a_namespace_is_known_by_its_name(gateway):
    name = f"nfcompile-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "attach", name, str(gateway.process.pid)], check=False)
    if made.returncode:
        cannot("no namespace can be given a name here (/run/netns)")
    try:
        assert run("apply", "-", "--netns", name).returncode == 0
        assert gateway.tables() == ["table ip nfcompile"]
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def answered(gateway, site, answer, *arguments):
    """Apply with a terminal as standard input, and type an answer."""
    leader, follower = pty.openpty()
    os.write(leader, answer)
    ran = run("apply", site, "--netns", gateway.path, *arguments, stdin=follower, input=None)
    os.close(follower)
    os.close(leader)
    return ran


def test_a_person_is_asked(gateway, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text(SITE)

    refused = answered(gateway, str(site), b"n\n")
    tables = gateway.tables()
    agreed = answered(gateway, str(site), b"y\n")

    assert (refused.returncode, tables) == (1, [])
    assert refused.stdout.endswith("\nnot applied\n")
    assert refused.stderr.startswith("load this into the kernel? [y/N] ")
    assert agreed.returncode == 0
    assert gateway.tables() == ["table ip nfcompile"]


@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
def test_a_person_is_not_asked(gateway, tmp_path, option):
    site = tmp_path / "site.yaml"
    site.write_text(SITE)

    ran = answered(gateway, str(site), b"", option)

    assert ran.returncode == 0
    assert "error" not in ran.stderr
