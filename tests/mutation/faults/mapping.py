"""Faults of mapping entries, and of what keeps them and blocks alive."""

from __future__ import annotations

from mutation.faults.fault import DYNAMIC, MAPPING, RENEWAL, Fault, kernel

FAULTS = (
    # Mapping entries.
    Fault(
        "lower/mapping.py",
        "outside=filtering, inside=pool.hairpin)",
        "outside=True, inside=pool.hairpin)",
        MAPPING,
    ),
    Fault(
        "lower/mapping.py",
        'f"add {eif} {{ {OUTSIDE} {CLAIM} : {INSIDE} }}"',
        'f"add {eif} {{ {OUTSIDE} : {INSIDE} }}"',
        (*MAPPING, *kernel("stress")),
    ),
    Fault(
        "lower/mapping.py", 'pool_rule(pool, match, f"add {eim} {{ {INSIDE} : {OUTSIDE} }}"),', "", MAPPING
    ),
    Fault("lower/mapping.py", 'pool_rule(pool, "meta mark set 0"),', "", MAPPING),
    Fault(
        "lower/mapping.py",
        'pool.timeouts.tcp_active if protocol == "tcp" else pool.timeouts.udp)',
        'pool.timeouts.udp if protocol == "tcp" else pool.timeouts.tcp_active)',
        MAPPING,
    ),
    Fault("lower/mapping.py", "pool.timeouts.udp) + young", "pool.timeouts.udp)", MAPPING),
    Fault("lower/mapping.py", 'f"delete {asking} {{ {INSIDE} }}", f"counter', 'f"counter', MAPPING),
    Fault("lower/mapping.py", '    yield f"0x{base + KNOWN:x} : goto known_{pool.name}"\n', "", MAPPING),
    Fault(
        "lower/mapping.py",
        '{{ {INSIDE} {ONCE} }}", f"goto claim',
        '{{ {INSIDE} }}", f"goto claim',
        kernel("stress"),
    ),
    Fault(
        "lower/mapping.py",
        "return pool.keeps_mapping_entries or pool.can_be_reached",
        "return pool.keeps_mapping_entries",
        DYNAMIC,
    ),
    Fault(
        "lower/mapping.py",
        'pool_chain(pool, f"inbound_{pool.name}", take_token(pool), *rules)',
        'pool_chain(pool, f"inbound_{pool.name}", *rules)',
        MAPPING,
    ),
    Fault(
        "lower/mapping.py",
        "return Sockets(tuple(refreshing(pool, slots)), (take_token(pool),), ())",
        "return Sockets(tuple(refreshing(pool, slots)), (), ())",
        DYNAMIC,
    ),
    # What packets renew.
    Fault(
        "lower/renewal.py",
        "ct direction original numgen inc mod 16 0 jump renew_entries",
        "ct direction original numgen inc mod 16 0 continue",
        RENEWAL,
    ),
    Fault(
        "lower/renewal.py", 'f"ct mark 0 ct mark set {ANY_TOKEN}")', 'f"ct mark set {ANY_TOKEN}")', RENEWAL
    ),
    Fault("lower/renewal.py", "max(1, min(YOUNG_SECONDS, min(lifetimes) // 8))", "YOUNG_SECONDS", RENEWAL),
    Fault(
        "lower/renewal.py",
        "ct status dnat ct original ip daddr {globals_} jump opened_outside_{pool.name}",
        "ct status dnat ct original ip daddr {globals_} continue",
        RENEWAL,
    ),
    Fault(
        "lower/renewal.py",
        "ct direction original ct status dnat ct status & snat == 0 accept",
        "ct direction original ct status dnat ct status & snat == 0 continue",
        RENEWAL,
    ),
    Fault(
        "lower/renewal.py",
        "ct direction reply ct status & dnat == 0 accept",
        "ct direction reply ct status & dnat == 0 continue",
        RENEWAL,
    ),
    Fault(
        "lower/renewal.py",
        "*((inbound_counts,) if gate.site.defaults.udp_inbound_refresh else ()),",
        "",
        RENEWAL,
    ),
    Fault(
        "lower/renewal.py",
        'rules.append(pool_rule(pool, f"update @owners_{pool.name} {{ {address} : {subscriber} }}"))',
        "pass",
        RENEWAL,
    ),
    Fault("lower/renewal.py", '        f"update @taken_{pool.name} {{ meta mark }}",\n', "", RENEWAL),
    Fault(
        "lower/renewal.py",
        '            rules.append(pool_rule(pool, "meta mark set 0"))\n',
        "            pass\n",
        RENEWAL,
    ),
    Fault("lower/renewal.py", '("eim", f"{inside} : {outside}"), ', "", RENEWAL),
    Fault(
        "lower/renewal.py",
        '("ct mark & 0xff000000 == 0x01000000 goto stale",)',
        '("ct mark & 0xff000000 == 0x02000000 goto stale",)',
        RENEWAL,
    ),
    Fault("lower/renewal.py", '        Rule((f"ct mark set {ANY_TOKEN}",), path, "pools"),\n', "", RENEWAL),
)
