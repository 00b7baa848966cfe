"""`plan` against the layout itself, and what it says to people and programs."""

import json
import os
import pty
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nfcompile import pipeline
from nfcompile.allocation.capacity import Plan, Resize, plan
from nfcompile.ipalloc import Layout
from nfcompile.model.ranges import Range
from support.command import NFCOMPILE, nfcompile, write
from support.sites import BAD, GOOD, ROOT

TOO_MANY = GOOD.replace("203.0.113.0/30", "203.0.113.1")
TOO_LARGE = GOOD.replace("    priority", "    port_range: 1024-1500\n    priority")


def plans(text, growth=None):
    finding = pipeline.check(pipeline.parse(text.encode(), "site.yaml"))
    _, allocations, *_ = finding.checked
    return [plan(allocation, allocation.pool.port_block_size, growth) for allocation in allocations]


def site(pool, rule="allow ip 100.64.0.0/24", unit=128):
    head = "version: 1\ninterfaces: {inside: [lan0], outside: [wan0]}\n"
    head += f"nat_defaults: {{port_block_size: {unit}}}\n"
    return f"{head}acls: {{home: {{10: {rule}}}}}\npools: {{home: {{acl: home, priority: 1, {pool}}}}}\n"


def limits(ports):
    return f"limits_peruser: {{portlimit_tcp: {ports}, portlimit_udp: {ports}}}"


# The figures


