"""Faults of what says which rule, pool, interface or VLAN a packet belongs to."""

from __future__ import annotations

from mutation.faults.fault import ACL, GUARD, MAPPING, MARKS, STATIC, VLANS, Fault, kernel

FAULTS = (
    # ACLs, and the order of pools.
    Fault("lower/acl.py", "return (\n        rule.allow,", "return (", ACL),
    Fault(
        "lower/acl.py",
        "        rule.destination,\n        rule.source_ports,",
        "        rule.source_ports,",
        ACL,
    ),
    Fault("lower/acl.py", 'if first.allow else (("return",),)', 'if True else (("return",),)', ACL),
    Fault("lower/acl.py", "if rule.destination != EVERYWHERE:", "if rule.destination == EVERYWHERE:", ACL),
    Fault("lower/acl.py", "rule.protocol != ANY_PROTOCOL and not ports", "False", ACL),
    Fault("lower/acl.py", "if rule.vid is not None:", "if False:", (*ACL, *VLANS)),
    Fault("lower/pools.py", '@{name}", "return")', '@{name}", "accept")', ACL),
    Fault(
        "lower/pools.py", "*_no_hairpin(gate, allocation, counter),\n        *refusals,", "*refusals,", GUARD
    ),
    Fault("lower/pools.py", '*first_packet, pool_rule(pool, "accept")', "*first_packet", (*ACL, *GUARD)),
    Fault("lower/acl.py", "        rule.protocol,\n", "", ACL),
    Fault("lower/acl.py", "        rule.vid,\n", "", VLANS),
    Fault(
        "lower/acl.py",
        "        rule.source_ports,\n        rule.destination_ports,\n",
        "        rule.source_ports,\n",
        ACL,
    ),
    Fault(
        "lower/acl.py",
        "        rule.source_ports,\n        rule.destination_ports,\n",
        "        rule.destination_ports,\n",
        ACL,
    ),
    Fault("lower/acl.py", "    if rule.source_ports:", "    if False:", ACL),
    Fault(
        "lower/pools.py",
        "        after = [Rule((match, *accept), pool.path, comment) for match in matches]",
        "        after = []",
        STATIC,
    ),
    Fault(
        "lower/pools.py",
        'allocation.pool.hairpin and allocation.pool.type != "fake" for',
        'allocation.pool.hairpin and allocation.pool.type == "static" for',
        MAPPING,
    ),
    # Interfaces.
    Fault(
        "lower/gate.py",
        "vids = [vid for vid, _ in site.interfaces.vlans]",
        "vids = []",
        (*VLANS, *kernel("packets_sides")),
    ),
    Fault(
        "lower/gate.py",
        "        vids += [r.vid for acl in site.acls for r in acl.rules if r.vid is not None]\n",
        "",
        (*kernel("packets_acl"), *VLANS),
    ),
    Fault(
        "lower/gate.py",
        "        vids += [e.vid for p in site.pools for e in p.global_map if e.vid is not None]\n",
        "",
        VLANS,
    ),
    Fault(
        "lower/gate.py",
        "self.from_either if outside and inside",
        "self.from_either if outside or inside",
        STATIC,
    ),
    Fault(
        "lower/gate.py",
        "return self.from_inside, self.to_outside",
        "return self.from_either, self.to_outside",
        GUARD,
    ),
    # The same address in several VLANs.
    Fault("lower/vlans.py", "for vid in vids)\n    back", "for vid in vids[:1])\n    back", VLANS),
    Fault("lower/vlans.py", "for vid in vids)\n    answers", "for vid in vids[:1])\n    answers", VLANS),
    Fault(
        "lower/vlans.py",
        "            found += [(one, vid, pool.path) for one in pool.global_ip]\n",
        "            pass\n",
        VLANS,
    ),
    Fault(
        "lower/vlans.py",
        "        found += [(e.globals, e.vid, e.path) for e in pool.global_map if e.vid is not None]\n",
        "",
        VLANS,
    ),
    Fault(
        "lower/vlans.py", "for rule in pool.acl.rules if rule.allow}", "for rule in pool.acl.rules}", VLANS
    ),
    # Marks.
    Fault(
        "lower/custom_nat.py",
        "first = {rule.match.dst_port: rule for rule in reversed(group)}",
        "first = {rule.match.dst_port: rule for rule in group}",
        MARKS,
    ),
    Fault(
        "lower/custom_nat.py",
        "first = {rule.mark: rule for rule in reversed(group) if rule.mark}",
        "first = {rule.mark: rule for rule in group if rule.mark}",
        MARKS,
    ),
    Fault("lower/custom_nat.py", "~mark.mask & WHOLE_MARK", "mark.mask", MARKS),
    Fault(
        "lower/custom_nat.py",
        '"ct mark & 0x{mark.mask:x} == 0x{mark.value:x}"',
        '"ct mark 0x{mark.value:x}"',
        MARKS,
    ),
    Fault(
        "lower/custom_nat.py",
        "return match.protocol, rule.dnat_ip is None, mark is None",
        "return match.protocol, rule.dnat_ip is None",
        MARKS,
    ),
    Fault(
        "lower/custom_nat.py",
        "if interface is None and destination in (None, EVERYWHERE):\n        phrases",
        "if False:\n        phrases",
        MARKS,
    ),
    Fault(
        "lower/custom_nat.py",
        "match[2] is None and match[3] is None and match[5]",
        "match[2] is None and match[5]",
        MARKS,
    ),
    Fault(
        "lower/custom_nat.py",
        "before = (gate.from_inside, *_not_for_us(gate))",
        "before = (gate.from_inside,)",
        MARKS,
    ),
    Fault("lower/custom_nat.py", 'phrases.append("return")', 'phrases.append("continue")', MARKS),
    Fault(
        "lower/custom_nat.py",
        "elsewhere.append(_snat_rule(rule, (gate.from_inside,)))",
        "elsewhere.append(_snat_rule(rule, ()))",
        MARKS,
    ),
    Fault("lower/custom_nat.py", 'statement += " persistent"', "pass", MARKS),
    Fault(
        "lower/custom_nat.py",
        "map @{_map_name('snat', group)} persistent\"",
        "map @{_map_name('snat', group)}\"",
        MARKS,
    ),
    Fault(
        "lower/custom_nat.py",
        'return "fib daddr type != local", f"fib',
        'return "fib daddr type != broadcast", f"fib',
        MARKS,
    ),
)
