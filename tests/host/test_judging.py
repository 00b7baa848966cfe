"""A plan against machines that were never there: what is said of each thing, and which step mends it."""

import pytest

from nfcompile.diagnostics import Diagnostic
from nfcompile.host import warnings
from nfcompile.host.daemons import Daemons
from nfcompile.host.judging import judge
from nfcompile.host.lines import Finding
from nfcompile.host.lldp import LldpSeen
from nfcompile.host.machine import AddressSeen, Machine, RouteSeen, SysctlSeen
from nfcompile.host.plan import DefaultRoute, HostPlan, Link, Lldp, LocalRoute, LogReceiver, Module, Sysctl
from nfcompile.host.steps import AddLocalRoute, LoadModule, SetSysctl, WriteLldp
from nfcompile.kernel import network
from nfcompile.model.parse import address, addresses

NOTHING = HostPlan(
    (), (), (), DefaultRoute(("wan0",), ("interfaces", "outside")), *((),) * 5, None, None, None
)
QUIET = Daemons(LldpSeen(True, True), True, True, True, True)
BARE = Machine({}, (), (), {}, (), "wan0", {}, (), True, frozenset(), frozenset(), QUIET)
HERE = ("pools",)


def found(plan: HostPlan, machine: Machine, code: str) -> list[Finding]:
    return [one for one in judge(plan, machine) if one.line.code == code]


def states(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.line.state, one.line.is_) for one in findings]


@pytest.mark.parametrize(
    ("loaded", "loadable", "state"),
    [
        ({"nf_conntrack_ftp"}, set(), "missing"),
        ({"nf_conntrack_ftp", "nf_nat_ftp"}, set(), "ok"),
        (set(), {"nf_nat_ftp"}, "missing"),
        (set(), set(), "ok"),
        ({"veth"}, set(), "ok"),
    ],
    ids=["one half", "both", "a file that is not loaded", "built in", "another module"],
)
def test_half_a_helper_is_seen(loaded, loadable, state):
    plan = NOTHING._replace(modules=(Module("nf_nat_ftp", HERE, first_half="nf_conntrack_ftp"),))
    machine = BARE._replace(modules=frozenset(loaded), loadable=frozenset(loadable))

    (one,) = found(plan, machine, "host-module")

    assert one.line.state == state
    assert one.steps == ((LoadModule("nf_nat_ftp"),) if state == "missing" else ())
    assert found(plan, machine._replace(daemons=None), "host-module") == []  # not a namespace's


SIZE = Sysctl("net.netfilter.nf_conntrack_max", 4096, HERE, at_least=True, machine=True)


@pytest.mark.parametrize(
    ("setting", "seen", "expected"),
    [
        (SIZE, SysctlSeen(4095, True), ("differs", "4095")),
        (SIZE, SysctlSeen(99999, True), ("ok", "99999")),
        (SIZE, SysctlSeen(4095, False), None),
        (SIZE, None, None),
        (Sysctl("net.ipv4.ip_forward", 1, HERE), SysctlSeen(0, True), ("differs", "0")),
        (Sysctl("net.netfilter.nf_conntrack_events", 1, HERE, unless=(2,)), SysctlSeen(2, True), ("ok", "2")),
    ],
    ids=["too small", "larger", "another namespace's", "not in this kernel", "other", "as good"],
)
def test_settings(setting, seen, expected):
    machine = BARE._replace(sysctls={} if seen is None else {setting.name: seen})

    findings = found(NOTHING._replace(sysctls=(setting,)), machine, "host-sysctl")

    assert states(findings) == ([] if expected is None else [expected])


def test_a_size_is_not_a_namespaces():
    machine = BARE._replace(sysctls={SIZE.name: SysctlSeen(1, True)}, daemons=None)

    assert found(NOTHING._replace(sysctls=(SIZE,)), machine, "host-sysctl") == []


def test_settings_of_connection_tracking_come_with_its_module():
    setting = Sysctl("net.netfilter.nf_conntrack_icmp_timeout", 41, HERE)

    (one,) = found(NOTHING._replace(sysctls=(setting,)), BARE._replace(tracks=False), "host-sysctl")

    assert (one.line.state, one.steps) == ("missing", ())
    assert one.line.mend == f"modprobe nf_conntrack && sysctl -w {setting.name}=41"