def test_every_figure_of_a_pool():
    (found,) = plans(GOOD)

    assert found == Plan(
        "home",
        "cgnat",
        "deterministic",
        subscribers=256,
        addresses=4,
        ports=64512,
        ports_each=896,
        per_address=72,
        blocks_most=1,
        capacity=288,
        capacity_at_limit=None,
        addresses_used=4,
        left_over=0,
        largest=Resize(896, 72, 4, 0),
        larger=(Resize(1792, 36, 8, 4), Resize(3584, 18, 15, 11)),
        missing=0,
        months=None,
    )
    assert found.free == 32


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.integers(1, 60),
    st.sampled_from([128, 256, 1024, 1280, 8064, 64512]),
    st.sampled_from([64, 128]),
)
def test_the_figures_are_those_of_the_layout(sizes, subscribers, ports, unit):
    entries = [Range(0xCB007100 + 16 * n, 0xCB007100 + 16 * n + size - 1) for n, size in enumerate(sizes)]
    spelled = ", ".join(f"203.0.113.{16 * n}-203.0.113.{16 * n + size - 1}" for n, size in enumerate(sizes))
    text = site(
        f"type: cgnat, global_ip: [{spelled}], {limits(ports)}",
        f"allow ip 10.0.0.1-10.0.0.{subscribers}",
        unit,
    )
    finding = pipeline.check(pipeline.parse(text.encode(), "site.yaml"))
    (allocation,) = finding.checked.allocations
    found = plan(allocation, unit)
    layout = Layout(allocation.stock, allocation.subscribers)

    served = [s for s in range(0x0A000001, 0x0A000001 + subscribers) if layout.binding(s)]
    assert len(served) == min(subscribers, found.capacity)
    assert found.addresses_used == len({layout.binding(s).address for s in served})
    assert found.left_over == 64512 - found.per_address * found.ports_each < found.ports_each
    assert found.missing == max(0, -(-(subscribers - found.capacity) // found.per_address))
    for size in (found.largest, *found.larger):
        assert size.per_address == 64512 // size.ports_each
        assert (size.addresses - 1) * size.per_address < subscribers <= size.addresses * size.per_address
        assert size.more == size.addresses - sum(e.size for e in entries)
    assert found.largest.more <= 0
    assert found.largest.ports_each % unit == 0
    bigger = 64512 // (found.largest.ports_each + unit)
    assert bigger * found.addresses < subscribers


@settings(deadline=None)
@given(st.integers(1, 255), st.integers(1, 300))
def test_months_are_those_that_a_walk_counts(subscribers, percent):
    (found,) = plans(
        site(
            f"type: cgnat, global_ip: [203.0.113.0/30], {limits(896)}",
            f"allow ip 10.0.0.1-10.0.0.{subscribers}",
        ),
        percent,
    )

    count, months = subscribers, -1
    while count <= 288 + 1e-6:
        count, months = count * (1 + percent / 100), months + 1
    assert found.months == months


def test_a_dynamic_pool_has_no_use_that_could_be_computed():
    (found,) = plans(site("type: cgnat, allocation: dynamic, global_ip: [203.0.113.0/30]", "allow ip any"), 5)

    assert (found.subscribers, found.ports_each, found.per_address) == (None, 128, 504)
    assert (found.capacity, found.blocks_most, found.capacity_at_limit) == (2016, 8, 252)
    assert (found.addresses_used, found.free, found.months, found.larger) == (None, None, None, ())


def test_a_nat_pool_has_addresses_for_blocks():
    (found,) = plans(site("type: nat, allocation: deterministic, global_ip: [203.0.112.0/23]"))

    assert (found.capacity, found.free, found.addresses_used) == (512, 256, 256)
    assert (found.ports, found.ports_each, found.largest, found.larger) == (None, None, None, ())


def test_static_and_fake_pools_are_listed():
    static, fake = plans((ROOT / "examples/isp/site.yaml").read_text())[::2]

    assert (static.type, static.subscribers, static.capacity, static.free) == ("static", 17, 17, 0)
    assert (fake.type, fake.subscribers, fake.addresses, fake.capacity) == ("fake", 65536, 0, None)


# The verb


def test_text_is_columns_and_sentences():
    ran = nfcompile("plan", ROOT / "examples/isp/site.yaml", "--growth", "2")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert (
        ran.stdout
        == """\
pool         type    subscribers  addresses  ports  per address  capacity  used  free
servers      static           17         17                   1        17  100%     0
business     nat              16         16                   1        16  100%     0
partners     fake          65536
residential  cgnat          4096         64    896           72      4608   89%   512

business: at that growth the pool runs out within a month
business: full: one more subscriber needs one more address
residential: at that growth all fit for 5 months, then the pool runs out
residential: room for 512 more subscribers; beyond that, 1 address per 72 subscribers
residential: blocks of 1792 ports (36 per address) need 114 addresses, 50 more than today
residential: blocks of 3584 ports (18 per address) need 228 addresses, 164 more than today
residential: 896 ports per subscriber are fewer than the 1024-4096 that EcoNAT's manual recommends
"""
    )


def test_json_has_every_figure(here):
    write("site.yaml", GOOD)

    found = json.loads(nfcompile("plan", "--format", "json").stdout)

    assert list(found) == ["pools", "diagnostics"]
    (pool,) = found["pools"]
    assert set(pool) == {*Plan._fields, "free"} - {"pair", "prefix_pairs"}
    assert pool["larger"][0] == {"ports_each": 1792, "per_address": 36, "addresses": 8, "more": 4}
    assert (pool["free"], pool["months"], pool["capacity_at_limit"]) == (32, None, None)


def test_too_few_addresses_are_an_answer_and_an_error(here):
    write("site.yaml", TOO_MANY)

    ran = nfcompile("plan")
    data = json.loads(nfcompile("plan", "--format", "json").stdout)

    assert ran.returncode == 1
    assert "[pool-capacity]" in ran.stderr
    assert "\nhome: 3 addresses missing for 184 of its subscribers\n" in ran.stdout
    assert "\nhome: today's subscribers fit with blocks of up to 128 ports (504 per address)\n" in ran.stdout
    assert (data["pools"][0]["missing"], data["pools"][0]["free"]) == (3, -184)
    assert [one["code"] for one in data["diagnostics"]] == ["pool-capacity"]


def test_a_block_that_no_address_holds(here):
    write("site.yaml", TOO_LARGE)

    ran = nfcompile("plan")

    assert ran.returncode == 1
    assert "\nhome: no block of 896 ports fits into the 477 of an address\n" in ran.stdout


def test_other_faults_leave_nothing_to_plan(here):
    write("site.yaml", BAD)

    ran = nfcompile("plan")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("site.yaml:9:15-17: error: ")


@pytest.mark.parametrize("growth", ["0", "-2", "1001", "nan", "much"])
def test_a_growth_that_is_none_is_2(here, growth):
    write("site.yaml", GOOD)

    ran = nfcompile("plan", f"--growth={growth}")

    assert (ran.returncode, ran.stdout) == (2, "")


def test_a_terminal_gets_the_same_figures(here):
    write("site.yaml", GOOD)
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": "100", "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    plain = subprocess.run([*NFCOMPILE, "plan", "--no-color"], stdout=follower, env=environment, check=False)
    os.close(follower)
    shown = os.read(leader, 1 << 16).decode()
    os.close(leader)

    assert plain.returncode == 0
    assert "\x1b[" not in shown
    assert [word in shown for word in ("home", "cgnat", "256", "288", "89%")] == [True] * 5


def test_plan_of_a_site_without_pools():
    ran = nfcompile("plan", ROOT / "examples/egress/site.yaml")

    assert (ran.returncode, ran.stdout.endswith("site.yaml: no pool is enabled\n")) == (0, True)
