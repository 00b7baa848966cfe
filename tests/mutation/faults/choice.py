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
    Fault("lower/acl.py", "allow if first.allow else (deny,):", "allow if True else (deny,):", ACL),
    Fault("lower/acl.py", "if rule.destination != EVERYWHERE:", "if rule.destination == EVERYWHERE:", ACL),
    Fault(
        "lower/acl.py",
        "rule.protocol != ANY_PROTOCOL and not (rule.source_ports or rule.destination_ports)",
        "False",
        ACL,
    ),
    Fault("lower/acl.py", "if rule.vid is not None:", "if False:", (*ACL, *VLANS)),
    Fault("lower/pools.py", "unlike(IP_SADDR, name), RETURN)", "unlike(IP_SADDR, name), ACCEPT)", ACL),
    Fault(
        "lower/pools.py", "*_no_hairpin(context, allocation, drop),\n        *refusals,", "*refusals,", GUARD
    ),
    Fault("lower/pools.py", "*first_packet, pool_rule(pool, ACCEPT)", "*first_packet", (*ACL, *GUARD)),
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
        "after = [pool_rule(pool, match, *accept) for match in matches]",
        "after = []",
        STATIC,
    ),
    Fault(
        "lower/context.py",
        "one.pool.hairpin and one.pool.translates for",
        "one.pool.hairpin and one.pool.is_static for",
        MAPPING,
    ),
    # Interfaces.
    Fault(
        "model/sides.py",
        "vids = [vid for vid, _ in site.interfaces.vlans]",
        "vids = []",
        (*VLANS, *kernel("packets_sides")),
    ),
    Fault(
        "model/sides.py",
        "        vids += [r.vid for acl in site.acls for r in acl.rules if r.vid is not None]\n",
        "",
        (*kernel("packets_acl"), *VLANS),
    ),
    Fault(
        "model/sides.py",
        "        vids += [e.vid for p in site.pools for e in p.global_map if e.vid is not None]\n",
        "",
        VLANS,
    ),
    Fault(
        "lower/context.py",
        "self.from_either if outside and inside",
        "self.from_either if outside or inside",
        STATIC,
    ),
    Fault(
        "lower/context.py",
        "return *self.from_inside, *self.to_outside",
        "return *self.from_either, *self.to_outside",
        GUARD,
    ),
    # The same address in several VLANs.
    Fault("lower/vlans.py", "for vid in vids)\n    back", "for vid in vids[:1])\n    back", VLANS),
    Fault("lower/vlans.py", "for vid in vids)\n    mark", "for vid in vids[:1])\n    mark", VLANS),
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
        "lower/dnat_rules.py",
        "for rule in reversed(group.rules) for one",
        "for rule in group.rules for one",
        MARKS,
    ),
    Fault(
        "lower/snat_rules.py",
        "first = {mark: rule for rule in reversed(group) if (mark",
        "first = {mark: rule for rule in group if (mark",
        MARKS,
    ),
    Fault("lower/qualifiers.py", "~mark.mask & WHOLE_MARK", "mark.mask", MARKS),
    Fault(
        "lower/qualifiers.py",
        "field = CT_MARK if mask == WHOLE_MARK else Bitwise(CT_MARK, mask)",
        "field = CT_MARK",
        MARKS,
    ),
    Fault(
        "lower/dnat_forms.py",
        "port is not None, mark is not None)",
        "port is not None, False)",
        MARKS,
    ),
    Fault(
        "lower/dnat_rules.py",
        "if rule.match.names_interfaces or (destination is not None and not destination.negated):",
        "if True:",
        MARKS,
    ),
    Fault(
        "lower/dnat_rules.py",
        "before = (*_arriving(context, group.rules[0]), *_unless_for_us(context, group.rules[0]))",
        "before = _arriving(context, group.rules[0])",
        MARKS,
    ),
    Fault("lower/dnat_rules.py", "statements.append(RETURN)", "pass", MARKS),
    Fault(
        "lower/qualifiers.py", "(unlike(token, FIRST_TOKEN), test)", "(test,)", ("kernel/test_mapping.py",)
    ),
    Fault(
        "lower/qualifiers.py",
        "((match(token, FIRST_TOKEN),), (test,)) if",
        "((test,),) if",
        ("kernel/test_mapping.py",),
    ),
    Fault(
        "lower/snat_rules.py",
        "_snat_rules(context, rule, others, *context.from_inside)",
        "_snat_rules(context, rule, others)",
        MARKS,
    ),
    Fault(
        "lower/snat_rules.py",
        'flags = ("persistent",) if several and not rule.prefix else ()',
        "flags = ()",
        MARKS,
    ),
    Fault(
        "lower/snat_rules.py",
        'lookup(CT_MARK, name), flags=("persistent",))',
        "lookup(CT_MARK, name))",
        MARKS,
    ),
    Fault(
        "lower/dnat_rules.py",
        'return unlike(Field("fib daddr type"), "local"), *context.not_towards_inside',
        "return context.not_towards_inside",
        MARKS,
    ),
)
