"""Faults of what is said of a gateway: how full its blocks are, what is live, what the reference expects."""

from __future__ import annotations

from mutation.faults.fault import PROOF, Fault

FULL = ("allocation/test_how_full.py",)
SCRAPE = ("live/test_scrape.py",)
PREFIX_PROOF = ("verify/test_prefixes.py",)
GATE_PROOF = ("verify/test_gate.py",)

FAULTS = (
    # How full blocks are.
    Fault("allocation/fill.py", "+= last - first + 1", "+= last - first", FULL),
    Fault("allocation/fill.py", "-(-(first - block) // each)", "(first - block) // each", FULL),
    Fault("allocation/fill.py", "column = block * len(columns) // stock", "column = block // stock", FULL),
    Fault("allocation/fill.py", "-(-index * number // count)", "index * number // count", FULL),
    Fault("allocation/fill.py", "shifts = sorted(", "shifts = list(", FULL),
    # What an exporter says.
    Fault(
        "live/follow.py",
        "is not None and live.site and live.site != self",
        "is not None and live.site != self",
        SCRAPE,
    ),
    Fault("live/scrape.py", "            self._walk = None\n", "", SCRAPE),
    Fault("live/scrape.py", "or begun >= self._rests_until:", "or False:", SCRAPE),
    Fault(
        "live/scrape.py",
        "REST * (self._walked - begun) if is_long",
        "REST * (self._walked - begun) if True",
        SCRAPE,
    ),
    Fault("records/store.py", "(trial.seconds or 0) - uptime()", "(trial.seconds or 0)", SCRAPE),
    Fault(
        "records/history.py",
        "reversed(settled(events)) if one.kernel == kernel), None)",
        "reversed(settled(events))), None)",
        SCRAPE,
    ),
    Fault("live/scrape.py", "not found.missing and (live", "(live", SCRAPE),
    # What the reference expects.
    Fault(
        "verify/reference.py",
        "is_closed and from_either and not",
        "is_closed and from_inside and not",
        GATE_PROOF,
    ),
    Fault("verify/reference.py", "probe.protocol == VRRP or any", "any", GATE_PROOF),
    Fault("verify/reference.py", "if snat is not None and snat.exclude:", "if False:", PROOF),
    Fault("verify/reference_rules.py", "if rule.snat_ip is None:", "if False:", PROOF),
    Fault(
        "verify/reference_rules.py", "if rule.prefix else rule.snat_ip", "if False else rule.snat_ip", PROOF
    ),
    Fault("verify/reference_site.py", "rows.append((Range(low.first, low.last), 0, number))", "pass", PROOF),
    Fault(
        "verify/reference_site.py",
        "one_of(gate.shared, interface) and gate.networks.holds(address)",
        "False",
        PROOF,
    ),
    Fault(
        "verify/reference_rules.py",
        "verdict is False if pool.is_static else verdict is not True",
        "verdict is False",
        PROOF,
    ),
    Fault("verify/reference.py", "if hairpin and not pool.hairpin:", "if False:", PROOF),
    Fault("verify/npt_reference.py", "gate.inward.holds(probe.destination) or gate", "gate", PREFIX_PROOF),
    Fault(
        "verify/npt_reference.py",
        "if not owner.hairpin or not owner.stateless:",
        "if not owner.hairpin:",
        PREFIX_PROOF,
    ),
    Fault("verify/npt_reference.py", "(pool.stateless and owner is None) or ", "", PREFIX_PROOF),
    Fault(
        "verify/npt_reference.py",
        "return one_of(gate.shared, interface) and gate.outward.holds(address)",
        "return one_of(gate.shared, interface)",
        PREFIX_PROOF,
    ),
)
