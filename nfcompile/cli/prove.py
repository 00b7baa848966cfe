"""`nfcompile prove`: compare the ruleset with the site for every packet, and show counterexamples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nfcompile.cli import site as cli_site
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem, say
from nfcompile.cli.options import Options
from nfcompile.cli.progress import working
from nfcompile.emit.validate import InvalidTable
from nfcompile.kernel import KernelError
from nfcompile.pipeline import Compiled
from nfcompile.verify.proof import Proof, TooManyBoxes, prove
from nfcompile.verify.walk import UnknownStatement

if TYPE_CHECKING:
    from nfcompile.cli.held import Held

SHOWN = 5
"""Counterexamples of each kind that are shown in full."""


def run(options: Options) -> int:
    """Prove SITE; exit status 1 where something does not hold, or could not be examined."""
    compilation = cli_site.compiled(options.site, options)
    if compilation.compiled is None:
        if options.is_json:
            data = {"proved": False, "diagnostics": cli_site.as_data(compilation)}
            print(json.dumps(data, indent=2))
        else:
            cli_site.tell(compilation, options)
        return REFUSED
    if options.netns is not None and not options.live:
        raise UsageProblem("--netns needs --live: without it no kernel is read")
    live, of_kernel = None, dict[str, Any]()
    try:
        if options.live:
            live, of_kernel = _held(compilation.compiled, options)
        compiled = live.compiled if live else compilation.compiled
        with working(f"proving {compilation.document.name}", options):
            proof = prove(compiled, options.most_boxes)
    except (KernelError, TooManyBoxes, UnknownStatement, InvalidTable, ValueError) as problem:
        if options.is_json:
            print(json.dumps({"proved": False, "reason": str(problem), **of_kernel}, indent=2))
        return say(f"not proved: {problem}", REFUSED)
    proved = proof.holds and not (live and live.deviations)
    if options.is_json:
        print(json.dumps({"proved": proved, **of_kernel, **_as_data(compiled, proof)}, indent=2))
    elif not options.quiet or not proof.holds:
        print("\n".join(_text(compiled, proof)))
    return OK if proved else REFUSED


def _held(compiled: Compiled, options: Options) -> tuple[Held, dict[str, Any]]:
    """What the kernel holds, said, and as data. Raises KernelError."""
    from nfcompile.cli import held

    live = held.compared(compiled, options.netns)
    if not options.is_json and (live.deviations or not options.quiet):
        print("\n".join(held.as_text(live)))
    return live, held.as_data(live)


def _examples() -> ModuleType:
    """The module that shows counterexamples. It imports `explain`, which a proof that holds does not need."""
    from nfcompile.cli import counterexamples

    return counterexamples


# ---- as text


def _text(compiled: Compiled, proof: Proof) -> Iterator[str]:
    boxes, ways = _many(proof.boxes, "box", "boxes"), _many(proof.ways, "way", "ways")
    subscribers = _many(proof.sharing.subscribers, "subscriber", "subscribers")
    lists = _many(proof.lists, "list", "lists")
    about: Any = None if proof.holds else _examples().proved(compiled)
    yield from _told(
        "packets",
        f"{boxes}, in all of them the ruleset agrees with the site",
        f"in {len(proof.different):,} of {boxes} the ruleset disagrees with the site",
        [line for one in proof.different[:SHOWN] for line in _examples().difference_text(about, one)],
    )
    yield from _told(
        "leaks",
        f"{ways} out of pools, in every state that earlier packets can leave: none with a private source",
        f"{len(proof.leaks):,} of {ways} out of pools",
        [_examples().leak_text(one) for one in proof.leaks[:SHOWN]],
    )
    many = _many(proof.later_boxes, "box", "boxes")
    yield from _told(
        "later",
        f"{many} of second packets, answers and ICMP errors, in all of them the ruleset agrees with the site",
        f"in {len(proof.later):,} of {many} of second packets, answers and ICMP errors the ruleset disagrees",
        [line for one in proof.later[:SHOWN] for line in _examples().later_text(about.program, one)],
    )
    yield from _told(
        "sharing",
        f"{subscribers}: no two share a global address and port",
        f"two of {subscribers} share a global address and port",
        [_examples().shared_text(one) for one in proof.sharing.found[:SHOWN]],
    )
    yield from _told(
        "appending",
        f"{lists}, each as it grows: no subscriber moves",
        f"{len(proof.moved):,} of {lists} move subscribers when they grow",
        [_examples().moved_text(one) for one in proof.moved[:SHOWN]],
    )
    if compiled.npt is not None:
        many = _many(proof.prefix_boxes, "box", "boxes")
        yield from _told(
            "prefixes",
            f"{many} of IPv6, in all of them the table of the npt pools agrees with the site",
            f"in {len(proof.prefixes):,} of {many} of IPv6 the table of the npt pools disagrees",
            [_examples().prefix_text(one) for one in proof.prefixes[:SHOWN]],
        )


def _told(word: str, held: str, failed: str, examples: list[str]) -> Iterator[str]:
    yield f"{word:<11}{'NO: ' + failed if examples else held}"
    yield from (f"    {line}" for line in examples)


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


# ---- as data


def _as_data(compiled: Compiled, proof: Proof) -> dict[str, Any]:
    about: Any = None if proof.holds else _examples().proved(compiled)
    found = [_examples().prefix_text(one) for one in proof.prefixes]
    of_ipv6 = {} if compiled.npt is None else {"prefixes": {"boxes": proof.prefix_boxes, "different": found}}
    return of_ipv6 | {
        "packets": {
            "boxes": proof.boxes,
            "different": [_examples().difference_data(about, one) for one in proof.different],
        },
        "leaks": {"ways": proof.ways, "found": [_examples().leak_data(one) for one in proof.leaks]},
        "later": {
            "boxes": proof.later_boxes,
            "different": [_examples().later_data(about.program, one) for one in proof.later],
        },
        "sharing": {
            "subscribers": proof.sharing.subscribers,
            "found": [_examples().shared_data(one) for one in proof.sharing.found],
        },
        "appending": {
            "lists": proof.lists,
            "moved": [_examples().moved_data(one) for one in proof.moved],
        },
    }
