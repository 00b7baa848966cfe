"""Interfaces, addresses, routes and rules of a plan against those of a machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nfcompile.host.lines import DIFFERS, MISSING, Finding, HostLine, faulty, good
from nfcompile.host.machine import NOWHERE, Machine
from nfcompile.host.plan import Address, HostPlan, Link, LocalRoute, MarkRoute, Mtu, SubscriberRoute
from nfcompile.host.steps import AddAddress, AddLocalRoute, AddMarkRoute, AddRule, SetMtu, Step
from nfcompile.kernel.network import LOCAL, UNICAST
from nfcompile.model.ranges import Cover, Range, address_text, cidrs, intersect, range_text


def findings(plan: HostPlan, machine: Machine) -> Iterator[Finding]:
    """What the network of the host has of a plan, in the plan's order."""
    yield from (_link(one, machine) for one in plan.links)
    yield from (_mtu(one, machine) for one in plan.mtus if one.interface in machine.links)
    yield from (_address(one, machine) for one in plan.addresses)
    yield from _local_routes(plan.local_routes, machine)
    yield from (_mark(one, machine) for one in plan.mark_routes)
    yield _default_route(plan, machine)
    yield from (_subscribers(one, machine) for one in plan.subscriber_routes)


def _link(wanted: Link, machine: Machine) -> Finding:
    code, what = "host-interface", f"interface {wanted.name}"
    seen = machine.links.get(wanted.name)
    if seen is not None and seen.up:
        return good(code, what, "up", wanted.path)
    up = f"ip link set {wanted.name} up"
    if seen is not None:
        return faulty(HostLine(code, DIFFERS, what, "down", "up", up, wanted.path))
    make = f"ip link add link {wanted.parent} name {wanted.name} type vlan id {wanted.vid} && {up}"
    others = ", ".join(sorted(name for name in machine.links if name != "lo")) or "none"
    is_ = f"no such interface; there are: {others}"
    return faulty(HostLine(code, MISSING, what, is_, "up", make if wanted.vid else "", wanted.path))


def _mtu(wanted: Mtu, machine: Machine) -> Finding:
    code, what = "host-mtu", f"MTU of {wanted.interface}"
    is_ = machine.links[wanted.interface].mtu
    if is_ == wanted.bytes:
        return good(code, what, str(is_), wanted.path)
    line = HostLine(code, DIFFERS, what, str(is_), str(wanted.bytes), "", wanted.path)
    return faulty(line, SetMtu(wanted.interface, is_, wanted.bytes))


def _address(wanted: Address, machine: Machine) -> Finding:
    text, there = address_text(wanted.address), wanted.interface in machine.links
    code, what, should = "host-address", f"address {text}", f"on {wanted.interface}"
    at = [one.interface for one in machine.addresses if one.address == wanted.address]
    if wanted.interface in at:
        return good(code, what, should, wanted.path)
    is_, state = (f"on {at[0]}", DIFFERS) if at else ("on no interface", MISSING)
    if wanted.own:
        mend = f"ip address add {text}/LENGTH dev {wanted.interface}"
        return faulty(HostLine(code, state, what, is_, should, mend, wanted.path))
    step = AddAddress(wanted.address, wanted.interface)
    line = HostLine(code, state, what, is_, should, step.command, wanted.path)
    return faulty(line, step) if there else faulty(line)


def _local_routes(wanted: Iterable[LocalRoute], machine: Machine) -> Iterator[Finding]:
    """Addresses that the host has, or has a `local` or a null route for, need no other route here."""
    own: Cover[None] = Cover()
    for one in machine.addresses:
        own.add(Range(one.address, one.address), None)
    for route in machine.routes:
        if route.type == LOCAL or route.type in NOWHERE:
            own.add(route.destination, None)
    code = "host-route"
    for block, path in wanted:
        what = f"route of {range_text(block)}"
        if own.covers(block):
            yield good(code, what, "ends here", path)
        else:
            line = HostLine(code, MISSING, what, "not all of it ends here", "ends here", "", path)
            yield faulty(line, AddLocalRoute(*block))


def _mark(wanted: MarkRoute, machine: Machine) -> Finding:
    code, what = "host-rule", f"way back to {wanted.interface} by mark {wanted.mark}"
    should = f"fwmark {wanted.mark} lookup {wanted.mark}"
    steps: list[Step] = []
    if not any(one.mark == wanted.mark and one.table == wanted.mark for one in machine.rules):
        steps.append(AddRule(wanted.mark))
    known: Cover[None] = Cover()
    for route in machine.marked.get(wanted.mark, ()):
        if route.type == UNICAST and route.interface == wanted.interface:
            known.add(route.destination, None)
    for destination in wanted.destinations:
        for first, bits in cidrs(destination):
            block = Range(first, first + (1 << bits) - 1)
            if not known.covers(block):
                steps.append(AddMarkRoute(*block, wanted.interface, wanted.mark))
    if not steps:
        return good(code, what, should, wanted.path)
    mend = " && ".join(step.command for step in steps)
    line = HostLine(code, MISSING, what, "rule or routes are missing", should, mend, wanted.path)
    return faulty(line, *(steps if wanted.interface in machine.links else ()))


def _default_route(plan: HostPlan, machine: Machine) -> Finding:
    wanted = plan.default_route
    code, what, should = (
        "host-default-route",
        "route to the Internet",
        f"through {' or '.join(wanted.interfaces)}",
    )
    if machine.way_out in wanted.interfaces:
        return good(code, what, f"through {machine.way_out}", wanted.path)
    is_, state = (f"through {machine.way_out}", DIFFERS) if machine.way_out else ("none", MISSING)
    mend = f"ip route add default via ROUTER dev {wanted.interfaces[0]}"
    return faulty(HostLine(code, state, what, is_, should, mend, wanted.path))


def _subscribers(wanted: SubscriberRoute, machine: Machine) -> Finding:
    """Some route through an inside interface has to lead to some of them: an ACL may name more than there
    are."""
    code, what = "host-subscriber-route", f"route to the subscribers of {wanted.path[-1]}"
    for route in (*machine.routes, *(route for routes in machine.marked.values() for route in routes)):
        leads = route.type == UNICAST and route.interface in wanted.interfaces
        if leads and intersect([route.destination], wanted.subscribers):
            return good(code, what, f"through {route.interface}", wanted.path)
    should = f"through {' or '.join(wanted.interfaces)}"
    block = range_text(_prefix(wanted.subscribers[0]))
    mend = f"ip route add {block} via ROUTER dev {wanted.interfaces[0]}"
    return faulty(HostLine(code, MISSING, what, "none", should, mend, wanted.path))


def _prefix(run: Range) -> Range:
    first, bits = next(cidrs(run))
    return Range(first, first + (1 << bits) - 1)
