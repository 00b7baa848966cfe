"""Faults of mapping entries, and of what keeps them and blocks alive."""

from __future__ import annotations

from mutation.faults.fault import DYNAMIC, IDLE, MAPPING, RENEWAL, Fault, kernel

FAULTS = (
    # Mapping entries.
    Fault(
        "lower/mapping.py",
        "outside=pool.opens_to_outside, inside=pool.hairpin)",
        "outside=True, inside=pool.hairpin)",
        MAPPING,
    ),
    Fault(
        "lower/mapping.py",
        'SetUpdate("add", eif, outside, INSIDE, CLAIM)',
        'SetUpdate("add", eif, outside, INSIDE)',
        (*MAPPING, *kernel("stress_sockets")),
    ),
    Fault(
        "lower/mapping.py",
        'SetUpdate("add", eim, inside, OUTSIDE), goto(',
        "goto(",
        MAPPING,
    ),
    Fault(
        "lower/mapping.py",
        "names.entered(name), pool_rule(pool, set_mark(0)), *longer,",
        "names.entered(name), *longer,",
        MAPPING,
    ),
    Fault(
        "lower/renewal.py",
        '"tcp": times.tcp_active + young, "udp": times.udp + young',
        '"tcp": times.udp + young, "udp": times.tcp_active + young',
        MAPPING,
    ),
    Fault("lower/renewal.py", '"udp": times.udp + young', '"udp": times.udp', MAPPING),
    Fault(
        "lower/mapping.py",
        'give_back = SetUpdate("delete", asking, inside), counter',
        "give_back = counter",
        MAPPING,
    ),
    Fault(
        "lower/mapping.py", "rules.append(Rule((*new, goto(names.KNOWN_SOCKETS)), POOLS))", "pass", MAPPING
    ),
    Fault(
        "lower/mapping.py",
        "add(asking, inside, CLAIM), counter(race), DROP)",
        "add(asking, inside))",
        kernel("stress_sockets"),
    ),
    Fault(
        "lower/mapping.py",
        "return pool.is_dynamic and pool.can_be_reached",
        "return False",
        DYNAMIC,
    ),
    Fault(
        "lower/mapping.py",
        "look = *take_token(pool), *ask",
        "look = (*ask,)",
        MAPPING,
    ),
    Fault("lower/mapping.py", "known += take_token(pool)", "known += ()", MAPPING),
    Fault(
        "lower/mapping.py",
        "return Sockets(tuple(refreshing(context, pool, slots)), take_token(pool), ())",
        "return Sockets(tuple(refreshing(context, pool, slots)), (), ())",
        DYNAMIC,
    ),
    # What packets renew.
    Fault(
        "lower/renewal.py",
        "        Rule((unlike(CT_MARK, 0), *of_marked), path),\n",
        "",
        RENEWAL,
    ),
    Fault(
        "lower/renewal.py",
        "pool_rule(pool, unmarked, set_mark(NOW, CT_MARK))",
        "pool_rule(pool, set_mark(NOW, CT_MARK))",
        RENEWAL,
    ),
    Fault(
        "lower/renewal.py",
        "max(1, min(YOUNG_SECONDS, context.shortest_entry // 8))",
        "YOUNG_SECONDS",
        RENEWAL,
    ),
    Fault(
        "lower/refresh_entries.py",
        '    End("outside", "dnat", Field("ct original ip daddr")),\n',
        "",
        RENEWAL,
    ),
    Fault("lower/renewal.py", "            Rule((*from_outside, ACCEPT), path),\n", "", RENEWAL),
    Fault(
        "lower/renewal.py",
        "            Rule((reply, match(Bitwise(CT_STATUS, DNAT), 0), ACCEPT), path),\n",
        "",
        RENEWAL,
    ),
    Fault(
        "lower/renewal.py",
        "*((inbound_counts,) if refreshes else ()),",
        "",
        RENEWAL,
    ),
    Fault(
        "lower/renewal.py",
        "*(() if refreshes else _while_alive(context, renewing)),",
        "",
        IDLE,
    ),
    Fault(
        "lower/renewal.py",
        "*inbound, *mine, counter(names.SILENT_COUNTER), DROP)",
        "*inbound, *mine, ACCEPT)",
        IDLE,
    ),
    Fault(
        "lower/renewal.py",
        "        *(add(names.alive(seconds), CT_MARK) for seconds in alive),\n",
        "",
        IDLE,
    ),
    Fault(
        "lower/renewal.py",
        "rules.append(pool_rule(pool, update(names.owners(pool.name), address, subscriber)))",
        "pass",
        RENEWAL,
    ),
    Fault("lower/renewal.py", "        update(names.taken(pool.name), META_MARK),\n", "", RENEWAL),
    Fault(
        "lower/renewal.py",
        "            rules.append(pool_rule(pool, set_mark(0)))\n",
        "            pass\n",
        RENEWAL,
    ),
    Fault("lower/renewal.py", "                (names.eim(pool.name), inside, outside),\n", "", RENEWAL),
    Fault(
        "lower/renewal.py",
        "match(Bitwise(CT_MARK, TOKEN_BYTE), FIRST_TOKEN)",
        "match(Bitwise(CT_MARK, TOKEN_BYTE), 2 * FIRST_TOKEN)",
        RENEWAL,
    ),
    Fault(
        "lower/renewal.py",
        "set_mark(NOW, CT_MARK), goto(names.REFRESH_CONNECTION)",
        "goto(names.REFRESH_CONNECTION)",
        RENEWAL,
    ),
)