@pytest.mark.parametrize(
    ("own", "all_", "state"), [(1, 0, "differs"), (0, 1, "differs"), (0, 0, "ok"), (1, 2, "ok")]
)
def test_the_larger_rp_filter_counts(own, all_, state):
    setting = Sysctl("net.ipv4.conf.lan0.rp_filter", 2, HERE, unless=(0,))
    seen = {setting.name: SysctlSeen(own, True), "net.ipv4.conf.all.rp_filter": SysctlSeen(all_, True)}

    (one,) = found(NOTHING._replace(sysctls=(setting,)), BARE._replace(sysctls=seen), "host-sysctl")

    assert one.line.state == state


def test_forwarding_remembers_what_changes_with_it():
    setting = Sysctl("net.ipv4.ip_forward", 1, HERE)
    beside = (("net.ipv4.conf.all.accept_redirects", 1),)
    machine = BARE._replace(sysctls={setting.name: SysctlSeen(0, True)}, forwarding=beside)

    (one,) = found(NOTHING._replace(sysctls=(setting,)), machine, "host-sysctl")

    assert one.steps == (SetSysctl("net.ipv4.ip_forward", 0, 1, beside),)


BLOCK = addresses("203.0.113.0/30")


@pytest.mark.parametrize(
    ("routes", "own", "state"),
    [
        ((), (), "missing"),
        ((RouteSeen(addresses("203.0.113.0/29"), network.LOCAL, "lo"),), (), "ok"),
        ((RouteSeen(addresses("203.0.113.0/24"), network.BLACKHOLE, ""),), (), "ok"),
        ((RouteSeen(addresses("203.0.113.0/24"), network.UNICAST, "wan0"),), (), "missing"),
        ((RouteSeen(addresses("203.0.113.0/31"), network.LOCAL, "lo"),), ("203.0.113.2",), "missing"),
        (
            (RouteSeen(addresses("203.0.113.0/31"), network.LOCAL, "lo"),),
            ("203.0.113.2", "203.0.113.3"),
            "ok",
        ),
    ],
    ids=["none", "local", "null", "on the link", "a hole", "addresses and a route"],
)
def test_routes_of_global_addresses(routes, own, state):
    plan = NOTHING._replace(local_routes=(LocalRoute(BLOCK, HERE),))
    seen = tuple(AddressSeen(address(text), "wan0") for text in own)

    (one,) = found(plan, BARE._replace(routes=routes, addresses=seen), "host-route")

    assert one.line.state == state
    assert one.steps == ((AddLocalRoute(*BLOCK),) if state == "missing" else ())


def test_the_internet_is_reached_through_the_outside():
    assert states(found(NOTHING, BARE, "host-default-route")) == [("ok", "through wan0")]
    other = BARE._replace(way_out="lan0")
    assert states(found(NOTHING, other, "host-default-route")) == [("differs", "through lan0")]
    assert states(found(NOTHING, BARE._replace(way_out=""), "host-default-route")) == [("missing", "none")]


def test_interfaces():
    plan = NOTHING._replace(links=(Link("lan0", HERE), Link("lan0.102", HERE, "lan0", 102)))
    machine = BARE._replace(
        links={"lan0": network.HostLink(2, 1500, False), "eth0": network.HostLink(3, 1500, True)}
    )

    down, missing = found(plan, machine, "host-interface")

    assert (down.line.state, down.line.mend, down.steps) == ("differs", "ip link set lan0 up", ())
    assert missing.line.is_ == "no such interface; there are: eth0, lan0"
    make = "ip link add link lan0 name lan0.102 type vlan id 102 && ip link set lan0.102 up"
    assert (missing.line.mend, missing.steps) == (make, ())


NAMED = Lldp(True, "gw", ("lan0", "wan0"), HERE)
TEXT = 'configure system hostname "gw"\n'


