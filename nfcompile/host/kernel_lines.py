"""Modules and settings of a plan against those of a machine's kernel."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.host.lines import DIFFERS, MISSING, Finding, HostLine, faulty, good
from nfcompile.host.machine import Machine, larger
from nfcompile.host.plan import HostPlan, Module, Sysctl
from nfcompile.host.steps import LoadModule, SetSysctl

FORWARDING = "net.ipv4.ip_forward"
CONNTRACK = "net.netfilter."


def findings(plan: HostPlan, machine: Machine) -> Iterator[Finding]:
    """What the kernel has of a plan; what only the whole machine has is left out where a namespace is
    asked."""
    if machine.daemons is not None:
        yield from (_module(one, machine) for one in plan.modules)
    for wanted in plan.sysctls:
        if not (wanted.machine and machine.daemons is None):
            yield from _sysctl(wanted, machine)


def _module(wanted: Module, machine: Machine) -> Finding:
    """A module of which the kernel has no file is built in, or no module of this kernel at all. The half that
    the kernel has loaded by itself says that the other one is a module, too."""
    code, what = "host-module", f"module {wanted.name}"
    half = bool(wanted.first_half) and wanted.first_half in machine.modules
    known = wanted.name in machine.loadable or half
    if wanted.name in machine.modules:
        return good(code, what, "loaded", wanted.path)
    if not known or (wanted.name == "nf_conntrack" and machine.tracks):
        return good(code, what, "not a module of this kernel", wanted.path)
    line = HostLine(code, MISSING, what, "not loaded", "loaded", "", wanted.path)
    return faulty(line, LoadModule(wanted.name))


def _sysctl(wanted: Sysctl, machine: Machine) -> Iterator[Finding]:
    """Nothing about a setting that this kernel does not have, or that is another namespace's."""
    code = "host-sysctl"
    seen = machine.sysctls.get(wanted.name)
    should = f"{wanted.value} or more" if wanted.at_least else str(wanted.value)
    if seen is None:
        if wanted.name.startswith(CONNTRACK) and not machine.tracks:
            mend = f"modprobe nf_conntrack && sysctl -w {wanted.name}={wanted.value}"
            is_ = "nf_conntrack is not loaded"
            yield faulty(HostLine(code, MISSING, wanted.name, is_, should, mend, wanted.path))
        return
    is_value = max([seen.value, *(_value(machine, name) for name in larger(wanted.name))])
    if _does(wanted, is_value):
        yield good(code, wanted.name, str(is_value), wanted.path)
    elif seen.writable:
        beside = machine.forwarding if wanted.name == FORWARDING else ()
        step = SetSysctl(wanted.name, seen.value, wanted.value, beside)
        yield faulty(HostLine(code, DIFFERS, wanted.name, str(is_value), should, "", wanted.path), step)


def _value(machine: Machine, name: str) -> int:
    seen = machine.sysctls.get(name)
    return seen.value if seen else 0


def _does(wanted: Sysctl, value: int) -> bool:
    enough = wanted.at_least and value >= wanted.value
    return enough or value == wanted.value or value in wanted.unless
