"""A plan against a machine: for each thing what is, what should be, and what mends it.

The lines of `host check`, those of which `apply` warns, and the steps of `host apply` are the same findings.
"""

from __future__ import annotations

from nfcompile.host import daemon_lines, kernel_lines, network_lines
from nfcompile.host.lines import Finding
from nfcompile.host.machine import Machine, observe
from nfcompile.host.plan import HostPlan


def judged(plan: HostPlan, namespace: str | None) -> tuple[Finding, ...]:
    """Every finding about this machine or, with a name, about that network namespace."""
    return judge(plan, observe(plan, namespace))


def judge(plan: HostPlan, machine: Machine) -> tuple[Finding, ...]:
    """The same for a machine that has been read. What must be done first comes first: settings of connection
    tracking come with a module, and forwarding is the last of them."""
    daemons = () if machine.daemons is None else daemon_lines.findings(plan, machine.daemons)
    kernel = tuple(kernel_lines.findings(plan, machine))
    modules = tuple(one for one in kernel if one.line.code == "host-module")
    return (*modules, *network_lines.findings(plan, machine), *kernel[len(modules) :], *daemons)
