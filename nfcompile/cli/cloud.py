"""`nfcompile host cloud aws`: secondary addresses, Elastic IPs, and forwarding for an instance of AWS."""

from __future__ import annotations

import json
from typing import NamedTuple

from nfcompile.cli import site as cli_site
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.diagnostics import SiteError
from nfcompile.pipeline import Compilation


class Done(NamedTuple):
    """What was done, or would be; the new Elastic IPs by private address."""

    steps: tuple[str, ...] = ()
    elastic: dict[str, str] = {}


def aws(options: Options) -> int:
    """Do for SITE what the cloud has to do; REFUSED where the site or the cloud does not allow it."""
    if (options.instance is None) != (options.region is None):
        raise UsageProblem("--instance and --region go together")
    result = cli_site.compiled(options.site, options)
    done = Done()
    if result.compiled is not None:
        try:
            done = _done(result, options)
        except SiteError as error:
            result = result.refused(error.diagnostics)
    if options.format == "json":
        answer = {"done": [*done.steps], "elastic_ips": done.elastic, "diagnostics": cli_site.as_data(result)}
        print(json.dumps(answer, indent=2))
    else:
        cli_site.tell(result, options)
        if result.compiled is not None and not options.quiet:
            _tell(done, options)
    return OK if result.compiled is not None else REFUSED


def _done(result: Compilation, options: Options) -> Done:
    from nfcompile.host import aws, metadata

    assert result.compiled is not None
    named = metadata.Instance(options.instance, options.region or "") if options.instance else None
    where = named or metadata.instance()
    asked = aws.wanted(result.compiled.site)
    ec2 = aws.client(where.region)
    todo = aws.steps(asked, aws.observe(ec2, where.instance, asked))
    elastic = {} if options.dry_run else aws.bring(ec2, todo)
    return Done(tuple(step.text for step in todo), elastic)


def _tell(done: Done, options: Options) -> None:
    for text in done.steps:
        print(text)
    for private, public in done.elastic.items():
        print(f"{private} is {public} outside")
    nothing = "nothing to change" if not done.steps else "done"
    print("not done (dry run)" if options.dry_run and done.steps else nothing)