@pytest.mark.parametrize(
    ("wanted", "seen", "expected", "steps"),
    [
        (NAMED, LldpSeen(True, True, "gw"), [("ok", "runs"), ("ok", "gw")], ()),
        (NAMED, LldpSeen(True, True, "vm"), [("ok", "runs"), ("differs", "vm")], (WriteLldp(None, TEXT),)),
        (
            *(NAMED, LldpSeen(True, False)),
            [("missing", "none runs"), ("missing", "not announced")],
            (WriteLldp(None, TEXT),),
        ),
        (
            NAMED,
            LldpSeen(True, False, file=TEXT),
            [("missing", "none runs"), ("missing", "not announced")],
            (),
        ),
        (NAMED, LldpSeen(), [("missing", "none runs"), ("missing", "not announced")], ()),
        (NAMED._replace(hostname=""), LldpSeen(True, True, "vm"), [("ok", "runs")], ()),
        (NAMED._replace(on=False), LldpSeen(), [], ()),
        (
            NAMED._replace(on=False),
            LldpSeen(True, True, "vm", frozenset(("lan0", "wan0"))),
            [("ok", "off")],
            (),
        ),
        (
            *(NAMED._replace(on=False), LldpSeen(True, True, "vm", frozenset(("lan0",)))),
            [("differs", "on at wan0")],
            (WriteLldp(None, "configure ports lan0,wan0 lldp status disabled\n"),),
        ),
    ],
)
def test_lldp(wanted, seen, expected, steps):
    findings = found(
        NOTHING._replace(lldp=wanted), BARE._replace(daemons=QUIET._replace(lldp=seen)), "host-lldp"
    )

    assert states(findings) == expected
    assert tuple(step for one in findings for step in one.steps) == steps


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        (True, ("ok", "a daemon listens")),
        (False, ("missing", "no daemon listens")),
        (None, ("missing", "only root can see it")),
    ],
)
def test_logs(heard, expected):
    plan = NOTHING._replace(log_daemon=LogReceiver(True, True, HERE))
    daemons = QUIET._replace(assignments_heard=heard, connections_heard=heard)

    assert states(found(plan, BARE._replace(daemons=daemons), "host-log")) == [expected, expected]


def test_ports_that_subscribers_open():
    plan = NOTHING._replace(opens_ports=HERE)
    answers = BARE._replace(daemons=QUIET._replace(opens_ports=True))

    assert states(found(plan, answers, "host-pcp")) == [("ok", "nfcompile-pcp answers")]
    assert states(found(plan, BARE, "host-pcp")) == [("missing", "no daemon answers")]
    assert states(found(NOTHING, BARE, "host-pcp")) == []


def test_clock_and_boot():
    wrong = BARE._replace(daemons=QUIET._replace(clock_right=False, boots=False))

    assert states(found(NOTHING, BARE, "host-clock")) == [("ok", "kept right")]
    assert states(found(NOTHING, wrong, "host-clock")) == [("differs", "not synchronised")]
    assert states(found(NOTHING, BARE, "host-boot")) == [("ok", "nfcompile.service")]
    assert states(found(NOTHING, wrong, "host-boot")) == [("missing", "no unit is enabled")]
    namespace = wrong._replace(daemons=None)
    assert [one.line.code for one in judge(NOTHING, namespace)] == ["host-default-route"]


def test_one_warning_for_each_code():
    settings = tuple(Sysctl(f"net.ipv4.s{number}", 1, (*HERE, number)) for number in range(6))
    seen = {one.name: SysctlSeen(0, True) for one in settings}
    lines = [one.line for one in judge(NOTHING._replace(sysctls=settings[:2]), BARE._replace(sysctls=seen))]

    (one,) = warnings.told(line for line in lines if line.state != "ok")

    assert one == Diagnostic(
        "host-sysctl",
        "net.ipv4.s0: 0, should be: 1; net.ipv4.s1: 0, should be: 1",
        (*HERE, 0),
        key=True,
        hint="sysctl -w net.ipv4.s0=1 && sysctl -w net.ipv4.s1=1",
        severity="warning",
    )
    many = judge(NOTHING._replace(sysctls=settings), BARE._replace(sysctls=seen))
    (one,) = warnings.told(found.line for found in many if found.line.state != "ok")
    assert one.message.endswith("; and 2 more")
    assert one.hint == "'nfcompile host check' names them all, and what mends them"
