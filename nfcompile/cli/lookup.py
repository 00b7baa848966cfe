"""`nfcompile lookup`: the subscriber of a global address and port, now or then, and the other way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nfcompile.cli import lookup_answers, site
from nfcompile.cli.ends import read_end_in_vlan
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem, note
from nfcompile.cli.options import Options
from nfcompile.cli.progress import working

if TYPE_CHECKING:
    from nfcompile.allocation.lookup import Answer


def run(options: Options) -> int:
    """Answer one question, or with `--bulk` those of a file; exit status 1 without an answer."""
    _refuse_nonsense(options)
    if options.bulk is not None:
        from nfcompile.cli import lookup_bulk

        with working("answering", options, rows=True):
            return lookup_bulk.run(options)
    others = options.at or options.log or options.db or options.live or options.report
    if not others and options.format != "csv":
        return _computed(options)
    from nfcompile.cli import lookup_sources

    return lookup_sources.run(options)


def _refuse_nonsense(options: Options) -> None:
    most = 1 if options.bulk is not None else 2
    if len(options.words) > most:
        raise UsageProblem(f"one ADDR[:PORT] at a time, not {len(options.words) - 1}")
    if not options.words and options.bulk is None:
        raise UsageProblem("missing argument: ADDR[:PORT] or --bulk FILE")
    if options.live and (options.log or (options.at or options.db or options.bulk) is not None):
        raise UsageProblem(
            "--live answers from the kernel as it is now; it does not go with --at, --log, --db or --bulk"
        )
    if options.log and options.db is not None:
        raise UsageProblem("one log at a time: --log or --db")
    if options.netns is not None and not (options.live or (options.at or options.bulk) is not None):
        raise UsageProblem("--netns goes with --live, --at or --bulk")


def _computed(options: Options) -> int:
    """Answer from the allocation that `build` makes of SITE."""
    from nfcompile.allocation import lookup
    from nfcompile.allocation.prefix_lookup import prefix_lookups

    asked = options.words[-1]
    end = read_end_in_vlan(asked)
    named = options.words[0] if len(options.words) == 2 else "site.yaml"
    all_pairs = site.each_compiled(named, options._replace(quiet=True))
    found: list[Answer] = []
    for _, compiled in all_pairs:
        if end.is_ipv6:
            found += [one for one in prefix_lookups(compiled.site, end.address) if one not in found]
            continue
        snat = compiled.site.snat
        answers = lookup.lookups(compiled.allocations, end.address, end.port, options.proto, snat)
        found += [one for one in answers if lookup.is_in_vlan(one, end.address, end.vid)]
    if options.is_json:
        print(json.dumps(lookup_answers.as_data(found)))
    elif found:
        print("\n\n".join(lookup_answers.text(one) for one in found))
    elif not options.quiet:
        note(f"{all_pairs[0][0].document.name}: no binding has {asked}")
    return OK if found else REFUSED
