"""LLDP, the log daemon, the PCP daemon, the clock and the boot unit of a plan against those of a machine."""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.diagnostics import Path
from nfcompile.host import lldp
from nfcompile.host.daemons import Daemons
from nfcompile.host.lines import DIFFERS, MISSING, Finding, HostLine, faulty, good
from nfcompile.host.metadata import CloudSeen
from nfcompile.host.plan import HostPlan, Lldp, LogReceiver
from nfcompile.host.steps import WriteLldp
from nfcompile.model.ranges import address_text


def findings(plan: HostPlan, daemons: Daemons) -> Iterator[Finding]:
    """What runs of what a plan counts on."""
    if plan.lldp is not None:
        yield from _lldp(plan.lldp, daemons.lldp)
    if plan.log_daemon is not None:
        yield from _log(plan.log_daemon, daemons)
    if plan.opens_ports is not None:
        yield _pcp(plan.opens_ports, daemons)
    path = plan.default_route.path[:1]
    yield _clock(daemons, path)
    yield _boot(daemons, path)
    if daemons.cloud is not None:
        yield from _cloud(plan, daemons.cloud)


def _lldp(wanted: Lldp, seen: lldp.LldpSeen) -> Iterator[Finding]:
    code, what = "host-lldp", "LLDP daemon"
    if wanted.on and not seen.runs:
        install = "" if seen.installed else "apt-get install lldpd && "
        mend = f"{install}systemctl enable --now lldpd"
        yield faulty(HostLine(code, MISSING, what, "none runs", "runs", mend, wanted.path))
    elif wanted.on:
        yield good(code, what, "runs", wanted.path)
    text = lldp.configuration(wanted)
    wrong = _announced(wanted, seen)
    if not text or (not wanted.on and not seen.runs):
        return
    what, should = ("name in LLDP", wanted.hostname) if wanted.on else ("LLDP", "off")
    if not wrong and seen.runs:
        yield good(code, what, should, wanted.path)
        return
    line = HostLine(
        code, DIFFERS if seen.runs else MISSING, what, wrong or "not announced", should, "", wanted.path
    )
    if not seen.installed:
        yield faulty(line._replace(mend=f"apt-get install lldpd && {WriteLldp(None, text).command}"))
    elif seen.file == text and not seen.runs:
        yield faulty(line._replace(mend="systemctl enable --now lldpd"))
    else:
        yield faulty(line, WriteLldp(seen.file, text))


def _announced(wanted: Lldp, seen: lldp.LldpSeen) -> str:
    """What is wrong with the announcements, '' where nothing is."""
    if not seen.runs:
        return ""
    if not wanted.on:
        talks = [name for name in wanted.interfaces if name not in seen.off]
        return f"on at {', '.join(talks)}" if talks else ""
    return "" if seen.hostname == wanted.hostname else seen.hostname


def _log(wanted: LogReceiver, daemons: Daemons) -> Iterator[Finding]:
    heard = [("block assignments (NFLOG group 5)", daemons.assignments_heard)] if wanted.assignments else []
    heard += [("connections (conntrack events)", daemons.connections_heard)] if wanted.connections else []
    for what, listens in heard:
        code, what = "host-log", f"log of {what}"
        if listens:
            yield good(code, what, "a daemon listens", wanted.path)
            continue
        is_ = "only root can see it" if listens is None else "no daemon listens"
        mend = "systemctl enable --now nfcompile-log"
        yield faulty(HostLine(code, MISSING, what, is_, "a daemon listens", mend, wanted.path))


def _pcp(path: Path, daemons: Daemons) -> Finding:
    code, what, should = "host-pcp", "PCP and NAT-PMP", "nfcompile-pcp answers"
    if daemons.opens_ports:
        return good(code, what, should, path)
    mend = "systemctl enable --now nfcompile-pcp"
    return faulty(HostLine(code, MISSING, what, "no daemon answers", should, mend, path))


def _clock(daemons: Daemons, path: tuple[str | int, ...]) -> Finding:
    code, what, should = "host-clock", "clock", "kept right"
    if daemons.clock_right:
        return good(code, what, should, path)
    mend = "apt-get install systemd-timesyncd && timedatectl set-ntp true"
    return faulty(HostLine(code, DIFFERS, what, "not synchronised", should, mend, path))


def _boot(daemons: Daemons, path: tuple[str | int, ...]) -> Finding:
    code, what = "host-boot", "ruleset at boot"
    if daemons.boots:
        return good(code, what, "nfcompile.service", path)
    mend = (
        "nfcompile boot --unit >/etc/systemd/system/nfcompile.service && systemctl enable nfcompile.service"
    )
    return faulty(HostLine(code, MISSING, what, "no unit is enabled", "nfcompile.service", mend, path))


def _cloud(plan: HostPlan, seen: CloudSeen) -> Iterator[Finding]:
    """The cloud delivers only what it has assigned itself."""
    code = "host-cloud"
    for wanted in plan.addresses:
        what = f"{address_text(wanted.address)} in the cloud"
        if address_text(wanted.address) in seen.addresses:
            yield good(code, what, "assigned", wanted.path)
        else:
            mend = "" if wanted.own else "nfcompile host cloud aws"
            yield faulty(HostLine(code, MISSING, what, "not assigned", "assigned", mend, wanted.path))
