"""Faults of snat and dnat rules, of one-armed gateways, and of IPv6 prefixes."""

from __future__ import annotations

from mutation.faults.fault import ONE_ARMED, PREFIXES, RULES, Fault

FORMS = ("lower/test_dnat_forms.py", *RULES)

FAULTS = (
    # The address of the interface, exclusions.
    Fault("lower/snat_rules.py", 'Nat("masquerade", None, port)', 'Nat("masquerade", None)', RULES),
    Fault("lower/snat_rules.py", "return ACCEPT", "return RETURN", RULES),
    Fault("lower/snat_rules.py", "(RETURN,) if rule.exclude else drop", "(RETURN,)", RULES),
    Fault("lower/snat_rules.py", "while towards and not towards[-1].exclude:", "while towards:", RULES),
    Fault(
        "lower/sources.py", "in context.site.snat if rule.exclude)", "in context.site.snat if False)", RULES
    ),
    Fault(
        "lower/sources.py",
        "passed += subtract(allowed(pool), taken_before(context, pool))",
        "pass",
        RULES,
    ),
    # Prefixes one to one.
    Fault("lower/dnat_rules.py", "prefix = rule.prefix and rule", "prefix = False and rule", RULES),
    Fault("lower/snat_rules.py", "port, rule.prefix and several, flags)", "port, False, flags)", RULES),
    Fault(
        "lower/prefix_maps.py",
        'IP_SADDR if stage == "snat" else IP_DADDR, table.name), prefix=True)',
        'IP_SADDR if stage == "snat" else IP_DADDR, table.name))',
        RULES,
    ),
    Fault("lower/prefix_maps.py", "len(group) > 1 and apart", "len(group) > 1", RULES),
    Fault(
        "lower/dnat_forms.py",
        "return Form(PREFIXES, None, asked.interface,",
        "return Form(PREFIXES, None, None,",
        RULES,
    ),
    Fault(
        "lower/snat_rules.py",
        "rule.mark is None and asked == ANYTHING._replace(src_cidr=asked.src_cidr) else",
        "rule.mark is None else",
        RULES,
    ),
    Fault(
        "lower/dnat_rules.py",
        "[(*_arriving(context, group.rules[0]), prefix_translation",
        "[(prefix_translation",
        RULES,
    ),
    # Rules of one form.
    Fault("lower/dnat_forms.py", "all(_are_apart(rule, other) for other in others)", "True", FORMS),
    Fault("lower/dnat_forms.py", "len(others) <= PASSED and all(", "all(", ("lower/test_dnat_forms.py",)),
    Fault("lower/dnat_forms.py", "if other < place:", "if False:", FORMS),
    Fault(
        "lower/dnat_forms.py",
        "theirs is None or mine.negated or theirs.negated:\n        return False\n    return not intersect",
        "theirs is None:\n        return False\n    return not intersect",
        FORMS,
    ),
    Fault("lower/dnat_forms.py", "or mine.protocol.negated or theirs.protocol.negated", "", FORMS),
    Fault("lower/dnat_forms.py", "{TCP, UDP}.issuperset(protocol.values)", "True", FORMS),
    Fault("lower/dnat_forms.py", "Form(kind, only, asked.interface,", "Form(kind, only, None,", FORMS),
    Fault(
        "lower/dnat_rules.py",
        "elements = tuple(Element(one, key(r.mark.value",
        "elements = tuple(Element(one, key(not r.mark",
        FORMS,
    ),
    Fault("lower/dnat_rules.py", "for protocol in protocols:\n", "for protocol in protocols[:1]:\n", FORMS),
    Fault("lower/snat_rules.py", "            covered.add(source, None)\n", "", ("test_golden.py",)),
    Fault(
        "lower/snat_rules.py",
        "asked.src_cidr.negated or rule.mark is not None:",
        "rule.mark is not None:",
        FORMS,
    ),
    Fault("lower/dnat_forms.py", "form.port and form.interface is None", "form.port", FORMS),
    Fault("lower/dnat_forms.py", "form.kind == PORTS and form.port and", "form.kind == PORTS and", FORMS),
    # Qualifiers.
    Fault("lower/qualifiers.py", "(unlike if asked.negated else match)", "match", RULES),
    Fault(
        "lower/qualifiers.py",
        "for mark in asked.values), asked.negated)",
        "for mark in asked.values))",
        RULES,
    ),
    Fault("lower/qualifiers.py", "not (ports and only is not None)", "not ports", RULES),
    # One-armed gateways.
    Fault("lower/snat_rules.py", "inward = _inward(context)", "inward = Contribution()", ONE_ARMED),
    Fault(
        "lower/snat_rules.py",
        "if shared and rule.match.names_interfaces:",
        "if shared:",
        ONE_ARMED,
    ),
    Fault("lower/context.py", "networks = match if of_inside else unlike", "networks = match", ONE_ARMED),
    Fault(
        "lower/context.py",
        "(*plain, unlike(IP_DADDR, names.INSIDE_NETWORKS)) if",
        "plain if",
        ONE_ARMED,
    ),
    Fault(
        "lower/context.py",
        "            found.append((match(back, *self.sides.shared), elsewhere))\n",
        "            pass\n",
        ONE_ARMED,
    ),
    Fault(
        "lower/one_armed.py", "else subtract((EVERYWHERE,), sides.networks)", "else sides.networks", ONE_ARMED
    ),
    Fault("lower/one_armed.py", "networks if name in sides.shared else everywhere", "networks", ONE_ARMED),
    Fault("model/sides.py", "networks=union(subtract(networks, own)),", "networks=networks,", ONE_ARMED),
    # npt.
    Fault(
        "lower/npt.py",
        "if pools:\n        yield Rule((OURS, ACCEPT), POOLS)\n    for pool in pools:\n        side",
        "for pool in pools:\n        side",
        PREFIXES,
    ),
    Fault("lower/npt.py", "side = ends.from_either if pool.hairpin else", "side =", PREFIXES),
    Fault(
        "lower/npt.py",
        "_within(SOURCE, pair.local), NOTRACK), pair.path)",
        "_within(SOURCE, pair.local)), pair.path)",
        PREFIXES,
    ),
    Fault("lower/npt.py", "yield Rule((*leak, counter(names.NPT_LEAKS), DROP), POOLS)", "pass", PREFIXES),
    Fault(
        "lower/npt.py",
        "for known in (names.NPT_GLOBALS, names.NPT_LOCALS):",
        "for known in (names.NPT_GLOBALS,):",
        PREFIXES,
    ),
    Fault("lower/npt.py", "EVERY_BIT >> prefix.length", "EVERY_BIT >> prefix.length - 1", PREFIXES),
    Fault("lower/npt.py", 'op="==" if of_inside else "!="', 'op="=="', PREFIXES),
    Fault("lower/npt.py", "there if name in sides.shared else (EVERYWHERE,)", "there", PREFIXES),
)
